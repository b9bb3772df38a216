use std::collections::BTreeMap;
use std::ops::Range;

use sekisho_domain::Sha256;
use sekisho_domain::evaluation::TaskRun;
use sekisho_domain::wire::SourceFile;
use serde::Serialize;

use crate::definition::{SourceRef, Split, TaskDefinition};
use crate::error::TaskError;
use crate::prompt::Renderer;
use crate::reader::Row;
use crate::splits::Files;

/// What an engine is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Request {
    /// The log-likelihood of each continuation after its context.
    Choices {
        /// One, or one per choice.
        contexts: Vec<String>,
        /// One per choice, delimiter included; a single one when every choice has its own context.
        continuations: Vec<String>,
    },
    /// The log-likelihood of one continuation, and whether every token of it is the likeliest one.
    Continuation {
        /// The text before it.
        context: String,
        /// The continuation, delimiter included.
        continuation: String,
    },
    /// The log-likelihood of a text, cut into windows of the model's length as lm-eval does.
    Rolling {
        /// The text.
        text: String,
    },
    /// Text, greedily.
    Generate {
        /// The whole prompt.
        prompt: String,
        /// Generation ends when one of these is in the text.
        stop: Vec<String>,
        /// Generation ends after so many tokens.
        max_new_tokens: u32,
    },
}

impl Request {
    /// The texts before what is scored or generated: one, or one per choice; the scored text itself when it is rolling.
    #[must_use]
    pub fn contexts(&self) -> &[String] {
        match self {
            Self::Choices { contexts, .. } => contexts,
            Self::Continuation { context: text, .. }
            | Self::Rolling { text }
            | Self::Generate { prompt: text, .. } => std::slice::from_ref(text),
        }
    }

    /// Context and continuation of everything that is scored after a context, in order.
    #[must_use]
    pub fn pairs(&self) -> Vec<(&str, &str)> {
        match self {
            Self::Choices { contexts, continuations } => {
                let one = |texts: &'_ [String], choice: usize| texts.get(choice).map_or(0, |_| choice);
                (0..contexts.len().max(continuations.len()))
                    .map(|choice| {
                        let (context, continuation) = (one(contexts, choice), one(continuations, choice));
                        (contexts[context].as_str(), continuations[continuation].as_str())
                    })
                    .collect()
            }
            Self::Continuation { context, continuation } => vec![(context, continuation)],
            Self::Rolling { .. } | Self::Generate { .. } => Vec::new(),
        }
    }
}

/// What is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gold {
    /// One of the choices.
    Choice {
        /// Index of the right one, from 0.
        index: usize,
        /// The texts of the choices without delimiter; with a context per choice, those contexts.
        texts: Vec<String>,
    },
    /// A text: normalised like the answers, or the continuation itself.
    Text(String),
    /// Nothing is right or wrong; what a rolling log-likelihood is divided by.
    Length {
        /// Pieces of `re.split(r"\s+", text)`.
        words: u64,
        /// UTF-8 bytes.
        bytes: u64,
    },
}

/// One question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Line in the split, from 0, before any shuffle of a harness.
    pub index: u64,
    /// What it shares with other items: its sub-task, or its cluster.
    pub group: Option<String>,
    /// What the engine is asked.
    pub request: Request,
    /// What is right.
    pub gold: Gold,
    /// Where the examples stand in every context, in bytes, each with what follows it up to the next one:
    /// [`Truncation::DropShots`](crate::Truncation::DropShots) takes away the first ones.
    pub examples: Vec<Range<usize>>,
}

/// The questions of one run of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskData {
    /// The questions, in the order in which the harness asks them.
    pub items: Vec<Item>,
    /// Shots in every prompt.
    pub shots: u32,
    /// The split.
    pub split: Split,
    /// The files they were made from, with the digests of what was read.
    pub sources: Vec<SourceFile>,
}

/// Builds the questions of a run.
///
/// `read` delivers the bytes of a source, or a sentence saying why it cannot. Bytes whose digest is neither the
/// definition's nor in `accept` are refused.
///
/// # Errors
/// A split or shots that the task has not got, a file that is missing or not the defined one, and malformed data with
/// file and line.
pub fn load(
    definition: &TaskDefinition,
    run: &TaskRun,
    accept: &[Sha256],
    read: &dyn Fn(&SourceRef) -> Result<Vec<u8>, String>,
) -> Result<TaskData, TaskError> {
    let split = definition.split_of(run)?;
    let files = Files::read(definition, &definition.sources_for(run)?, accept, read)?;
    let rows = files.rows(definition, split);
    let mut renderer = Renderer::new(definition, run, &files)?;
    // Examples are drawn item by item: the order is the harness's, and nothing is drawn for what is not asked.
    let order = limited(definition, run, &rows, renderer.order(rows.len()))?;
    let items = order.into_iter().map(|index| renderer.item(index, rows[index]));
    Ok(TaskData {
        items: items.collect::<Result<_, _>>()?,
        shots: definition.shots_of(run),
        split,
        sources: files.sources(),
    })
}

/// The first items of a run: of the whole task, or of each of its sub-tasks, as lm-eval limits a group.
pub(crate) fn limited(
    definition: &TaskDefinition,
    run: &TaskRun,
    rows: &[&Row],
    mut order: Vec<usize>,
) -> Result<Vec<usize>, TaskError> {
    let Some(limit) = run.limit else { return Ok(order) };
    let Some(field) = &definition.subtask else {
        order.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        return Ok(order);
    };
    let mut taken: BTreeMap<String, u64> = BTreeMap::new();
    let mut kept = Vec::new();
    for index in order {
        let taken = taken.entry(rows[index].text(field)?).or_default();
        *taken += 1;
        if *taken <= limit {
            kept.push(index);
        }
    }
    Ok(kept)
}
