//! The model card: `README.md` in English and `README_ja.md` in Japanese from the same facts and people's edits.
//!
//! Architecture invariants: pure, text out of values in; every computed figure is in both languages; what is not known
//! (authors, contact, citation) is left out and never invented; no adjectives of praise; nothing is called open that the
//! release's visibility and gating do not bear out; text from outside is never Markdown, YAML, HTML or a shell's; people's
//! edits are inputs, so they outlive every regeneration, and none of them reaches what is computed.

mod availability;
mod comparison;
mod data;
mod details;
mod edits;
mod evaluation;
mod extras;
mod facts;
mod figures;
mod front_matter;
mod head;
mod later;
mod license;
mod markdown;
mod people;
mod section;
mod tombstone;
mod training;
mod verification;
mod yaml;

use std::collections::BTreeMap;

use sekisho_domain::lineage::{ReleaseSection, ReleaseStage};
use sekisho_domain::{Language, Text};

pub use edits::{CardEditError, CardEdits, LARGEST_EDIT, check_edit};
pub use extras::{
    CardComparison, CardComparisonRow, CardComponent, CardComponentKind, CardComponentState, CardCompute,
    CardContaminatedTask, CardContamination, CardCredit, CardCurve, CardCurvePoint, CardDifference,
    CardEnvironment, CardExtras, CardFamilyMember, CardSignature, CardSubset, CardTokenizer,
};
pub use facts::{CardCheckpoint, CardFacts, CardMean, CardScore};
pub use later::{not_approved, superseded};
pub use section::{Editing, Section};
pub use tombstone::{TombstoneAccess, TombstoneFacts, tombstone};

/// The card in one language. The first line after the front matter links to the other, which lies beside it.
///
/// A text of `edits` that [`check_edit`] refuses is left out.
#[must_use]
pub fn render(facts: &CardFacts, edits: &CardEdits, language: Language) -> String {
    let card = Card { facts, edits: edits.of(language), language };
    let front = if language == Language::En { front_matter::render(facts) } else { String::new() };
    let sections: Vec<String> = Section::ALL.iter().filter_map(|section| card.section(*section)).collect();
    format!("{front}{}\n\n{}\n", card.head(), sections.join("\n\n"))
}

/// The default text of every section that takes one in this card; empty where there is none, or where a text is added to
/// what is computed. Forms show it before anyone has written.
#[must_use]
pub fn defaults(facts: &CardFacts, language: Language) -> BTreeMap<Section, String> {
    let none = BTreeMap::new();
    let card = Card { facts, edits: &none, language };
    let editable =
        Section::editable().filter(|section| *section != Section::FailureStory || card.is_failed());
    editable.map(|section| (section, card.default_text(section).unwrap_or_default())).collect()
}

/// The sections that must have a text before the release can be asked for, and have none: the story of a failed run.
#[must_use]
pub fn missing(facts: &CardFacts, edits: &CardEdits, language: Language) -> Vec<Section> {
    let card = Card { facts, edits: edits.of(language), language };
    let needed = if card.is_failed() { vec![Section::FailureStory] } else { Vec::new() };
    needed.into_iter().filter(|section| card.edit(*section).is_none()).collect()
}

/// A card being written in one language.
struct Card<'a> {
    facts: &'a CardFacts,
    edits: &'a BTreeMap<Section, String>,
    language: Language,
}

impl Card<'_> {
    /// The section with its heading; nothing where nothing is known.
    fn section(&self, section: Section) -> Option<String> {
        let body = match section {
            Section::Intro => return self.text(section),
            Section::FailureStory => self.failure_story(),
            Section::Models => self.models(),
            Section::History => self.history(),
            Section::Usage => Some(self.usage()),
            Section::Details => Some(self.details()),
            Section::Tokenizer => self.tokenizer(),
            Section::TrainingData => self.training_data(),
            Section::Training => Some(self.training()),
            Section::LearningCurve => self.learning_curve(),
            Section::Evaluation => self.evaluation(),
            Section::Limitations => self.limitations(),
            Section::Availability => self.availability(),
            Section::License => Some(self.license()),
            Section::Verification => Some(self.verification()),
            Section::Citation | Section::Acknowledgements | Section::Contact | Section::Authors => {
                self.text(section)
            }
        }?;
        let heading = section.heading(self.language);
        Some(if body.is_empty() { heading } else { format!("{heading}\n\n{body}") })
    }

    /// What a person wrote for a section, else its default.
    fn text(&self, section: Section) -> Option<String> {
        self.edit(section).or_else(|| self.default_text(section))
    }

    /// What a person wrote for a section, as far as it may stand there.
    fn edit(&self, section: Section) -> Option<String> {
        let text = self.edits.get(&section).filter(|text| check_edit(section, text).is_ok())?;
        let text = text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
        let text = text.trim_matches('\n');
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// Computed parts with a person's text below them; nothing when there is neither.
    fn with_edit(&self, section: Section, mut parts: Vec<String>) -> Option<String> {
        parts.extend(self.edit(section));
        (!parts.is_empty()).then(|| parts.join("\n\n"))
    }

    /// The text of this card's language.
    fn say<'t>(&self, en: &'t str, ja: &'t str) -> &'t str {
        match self.language {
            Language::En => en,
            Language::Ja => ja,
        }
    }

    /// A sentence from outside, at the beginning of a line.
    fn said(&self, text: &Text) -> String {
        markdown::prose(text.get(self.language))
    }

    /// "a, b", 「a、b」.
    fn list(&self, items: &[String]) -> String {
        items.join(self.say(", ", "、"))
    }

    /// Header of a table of items and values.
    fn item_and_value(&self) -> [&'static str; 2] {
        [self.say("Item", "項目"), self.say("Value", "値")]
    }

    fn release(&self) -> Option<&ReleaseSection> {
        self.facts.lineage.release.as_ref()
    }

    fn is_failed(&self) -> bool {
        self.release().is_some_and(|release| release.stage == ReleaseStage::Failed)
    }
}

#[cfg(test)]
mod tests;
