use std::collections::{BTreeMap, BTreeSet};

use sekisho_domain::run::EventKind;
use serde_json::{Map, Value};

use crate::names;

/// Metrics of one update.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// Update number.
    pub step: u64,
    /// Training targets seen up to and including this update; none where the source does not say.
    pub tokens: Option<u64>,
    /// By name: `loss`, `ce`, `z_loss`, `lr`, `grad_norm`, `seconds` as the contract means them, and whatever else the source has.
    pub metrics: BTreeMap<String, f64>,
}

impl Row {
    /// The row as a metrics batch has it: every metric is a field beside `step` and `tokens`. What is no finite number is left out, as
    /// JSON has no name for it.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut fields = Map::new();
        fields.insert("step".to_owned(), self.step.into());
        fields.insert("tokens".to_owned(), self.tokens.unwrap_or(0).into());
        let finite = self.metrics.iter().filter(|(_, value)| value.is_finite());
        fields.extend(finite.map(|(name, value)| (name.clone(), Value::from(*value))));
        Value::Object(fields)
    }

    /// Takes what `later` says of the same update.
    pub(crate) fn merge(&mut self, later: Self) {
        self.tokens = later.tokens.or(self.tokens);
        self.metrics.extend(later.metrics);
    }
}

/// Something that happened, as a source tells it.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// What.
    pub kind: EventKind,
    /// At which update.
    pub step: u64,
    /// In a sentence.
    pub note: String,
    /// When, where the source says it.
    pub at: Option<When>,
}

/// A time as a source writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum When {
    /// `2025-04-13 23:41:12`, in the zone of the machine that wrote it, which it does not name.
    Local(String),
    /// Milliseconds since 1970 in UTC.
    UnixMs(i64),
}

/// A run's past.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// By step, each once.
    pub rows: Vec<Row>,
    /// What happened.
    pub marks: Vec<Mark>,
    /// What was left out or assumed, in sentences.
    pub notes: Vec<String>,
}

impl History {
    /// Leaves out names beyond those that a run may have, and says which.
    pub(crate) fn limited(mut self) -> Self {
        let names: BTreeSet<String> = self.rows.iter().flat_map(|row| row.metrics.keys().cloned()).collect();
        let (_, others): (Vec<&String>, Vec<&String>) =
            names.iter().partition(|name| names::ours(name).is_some());
        let beyond: BTreeSet<&String> = others.into_iter().skip(names::MOST).collect();
        if !beyond.is_empty() {
            for row in &mut self.rows {
                row.metrics.retain(|name, _| !beyond.contains(name));
            }
            let list: Vec<&str> = beyond.iter().map(|name| name.as_str()).collect();
            self.notes.push(format!(
                "a run has {} metrics of its own names at most; left out: {}",
                names::MOST,
                list.join(", ")
            ));
        }
        self
    }
}
