use std::collections::BTreeMap;

use async_trait::async_trait;
use sekisho_domain::evaluation::WorkState;
use sekisho_domain::score::ResultEntry;
use sekisho_domain::{CheckpointId, EvaluationId, Timestamp, WorkItemId};

use crate::StoreError;

/// One checkpoint on one suite. Its state is that of its work items: failed if one failed, finished if all have.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// Its id.
    pub id: EvaluationId,
    /// The checkpoint.
    pub checkpoint: CheckpointId,
    /// Name of the suite.
    pub suite: String,
    /// Where it stands.
    pub state: WorkState,
    /// Tokenizer, BOS, dtype, device, engine, version … as the workers reported it.
    pub environment: BTreeMap<String, String>,
    /// Created at.
    pub created: Timestamp,
    /// Last change.
    pub updated: Timestamp,
}

/// A score with where it comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoreRow {
    /// The evaluation.
    pub evaluation: EvaluationId,
    /// The checkpoint.
    pub checkpoint: CheckpointId,
    /// The work item.
    pub work: WorkItemId,
    /// Whether this is the task's primary metric.
    pub primary: bool,
    /// The score.
    pub entry: ResultEntry,
}

/// A batch of per-item records that a worker sent, kept as one blob (zstd NDJSON).
#[derive(Clone, Debug, PartialEq)]
pub struct RecordChunk {
    /// The work item.
    pub work: WorkItemId,
    /// Key of the blob.
    pub blob: String,
    /// Items (line in the split) in the chunk, in order.
    pub items: Vec<u64>,
}

/// Evaluations, scores and records.
#[async_trait]
pub trait EvaluationRepository: Send + Sync {
    /// Adds an evaluation with its work items in one transaction. The same (checkpoint, suite) twice is answered with the first.
    async fn add_evaluation(
        &self,
        evaluation: &Evaluation,
        work: &[crate::NewWork],
    ) -> Result<Evaluation, StoreError>;
    /// By id.
    async fn evaluation(&self, id: EvaluationId) -> Result<Option<Evaluation>, StoreError>;
    /// Of one checkpoint, newest first.
    async fn evaluations_of(&self, checkpoint: CheckpointId) -> Result<Vec<Evaluation>, StoreError>;
    /// Newest first.
    async fn evaluations(&self, limit: u32) -> Result<Vec<Evaluation>, StoreError>;
    /// Adds what a worker reported about its environment. Where workers or tasks differ, the values stand side by side: `off | on`.
    async fn merge_environment(
        &self,
        id: EvaluationId,
        environment: &BTreeMap<String, String>,
        now: Timestamp,
    ) -> Result<(), StoreError>;
    /// Scores of one evaluation, in suite order.
    async fn scores(&self, id: EvaluationId) -> Result<Vec<ScoreRow>, StoreError>;
    /// Scores of several checkpoints at once, for curves and the leaderboard.
    async fn scores_of_checkpoints(&self, ids: &[CheckpointId]) -> Result<Vec<ScoreRow>, StoreError>;
    /// Of several evaluations the score by each task's primary metric, which is what means and curves are of; each in suite order.
    async fn primary_scores_of(&self, ids: &[EvaluationId]) -> Result<Vec<ScoreRow>, StoreError>;
    /// Record chunks of a work item, in the order they came.
    async fn chunks(&self, work: WorkItemId) -> Result<Vec<RecordChunk>, StoreError>;
}
