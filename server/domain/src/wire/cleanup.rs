use serde::{Deserialize, Serialize};

use crate::checkpoint::CheckpointState;
use crate::state::named;
use crate::{CheckpointId, Sha256, Step};

/// Which checkpoints of a run are kept whatever else; 0 switches a part off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CleanupRule {
    /// Those at multiples of so many steps.
    #[serde(default)]
    pub every: u64,
    /// The last so many.
    #[serde(default)]
    pub last: u64,
    /// The so many with the highest mean on the run's suite.
    #[serde(default)]
    pub best: u64,
}

named! {
    /// Why a checkpoint is kept.
    KeptReason {
        /// At a multiple of the rule's steps.
        Every = "every",
        /// One of the last.
        Last = "last",
        /// One of the best.
        Best = "best",
        /// Another run goes on from it.
        Branch = "branch",
        /// A release is made of it.
        Release = "release",
        /// It waits for an evaluation, or is in one.
        Evaluating = "evaluating",
        /// It is still examined.
        Examining = "examining",
    }
}

/// A reason with what it is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Kept {
    /// The reason.
    pub reason: KeptReason,
    /// Name of the run or the release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Id of the release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// A checkpoint whose files are there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CleanupItem {
    /// Its id.
    pub checkpoint: CheckpointId,
    /// Update number.
    pub step: Step,
    /// Where it stands.
    pub state: CheckpointState,
    /// Its mean on the run's suite, where that is complete.
    pub mean: Option<f64>,
    /// Whether the files are the server's own copy; others are listed and never removed.
    pub owned: bool,
    /// Folder.
    pub path: String,
    /// Bytes of its files.
    pub bytes: u64,
    /// Bytes that its removal gives back: 0 where other checkpoints are made of the same files, or somebody else's folder.
    pub freed_bytes: u64,
    /// Why it is kept; empty for one that is to be removed.
    pub kept: Vec<Kept>,
}

/// What a clean-up would do: `GET /api/v1/runs/{run}/cleanup`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CleanupView {
    /// The rule.
    pub rule: CleanupRule,
    /// By step, newest first.
    pub items: Vec<CleanupItem>,
    /// The next part of the list; there is none.
    pub next: Option<String>,
    /// Bytes that are given back.
    pub freed_bytes: u64,
    /// Identity of what would be removed: sent back, it makes sure that nothing else is.
    pub plan: Sha256,
    /// Removes the folders that are not the server's own, typed where they lie.
    pub shell: Option<String>,
}

/// `POST /api/v1/runs/{run}/cleanup`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CleanUp {
    /// The rule; the run's own when absent.
    #[serde(default)]
    pub rule: Option<CleanupRule>,
    /// `plan` of what was looked at.
    pub plan: Sha256,
}

/// What a clean-up did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CleanedUp {
    /// Checkpoints whose files were removed.
    pub removed: Vec<CheckpointId>,
    /// Bytes given back.
    pub freed_bytes: u64,
    /// Folders that are not the server's own and are left to whom they belong.
    pub by_reference: Vec<String>,
    /// Removes those.
    pub shell: Option<String>,
}
