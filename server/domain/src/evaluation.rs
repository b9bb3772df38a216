//! An evaluation: one checkpoint on one suite, cut into work items.

use serde::{Deserialize, Serialize};

use crate::state::named;

named! {
    /// Where an evaluation, or one of its work items, stands.
    WorkState {
        /// In the queue.
        Waiting = "waiting",
        /// Leased by a worker.
        Running = "running",
        /// Every item answered and scored.
        Finished = "finished",
        /// Gave up after its last try; the reason is kept.
        Failed = "failed",
    }
}

named! {
    /// Whether the prompt starts with the beginning-of-sequence token.
    Bos {
        /// The profile's own rule.
        Auto = "auto",
        /// Always.
        On = "on",
        /// Never.
        Off = "off",
    }
}

/// One line of a suite: which task, on which items, with how many shots.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TaskRun {
    /// Versioned profile, e.g. `llm-jp-eval@1.3`.
    pub profile: String,
    /// The harness's own task id.
    pub task: String,
    /// `dev` or `test`.
    pub split: String,
    /// The first so many items; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// Shots; the task's default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shots: Option<u32>,
}
