//! The run specification: the TOML a run is made from. Unknown keys are refused; a key whose meaning this build does not
//! have is refused too, never ignored.

mod check;
mod cost;
mod decay;
mod keep;
mod mixture;
mod model;
mod presets;
mod rules;
mod sections;

use std::path::{Path, PathBuf};

use sekisho_domain::schedule::LearningRate;
use sekisho_domain::{TomlError, parse_toml};
use sekisho_model::train::{Format, Settings};
use sekisho_weights::config::{ConfigError, ModelConfig};
use serde::{Deserialize, Serialize};

pub use cost::{Cost, Machine};
pub use keep::Keep;
pub(crate) use keep::is_dense_early;
pub use model::ModelSection;
pub use presets::{PRESETS, Preset, Recipe, preset};
pub use sections::{
    Batch, Checkpoint, Data, DecayShape, Dtype, Evaluate, Forward, Init, LrIndex, Mix, Moments, OnNan,
    Optimizer, Order, Packing, Parent, ParentData, ParentState, Precision, Recompute, Schedule, ScheduleKind,
    Share, Stability, Stop, TokenizerSection, WarmupInit,
};

/// A specification that cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// The file, or one it names, cannot be read.
    #[error("{0}")]
    Read(#[from] std::io::Error),
    /// Not TOML, or a key or value that is not known.
    #[error("{0}")]
    Toml(#[from] TomlError),
    /// A value that breaks a rule.
    #[error("{file}: {key} {rule}")]
    Rule {
        /// The specification's file.
        file: String,
        /// The key, dotted.
        key: &'static str,
        /// What is wrong and the way on, as the rest of a sentence after the key.
        rule: String,
    },
    /// A key or value that is in the format and not in this build.
    #[error("{file}: {key} is not supported yet by this version of the trainer; {instead}")]
    NotSupported {
        /// The specification's file.
        file: String,
        /// The key, with its value where that matters.
        key: String,
        /// The way on.
        instead: &'static str,
    },
    /// `[model]`, or the `config.json` of `init.from`, describes no model that can be trained.
    #[error("{0}")]
    Config(#[from] ConfigError),
}

/// A run specification. What it does not say is filled in when it is loaded, apart from [`Spec::total_steps`] and
/// [`Spec::total_samples`], which a resumed run inherits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The run's name, unique on the server.
    pub name: String,
    /// Seed of the initial weights and of the data order.
    #[serde(default = "sections::seed")]
    pub seed: u64,
    /// The run this one branches off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Parent>,
    /// Dimensions of the model; those of `init.from` when absent.
    #[serde(default)]
    pub model: ModelSection,
    /// Where the first weights come from.
    #[serde(default)]
    pub init: Init,
    /// The tokenizer for text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokenizer: Option<TokenizerSection>,
    /// What is trained on, in which order.
    pub data: Data,
    /// Sequences of an update.
    pub batch: Batch,
    /// AdamW, clipping and the loss.
    pub optimizer: Optimizer,
    /// The learning rate over the updates.
    pub schedule: Schedule,
    /// What happens on spikes and NaN.
    #[serde(default)]
    pub stability: Stability,
    /// Number formats.
    #[serde(default)]
    pub precision: Precision,
    /// How checkpoints are examined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluate: Option<Evaluate>,
    /// When the run ends.
    pub stop: Stop,
    /// When checkpoints are written and which are kept.
    #[serde(default)]
    pub checkpoint: Checkpoint,
}

impl Spec {
    /// Reads and checks a specification. Relative paths in it are relative to its folder.
    ///
    /// # Errors
    /// [`SpecError`] names file, key, rule and the way on.
    pub fn load(path: &Path) -> Result<Self, SpecError> {
        let text = fs_err::read_to_string(path)?;
        let folder = fs_err::canonicalize(path)?.parent().map(Path::to_path_buf).unwrap_or_default();
        Self::parse(&path.display().to_string(), &text, &folder)
    }

    /// [`Spec::load`] of a text; `file` is its name in messages, `folder` what relative paths start from.
    ///
    /// # Errors
    /// As [`Spec::load`].
    pub fn parse(file: &str, text: &str, folder: &Path) -> Result<Self, SpecError> {
        let mut spec: Self = parse_toml(file, text)?;
        spec.make_paths_absolute(folder);
        rules::supported(file, &spec)?;
        rules::named(file, &spec)?;
        let parent = model::parent(&spec)?;
        spec.model = model::resolve(file, &spec, parent.as_ref())?;
        if let Some(parent) = &parent {
            spec.look_up_rate(parent);
        }
        rules::check(file, &spec)?;
        Ok(spec)
    }

    /// Dimensions of the model.
    ///
    /// # Errors
    /// Not after [`Spec::load`], which has checked them.
    pub fn model_config(&self) -> Result<ModelConfig, ConfigError> {
        self.model.config("[model]")
    }

    /// The update at which the schedule ends: `schedule.total_steps`, or where the run stops.
    #[must_use]
    pub fn total_steps(&self) -> u64 {
        self.schedule.total_steps.unwrap_or(self.stop.steps)
    }

    /// The learning rate of each update.
    #[must_use]
    pub fn learning_rate(&self) -> LearningRate {
        LearningRate::new(&self.schedule, self.optimizer.lr, self.optimizer.min_lr, self.total_steps())
    }

    /// Puts the learning rate that the parent had reached where `schedule.warmup_init` is `"parent"`.
    pub(crate) fn look_up_rate(&mut self, parent: &Self) {
        if let (WarmupInit::Parent, Some(section)) = (self.schedule.warmup_init, &self.parent) {
            let rate = parent.learning_rate().of_update(section.step);
            self.schedule.warmup_init = WarmupInit::Rate(rate);
        }
    }

    /// Sequences the data order is laid out for: `data.total_samples`, or those of [`Spec::total_steps`].
    #[must_use]
    pub fn total_samples(&self) -> u64 {
        self.data.total_samples.unwrap_or(self.total_steps().saturating_mul(self.batch.sequences as u64))
    }

    /// Sequences of a micro-batch.
    #[must_use]
    pub fn micro(&self) -> usize {
        self.batch.micro.unwrap_or(self.batch.sequences)
    }

    /// What the program is made with.
    pub(crate) fn settings(&self) -> Settings {
        let moments = if self.optimizer.moments == Moments::F32 { Format::F32 } else { Format::Bf16 };
        Settings { moments, ..self.precision.settings() }
    }

    /// The specification as it is written into the run's folder: nothing left to a default. A resumed run inherits the
    /// defaults of its first start, so that a later `[stop]` moves neither the schedule nor the data order.
    #[must_use]
    pub fn recorded(&self, earlier: Option<&Self>) -> Self {
        let mut spec = self.clone();
        spec.schedule.total_steps = spec
            .schedule
            .total_steps
            .or_else(|| earlier.map(Self::total_steps))
            .or_else(|| Some(spec.total_steps()));
        spec.data.total_samples = spec
            .data
            .total_samples
            .or_else(|| earlier.map(Self::total_samples))
            .or_else(|| Some(spec.total_samples()));
        spec.batch.micro = Some(spec.micro());
        if let (WarmupInit::Parent, Some(earlier)) = (spec.schedule.warmup_init, earlier) {
            spec.schedule.warmup_init = earlier.schedule.warmup_init;
        }
        // An older record that left the rule to its default keeps it so.
        let is_older = |spec: &Self| spec.optimizer.weight_decay_exclude.is_none();
        if is_older(&spec) && !earlier.is_some_and(is_older) {
            let config = spec.model_config().ok();
            spec.optimizer.weight_decay_exclude =
                config.and_then(|config| decay::Groups::of(&spec.optimizer, &config).globs());
        }
        // The parent's folder may have moved or gone: `parent.json` says which checkpoint it was.
        if let (Some(parent), Some(before)) =
            (&mut spec.parent, earlier.and_then(|spec| spec.parent.as_ref()))
        {
            parent.run.clone_from(&before.run);
        }
        spec
    }

    /// Checks the values against each other once more: a resumed run has inherited some.
    pub(crate) fn recheck(&self, file: &Path) -> Result<(), SpecError> {
        rules::check(&file.display().to_string(), self)
    }

    /// What the run costs, as a whole and not from where it is.
    #[must_use]
    pub fn cost(&self) -> Cost {
        self.model_config().map(|config| Cost::of(self, &config)).unwrap_or_default()
    }

    /// The resolved values, for `--check`: what will be trained, on what, how, and what it costs on a machine.
    #[must_use]
    pub fn check(&self, machine: Option<Machine>) -> String {
        check::summary(self, machine)
    }

    /// What each subset of the data gives to the run, a line each, for `--check`. Sizes that are not known are told with the reason; of a
    /// text that is not in the cache the beginning is tokenised. `cache` is that of [`TrainOptions`](crate::TrainOptions).
    #[must_use]
    pub fn mixture(&self, cache: Option<&Path>) -> String {
        mixture::lines(self, cache)
    }

    fn make_paths_absolute(&mut self, folder: &Path) {
        let absolute = |path: &mut PathBuf| *path = folder.join(&*path);
        self.init.from.iter_mut().for_each(absolute);
        // A name stays a name.
        for parent in
            self.parent.iter_mut().filter(|parent| folder.join(&parent.run).join("spec.toml").is_file())
        {
            parent.run = folder.join(&parent.run).display().to_string();
        }
        self.tokenizer.iter_mut().for_each(|tokenizer| absolute(&mut tokenizer.path));
        self.data.mix.iter_mut().for_each(|mix| absolute(&mut mix.path));
    }
}

#[cfg(test)]
mod tests;
