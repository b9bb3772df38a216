use serde::{Deserialize, Serialize};

use crate::{LaunchId, Timestamp};

/// Where a launch stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LaunchState {
    /// It is being handed over; nobody has said yet that it was taken.
    Starting,
    /// The launcher has it.
    Active,
    /// All its workers have ended.
    Ended,
    /// The launcher did not take it.
    Refused,
}

impl LaunchState {
    /// As it is kept and sent.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Active => "active",
            Self::Ended => "ended",
            Self::Refused => "refused",
        }
    }
}

impl std::str::FromStr for LaunchState {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = [Self::Starting, Self::Active, Self::Ended, Self::Refused];
        all.into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| format!("\"{text}\" is no state of a launch"))
    }
}

/// Where one worker of a launch stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TaskState {
    /// It waits for its turn.
    Waiting,
    /// It runs.
    Running,
    /// It ended by itself.
    Ended,
    /// It ended with an error.
    Failed,
    /// Somebody ended it.
    Cancelled,
}

impl TaskState {
    /// As it is kept and sent.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Ended => "ended",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether it runs or will.
    #[must_use]
    pub const fn is_alive(self) -> bool {
        matches!(self, Self::Waiting | Self::Running)
    }
}

/// One worker of a launch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LaunchTask {
    /// Where it stands.
    pub state: TaskState,
    /// The launcher's own words: its state, the reason why it waits, the node.
    pub note: String,
}

impl LaunchTask {
    /// One that nobody has said anything of.
    #[must_use]
    pub const fn waiting() -> Self {
        Self { state: TaskState::Waiting, note: String::new() }
    }
}

/// Workers that were asked of a launcher together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LaunchView {
    /// Its id.
    pub id: LaunchId,
    /// Which launcher.
    pub launcher: String,
    /// The pool that its workers work for; empty for any.
    pub pool: String,
    /// Its id at the launcher, as `sacct` or `qstat` takes it; empty before there is one.
    pub job: String,
    /// Where it stands.
    pub state: LaunchState,
    /// Its workers, by their number.
    pub tasks: Vec<LaunchTask>,
    /// The launcher's own words, where it refused or could not be asked.
    pub message: String,
    /// Folder with script and logs.
    pub folder: String,
    /// What is asked of it and not carried out yet: `cancel`, or `requeue N`; empty otherwise.
    pub asked: String,
    /// When it was asked for.
    pub created: Timestamp,
    /// Last change.
    pub updated: Timestamp,
}

/// How a launcher stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LauncherView {
    /// Its name in the configuration.
    pub name: String,
    /// `slurm`, `processes` or `command`.
    pub kind: String,
    /// The pool that it starts workers for; empty for any.
    pub pool: String,
    /// Most workers at a time.
    pub limit: u32,
    /// Workers that run or wait for their turn.
    pub workers: u32,
    /// Whether somebody has told it to start none.
    pub paused: bool,
    /// Why it starts none, or could not be asked: its own words.
    pub message: String,
    /// When it is tried again, after a refusal.
    pub again: Option<Timestamp>,
}
