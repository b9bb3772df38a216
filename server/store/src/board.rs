use async_trait::async_trait;
use sekisho_domain::checkpoint::CheckpointState;
use sekisho_domain::evaluation::{TaskRun, WorkState};
use sekisho_domain::reported::ReportedModel;
use sekisho_domain::{CheckpointId, EvaluationId, RunId, Step, Timestamp, Tokens, WorkItemId};

use crate::{AuditEntry, ScoreRow, StoreError};

/// What a leaderboard knows of one checkpoint before it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// The checkpoint.
    pub checkpoint: CheckpointId,
    /// Its run.
    pub run: RunId,
    /// The run's name.
    pub run_name: String,
    /// Where it stands: its files may have changed or be gone since it was evaluated.
    pub state: CheckpointState,
    /// Update number.
    pub step: Step,
    /// Tokens of its stage.
    pub tokens: Tokens,
    /// Parameters; none before it is verified.
    pub parameters: Option<u64>,
    /// The resolved configuration.
    pub config: Option<serde_json::Value>,
    /// Whether its run began with another model's weights; none where the run has no specification.
    pub is_continued: Option<bool>,
    /// Lineage file (TOML) of its newest release that is or was published.
    pub released: Option<String>,
    /// Work on the tasks that were asked for, the last changed first.
    pub work: Vec<StandingWork>,
}

/// A task of a checkpoint, in whatever settings it was run.
#[derive(Clone, Debug, PartialEq)]
pub struct StandingWork {
    /// The work item.
    pub id: WorkItemId,
    /// Its evaluation.
    pub evaluation: EvaluationId,
    /// What was run.
    pub run: TaskRun,
    /// Where it stands.
    pub state: WorkState,
    /// Last change.
    pub updated: Timestamp,
    /// The primary score, once there is one.
    pub score: Option<ScoreRow>,
}

/// Which checkpoints are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Candidates<'a> {
    /// Of each run one: the newest that has a score and none outstanding; where there is none, the newest with any work.
    Latest,
    /// Those of the newest so many evaluations.
    All(u32),
    /// These, as far as they have any work.
    These(&'a [CheckpointId]),
}

/// A row that was reported elsewhere, and who brought it in.
#[derive(Clone, Debug, PartialEq)]
pub struct Reported {
    /// What was reported.
    pub row: ReportedModel,
    /// Who imported it.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// What the leaderboard reads.
#[async_trait]
pub trait BoardRepository: Send + Sync {
    /// Suites that there are evaluations on, each with the newest one, the newest first. The cost grows with the number of suites.
    async fn evaluated_suites(&self) -> Result<Vec<(String, EvaluationId)>, StoreError>;
    /// Checkpoints with work on any of these tasks (profile, task), counting evaluations on that suite alone where one is named. With
    /// [`Candidates::Latest`] the cost grows with the number of runs, and with their checkpoints only where the newest ones have no
    /// score.
    async fn standings(
        &self,
        tasks: &[(String, String)],
        suite: Option<&str>,
        which: Candidates<'_>,
    ) -> Result<Vec<Standing>, StoreError>;
    /// Grows with every write that could change what [`Self::standings`] answers.
    async fn board_version(&self) -> Result<u64, StoreError>;
    /// Keeps rows that were reported elsewhere, all or none; each takes the place of one on the same model by the same source.
    async fn put_reported(&self, rows: &[Reported], audit: &AuditEntry) -> Result<(), StoreError>;
    /// All of them, by source and model.
    async fn reported(&self) -> Result<Vec<Reported>, StoreError>;
}
