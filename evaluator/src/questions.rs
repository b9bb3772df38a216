//! The questions of all tasks that are still to be asked, as token ids, and their answers on the way.

use sekisho_bench::{Answer, Item, Record, Request};

use crate::EvalError;
use crate::encode::EncodedItem;
use crate::plan::{Ask, Asked};
use crate::run::Task;

/// One item of one task.
pub(crate) struct Question<'a> {
    /// Index of its task.
    pub(crate) task: usize,
    pub(crate) item: &'a Item,
    pub(crate) encoded: &'a EncodedItem,
}

impl<'a> Question<'a> {
    /// Its sequences for the plan.
    pub(crate) fn asked(&self, question: usize) -> impl Iterator<Item = Asked<'a>> + use<'a> {
        let generates = self.generates();
        self.encoded.sequences.iter().enumerate().map(move |(sequence, s)| Asked {
            ask: Ask { question, sequence },
            tokens: &s.input,
            reads: if generates { 1 } else { s.targets.len() },
        })
    }

    pub(crate) fn generates(&self) -> bool {
        matches!(self.item.request, Request::Generate { .. })
    }

    /// Tokens of its sequences, as if nothing were shared.
    pub(crate) fn prompt_tokens(&self) -> u64 {
        self.encoded.sequences.iter().map(|sequence| sequence.input.len() as u64).sum()
    }
}

/// What has been read for each question.
pub(crate) struct Tally {
    open: Vec<Option<Reads>>,
}

/// The log-likelihoods of a question's sequences, and the positions still to be read.
struct Reads {
    sums: Vec<f64>,
    left: usize,
}

impl Tally {
    pub(crate) fn new(questions: &[Question<'_>]) -> Self {
        let reads = |question: &Question<'_>| Reads {
            sums: vec![0.0; question.encoded.sequences.len()],
            left: question.encoded.sequences.iter().map(|s| s.targets.len()).sum(),
        };
        Self { open: questions.iter().map(|question| (!question.generates()).then(|| reads(question))).collect() }
    }

    /// The answer of a question without targets: a continuation that the tokens of its context swallow has likelihood 1.
    pub(crate) fn nothing_to_read(&mut self, number: usize, question: &Question<'_>) -> Option<Answer> {
        self.open[number].as_ref().filter(|reads| reads.left == 0)?;
        self.close(number, question)
    }

    /// Adds a target's log-probability; answers the question with its last one.
    pub(crate) fn add(&mut self, ask: Ask, value: f64, question: &Question<'_>) -> Option<Answer> {
        let reads = self.open[ask.question].as_mut()?;
        reads.sums[ask.sequence] += value;
        reads.left -= 1;
        if reads.left > 0 {
            return None;
        }
        self.close(ask.question, question)
    }

    fn close(&mut self, number: usize, question: &Question<'_>) -> Option<Answer> {
        let Reads { sums, .. } = self.open[number].take()?;
        let choice_tokens = question.encoded.sequences.iter().map(|s| s.targets.len() as u64).collect();
        Some(Answer::Choices { loglikelihoods: sums, choice_tokens })
    }
}

/// The scored record of an answered question.
pub(crate) fn record(task: &Task<'_>, question: &Question<'_>, answer: Answer) -> Result<Record, EvalError> {
    let encoded = question.encoded;
    let (tokens, truncated) = (encoded.prompt_tokens.clone(), encoded.truncated);
    Ok(Record::new(task.definition, task.run, question.item, answer, tokens, truncated)?)
}
