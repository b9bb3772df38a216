//! A configuration as people paste it before a run begins: told by its text, read into the contract's shape.

mod document;
mod nanotron;
mod sekisho;
mod torchtitan;

use serde_json::Value;

use crate::{ForeignError, megatron};

/// Whose configuration it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Megatron-LM: a command line, a launch script, or the arguments at the top of a log.
    Megatron,
    /// torchtitan's TOML.
    Torchtitan,
    /// nanotron's YAML.
    Nanotron,
    /// Our own `spec.toml`.
    Sekisho,
}

impl Source {
    /// All, in the order in which they are offered.
    pub const ALL: [Self; 4] = [Self::Megatron, Self::Torchtitan, Self::Nanotron, Self::Sekisho];

    /// For addresses and command lines.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Megatron => "megatron",
            Self::Torchtitan => "torchtitan",
            Self::Nanotron => "nanotron",
            Self::Sekisho => "sekisho",
        }
    }

    /// By its name; none for anything else.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|source| source.as_str() == name)
    }
}

/// A configuration that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Configuration {
    /// Whose it is.
    pub source: Source,
    /// In the contract's shape: `model`, `data`, `batch`, `optimizer`, `schedule` … as far as it says them, with what else it says under
    /// `other`.
    pub spec: Value,
    /// What could not be made out, in sentences.
    pub notes: Vec<String>,
}

impl Configuration {
    /// The tokens that steps, batch and sequence length make, where it says all three.
    #[must_use]
    pub fn tokens(&self) -> Option<u64> {
        tokens(&self.spec)
    }
}

/// The tokens that a specification's steps, batch and sequence length make. A child that counts its parent's steps on makes those after
/// `parent.step`.
#[must_use]
pub fn tokens(spec: &Value) -> Option<u64> {
    let begin =
        if spec["parent"]["reset_steps"] == true { 0 } else { spec["parent"]["step"].as_u64().unwrap_or(0) };
    let own = spec["stop"]["steps"].as_u64()?.checked_sub(begin)?;
    own.checked_mul(tokens_per_step(spec)?)
}

/// Targets of an update.
#[must_use]
pub fn tokens_per_step(spec: &Value) -> Option<u64> {
    spec["batch"]["sequences"].as_u64()?.checked_mul(spec["data"]["sequence_length"].as_u64()?)
}

/// Reads a configuration; `source` is told by the text where it is none. `file` names it in messages.
///
/// # Errors
/// [`ForeignError`] with place and rule for a text that is no configuration of that source.
pub fn configuration(file: &str, text: &str, source: Option<Source>) -> Result<Configuration, ForeignError> {
    if text.trim().is_empty() {
        return Err(ForeignError::whole(
            file,
            "is empty; paste arguments, a launch script or a configuration file",
        ));
    }
    let source = source.unwrap_or_else(|| told(text));
    let (spec, notes) = match source {
        Source::Megatron => {
            let args = megatron::arguments(file, text)?;
            (megatron::specification(&args), args.notes)
        }
        Source::Torchtitan => (torchtitan::specification(document::toml(file, text)?), Vec::new()),
        Source::Nanotron => (nanotron::specification(document::yaml(file, text)?), Vec::new()),
        Source::Sekisho => (sekisho::specification(file, document::toml(file, text)?)?, Vec::new()),
    };
    Ok(Configuration { source, spec, notes })
}

/// Whose a text is. Sections of a TOML file tell the two that write TOML apart; what is neither TOML nor YAML is a command line.
fn told(text: &str) -> Source {
    let heads: Vec<&str> = text.lines().map(str::trim_end).collect();
    let section =
        |name: &str| heads.iter().any(|line| line.split('#').next().is_some_and(|l| l.trim() == name));
    if ["[training]", "[job]", "[lr_scheduler]"].into_iter().any(section) {
        return Source::Torchtitan;
    }
    if ["[batch]", "[stop]", "[data]", "[[data.mix]]", "[schedule]"].into_iter().any(section) {
        return Source::Sekisho;
    }
    let keys = ["general:", "tokens:", "optimizer:", "data_stages:", "model:"];
    if keys.into_iter().filter(|key| section(key)).count() >= 2 {
        return Source::Nanotron;
    }
    Source::Megatron
}
