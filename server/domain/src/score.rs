//! Scores as they appear in `eval --json`, in the API and in the database.

use serde::{Deserialize, Serialize};

use crate::Sha256;

/// Tokens an evaluation worked through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TokenCounts {
    /// Tokens of all prompts and continuations, as if nothing were shared.
    pub prompt: u64,
    /// Tokens actually run through the model before generation.
    pub prefilled: u64,
    /// Tokens generated.
    pub generated: u64,
}

/// One metric of one task: the entry of `results` in `eval --json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = Score)]
pub struct ResultEntry {
    /// Versioned profile, e.g. `lm-eval@0.4`.
    pub profile: String,
    /// The harness's own task id.
    pub task: String,
    /// `dev` or `test`.
    pub split: String,
    /// Metric name, e.g. `acc`, `exact_match`, `char_f1`.
    pub metric: String,
    /// 0–1; correlations −1…1; BLEU, chrF and ROUGE 0–100.
    pub value: f64,
    /// The harness's own standard error; null where it has none.
    pub stderr: Option<f64>,
    /// Lower end of the 95 % interval.
    pub low: f64,
    /// Upper end of the 95 % interval.
    pub high: f64,
    /// Items scored.
    pub n: u64,
    /// Shots in the prompt.
    pub shots: u32,
    /// Items whose prompt had to be cut.
    pub truncated: u64,
    /// Identity of the settings: scores with different fingerprints are never ranked together.
    pub fingerprint: Sha256,
    /// Wall time of the task.
    #[serde(default)]
    pub seconds: f64,
    /// Work done.
    #[serde(default)]
    pub tokens: TokenCounts,
}

/// A value with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Interval {
    /// The point estimate.
    pub value: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}
