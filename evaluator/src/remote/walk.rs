//! Asks a server what a plan asks of a model: in the order of the trie, so that its prefix cache hits, many at once.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sekisho_bench::{Answer, Request};

use super::Remote;
use super::ask::{Answered, Dialect, Job, Reply, ask};
use super::client::Client;
use super::error::RemoteError;
use crate::EvalError;
use crate::encode::Sequence;
use crate::ledger::Ledger;
use crate::plan::{Ask, Plan};
use crate::questions::{Question, Tally};
use crate::run::Model;
use crate::timing::Phase;

/// How often a wait looks whether somebody asked to stop.
const TICK: Duration = Duration::from_millis(100);

type Answers = Receiver<(usize, Result<Reply, RemoteError>)>;

/// A run of a plan on a server.
pub(crate) struct RemoteWalk<'a, 'w> {
    remote: &'a Remote,
    pub(crate) ledger: Ledger<'a, 'w>,
    tally: Tally,
    /// Those who ask the same, in the order of the plan.
    groups: Vec<Vec<Ask>>,
    dialect: Option<Dialect>,
}

impl<'a, 'w> RemoteWalk<'a, 'w> {
    /// Finds out what the server must be able to do, and that every sequence has room there.
    pub(crate) fn new(
        (model, remote): (&'a Model, &'a Remote),
        plan: &Plan<'_>,
        ledger: Ledger<'a, 'w>,
    ) -> Result<Self, EvalError> {
        let questions = ledger.questions;
        let likelihoods = questions.iter().any(|question| !question.generates());
        let walk = Self {
            remote,
            ledger,
            tally: Tally::new(questions),
            groups: groups(plan, questions),
            dialect: if likelihoods { Some(remote.dialect(&model.tokenizer)?) } else { None },
        };
        for group in &walk.groups {
            let need = walk.needs(group[0]);
            if let Some(have) = remote.room.filter(|room| need > *room) {
                let url = remote.client.url.clone();
                return Err(walk.at(group[0], RemoteError::TooLong { url, have, need }));
            }
        }
        Ok(walk)
    }

    pub(crate) fn run(&mut self) -> Result<(), EvalError> {
        for (number, question) in self.ledger.questions.iter().enumerate() {
            if let Some(answer) = self.tally.nothing_to_read(number, question) {
                self.ledger.keep(number, answer)?;
                self.ledger.tell([number]);
            }
        }
        let (jobs, answers) = desks(&self.remote.client, self.remote.concurrency.min(self.groups.len()));
        let mut next = 0;
        let mut away = 0;
        let mut last = Instant::now();
        while next < self.groups.len() || away > 0 {
            while away < self.remote.concurrency && next < self.groups.len() {
                // Nobody takes it only when the program ends.
                let _ = jobs.send((next, self.job(self.groups[next][0])));
                (next, away) = (next + 1, away + 1);
            }
            self.ledger.go_on()?;
            let (group, reply) = match answers.recv_timeout(TICK) {
                Ok(answer) => answer,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => return Err(EvalError::Stopped),
            };
            away -= 1;
            let asks = std::mem::take(&mut self.groups[group]);
            let reply = reply.map_err(|error| self.at(asks[0], error))?;
            self.take(&asks, reply, last)?;
            last = Instant::now();
        }
        Ok(())
    }

    /// Adds an answer to what the questions have; the task of the first that asked pays for the time since the last answer.
    fn take(&mut self, asks: &[Ask], reply: Reply, last: Instant) -> Result<(), EvalError> {
        let questions = self.ledger.questions;
        let spent = self.ledger.of(asks[0].question);
        spent.tokens.prefilled += reply.prefilled;
        spent.tokens.generated += reply.generated;
        spent.seconds += last.elapsed().as_secs_f64();
        match reply.answer {
            Answered::Text { output, stop } => {
                self.ledger.timing.add(Phase::Decode, last);
                let output = match output.strip_prefix(' ') {
                    Some(rest) if self.remote.drops_space => rest.to_owned(),
                    _ => output,
                };
                for ask in asks {
                    let (output, stop) = (output.clone(), stop.clone());
                    self.ledger.keep(ask.question, Answer::Text { output, stop })?;
                }
            }
            Answered::Targets(targets) => {
                self.ledger.timing.add(Phase::Prefill, last);
                for (ask, target) in asks.iter().flat_map(|ask| targets.iter().map(move |t| (*ask, *t))) {
                    if let Some(answer) = self.tally.add(ask, target, &questions[ask.question]) {
                        self.ledger.keep(ask.question, answer)?;
                    }
                }
            }
        }
        self.ledger.tell(asks.iter().map(|ask| ask.question));
        Ok(())
    }

