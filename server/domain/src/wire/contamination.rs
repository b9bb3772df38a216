use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::SourceFile;
use crate::{Sha256, Timestamp, canonical_json};

/// How items are looked for in training text: so many units in a row of an item must stand in a document. A unit is a character in
/// scripts without spaces between words (Han, kana, Bopomofo), else a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ContaminationMethod {
    /// Words in a row.
    pub words: u32,
    /// An item with fewer words is looked for whole, if it has this many.
    pub least_words: u32,
    /// Characters in a row, where more than half of the units are characters.
    pub characters: u32,
    /// An item with fewer characters is looked for whole, if it has this many.
    pub least_characters: u32,
}

/// 13 words, and 8 at least: GPT-3 (Brown et al. 2020, appendix C). 20 characters, and 10 at least: `docs/evaluation.md` says what was
/// measured.
impl Default for ContaminationMethod {
    fn default() -> Self {
        Self { words: 13, least_words: 8, characters: 20, least_characters: 10 }
    }
}

impl ContaminationMethod {
    /// Whether everything that `other` finds is found by this one too: no run of units is longer. An item that `other` finds too short
    /// may be looked for here.
    #[must_use]
    pub const fn finds_as_much_as(&self, other: &Self) -> bool {
        self.words <= other.words
            && self.least_words <= other.least_words
            && self.characters <= other.characters
            && self.least_characters <= other.least_characters
    }

    /// The shorter of both, each number by itself: what is found by one of two methods is found by this one.
    #[must_use]
    pub fn shorter(self, other: Self) -> Self {
        Self {
            words: self.words.min(other.words),
            least_words: self.least_words.min(other.least_words),
            characters: self.characters.min(other.characters),
            least_characters: self.least_characters.min(other.least_characters),
        }
    }

    /// What contradicts itself, as a sentence.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        let pairs =
            [("words", self.words, self.least_words), ("characters", self.characters, self.least_characters)];
        pairs.into_iter().find(|(_, n, least)| *least == 0 || least > n).map(|(unit, n, least)| {
            format!(
                "{n} {unit} in a row and {least} {unit} at least contradict each other: the least is 1 or more, and not above the other"
            )
        })
    }
}

/// A part of the training text that was looked through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScannedSubset {
    /// Name of the subset (`[[data.mix]] name`).
    pub name: String,
    /// Its documents.
    pub documents: u64,
}

/// Which items of a task were found in the training text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TaskContamination {
    /// Versioned profile.
    pub profile: String,
    /// The harness's own task id.
    pub task: String,
    /// `dev` or `test`.
    pub split: String,
    /// The first so many items, as an evaluation with this limit asks them; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// The data files of the split.
    pub sources: Vec<SourceFile>,
    /// Items of the split, or the first ones.
    pub items: u64,
    /// Items that were looked for: those that are not too short.
    pub looked_for: u64,
    /// Items (line in the split) that are too short to be looked for.
    pub too_short: BTreeSet<u64>,
    /// Items (line in the split) that were found.
    pub found: BTreeSet<u64>,
    /// How many items were found in each subset; an item may be in several.
    pub found_in: BTreeMap<String, u64>,
}

impl TaskContamination {
    /// `profile/task, split`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}, {}", self.profile, self.task, self.split)
    }

    /// Identity of the data files, in whatever order.
    #[must_use]
    pub fn data(&self) -> Sha256 {
        data_digest(&self.sources)
    }

    /// Numbers that contradict each other, as a sentence.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        let beyond = |items: &BTreeSet<u64>| items.last().copied().filter(|last| *last >= self.items);
        if let Some(item) =
            beyond(&self.found).or_else(|| beyond(&self.too_short)).filter(|_| self.limit.is_none())
        {
            return Some(format!(
                "{} has {} items, numbered from 0; there is no item {item}",
                self.name(),
                self.items
            ));
        }
        if let Some(item) = self.found.intersection(&self.too_short).next() {
            return Some(format!("item {item} of {} cannot be too short and found", self.name()));
        }
        let short = self.too_short.len() as u64;
        if self.looked_for.checked_add(short) != Some(self.items) || self.found.len() as u64 > self.looked_for
        {
            return Some(format!(
                "{}: of {} items, {short} are too short, so {} were looked for and not {}, and no more than those can be found",
                self.name(),
                self.items,
                self.items.saturating_sub(short),
                self.looked_for
            ));
        }
        None
    }
}

