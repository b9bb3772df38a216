//! Results made elsewhere, as records: bytes of other harnesses' files in, lines of `--out` out.
//!
//! What a harness logged item by item becomes records like our own, so that it can be compared with them; each line says in
//! `origin` where it comes from. What has no items becomes a *reported* score, which is shown and never compared.
//!
//! Aggregates that a file states are computed again from its items, and a file whose items give something else is refused.

mod fields;
mod llm_jp_eval;
mod lm_eval;
mod swallow;

use sekisho_domain::Sha256;
use serde::{Deserialize, Serialize};

use crate::record::Record;

pub use llm_jp_eval::{Settings, llm_jp_eval};
pub use lm_eval::lm_eval;
pub use swallow::swallow;

/// A file as the caller read it.
#[derive(Clone, Copy, Debug)]
pub struct File<'a> {
    /// Its path as the caller names it.
    pub name: &'a str,
    /// Its content.
    pub bytes: &'a [u8],
}

/// Where a result comes from that was not made here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// `lm-eval`, `llm-jp-eval`, `jp-harness` or `swallow-evaluation`.
    pub harness: String,
    /// Its version, where the file says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What ran the model, e.g. `hf` or `vllm`, where the file says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<String>,
    /// The model as the harness named it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Name of the file, without its folder.
    pub file: String,
    /// SHA-256 of the file.
    pub sha256: Sha256,
    /// The run that the caller says it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// The step that the caller says it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<u64>,
}

/// One line of a records file: a record, and where it comes from if it was not made here.
///
/// A line of a result made elsewhere has no token counts (`prompt_tokens` 0, `choice_tokens` empty), and where the harness
/// did not log the prompt, `prompt_sha256` is an empty list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// The record.
    #[serde(flatten)]
    pub record: Record,
    /// Its origin; none of our own results.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

/// A score without items: shown with its source, never ranked and never compared.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReportedScore {
    /// Versioned profile.
    pub profile: String,
    /// The harness's own task or group.
    pub task: String,
    /// The harness's own metric, with its filter where a task has several.
    pub metric: String,
    /// As the harness gives it.
    pub value: f64,
    /// As the harness gives it.
    pub stderr: Option<f64>,
    /// Items, where the file says it.
    pub n: Option<u64>,
    /// Shots, where the file says it.
    pub shots: Option<u64>,
    /// Where it comes from.
    pub origin: Origin,
}

/// What files of another harness hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Imported {
    /// Items, task by task.
    pub lines: Vec<Line>,
    /// Scores without items.
    pub reported: Vec<ReportedScore>,
    /// What was left out, and why: sentences for people.
    pub notes: Vec<String>,
}

impl Imported {
    fn extend(&mut self, other: Self) {
        self.lines.extend(other.lines);
        self.reported.extend(other.reported);
        self.notes.extend(other.notes);
    }
}

/// Why a file cannot be imported. The text is the sentence shown to people.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ImportError {
    /// Not JSON, or not of the harness's format.
    #[error("{file}: {message}")]
    Format {
        /// The file, with the line where there is one.
        file: String,
        /// What is wrong, and the way on.
        message: String,
    },
    /// The items do not give the score that the file states.
    #[error(
        "{file}: the {n} items of {task} give {metric} {items}, the file says {stated}; the items are of another run, or not \
         all of them are there"
    )]
    Mismatch {
        /// The file.
        file: String,
        /// The task.
        task: String,
        /// The metric.
        metric: String,
        /// Number of items.
        n: usize,
        /// Their score.
        items: f64,
        /// What the file says.
        stated: f64,
    },
}

/// The name without its folder.
fn base(name: &str) -> &str {
    name.rsplit(['/', '\\']).next().unwrap_or(name)
}
