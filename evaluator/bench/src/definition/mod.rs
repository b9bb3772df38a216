//! The format of a task definition; `docs/evaluation.md` describes it for people.

mod request;
mod shots;
mod source;

use std::collections::{BTreeMap, BTreeSet};

use sekisho_domain::Sha256;
use sekisho_domain::evaluation::{Bos, TaskRun};
use sekisho_domain::parse_toml;
use serde::{Deserialize, Serialize};

pub use request::{Choices, Filter, Input, Prompt, RequestKind, RequestRule};
pub use shots::{Example, Sampler, Shots};
pub use source::{Derive, Role, SourceRef, Split, SplitRule};

use crate::error::TaskError;
use crate::metric::{Metric, Reported};
use crate::reader::Reader;
use crate::step::Step;

/// One benchmark task as data: `tasks/<profile>/<task>.toml`. The format is described in `docs/evaluation.md`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskDefinition {
    /// Versioned profile, e.g. `llm-jp-eval@1.3`.
    pub profile: String,
    /// The harness's own task id.
    pub task: String,
    /// Goes up whenever the meaning of the definition changes.
    pub version: u32,
    /// Name shown to people, English.
    pub title_en: String,
    /// Name shown to people, Japanese.
    pub title_ja: String,
    /// Language of the items, ISO 639-1.
    pub language: String,
    /// Licence of the data, SPDX or `LicenseRef-…`.
    pub license: String,
    /// Whether item texts may appear in samples, exports and bundles.
    pub redistributable: bool,
    /// Who made the data, and where it is.
    pub citation: String,
    /// SHA-256 of the harness's own data file for its dev split, where it publishes one ([`crate::dataset_json`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<Sha256>,
    /// Score of guessing, on the scale of the primary metric.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chance: Option<f64>,
    /// The metric that stands for the task in means, as it is reported.
    pub primary: Reported,
    /// Every metric that is reported; with several filters each is reported for each of them.
    pub metrics: Vec<Metric>,
    /// The harness's own standard error.
    pub stderr: StandardError,
    /// Field whose values name the sub-tasks that the harness scores one by one (MMLU's subjects).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subtask: Option<String>,
    /// Field whose values name what several items share, e.g. their passage: intervals draw these, not items.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// Whether prompts start with BOS unless the user says otherwise.
    pub bos: BosRule,
    /// How context and continuation become tokens.
    pub encoding: Encoding,
    /// What is cut from a prompt that is too long for the model.
    #[serde(default)]
    pub truncation: Truncation,
    /// How splits are made from the files.
    pub splits: SplitRule,
    /// The form in which answers and gold texts are compared.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub normalize: Vec<Step>,
    /// Its data files.
    #[serde(rename = "source")]
    pub sources: Vec<SourceRef>,
    /// How a data file becomes records.
    pub reader: Reader,
    /// Records with one of these values in a field are left out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub drop: BTreeMap<String, Vec<String>>,
    /// Fields made from other fields.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub derive: Vec<Derive>,
    /// Examples in the prompt.
    #[serde(default)]
    pub shots: Shots,
    /// How a record becomes a prompt.
    pub prompt: Prompt,
    /// What is asked of the model.
    pub request: RequestRule,
    /// What of a generated text counts as the answer: all of it without a filter.
    #[serde(default, rename = "filter", skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<Filter>,
    #[serde(skip)]
    text: String,
}

/// The standard error that the harness itself reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StandardError {
    /// It reports none (llm-jp-eval, flexeval).
    None,
    /// lm-eval: sample standard deviation ÷ √n of a mean, bootstrap of perplexity, BLEU and chrF, none of the rest.
    Sample,
    /// lm-eval's formula for a group, over the sub-tasks.
    Pooled,
}

/// Whether the prompt starts with the beginning-of-sequence token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BosRule {
    /// Always.
    On,
    /// Never.
    Off,
    /// When the tokenizer adds it by itself.
    Tokenizer,
}

/// How context and continuation become tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// lm-eval: white space at the end of the context moves to the continuation, both are encoded as one text, and the
    /// continuation is what follows the tokens of the context alone. An empty context becomes the prefix token.
    Pair,
    /// JP harness: both are encoded by themselves and joined.
    Separate,
}

