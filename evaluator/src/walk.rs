//! Runs a plan on a model: edges in batches, deepest first, so that keys and values are freed soon; their logits to the
//! tally; prompts to the generator.

use std::sync::Arc;
use std::time::Instant;

use rayon::prelude::*;
use sekisho_bench::{Answer, Request};
use sekisho_model::ops::softmax::log_sum_exp;
use sekisho_model::{Edge, Extended, Inference, Kv, Tokenizer};

use crate::EvalError;
use crate::generate::{Generated, Generator, Wish, likeliest};
use crate::ledger::Ledger;
use crate::plan::{Plan, Read};
use crate::questions::{Question, Tally, Target};
use crate::timing::Phase;

/// Tokens of a batch of edges.
const BATCH_TOKENS: usize = 1024;
/// Rows generated at once.
const BATCH_ROWS: usize = 64;
/// Logits rows held at once.
const LOGIT_ROWS: usize = 64;

/// How a plan is run.
pub(crate) struct Pace {
    /// One edge, and one row, at a time: the reference.
    pub(crate) alone: bool,
    /// Most memory for keys and values, in bytes.
    pub(crate) kv_bytes: usize,
    /// For each edge the memory of the heaviest path below it, with what is generated at its end.
    pub(crate) below: Vec<usize>,
}

/// A run of a plan.
pub(crate) struct Walk<'a, 'w> {
    inference: &'a dyn Inference,
    plan: &'a Plan<'a>,
    pace: Pace,
    pub(crate) ledger: Ledger<'a, 'w>,
    generator: Generator<'a>,
    tally: Tally,
    /// Edges whose prefix is there, the next one last.
    ready: Vec<(usize, Option<Arc<Kv>>)>,
    /// Seconds spent generating so far, which tasks have paid for already.
    generating: f64,
}

/// What one row of logits says.
struct Row {
    /// Logarithm of the softmax denominator, where a target is asked for.
    normaliser: f64,
    /// The likeliest token, where a generation begins or a target must be it.
    likeliest: Option<u32>,
    finite: bool,
}

impl Row {
    fn of(read: &Read, logits: &[f32], questions: &[Question<'_>]) -> Self {
        // A sum over the vocabulary may step over a NaN; the logits themselves are looked at.
        let finite = logits.iter().all(|logit| logit.is_finite());
        let any = |wanted: &dyn Fn(&Question<'_>) -> bool| {
            read.asks.iter().any(|(ask, _)| wanted(&questions[ask.question]))
        };
        Self {
            normaliser: if any(&|question| !question.generates()) { log_sum_exp(logits) } else { 0.0 },
            likeliest: if any(&|question| question.generates() || question.wants_greedy()) {
                likeliest(logits)
            } else {
                None
            },
            finite,
        }
    }
}

impl<'a, 'w> Walk<'a, 'w> {
    pub(crate) fn new(
        (inference, tokenizer): (&'a dyn Inference, &'a Tokenizer),
        plan: &'a Plan<'a>,
        pace: Pace,
        ledger: Ledger<'a, 'w>,
    ) -> Self {
        Self {
            inference,
            plan,
            pace,
            generator: Generator::new(inference, tokenizer),
            tally: Tally::new(ledger.questions),
            ledger,
            ready: plan.roots.iter().rev().map(|root| (*root, None)).collect(),
            generating: 0.0,
        }
    }

    pub(crate) fn run(&mut self) -> Result<(), EvalError> {
        for (number, question) in self.ledger.questions.iter().enumerate() {
            if let Some(answer) = self.tally.nothing_to_read(number, question) {
                self.ledger.keep(number, answer)?;
            }
        }
        while !self.ready.is_empty() {
            let batch = self.next_batch();
            if batch.is_empty() {
                // No room for keys and values before a row is done.
                self.generate(self.generator.len() - 1)?;
            } else {
                self.prefill(&batch)?;
            }
            if self.pace.alone {
                self.generate(0)?;
            }
        }
        self.generate(0)
    }

