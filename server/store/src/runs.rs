use std::collections::HashMap;

use async_trait::async_trait;
use sekisho_domain::run::{Planned, RunState};
use sekisho_domain::{RunId, Sha256, Step, Timestamp, Tokens};

use crate::{AuditEntry, StoreError};

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
    /// Who registered it.
    pub owner: Option<String>,
    /// Where the experiment is talked about.
    pub issue: Option<String>,
    /// Registered at.
    pub created: Timestamp,
    /// Last report.
    pub updated: Timestamp,
}

/// Runs and their plans. What they report is in [`crate::ReportRepository`], and never joined into lists of runs.
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
    /// Runs that go on from this one, as their specifications name it (`[parent] run`, the name or the id), oldest first.
    async fn branches_of(&self, run: &Run) -> Result<Vec<Run>, StoreError>;
    /// Changes the state.
    async fn set_run_state(&self, id: RunId, state: RunState, now: Timestamp) -> Result<(), StoreError>;
    /// Those in a state, the one that reported longest ago first.
    async fn runs_in(&self, state: RunState) -> Result<Vec<Run>, StoreError>;
    /// Plans what a run takes; the newest plan holds, the others are its history.
    async fn add_plan(&self, id: RunId, planned: &Planned, audit: &AuditEntry) -> Result<(), StoreError>;
    /// All plans of a run, newest first.
    async fn plans(&self, id: RunId) -> Result<Vec<Planned>, StoreError>;
    /// The plan that holds for each run that has one.
    async fn plans_in_force(&self) -> Result<HashMap<RunId, Planned>, StoreError>;
}
