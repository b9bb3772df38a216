use async_trait::async_trait;
use sekisho_domain::evaluation::{TaskRun, WorkState};
use sekisho_domain::score::{ResultEntry, TokenCounts};
use sekisho_domain::wire::{HeldItem, ItemFailure};
use sekisho_domain::{CheckpointId, EvaluationId, Sha256, Timestamp, WorkItemId};

use crate::{RecordChunk, StoreError};

/// Tries of a work item before it fails for good.
pub const MAX_ATTEMPTS: u32 = 5;

/// Seconds before a failed try is followed by the next: 5, 10, 20, 40. A worker that is lost has cost a lease already and costs no more.
pub(crate) const fn retry_after(attempt: u32) -> i64 {
    5 << attempt.saturating_sub(1)
}

/// A work item to be queued.
#[derive(Clone, Debug, PartialEq)]
pub struct NewWork {
    /// Its id.
    pub id: WorkItemId,
    /// What to run.
    pub run: TaskRun,
    /// Identity of the checkpoint, for claims that prefer a loaded model.
    pub digest: Sha256,
    /// Position in the suite.
    pub position: u32,
    /// Larger goes first: release checks, then running training, then backfill.
    pub priority: i32,
    /// Pool that may take it; empty for any.
    pub pool: String,
}

/// A work item as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkRow {
    /// What was queued.
    pub work: NewWork,
    /// Its evaluation.
    pub evaluation: EvaluationId,
    /// Its checkpoint.
    pub checkpoint: CheckpointId,
    /// Where it stands.
    pub state: WorkState,
    /// Tries so far.
    pub attempt: u32,
    /// Fencing token of the present or last lease; grows with every claim.
    pub fence: u64,
    /// Who holds it, or held it last.
    pub worker: Option<String>,
    /// Until when.
    pub lease_until: Option<Timestamp>,
    /// Items answered.
    pub finished: u64,
    /// Items in all, once the plan is known.
    pub total: Option<u64>,
    /// Wall seconds spent, over all tries.
    pub seconds: f64,
    /// Tokens worked through, over all tries.
    pub tokens: TokenCounts,
    /// The last error, or why it failed.
    pub error: Option<String>,
    /// Last change.
    pub updated: Timestamp,
}

/// One try of a work item.
#[derive(Clone, Debug, PartialEq)]
pub struct Try {
    /// The item.
    pub work: WorkItemId,
    /// Who had it.
    pub worker: String,
    /// Answers that were there when it began.
    pub first: u64,
    /// And when it ended.
    pub last: Option<u64>,
    /// When it began.
    pub began: Timestamp,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// Why it ended before the item was finished: one of the words below, or the worker's own sentence.
    pub cause: Option<String>,
}

impl Try {
    /// Its lease ran out.
    pub const SILENT: &str = "silent";
    /// The service found it gone with the service that had started it.
    pub const FREED: &str = "freed";
    /// The worker drained and gave the item back.
    pub const GIVEN_BACK: &str = "given_back";
}

/// What a batch says of the work on an item.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Progress<'a> {
    /// The batch's number under its lease, from 1; 0 is not numbered.
    pub batch: u64,
    /// New answers; their blob is written already.
    pub chunk: Option<&'a RecordChunk>,
    /// Items in all, once known.
    pub total: Option<u64>,
    /// Wall seconds since the last batch.
    pub seconds: f64,
    /// Tokens since the last batch.
    pub tokens: TokenCounts,
}

/// The lease queue of work items.
#[expect(clippy::too_many_arguments, reason = "six, and the receiver")]
#[async_trait]
pub trait QueueRepository: Send + Sync {
    /// Leases up to `max` waiting items (or running ones whose lease has run out) of one checkpoint to `worker`: highest priority
    /// first, then those of `loaded`, then the oldest. Every lease gets a new fencing token and counts as a try. An item whose lease
    /// ran out on its [`MAX_ATTEMPTS`]th try fails instead.
    async fn claim(
        &self,
        worker: &str,
        pool: &str,
        loaded: Option<Sha256>,
        max: u32,
        lease_seconds: i64,
        now: Timestamp,
    ) -> Result<Vec<WorkRow>, StoreError>;
    /// The checkpoint of the item that [`Self::claim`] would lease next; none while nothing waits.
    async fn next_checkpoint(&self, pool: &str, now: Timestamp) -> Result<Option<CheckpointId>, StoreError>;
    /// Prolongs leases; answers the items that are no longer held under that fence.
    async fn heartbeat(
        &self,
        worker: &str,
        items: &[HeldItem],
        lease_seconds: i64,
        now: Timestamp,
    ) -> Result<Vec<WorkItemId>, StoreError>;
    /// Records progress under a fence. [`StoreError::LeaseLost`] when the fence is old. Answers the number of items answered so far.
    /// A batch whose number was taken before, or a chunk all of whose items are there already, is a repetition and changes nothing
    /// (its blob can be deleted); a chunk that repeats only some of them is a [`StoreError::Conflict`], so that no item is ever in
    /// two chunks.
    async fn record_progress(
        &self,
        held: HeldItem,
        progress: Progress<'_>,
        now: Timestamp,
    ) -> Result<u64, StoreError>;
    /// running → finished with its scores (entry, primary), in one transaction; moves the evaluation when it was the last. Said again
    /// under the same fence, it changes nothing.
    async fn finish(
        &self,
        held: HeldItem,
        scores: &[(ResultEntry, bool)],
        now: Timestamp,
    ) -> Result<(), StoreError>;
    /// running → waiting (a retry, after a pause that doubles from 5 s) or failed; then the error also names the command that asks again.
    async fn fail(&self, held: HeldItem, failure: &ItemFailure, now: Timestamp) -> Result<(), StoreError>;
    /// failed → waiting for the failed items of an evaluation, as if none had been tried. What was answered stays answered.
    async fn retry(&self, evaluation: EvaluationId, now: Timestamp) -> Result<(), StoreError>;
    /// running → waiting for everything that a worker holds which is known to be gone. It counts as no try.
    async fn free(&self, worker: &str, now: Timestamp) -> Result<(), StoreError>;
    /// Gives leases back without counting a failure (a worker that drains).
    async fn give_back(&self, held: HeldItem, now: Timestamp) -> Result<(), StoreError>;
    /// One item.
    async fn work(&self, id: WorkItemId) -> Result<Option<WorkRow>, StoreError>;
    /// Items of one evaluation, in suite order.
    async fn work_of(&self, evaluation: EvaluationId) -> Result<Vec<WorkRow>, StoreError>;
    /// Tries of the items of one evaluation, in suite order and then in time.
    async fn tries_of(&self, evaluation: EvaluationId) -> Result<Vec<Try>, StoreError>;
    /// (waiting, running, failed) over the whole queue.
    async fn queue_counts(&self) -> Result<(u64, u64, u64), StoreError>;
}