    /// Edges to be run together: as many as the budgets of tokens and of memory take. Room is left for the heaviest path below
    /// each, so that one edge at a time always fits once nothing is being generated.
    fn next_batch(&mut self) -> Vec<(usize, Option<Arc<Kv>>)> {
        let mut batch = Vec::new();
        let (mut tokens, mut below) = (0, 0);
        let mut bytes = self.inference.kv_live() + self.generator.reserved();
        while let Some((node, _)) = self.ready.last() {
            let length = self.plan.nodes[*node].tokens.len();
            let needs = self.inference.kv_bytes(length);
            let deepest = self.pace.below[*node].max(below);
            let full = tokens + length > BATCH_TOKENS || self.pace.alone;
            let fits = bytes + needs + deepest <= self.pace.kv_bytes;
            let must = batch.is_empty() && self.generator.len() == 0;
            if !batch.is_empty() && full || !fits && !must {
                break;
            }
            (tokens, bytes, below) = (tokens + length, bytes + needs, deepest);
            batch.extend(self.ready.pop());
        }
        batch
    }

    /// Runs edges, reads off them what is asked there, and makes those below them ready.
    fn prefill(&mut self, batch: &[(usize, Option<Arc<Kv>>)]) -> Result<(), EvalError> {
        self.ledger.go_on()?;
        let (begun, generated) = (Instant::now(), self.generating);
        let plan = self.plan;
        let nodes = || batch.iter().map(|(node, _)| &plan.nodes[*node]);
        let edges: Vec<Edge<'_>> = batch
            .iter()
            .map(|(node, prefix)| {
                let node = &plan.nodes[*node];
                let read = node.reads.first().map_or(node.tokens.len(), |read| read.position - node.start);
                Edge { prefix: prefix.as_ref(), tokens: node.tokens, read }
            })
            .collect();
        let extended = self.inference.extend_all(&edges)?;
        self.ledger.timing.add(Phase::Prefill, begun);
        for node in nodes() {
            self.ledger.of(node.first).tokens.prefilled += node.tokens.len() as u64;
        }
        self.read(batch, &extended)?;
        for ((node, _), extended) in batch.iter().zip(&extended).rev() {
            let below = plan.nodes[*node].children.iter().rev();
            self.ready.extend(below.map(|child| (*child, Some(extended.kv.clone()))));
        }
        let shares: Vec<(usize, usize)> = nodes().map(|node| (node.first, node.tokens.len())).collect();
        self.paid(begun.elapsed().as_secs_f64() - (self.generating - generated), &shares);
        Ok(())
    }

