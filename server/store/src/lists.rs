use std::collections::HashMap;

use async_trait::async_trait;
use sekisho_domain::run::RunState;
use sekisho_domain::{CheckpointId, EvaluationId, RunId, Step, Timestamp};

use crate::{Checkpoint, Evaluation, Run, StoreError, WorkRow};

/// Which runs a list is asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunFilter {
    /// A part of the name, in whatever case.
    pub name: String,
    /// Where they stand.
    pub state: Option<RunState>,
    /// Those behind this one in the list: its last report and its id.
    pub before: Option<(Timestamp, RunId)>,
}

/// What a list of runs says of a run's checkpoints, without reading them.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckpointSummary {
    /// How many there are, refused ones too.
    pub number: u64,
    /// Largest step.
    pub last_step: Step,
    /// When the one at that step was received.
    pub last_received: Timestamp,
}

/// How the queue stands, beyond the numbers of its items.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueHealth {
    /// Items that a worker could take now: waiting, and not pausing before another try.
    pub ready: u64,
    /// Since when the oldest of these has been waiting.
    pub ready_since: Option<Timestamp>,
    /// Items whose worker has prolonged its lease.
    pub held: u64,
    /// The latest moment at which any lease ends, or ended.
    pub last_lease: Option<Timestamp>,
}

/// What lists and curves read at once. Every answer costs a fixed number of queries, however many rows are asked for.
#[async_trait]
pub trait ListRepository: Send + Sync {
    /// Checkpoints by id, in no order.
    async fn checkpoints_by_id(&self, ids: &[CheckpointId]) -> Result<Vec<Checkpoint>, StoreError>;
    /// Checkpoints of a run that have a primary score, by tokens.
    async fn scored_checkpoints(&self, run: RunId) -> Result<Vec<Checkpoint>, StoreError>;
    /// Runs, the one that reported last first. The cost does not grow with those that come before.
    async fn runs_found(&self, filter: &RunFilter, limit: u32) -> Result<Vec<Run>, StoreError>;
    /// Evaluations of several checkpoints, newest first.
    async fn evaluations_of_all(&self, checkpoints: &[CheckpointId]) -> Result<Vec<Evaluation>, StoreError>;
    /// Work items of several evaluations, each in suite order.
    async fn work_of_all(&self, evaluations: &[EvaluationId]) -> Result<Vec<WorkRow>, StoreError>;
    /// What the checkpoints of several runs come to; runs without one are absent.
    async fn checkpoint_summaries(
        &self,
        runs: &[RunId],
    ) -> Result<HashMap<RunId, CheckpointSummary>, StoreError>;
    /// Of each run the evaluation of its newest checkpoint that has a score on the named suite.
    async fn newest_scored(&self, runs: &[(RunId, String)])
    -> Result<HashMap<RunId, Evaluation>, StoreError>;
    /// The loss of several runs in a few dozen means; runs that have reported nothing are absent. The cost does not depend on how many
    /// rows a run has.
    async fn loss_sketches(&self, runs: &[RunId]) -> Result<HashMap<RunId, Vec<f64>>, StoreError>;
    /// Items that are not finished, each with its suite: what gave up first, then what runs, then what waits, in the order in which
    /// it will be taken.
    async fn open_work(&self, limit: u32) -> Result<Vec<(WorkRow, String)>, StoreError>;
    /// How the queue stands.
    async fn queue_health(&self, now: Timestamp) -> Result<QueueHealth, StoreError>;
    /// Runs whose name contains the text, newest report first.
    async fn runs_like(&self, text: &str, limit: u32) -> Result<Vec<Run>, StoreError>;
    /// Checkpoints whose identity begins with these hexadecimal digits, newest first.
    async fn checkpoints_by_digest_prefix(
        &self,
        prefix: &str,
        limit: u32,
    ) -> Result<Vec<Checkpoint>, StoreError>;
    /// Checkpoints at one of these steps, newest first.
    async fn checkpoints_at(
        &self,
        steps: std::ops::RangeInclusive<u64>,
        limit: u32,
    ) -> Result<Vec<Checkpoint>, StoreError>;
}
