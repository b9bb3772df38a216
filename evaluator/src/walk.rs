//! Runs a plan on a model: edges in batches, deepest first, so that keys and values are freed soon; their logits to the
//! tally; prompts to the generator.

use std::sync::Arc;
use std::time::Instant;

use sekisho_bench::{Answer, Request};
use sekisho_model::{Ask, AtOnce, Edge, Extended, Inference, Kv, Place, Seen, Tokenizer};

use crate::EvalError;
use crate::generate::{Generated, Generator, Wish};
use crate::ledger::Ledger;
use crate::plan::{Plan, Read};
use crate::questions::{Question, Tally, Target};
use crate::timing::Phase;

/// Places that are looked at together.
const PLACES: usize = 512;

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
    at_once: AtOnce,
    pub(crate) ledger: Ledger<'a, 'w>,
    generator: Generator<'a>,
    tally: Tally,
    /// Edges whose prefix is there, the next one last.
    ready: Vec<(usize, Option<Arc<Kv>>)>,
    /// Seconds spent generating so far, which tasks have paid for already.
    generating: f64,
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
            at_once: inference.at_once(),
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
            let full = tokens + length > self.at_once.tokens || self.pace.alone;
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
        let plan = self.plan;
        let mut places = Vec::new();
        for ((node, _), extended) in batch.iter().zip(extended) {
            let node = &plan.nodes[*node];
            let Some(first) = node.reads.first().map(|read| read.position) else { continue };
            let place = |read: &Read| extended.hidden.place(read.position - first);
            places.extend(node.reads.iter().map(|read| (read, place(read), &extended.kv)));
        }
        for some in places.chunks(if self.pace.alone { 1 } else { PLACES }) {
            let begun = Instant::now();
            let questions = self.ledger.questions;
            let targets: Vec<Vec<u32>> = some.iter().map(|(read, ..)| targets(read, questions)).collect();
            let asked = some.iter().zip(&targets);
            let asks: Vec<Ask<'_>> =
                asked.map(|((read, place, _), tokens)| ask(read, *place, tokens, questions)).collect();
            let seen = self.inference.look(&asks)?;
            self.ledger.timing.add(Phase::Logits, begun);
            for ((read, _, kv), seen) in some.iter().zip(&seen) {
                self.take(read, seen, kv)?;
            }
        }
        Ok(())
    }

    /// Adds the log-probability of each target, or starts a generation.
    fn take(&mut self, read: &Read, seen: &Seen, kv: &Arc<Kv>) -> Result<(), EvalError> {
        let mut wishes: Vec<Wish<'a>> = Vec::new();
        let mut logits = seen.logits.iter();
        for (ask, target) in &read.asks {
            let question = &self.ledger.questions[ask.question];
            if !seen.finite {
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
            let logit = logits.next().copied().unwrap_or(f32::NAN);
            let value = f64::from(logit) - seen.normaliser;
            if !value.is_finite() {
                return Err(self.not_finite(ask.question));
            }
            let token = question.encoded.sequences[ask.sequence].targets[*target];
            let target = Target { value, likeliest: seen.likeliest == Some(token) };
            if let Some(answer) = self.tally.add(*ask, target, question) {
                self.ledger.keep(ask.question, answer)?;
            }
        }
        for wish in wishes {
            let token = seen.likeliest.ok_or_else(|| self.not_finite(wish.questions[0]))?;
            self.begin(wish, kv, token)?;
        }
        Ok(())
    }

    /// Starts a generation once there is room for its row.
    fn begin(&mut self, wish: Wish<'a>, kv: &Arc<Kv>, token: u32) -> Result<(), EvalError> {
        let needs = self.inference.kv_bytes(wish.limit as usize);
        self.generate(self.at_once.rows - 1)?;
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

/// The tokens that are scored at a place, in the order of its asks.
fn targets(read: &Read, questions: &[Question<'_>]) -> Vec<u32> {
    let scored = read.asks.iter().filter(|(ask, _)| !questions[ask.question].generates());
    let token = |(ask, target): &(crate::plan::Ask, usize)| {
        questions[ask.question].encoded.sequences[ask.sequence].targets[*target]
    };
    scored.map(token).collect()
}

/// What is asked of the model at a place. The likeliest token is, where a generation begins or a target must be it.
fn ask<'a>(read: &Read, place: Place<'a>, tokens: &'a [u32], questions: &[Question<'_>]) -> Ask<'a> {
    let greedy = |question: &Question<'_>| question.generates() || question.wants_greedy();
    let likeliest = read.asks.iter().any(|(ask, _)| greedy(&questions[ask.question]));
    Ask { place, tokens, normaliser: !tokens.is_empty(), likeliest }
}