/// What is cut from a prompt that is too long for the model. What is scored after a context is cut from the left by every
/// rule: no harness does otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Truncation {
    /// Nothing: a prompt to generate from is asked as it is (llm-jp-eval).
    None,
    /// Tokens at the left, so that the new ones fit (lm-eval, JP harness).
    #[default]
    Left,
    /// Examples, the first one first, until the rest fits (MGSM of the JP harness): [`Item::examples`](crate::Item::examples)
    /// says where they are.
    DropShots,
}

impl TaskDefinition {
    /// Reads and checks a definition; `file` is its name in errors.
    ///
    /// # Errors
    /// [`TaskError::Toml`] with line and nearest known key, [`TaskError::Definition`] when the parts contradict each other.
    pub fn from_toml(file: &str, text: &str) -> Result<Self, TaskError> {
        let mut definition: Self = parse_toml(file, text)?;
        text.clone_into(&mut definition.text);
        match definition.contradiction() {
            None => Ok(definition),
            Some(message) => Err(TaskError::Definition { file: file.to_owned(), message }),
        }
    }

    /// The text it was read from: what a work item carries to a worker.
    #[must_use]
    pub fn toml(&self) -> &str {
        &self.text
    }

    /// `profile/task`, as errors and tables name it.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}", self.profile, self.task)
    }

    /// The BOS rule in force: the profile's own one for [`Bos::Auto`].
    #[must_use]
    pub const fn bos_rule(&self, bos: Bos) -> BosRule {
        match bos {
            Bos::Auto => self.bos,
            Bos::On => BosRule::On,
            Bos::Off => BosRule::Off,
        }
    }

    /// The number of shots of a run.
    #[must_use]
    pub fn shots_of(&self, run: &TaskRun) -> u32 {
        run.shots.unwrap_or(self.shots.default)
    }

    /// Every metric as it is reported, in the order of filters and metrics.
    #[must_use]
    pub fn reported(&self) -> Vec<Reported> {
        let of = |filter: Option<&String>| {
            self.metrics
                .iter()
                .map(move |metric| Reported { metric: *metric, filter: filter.cloned() })
                .collect::<Vec<_>>()
        };
        if self.filters.is_empty() {
            return of(None);
        }
        self.filters.iter().flat_map(|filter| of(filter.name.as_ref())).collect()
    }

    /// The splits that its files give.
    #[must_use]
    pub fn splits(&self) -> Vec<Split> {
        let roles: BTreeSet<Role> = self.sources.iter().map(|source| source.role).collect();
        Split::ALL.into_iter().filter(|split| roles.contains(&self.splits.role(*split))).collect()
    }

    /// The split of a run.
    ///
    /// # Errors
    /// [`TaskError::Split`] when the task has no such split.
    pub fn split_of(&self, run: &TaskRun) -> Result<Split, TaskError> {
        let splits = self.splits();
        splits.iter().copied().find(|split| split.as_str() == run.split).ok_or_else(|| TaskError::Split {
            task: self.name(),
            split: run.split.clone(),
            available: join(splits.iter().map(|split| split.as_str())),
        })
    }

    /// The data files that hold the items a run asks, in the order of the definition.
    ///
    /// # Errors
    /// [`TaskError::Split`] when the task has not got the split.
    pub fn asked_sources(&self, run: &TaskRun) -> Result<Vec<&SourceRef>, TaskError> {
        let role = self.splits.role(self.split_of(run)?);
        Ok(self.sources.iter().filter(|source| source.role == role).collect())
    }

    /// The data files that a run needs, in the order of the definition: those of its split and of its shots.
    ///
    /// # Errors
    /// [`TaskError::Split`] or [`TaskError::Shots`] when the task has not got what the run asks for.
    pub fn sources_for(&self, run: &TaskRun) -> Result<Vec<&SourceRef>, TaskError> {
        let mut roles = vec![self.splits.role(self.split_of(run)?)];
        let asked = self.shots_of(run);
        if asked > 0 && self.shots.literal.is_empty() {
            let from = self.shots.from.ok_or_else(|| TaskError::Shots {
                task: self.name(),
                asked,
                reason: "its definition names no examples; run it with 0 shots".to_owned(),
            })?;
            roles.push(self.splits.role(from));
        }
        Ok(self.sources.iter().filter(|source| roles.contains(&source.role)).collect())
    }
}

/// Names with commas between them.
pub(crate) fn join<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().collect::<Vec<_>>().join(", ")
}
