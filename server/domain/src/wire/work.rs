use serde::{Deserialize, Serialize};

use crate::evaluation::{Bos, TaskRun};
use crate::score::TokenCounts;
use crate::{CheckpointId, EvaluationId, Sha256, WorkItemId};

/// `POST /api/v1/work/claim`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// Name of the worker process, unique among the living.
    pub worker: String,
    /// Pool it works for.
    #[serde(default)]
    pub pool: String,
    /// Version of the worker; the server refuses one it cannot talk to.
    #[serde(default)]
    pub version: String,
    /// Digest of the model it has loaded, preferred when there is a choice.
    #[serde(default)]
    pub loaded: Option<Sha256>,
    /// At most so many items, all of one checkpoint.
    pub max: u32,
}

/// The answer to a claim; empty when nothing waits.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ClaimedItems {
    /// The items, all of one checkpoint.
    pub items: Vec<WorkItem>,
    /// What is likely to be claimed when these are done, where nothing else of their checkpoint waits: its weights can be loaded
    /// meanwhile. No promise: another worker may be faster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<NextCheckpoint>,
}

/// A checkpoint whose items wait.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct NextCheckpoint {
    /// Its identity.
    pub digest: Sha256,
    /// Its folder.
    pub path: String,
}

/// A data file of a task, fetched by digest from `GET /api/v1/work/sources/{sha256}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SourceFile {
    /// Source id, e.g. `jglue`.
    pub source: String,
    /// Path below the source, e.g. `jcommonsenseqa-v1.3/valid-v1.3.json`.
    pub file: String,
    /// SHA-256 of the bytes.
    pub sha256: Sha256,
}

/// One task of one evaluation, leased to a worker. It carries everything but the weights and the data files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct WorkItem {
    /// Its id.
    pub id: WorkItemId,
    /// Fencing token: results under an older token are refused.
    pub fence: u64,
    /// The lease ends after so many seconds without heartbeat.
    pub lease_seconds: u64,
    /// The evaluation it belongs to.
    pub evaluation: EvaluationId,
    /// The checkpoint.
    pub checkpoint: CheckpointId,
    /// Identity of the checkpoint; the worker checks what it loads against it.
    pub digest: Sha256,
    /// Folder of the checkpoint.
    pub path: String,
    /// What to run.
    pub run: TaskRun,
    /// BOS rule.
    pub bos: Bos,
    /// The task definition (TOML), so that worker and server never differ in it.
    pub definition: String,
    /// Its data files.
    pub sources: Vec<SourceFile>,
    /// Items of the split that are answered already and are not asked again.
    pub finished: Vec<u64>,
}

/// A work item that a worker holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct HeldItem {
    /// The item.
    pub id: WorkItemId,
    /// Its fencing token.
    pub fence: u64,
}

/// `POST /api/v1/work/heartbeat`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Heartbeat {
    /// The worker.
    pub worker: String,
    /// What it holds.
    pub items: Vec<HeldItem>,
}

/// The answer to a heartbeat.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct HeartbeatAnswer {
    /// Items whose lease was lost; the worker drops them.
    pub lost: Vec<WorkItemId>,
}

/// `POST /api/v1/work/results`: some records of a work item, the last batch with `done`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResultsBatch {
    /// The work item.
    pub id: WorkItemId,
    /// Its fencing token.
    pub fence: u64,
    /// Its number under this lease, from 1: a batch that is sent twice counts once. 0 is not numbered.
    #[serde(default)]
    pub batch: u64,
    /// Per-item records in the contract's format. An item that the server has already is ignored.
    #[serde(default)]
    pub records: Vec<serde_json::Value>,
    /// Number of items of the task once the plan is made, for progress.
    #[serde(default)]
    pub total: Option<u64>,
    /// Whether every item of the task has been sent.
    #[serde(default)]
    pub done: bool,
    /// Set instead when the task cannot be finished.
    #[serde(default)]
    pub failure: Option<ItemFailure>,
    /// The worker drains: it gives the item back after these records, and no try is counted.
    #[serde(default)]
    pub give_back: bool,
    /// Of results that come back in a bundle: the digest of the plan that was carried out. Refused where it is not that of the item any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Sha256>,
    /// Wall seconds spent since the last batch.
    #[serde(default)]
    pub seconds: f64,
    /// Tokens worked through since the last batch.
    #[serde(default)]
    pub tokens: TokenCounts,
    /// `tokenizer, bos, dtype, device, engine, version …` of the run.
    #[serde(default)]
    pub environment: std::collections::BTreeMap<String, String>,
}

/// Why a work item failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ItemFailure {
    /// The sentence shown to people.
    pub message: String,
    /// Whether another try may help (a lost GPU) or not (a missing data file).
    pub retry: bool,
}

/// The answer to a results batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ResultsAccepted {
    /// Records that were new.
    pub accepted: u64,
    /// Items answered so far.
    pub finished: u64,
}
