//! Scores that others published. They were not made here: they are shown with their source and date, and never ranked.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::Tokens;

/// A model with the scores that one source gives of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ReportedModel {
    /// Its name, with the version where the source names one.
    pub model: String,
    /// Who published the numbers, and which version of them.
    pub source: String,
    /// When they were published.
    pub day: Date,
    /// Licence of the numbers.
    pub license: String,
    /// What it is one of: `llama`, `gpt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<String>,
    /// Parameters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<u64>,
    /// Parameters that one token meets, where that is fewer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active: Option<u64>,
    /// Tokens that it was trained on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Tokens>,
    /// Licence of the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_license: Option<String>,
    /// What the source says of how the numbers were made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remark: Option<String>,
    /// Its scores.
    pub scores: Vec<ReportedScore>,
}

/// One score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ReportedScore {
    /// Versioned profile of the task as it was run.
    pub profile: String,
    /// The harness's own task id.
    pub task: String,
    /// `dev` or `test`.
    pub split: String,
    /// Shots in the prompt.
    pub shots: u32,
    /// The value as it enters a mean over tasks: 0–1, BLEU, chrF and ROUGE divided by 100.
    pub share: f64,
}
