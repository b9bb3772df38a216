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

    /// Whether it matters that its targets are the likeliest tokens.
    pub(crate) fn wants_greedy(&self) -> bool {
        matches!(self.item.request, Request::Continuation { .. })
    }

    pub(crate) fn generates(&self) -> bool {
        matches!(self.item.request, Request::Generate { .. })
    }

    /// Tokens of its sequences, as if nothing were shared.
    pub(crate) fn prompt_tokens(&self) -> u64 {
        self.encoded.sequences.iter().map(|sequence| sequence.input.len() as u64).sum()
    }
}

/// What was read for one target.
#[derive(Clone, Copy)]
pub(crate) struct Target {
    /// Its log-probability.
    pub(crate) value: f64,
    /// Whether no other token is likelier; meaningful where [`Question::wants_greedy`] says so.
    pub(crate) likeliest: bool,
}

/// What has been read for each question.
pub(crate) struct Tally {
    open: Vec<Option<Reads>>,
}

/// The log-likelihoods of a question's sequences, and the positions still to be read.
struct Reads {
    sums: Vec<f64>,
    /// Whether every target so far was the likeliest token.
    greedy: bool,
    left: usize,
}

impl Tally {
    pub(crate) fn new(questions: &[Question<'_>]) -> Self {
        let reads = |question: &Question<'_>| Reads {
            sums: vec![0.0; question.encoded.sequences.len()],
            greedy: true,
            left: question.encoded.sequences.iter().map(|s| s.targets.len()).sum(),
        };
        Self {
            open: questions.iter().map(|question| (!question.generates()).then(|| reads(question))).collect(),
        }
    }

    /// The answer of a question without targets: a continuation that the tokens of its context swallow has likelihood 1.
    pub(crate) fn nothing_to_read(&mut self, number: usize, question: &Question<'_>) -> Option<Answer> {
        self.open[number].as_ref().filter(|reads| reads.left == 0)?;
        self.close(number, question)
    }

    /// Adds a target's log-probability, and whether it is the likeliest token; answers the question with its last one.
    pub(crate) fn add(&mut self, ask: Ask, target: Target, question: &Question<'_>) -> Option<Answer> {
        let reads = self.open[ask.question].as_mut()?;
        reads.sums[ask.sequence] += target.value;
        reads.greedy &= target.likeliest;
        reads.left -= 1;
        if reads.left > 0 {
            return None;
        }
        self.close(ask.question, question)
    }

    fn close(&mut self, number: usize, question: &Question<'_>) -> Option<Answer> {
        let Reads { sums, greedy, .. } = self.open[number].take()?;
        let lengths = question.encoded.sequences.iter().map(|s| s.targets.len() as u64);
        // The windows of a rolling text are one text.
        let (loglikelihoods, choice_tokens) = match question.item.request {
            Request::Rolling { .. } => (vec![sums.iter().sum()], vec![lengths.sum()]),
            _ => (sums, lengths.collect()),
        };
        let greedy = question.wants_greedy().then(|| vec![greedy]);
        Some(Answer::Choices { loglikelihoods, choice_tokens, greedy })
    }
}

/// The scored record of an answered question.
pub(crate) fn record(task: &Task<'_>, question: &Question<'_>, answer: Answer) -> Result<Record, EvalError> {
    let encoded = question.encoded;
    let (tokens, truncated) = (encoded.prompt_tokens.clone(), encoded.truncated);
    Ok(Record::new(task.definition, task.run, question.item, answer, tokens, truncated)?)
}
