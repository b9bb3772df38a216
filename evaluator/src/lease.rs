//! A work item as long as it is ours: heartbeats, and records on their way to the service.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use sekisho_bench::Record;
use sekisho_domain::score::TokenCounts;
use sekisho_domain::wire::{Heartbeat, HeldItem, ItemFailure, ResultsBatch, WorkItem};
use serde_json::Value;

use crate::client::{Client, ClientError};
use crate::{EvalError, Spent, Watch};

/// Records are sent when there are so many, or after so long: what a kill can cost.
const MOST_RECORDS: usize = 50;
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// The right to answer one work item.
pub(crate) struct Lease<'a> {
    pub(crate) client: &'a Client,
    pub(crate) worker: &'a str,
    pub(crate) item: &'a WorkItem,
    /// The worker is asked to stop.
    pub(crate) stop: &'a AtomicBool,
    /// The service gave the item to somebody else.
    pub(crate) lost: AtomicBool,
}

impl Lease<'_> {
    /// Whether to stop between two steps.
    pub(crate) fn is_over(&self) -> bool {
        self.is_lost() || self.stop.load(Ordering::Relaxed)
    }

    pub(crate) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }

    /// Says three times per lease that we are alive, until the other end of `done` is dropped. A service that does not
    /// answer is asked again at the next beat: it may be restarting, and the lease survives that.
    pub(crate) fn beat(&self, done: &Receiver<()>) {
        let pause = Duration::from_secs(self.item.lease_seconds.max(3)) / 3;
        let held = HeldItem { id: self.item.id, fence: self.item.fence };
        let beat = Heartbeat { worker: self.worker.to_owned(), items: vec![held] };
        while matches!(done.recv_timeout(pause), Err(RecvTimeoutError::Timeout)) {
            match self.client.heartbeat(&beat) {
                Ok(answer) if answer.lost.contains(&self.item.id) => self.lost.store(true, Ordering::Relaxed),
                Ok(_) => {}
                Err(error) => tracing::warn!(item = %self.item.id, %error, "heartbeat"),
            }
        }
    }

    /// Says that the item cannot be finished.
    pub(crate) fn fail(&self, failure: ItemFailure) -> Result<(), ClientError> {
        self.send(&ResultsBatch { failure: Some(failure), ..self.batch() })
    }

    fn send(&self, batch: &ResultsBatch) -> Result<(), ClientError> {
        let answer = self.client.results(batch, self.stop);
        if answer.as_ref().is_err_and(ClientError::is_conflict) {
            self.lost.store(true, Ordering::Relaxed);
        }
        answer.map(drop)
    }

    fn batch(&self) -> ResultsBatch {
        ResultsBatch {
            id: self.item.id,
            fence: self.item.fence,
            batch: 0,
            records: Vec::new(),
            total: None,
            done: false,
            failure: None,
            give_back: false,
            plan: None,
            seconds: 0.0,
            tokens: TokenCounts::default(),
            environment: BTreeMap::new(),
        }
    }
}

/// Collects records and sends them in batches.
pub(crate) struct Batches<'a> {
    lease: &'a Lease<'a>,
    records: Vec<Value>,
    total: Option<u64>,
    sent: Instant,
    /// Batches sent.
    number: u64,
    /// Work done, and how much of it the service knows.
    tokens: TokenCounts,
    known: TokenCounts,
    /// Why the service did not take a batch; the task stops then.
    pub(crate) error: Option<ClientError>,
}

impl<'a> Batches<'a> {
    pub(crate) fn new(lease: &'a Lease<'a>) -> Self {
        let nothing = TokenCounts::default();
        Self {
            lease,
            records: Vec::new(),
            total: None,
            sent: Instant::now(),
            number: 0,
            tokens: nothing,
            known: nothing,
            error: None,
        }
    }

    /// Sends what is left and closes the item.
    pub(crate) fn finish(mut self, environment: BTreeMap<String, Value>) -> Result<(), ClientError> {
        let text = |value: Value| value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
        let environment = environment.into_iter().map(|(name, value)| (name, text(value))).collect();
        let last = ResultsBatch { done: true, environment, ..self.lease.batch() };
        self.send(last)
    }

    /// Sends what is left and returns the item to the queue.
    pub(crate) fn give_back(mut self) -> Result<(), ClientError> {
        let last = ResultsBatch { give_back: true, ..self.lease.batch() };
        self.send(last)
    }

    fn send(&mut self, batch: ResultsBatch) -> Result<(), ClientError> {
        self.number += 1;
        let batch = ResultsBatch {
            batch: self.number,
            records: std::mem::take(&mut self.records),
            total: self.total,
            seconds: self.sent.elapsed().as_secs_f64(),
            tokens: since(self.tokens, self.known),
            ..batch
        };
        self.known = self.tokens;
        self.sent = Instant::now();
        self.lease.send(&batch)
    }

    fn flush(&mut self) {
        if let Err(error) = self.send(self.lease.batch()) {
            self.error = Some(error);
        }
    }

    fn flush_when_due(&mut self) {
        if self.records.len() >= MOST_RECORDS || self.sent.elapsed() >= LONGEST_WAIT {
            self.flush();
        }
    }
}

impl Watch for Batches<'_> {
    fn planned(&mut self, _task: usize, total: u64, _left: u64) {
        self.total = Some(total);
        self.flush();
    }

    fn record(&mut self, _task: usize, record: Record) -> Result<(), EvalError> {
        let value = serde_json::to_value(record).map_err(|error| EvalError::Sink(error.to_string()))?;
        self.records.push(value);
        self.flush_when_due();
        if self.stopped() { Err(EvalError::Stopped) } else { Ok(()) }
    }

    fn worked(&mut self, _task: usize, spent: Spent) {
        self.tokens = spent.tokens;
        self.flush_when_due();
    }

    fn stopped(&self) -> bool {
        self.error.is_some() || self.lease.is_over()
    }
}

fn since(now: TokenCounts, before: TokenCounts) -> TokenCounts {
    TokenCounts {
        prompt: now.prompt - before.prompt,
        prefilled: now.prefilled - before.prefilled,
        generated: now.generated - before.generated,
    }
}
