//! What a card is made from, whatever the release.

use sekisho_domain::lineage::LineageFile;
use sekisho_domain::score::{Interval, ResultEntry};
use sekisho_domain::{Sha256, Step, Tokens};

use super::CardExtras;

/// What a card is made from.
#[derive(Clone, Debug, PartialEq)]
pub struct CardFacts {
    /// Name, inputs, waivers and release.
    pub lineage: LineageFile,
    /// Languages that the model was evaluated in, ISO 639-1, those of most tasks first; none when nothing is known.
    pub languages: Vec<String>,
    /// The run and the checkpoint.
    pub checkpoint: CardCheckpoint,
    /// Resolved configuration in the names of Hugging Face's `config.json`.
    pub config: serde_json::Value,
    /// Resolved run specification, when Sekisho has it.
    pub spec: Option<serde_json::Value>,
    /// Scores, in the order of the table.
    pub scores: Vec<CardScore>,
    /// Mean of the suite's primary metrics, when every task of it is there.
    pub mean: Option<CardMean>,
    /// Texts that licences want to be shown, such as "Built with Llama".
    pub built_with: Vec<String>,
    /// Lines that licences want in NOTICE, and sentences that give credit; quoted under the licence.
    pub notices: Vec<String>,
    /// What not every caller knows; `CardExtras::default()` knows nothing.
    pub extras: CardExtras,
}

/// The checkpoint that is released.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardCheckpoint {
    /// Name of the run.
    pub run: String,
    /// Update.
    pub step: Step,
    /// Training targets of this stage.
    pub tokens: Tokens,
    /// Identity of weights and configuration.
    pub digest: Sha256,
    /// All parameters.
    pub parameters: u64,
    /// Those of the embeddings, input and output.
    pub embedding_parameters: u64,
    /// Of the weights, e.g. `bfloat16`.
    pub dtype: String,
}

/// One line of the evaluation table.
#[derive(Clone, Debug, PartialEq)]
pub struct CardScore {
    /// The score.
    pub entry: ResultEntry,
    /// Name of the task in English.
    pub title_en: String,
    /// Name of the task in Japanese.
    pub title_ja: String,
    /// Language of the items; decides the table.
    pub language: String,
    /// `--limit` of the evaluation, if it had one.
    pub limit: Option<u64>,
}

/// A mean over tasks.
#[derive(Clone, Debug, PartialEq)]
pub struct CardMean {
    /// Name of the suite.
    pub suite: String,
    /// Value and 95 % interval.
    pub interval: Interval,
}