    /// Reads the logits of a batch, some rows at a time.
    fn read(&mut self, batch: &[(usize, Option<Arc<Kv>>)], extended: &[Extended]) -> Result<(), EvalError> {
        let (plan, questions) = (self.plan, self.ledger.questions);
        let width = self.inference.hidden_width();
        let mut reads: Vec<(&'a Read, &[f32], &Arc<Kv>)> = Vec::new();
        for ((node, _), extended) in batch.iter().zip(extended) {
            let node = &plan.nodes[*node];
            let Some(first) = node.reads.first().map(|read| read.position) else { continue };
            reads.extend(node.reads.iter().map(|read| {
                (read, &extended.hidden[(read.position - first) * width..][..width], &extended.kv)
            }));
        }
        for some in reads.chunks(if self.pace.alone { 1 } else { LOGIT_ROWS }) {
            let begun = Instant::now();
            let hidden: Vec<f32> = some.iter().flat_map(|(_, row, _)| *row).copied().collect();
            let logits = self.inference.logits(&hidden);
            let rows: Vec<(Row, &[f32])> = some
                .par_iter()
                .zip(logits.par_chunks_exact(self.inference.config().vocab_size))
                .map(|((read, _, _), logits)| (Row::of(read, logits, questions), logits))
                .collect();
            self.ledger.timing.add(Phase::Logits, begun);
            for ((read, _, kv), (row, logits)) in some.iter().zip(&rows) {
                self.take(read, row, logits, kv)?;
            }
        }
        Ok(())
    }

    /// Adds the log-probability of each target, or starts a generation.
    fn take(&mut self, read: &Read, row: &Row, logits: &[f32], kv: &Arc<Kv>) -> Result<(), EvalError> {
        let mut wishes: Vec<Wish<'a>> = Vec::new();
        for (ask, target) in &read.asks {
            let question = &self.ledger.questions[ask.question];
            if !row.finite {
                return Err(self.not_finite(ask.question));
            }
            if let Request::Generate { stop, max_new_tokens, .. } = &question.item.request {
                let same = wishes.iter_mut().find(|wish| wish.stop == stop && wish.limit == *max_new_tokens);
                match same {
                    Some(wish) => wish.questions.push(ask.question),
                    None => wishes.push(Wish { questions: vec![ask.question], stop, limit: *max_new_tokens }),
                }
                continue;
            }
            let token = question.encoded.sequences[ask.sequence].targets[*target];
            let value = f64::from(logits[token as usize]) - row.normaliser;
            if !value.is_finite() {
                return Err(self.not_finite(ask.question));
            }
            let target = Target { value, likeliest: row.likeliest == Some(token) };
            if let Some(answer) = self.tally.add(*ask, target, question) {
                self.ledger.keep(ask.question, answer)?;
            }
        }
        for wish in wishes {
            let token = row.likeliest.ok_or_else(|| self.not_finite(wish.questions[0]))?;
            self.begin(wish, kv, token)?;
        }
        Ok(())
    }

    /// Starts a generation once there is room for its row.
    fn begin(&mut self, wish: Wish<'a>, kv: &Arc<Kv>, token: u32) -> Result<(), EvalError> {
        let needs = self.inference.kv_bytes(wish.limit as usize);
        self.generate(BATCH_ROWS.min(self.inference.rows_at_once()) - 1)?;
        while self.generator.len() > 0
            && self.inference.kv_live() + self.generator.reserved() + needs > self.pace.kv_bytes
        {
            self.generate(self.generator.len() - 1)?;
        }
        self.ledger.of(wish.questions[0]).tokens.generated += 1;
        match self.generator.start(wish, kv.clone(), token)? {
            Some(done) => self.answer_text(done),
            None => Ok(()),
        }
    }

    /// Generates until at most `room` rows are on their way.
    fn generate(&mut self, room: usize) -> Result<(), EvalError> {
        while self.generator.len() > room {
            self.ledger.go_on()?;
            let begun = Instant::now();
            let owners: Vec<(usize, usize)> = self.generator.owners().map(|question| (question, 1)).collect();
            for (question, _) in &owners {
                self.ledger.of(*question).tokens.generated += 1;
            }
            let finished = self.generator.step()?.map_err(|question| self.not_finite(question))?;
            self.ledger.timing.add(Phase::Decode, begun);
            for done in finished {
                self.answer_text(done)?;
            }
            let seconds = begun.elapsed().as_secs_f64();
            self.generating += seconds;
            self.paid(seconds, &owners);
        }
        Ok(())
    }

    fn answer_text(&mut self, done: Generated) -> Result<(), EvalError> {
        for question in done.questions {
            self.ledger
                .keep(question, Answer::Text { output: done.output.clone(), stop: done.stop.clone() })?;
        }
        Ok(())
    }

    /// Lets the tasks pay for some seconds by their shares, and tells of the work done.
    fn paid(&mut self, seconds: f64, shares: &[(usize, usize)]) {
        let total: usize = shares.iter().map(|(_, share)| share).sum();
        for (question, share) in shares {
            self.ledger.of(*question).seconds += seconds * *share as f64 / total.max(1) as f64;
        }
        self.ledger.tell(shares.iter().map(|(question, _)| *question));
    }

    fn not_finite(&self, question: usize) -> EvalError {
        let (task, item) = self.ledger.name(question);
        EvalError::NotFinite { task, item }
    }
}
