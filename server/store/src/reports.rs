use std::collections::HashMap;

use async_trait::async_trait;
use sekisho_domain::run::{EventKind, EventStatus, KeptEvent, MetricRow, RunEvent, Segment};
use sekisho_domain::wire::MetricsBatch;
use sekisho_domain::{EventId, RunId, Step, Timestamp};

use crate::StoreError;

/// What came of a batch.
#[derive(Clone, Debug, PartialEq)]
pub enum Appended {
    /// Its rows are kept; so many events were proposed from them.
    Accepted {
        /// Events that detectors proposed.
        proposed: usize,
    },
    /// It was there already.
    Repeated,
    /// A batch of that number is there with other rows; nothing was kept.
    OtherRows,
    /// Another process writes this run; nothing was kept.
    Busy(Segment),
}

/// What people make of an event.
#[derive(Clone, Debug, PartialEq)]
pub struct EventDecision {
    /// What it is from now on.
    pub status: EventStatus,
    /// Why, or what it was.
    pub remark: String,
    /// Who says so.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// What runs report: rows of metrics, the processes that wrote them, and what happened.
#[async_trait]
pub trait ReportRepository: Send + Sync {
    /// Appends a batch exactly once by (run, writer, seq), moves the run's step, tokens and loss forward, and lets the detectors look at
    /// its rows: all in one write. `ids` makes the ids of proposed events. With [`Appended::Busy`] and [`Appended::OtherRows`] nothing
    /// is kept.
    async fn append_metrics(
        &self,
        id: RunId,
        batch: &MetricsBatch,
        now: Timestamp,
        ids: &(dyn Fn() -> EventId + Send + Sync),
    ) -> Result<Appended, StoreError>;
    /// The rows that are shown, by step: of an update that was reported again, what the last process reported.
    async fn metrics(&self, id: RunId) -> Result<Vec<MetricRow>, StoreError>;
    /// The same between two updates, both included.
    async fn metrics_between(&self, id: RunId, first: Step, last: Step)
    -> Result<Vec<MetricRow>, StoreError>;
    /// The processes that reported, in the order in which they did.
    async fn segments(&self, id: RunId) -> Result<Vec<Segment>, StoreError>;
    /// The same of several runs.
    async fn segments_of(&self, ids: &[RunId]) -> Result<HashMap<RunId, Vec<Segment>>, StoreError>;
    /// Adds an event that somebody tells; the same (kind, step, note) twice is one event, and answers false.
    async fn add_event(
        &self,
        id: RunId,
        new: EventId,
        event: &RunEvent,
        by: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError>;
    /// Adds an event that the service itself noticed: the run has not been heard of by it. False when the same is there.
    async fn put_event(&self, id: RunId, event: &KeptEvent) -> Result<bool, StoreError>;
    /// Notes that a run's forecast has passed the end that the plan of `planned` (when it was made) names, by so many days. Once for each
    /// plan; false when it was noted before.
    async fn note_behind(
        &self,
        id: RunId,
        planned: Timestamp,
        days: u64,
        now: Timestamp,
    ) -> Result<bool, StoreError>;
    /// Events by step, the dismissed ones too.
    async fn events(&self, id: RunId) -> Result<Vec<KeptEvent>, StoreError>;
    /// Those of one kind of several runs, by step.
    async fn events_of(
        &self,
        ids: &[RunId],
        kind: EventKind,
    ) -> Result<HashMap<RunId, Vec<KeptEvent>>, StoreError>;
    /// One event of a run.
    async fn event(&self, id: RunId, event: EventId) -> Result<Option<KeptEvent>, StoreError>;
    /// Writes down what somebody made of it. [`StoreError::Stale`] when it is not at `version` any more.
    async fn decide_event(
        &self,
        id: RunId,
        event: EventId,
        version: u64,
        decision: &EventDecision,
    ) -> Result<(), StoreError>;
    /// Events that wait for somebody to look at them, with their runs, newest first.
    async fn proposed_events(&self, limit: u32) -> Result<Vec<(RunId, KeptEvent)>, StoreError>;
}
