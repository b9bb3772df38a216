use async_trait::async_trait;
use sekisho_domain::run::{MetricRow, RunEvent, RunState};
use sekisho_domain::wire::{MetricsAccepted, MetricsBatch};
use sekisho_domain::{RunId, Sha256, Step, Timestamp, Tokens};

use crate::StoreError;

/// A training run.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// The project that it belongs to.
    pub project: String,
    /// Unique name.
    pub name: String,
    /// Where it stands.
    pub state: RunState,
    /// Resolved specification, canonical JSON.
    pub spec: Option<serde_json::Value>,
    /// SHA-256 of the canonical specification.
    pub spec_digest: Option<Sha256>,
    /// Planned end.
    pub planned_tokens: Option<Tokens>,
    /// Suite that examines its checkpoints.
    pub suite: Option<String>,
    /// Last step reported.
    pub step: Step,
    /// Tokens at that step.
    pub tokens: Tokens,
    /// Loss at that step.
    pub loss: Option<f64>,
    /// Registered at.
    pub created: Timestamp,
    /// Last report.
    pub updated: Timestamp,
}

/// Runs, their metrics and events. Metric rows are never joined into run lists.
#[async_trait]
pub trait RunRepository: Send + Sync {
    /// Adds a run. [`StoreError::Conflict`] when the name is taken.
    async fn add_run(&self, run: &Run) -> Result<(), StoreError>;
    /// By id.
    async fn run(&self, id: RunId) -> Result<Option<Run>, StoreError>;
    /// By unique name.
    async fn run_by_name(&self, name: &str) -> Result<Option<Run>, StoreError>;
    /// Newest report first.
    async fn runs(&self, limit: u32) -> Result<Vec<Run>, StoreError>;
    /// Changes the state.
    async fn set_run_state(&self, id: RunId, state: RunState, now: Timestamp) -> Result<(), StoreError>;
    /// Appends a batch exactly once by (run, writer, seq) and moves the run's step, tokens and loss forward.
    async fn append_metrics(
        &self,
        id: RunId,
        batch: &MetricsBatch,
        now: Timestamp,
    ) -> Result<MetricsAccepted, StoreError>;
    /// All rows of a run by step.
    async fn metrics(&self, id: RunId) -> Result<Vec<MetricRow>, StoreError>;
    /// Adds an event; the same (kind, step, note) twice is one event.
    async fn add_event(&self, id: RunId, event: &RunEvent, now: Timestamp) -> Result<(), StoreError>;
    /// Events by step.
    async fn events(&self, id: RunId) -> Result<Vec<RunEvent>, StoreError>;
}