/// Identity of data files: SHA-256 of their names and digests, in whatever order they are listed.
#[must_use]
pub fn data_digest(sources: &[SourceFile]) -> Sha256 {
    let files: BTreeSet<(&str, &str, Sha256)> =
        sources.iter().map(|file| (file.source.as_str(), file.file.as_str(), file.sha256)).collect();
    Sha256::of(canonical_json(&serde_json::json!(files)))
}

/// `POST /api/v1/runs/{run}/contamination`: what `sekisho contamination` found. It takes the place of an older report on the same task,
/// split and data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ContaminationReport {
    /// How.
    pub method: ContaminationMethod,
    /// In what: every subset that the run was trained on.
    pub subsets: Vec<ScannedSubset>,
    /// What.
    pub tasks: Vec<TaskContamination>,
}

/// `GET /api/v1/runs/{run}/contamination`: one task of a report, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct KeptContamination {
    /// What was found.
    pub task: TaskContamination,
    /// How it was looked for.
    pub method: ContaminationMethod,
    /// In what.
    pub subsets: Vec<ScannedSubset>,
    /// Identity of the data files.
    pub data: Sha256,
    /// Who sent it.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(items: u64, too_short: &[u64], found: &[u64]) -> TaskContamination {
        TaskContamination {
            profile: "llm-jp-eval@1.3".to_owned(),
            task: "niilc".to_owned(),
            split: "test".to_owned(),
            limit: None,
            sources: Vec::new(),
            items,
            looked_for: items - too_short.len() as u64,
            too_short: too_short.iter().copied().collect(),
            found: found.iter().copied().collect(),
            found_in: BTreeMap::new(),
        }
    }

    #[test]
    fn numbers_that_contradict_each_other_are_named() {
        assert_eq!(task(5, &[1], &[0, 4]).fault(), None);
        let first_ones = TaskContamination { limit: Some(5), ..task(5, &[1], &[0, 40]) };
        assert_eq!(first_ones.fault(), None, "a harness may ask them in an order of its own");
        let miscounted = TaskContamination { looked_for: 5, ..task(5, &[1], &[0]) };
        for (wrong, words) in [
            (task(5, &[], &[5]), "there is no item 5"),
            (task(5, &[7], &[]), "there is no item 7"),
            (task(5, &[1], &[1]), "item 1 of llm-jp-eval@1.3/niilc, test cannot be too short and found"),
            (miscounted, "so 4 were looked for and not 5"),
        ] {
            let told = wrong.fault().expect("a fault");
            assert!(told.contains(words), "{told}");
        }
    }

    #[test]
    fn a_longer_window_finds_less() {
        let usual = ContaminationMethod::default();
        assert_eq!(usual.fault(), None);
        let shorter = ContaminationMethod { characters: 16, ..usual };
        assert!(shorter.finds_as_much_as(&usual) && !usual.finds_as_much_as(&shorter));
        let fewer = ContaminationMethod { words: 9, ..usual };
        let both = ContaminationMethod { words: 9, characters: 16, ..usual };
        assert_eq!((fewer.shorter(shorter), usual.shorter(usual)), (both, usual));
        assert!(
            ContaminationMethod { words: 7, ..usual }.fault().is_some_and(|text| text.contains("7 words"))
        );
        assert!(ContaminationMethod { least_characters: 0, ..usual }.fault().is_some());
    }

    #[test]
    fn the_order_of_data_files_means_nothing() {
        let file = |file: &str| SourceFile {
            source: "niilc".to_owned(),
            file: file.to_owned(),
            sha256: Sha256::of(file),
        };
        assert_eq!(data_digest(&[file("a"), file("b")]), data_digest(&[file("b"), file("a")]));
        assert_ne!(data_digest(&[file("a")]), data_digest(&[file("b")]));
    }
}
