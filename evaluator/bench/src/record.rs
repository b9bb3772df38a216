use std::collections::BTreeMap;

use sekisho_domain::Sha256;
use sekisho_domain::evaluation::TaskRun;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::data::{Gold, Item, Request};
use crate::definition::TaskDefinition;
use crate::error::TaskError;
use crate::score::{Answer, score};

/// A value of the one context of an item, or one value for each context when choices have their own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PerContext<T> {
    /// The item has one context.
    One(T),
    /// Every choice has its own.
    Each(Vec<T>),
}

impl<T> From<Vec<T>> for PerContext<T> {
    fn from(mut values: Vec<T>) -> Self {
        if values.len() == 1 { Self::One(values.swap_remove(0)) } else { Self::Each(values) }
    }
}

/// One line of `--out`: an item, the answer and its score. The names are the contract's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Versioned profile.
    pub profile: String,
    /// The harness's own task id.
    pub task: String,
    /// `dev` or `test`.
    pub split: String,
    /// Line in the split, from 0.
    pub item: u64,
    /// What the item shares with others: its sub-task, or its cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// 64 hexadecimal digits: SHA-256 of the UTF-8 of the context.
    pub prompt_sha256: PerContext<String>,
    /// Tokens of the context, BOS included.
    pub prompt_tokens: PerContext<u64>,
    /// Tokens dropped because the prompt was too long.
    pub truncated: u64,
    /// Words of a text whose rolling log-likelihood was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<u64>,
    /// Its UTF-8 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// `loglikelihoods`, `choice_tokens` and perhaps `greedy`, or `output` and `stop`.
    #[serde(flatten)]
    pub answer: Answer,
    /// See [`Scored`](crate::Scored).
    pub prediction: Value,
    /// See [`Scored`](crate::Scored).
    pub gold: Value,
    /// Metric → value of this item, for the metrics that judge items one by one.
    pub score: BTreeMap<String, f64>,
}

impl Record {
    /// Scores an answer. `prompt_tokens` has one value per context; `truncated` is the sum over contexts.
    ///
    /// # Errors
    /// What [`score`] refuses.
    pub fn new(
        definition: &TaskDefinition,
        run: &TaskRun,
        item: &Item,
        answer: Answer,
        prompt_tokens: Vec<u64>,
        truncated: u64,
    ) -> Result<Self, TaskError> {
        let scored = score(definition, item, &answer)?;
        let (words, bytes) = match item.gold {
            Gold::Length { words, bytes } => (Some(words), Some(bytes)),
            Gold::Choice { .. } | Gold::Text(_) => (None, None),
        };
        Ok(Self {
            profile: definition.profile.clone(),
            task: definition.task.clone(),
            split: run.split.clone(),
            item: item.index,
            group: item.group.clone(),
            prompt_sha256: item.request.sha256(),
            prompt_tokens: prompt_tokens.into(),
            truncated,
            words,
            bytes,
            answer,
            prediction: scored.prediction,
            gold: scored.gold,
            score: scored.score,
        })
    }
}

impl Request {
    /// SHA-256 of the UTF-8 of each context, 64 hexadecimal digits.
    #[must_use]
    pub fn sha256(&self) -> PerContext<String> {
        self.contexts().iter().map(|context| Sha256::of(context).hex()).collect::<Vec<_>>().into()
    }
}
