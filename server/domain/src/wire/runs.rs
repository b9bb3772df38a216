use serde::{Deserialize, Serialize};

use crate::checkpoint::CheckpointState;
use crate::run::{MetricRow, RunState};
use crate::{CheckpointId, RunId, Sha256, Step, Timestamp, Tokens};

/// `POST /api/v1/runs`. Registering a name twice with the same specification answers the run that exists.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterRun {
    /// Unique name.
    pub name: String,
    /// The resolved specification as JSON; absent for runs of other trainers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec: Option<serde_json::Value>,
    /// Planned end of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planned_tokens: Option<Tokens>,
    /// Suite that examines its checkpoints; the server's default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suite: Option<String>,
    /// The project that it belongs to; `default` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// Where the experiment is talked about: the address of its issue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issue: Option<String>,
}

/// A run as the API shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = Run)]
pub struct RunView {
    /// Its id.
    pub id: RunId,
    /// The project that it belongs to.
    #[serde(default)]
    pub project: String,
    /// Its unique name.
    pub name: String,
    /// Where it stands.
    pub state: RunState,
    /// Last step reported.
    pub step: Step,
    /// Tokens at that step, in this stage.
    pub tokens: Tokens,
    /// Planned end.
    pub planned_tokens: Option<Tokens>,
    /// Suite that examines its checkpoints.
    pub suite: Option<String>,
    /// Who registered it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Where the experiment is talked about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issue: Option<String>,
    /// Registered at.
    pub created: Timestamp,
}

/// `POST /api/v1/runs/{run}/metrics`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MetricsBatch {
    /// Grows by one with each batch of one writer; a batch seen before is accepted and changes nothing.
    pub seq: u64,
    /// The process that writes: a trainer that starts again is another writer and counts from 0 again.
    #[serde(default)]
    pub writer: String,
    /// The machine that it runs on, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub host: String,
    /// The writer that this one goes on from and knows to be gone: a trainer that was started again in the same folder. Without it a
    /// second writer waits until the first has been silent for a while.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub follows: String,
    /// The rows. A row for a step that is there already replaces it (a resumed run repeats steps bit for bit).
    pub rows: Vec<MetricRow>,
}

/// The answer to a metrics batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct MetricsAccepted {
    /// Rows written; 0 when the batch was a repetition.
    pub accepted: u64,
    /// Whether the batch had been seen before.
    pub repeated: bool,
}

/// `POST /api/v1/runs/{run}/checkpoints` by path. An upload is `multipart/form-data` with the same fields and the files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AnnounceCheckpoint {
    /// Update number.
    pub step: Step,
    /// Training targets seen in this stage.
    pub tokens: Tokens,
    /// Folder on a disk that the server sees too.
    pub path: String,
    /// Copy the bytes into the server's store instead of referring to the folder.
    #[serde(default)]
    pub copy: bool,
}

/// A checkpoint as the API shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = Checkpoint)]
pub struct CheckpointView {
    /// Its id.
    pub id: CheckpointId,
    /// The run's id.
    pub run: RunId,
    /// The run's name.
    pub run_name: String,
    /// Update number.
    pub step: Step,
    /// Training targets seen in this stage.
    pub tokens: Tokens,
    /// Where it stands.
    pub state: CheckpointState,
    /// Why it was refused, in English.
    pub refusal: Option<String>,
    /// Why it was refused, in Japanese.
    #[serde(default)]
    pub refusal_ja: Option<String>,
    /// Identity of weights and configuration, once verified.
    pub digest: Option<Sha256>,
    /// Identity of the weights alone.
    pub weights: Option<Sha256>,
    /// Parameters, once verified.
    pub parameters: Option<u64>,
    /// Received at.
    pub created: Timestamp,
}