    fn sequence(&self, ask: Ask) -> &'a Sequence {
        &self.ledger.questions[ask.question].encoded.sequences[ask.sequence]
    }

    /// Tokens of prompt and answer.
    fn needs(&self, ask: Ask) -> usize {
        let besides = match &self.ledger.questions[ask.question].item.request {
            Request::Generate { max_new_tokens, .. } => *max_new_tokens as usize,
            _ => 2,
        };
        self.sequence(ask).input.len() + besides
    }

    fn job(&self, ask: Ask) -> Job {
        let question = &self.ledger.questions[ask.question];
        let Sequence { input, targets } = self.sequence(ask);
        let mut tokens = input.clone();
        match (&question.item.request, self.dialect) {
            (Request::Generate { stop, max_new_tokens, .. }, _) => {
                Job::Text { tokens, stop: stop.clone(), limit: *max_new_tokens }
            }
            (_, dialect) => {
                tokens.extend(targets.last());
                let dialect = dialect.expect("it was looked for because a question needs it");
                Job::Likelihood { dialect, tokens, targets: targets.len(), greedy: question.wants_greedy() }
            }
        }
    }

    fn at(&self, ask: Ask, error: RemoteError) -> EvalError {
        let (task, item) = self.ledger.name(ask.question);
        EvalError::RemoteItem { task, item, error }
    }
}

/// Those who ask the same are one group. Groups are in the order of the trie, each where its sequence ends.
fn groups(plan: &Plan<'_>, questions: &[Question<'_>]) -> Vec<Vec<Ask>> {
    let mut groups: Vec<Vec<Ask>> = Vec::new();
    let mut places = HashMap::new();
    let mut ready: Vec<usize> = plan.roots.iter().rev().copied().collect();
    while let Some(node) = ready.pop() {
        let node = &plan.nodes[node];
        for (ask, target) in node.reads.iter().flat_map(|read| &read.asks) {
            let question = &questions[ask.question];
            let Sequence { input, targets } = &question.encoded.sequences[ask.sequence];
            if !question.generates() && target + 1 < targets.len() {
                continue;
            }
            let ends = match &question.item.request {
                Request::Generate { stop, max_new_tokens, .. } => Some((stop, *max_new_tokens)),
                _ => None,
            };
            let key = (input, targets.last(), targets.len(), ends, question.wants_greedy());
            let place = *places.entry(key).or_insert(groups.len());
            if place == groups.len() {
                groups.push(Vec::new());
            }
            groups[place].push(*ask);
        }
        ready.extend(node.children.iter().rev());
    }
    groups
}

/// Threads that ask. They own what they need: one that waits for a server that does not answer is left behind when the run
/// ends, and ends with its answer.
fn desks(client: &Arc<Client>, count: usize) -> (Sender<(usize, Job)>, Answers) {
    let (jobs, queue) = channel::<(usize, Job)>();
    let (done, answers) = channel();
    let queue = Arc::new(Mutex::new(queue));
    for _ in 0..count {
        let (client, queue, done) = (client.clone(), queue.clone(), done.clone());
        std::thread::spawn(move || {
            loop {
                let job = queue.lock().ok().and_then(|queue| queue.recv().ok());
                let Some((group, job)) = job else { break };
                if done.send((group, ask(&client, &job))).is_err() {
                    break;
                }
            }
        });
    }
    (jobs, answers)
}
