//! The model card: `README.md` in English and `README_ja.md` in Japanese from the same facts.
//!
//! Architecture invariants: pure, text out of values in; every figure is in both languages; what is not known (authors,
//! contact, citation) is left out and never invented; no adjectives of praise; nothing is called open that the release's
//! visibility and gating do not bear out.

mod evaluation;
mod figures;
mod front_matter;
mod sections;
mod table;

use sekisho_domain::lineage::LineageFile;
use sekisho_domain::score::{Interval, ResultEntry};
use sekisho_domain::{Language, Sha256, Step, Tokens};

/// What a card is made from.
#[derive(Clone, Debug, PartialEq)]
pub struct CardFacts {
    /// Name, inputs and release.
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

/// The card in one language. The first line links to the other, which lies beside it.
#[must_use]
pub fn render(facts: &CardFacts, language: Language) -> String {
    let card = Card { facts, language };
    let body = [
        card.head(),
        card.usage(),
        card.details(),
        card.training_data(),
        card.training(),
        card.evaluation(),
        card.limitations(),
        card.availability(),
        card.license(),
        card.verification(),
    ];
    let front = if language == Language::En { front_matter::render(facts) } else { String::new() };
    let sections: Vec<String> = body.into_iter().filter(|section| !section.is_empty()).collect();
    format!("{front}{}\n", sections.join("\n\n"))
}

/// A card being written in one language.
struct Card<'a> {
    facts: &'a CardFacts,
    language: Language,
}

impl Card<'_> {
    /// The text of this card's language.
    fn say<'t>(&self, en: &'t str, ja: &'t str) -> &'t str {
        match self.language {
            Language::En => en,
            Language::Ja => ja,
        }
    }
}

#[cfg(test)]
mod tests;
