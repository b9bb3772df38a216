use std::fmt;
use std::str::FromStr;

use sekisho_domain::nearest;
use serde::{Deserialize, Serialize};

use super::Checkpoint;

/// A rule of `checkpoint.keep`, e.g. `every:1000` or `last:3`. What one of them keeps is kept, until [`Keep::Space`] needs the room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Keep {
    /// Those whose update is a multiple of this.
    Every(u64),
    /// The newest so many.
    Last(u64),
    /// So many of the lowest loss, as a mean over the updates since the checkpoint before.
    Best(u64),
    /// Those of LLM-jp's list: updates 1 to 9, 10 to 90 by tens, 100 to 9,900 by hundreds, then every 1,000. They are also written.
    DenseEarly,
    /// No more than so many bytes in all: the oldest go.
    Space(u64),
}

/// The rules by name, for a slip of the pen.
const NAMES: [&str; 5] = ["every", "last", "best", "dense_early", "space"];

/// Units of [`Keep::Space`], the largest first [bytes].
const UNITS: [(&str, u64); 5] =
    [("TB", 1_000_000_000_000), ("GB", 1_000_000_000), ("MB", 1_000_000), ("KB", 1000), ("B", 1)];

impl Checkpoint {
    /// Whether a checkpoint is written after an update.
    pub(crate) fn is_due(&self, step: u64) -> bool {
        step.is_multiple_of(self.every) || self.keep.contains(&Keep::DenseEarly) && is_dense_early(step)
    }
}

/// LLM-jp's list of updates.
pub(crate) fn is_dense_early(step: u64) -> bool {
    let apart = match step {
        0..10 => 1,
        10..100 => 10,
        100..10_000 => 100,
        _ => 1000,
    };
    step.is_multiple_of(apart)
}

impl fmt::Display for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Every(n) => write!(f, "every:{n}"),
            Self::Last(n) => write!(f, "last:{n}"),
            Self::Best(n) => write!(f, "best:{n}"),
            Self::DenseEarly => f.write_str("dense_early"),
            Self::Space(bytes) => {
                let fits = |(_, unit): &&(&str, u64)| bytes.is_multiple_of(*unit);
                let (name, unit) = UNITS.iter().find(fits).unwrap_or(&("B", 1));
                write!(f, "space:{}{name}", bytes / unit)
            }
        }
    }
}

impl FromStr for Keep {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (rule, value) = text.split_once(':').unwrap_or((text, ""));
        let number = || value.parse().ok().filter(|n: &u64| *n > 0);
        let parsed = match rule {
            "every" => number().map(Self::Every),
            "last" => number().map(Self::Last),
            "best" => number().map(Self::Best),
            "space" => bytes(value).map(Self::Space),
            "dense_early" => (rule == text).then_some(Self::DenseEarly),
            _ => None,
        };
        parsed.ok_or_else(|| {
            let near = nearest(rule, NAMES).filter(|near| *near != rule);
            let hint = near.map_or_else(String::new, |near| format!(", did you mean {near}?"));
            format!(
                "\"{text}\" is no rule{hint}; there are every:N, last:N and best:N with N above 0, dense_early, and space:SIZE, e.g. space:200GB"
            )
        })
    }
}

/// `200GB`; whole numbers, decimal units.
fn bytes(text: &str) -> Option<u64> {
    let (name, unit) = UNITS.iter().find(|(name, _)| text.ends_with(name))?;
    let number: u64 = text.strip_suffix(name)?.trim_end().parse().ok()?;
    number.checked_mul(*unit).filter(|bytes| *bytes > 0)
}

impl TryFrom<String> for Keep {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Keep> for String {
    fn from(keep: Keep) -> Self {
        keep.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_as_they_are_written() {
        for text in
            ["every:1000", "last:3", "best:1", "dense_early", "space:200GB", "space:1500MB", "space:7B"]
        {
            assert_eq!(text.parse::<Keep>().expect(text).to_string(), text);
        }
        assert_eq!("space:2000GB".parse::<Keep>().expect("a size").to_string(), "space:2TB");
        for (wrong, hint) in [
            ("bset:2", ", did you mean best?"),
            ("dense-early", ", did you mean dense_early?"),
            ("newest:3", " is no rule; there are"),
            ("last:0", " is no rule; there are"),
            ("last", " is no rule; there are"),
            ("dense_early:3", " is no rule; there are"),
            ("space:200", " is no rule; there are"),
            ("space:0GB", "space:SIZE, e.g. space:200GB"),
        ] {
            let error = wrong.parse::<Keep>().expect_err(wrong);
            assert!(error.starts_with(&format!("\"{wrong}\" is no rule")) && error.contains(hint), "{error}");
        }
    }

    #[test]
    fn the_dense_beginning_is_llm_jps() {
        let steps: Vec<u64> = (1..=12_000).filter(|step| is_dense_early(*step)).collect();
        let expected: Vec<u64> = (1..10)
            .chain((10..100).step_by(10))
            .chain((100..10_000).step_by(100))
            .chain((10_000..=12_000).step_by(1000))
            .collect();
        assert_eq!(steps, expected);
    }
}
