use std::process::ExitCode;

use sekisho_domain::wire::Problem;
use sekisho_trainer::TrainError;
use sekisho_trainer::report::ReportError;

/// How a command ends. The numbers are part of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExitStatus {
    /// It did what was asked.
    Ok = 0,
    /// A failure that the user can see and mend.
    Failure = 1,
    /// A fault of the program or its surroundings.
    Unexpected = 2,
    /// No such thing.
    NotFound = 3,
    /// Not possible in this state, or stale.
    Conflict = 4,
    /// Refused by policy, level, licence or gate.
    Refused = 5,
    /// What was waited for did not come in time.
    TimedOut = 124,
    /// Stopped by the user.
    Interrupted = 130,
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(status as u8)
    }
}

/// What policy, level or licence refuse, and what no stored token does.
const REFUSALS: &[&str] = &[
    "policy-refused",
    "token-cannot-approve",
    "level-mismatch",
    "level-in-person",
    "level-forbids-use",
    "license-contradiction",
];

/// A failure with its exit status. The sentence names the thing, the rule and the way on.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Failed {
    pub(crate) status: ExitStatus,
    pub(crate) message: String,
}

impl Failed {
    pub(crate) fn with(status: ExitStatus, message: impl Into<String>) -> anyhow::Error {
        Self { status, message: message.into() }.into()
    }

    /// A failure that the user can see and mend: exit 1.
    pub(crate) fn user(error: impl std::fmt::Display) -> anyhow::Error {
        Self::with(ExitStatus::Failure, error.to_string())
    }

    /// A failure below which the disk may be full: exit 1 with the way on. Any other stays what it was.
    pub(crate) fn on_disk(error: anyhow::Error) -> anyhow::Error {
        let full = error.chain().find_map(|cause| cause.downcast_ref::<std::io::Error>());
        match full.filter(|error| sekisho_domain::is_disk_full(*error)) {
            Some(error) => Self::user(sekisho_domain::disk_sentence(error)),
            None => error,
        }
    }
}

/// What a server answered to a trainer's or an ingest's request.
impl From<ReportError> for Failed {
    fn from(error: ReportError) -> Self {
        let message = error.to_string();
        match error {
            ReportError::Refused { problem } => Self { message, ..Self::from(*problem) },
            ReportError::Unreachable { .. } | ReportError::File(_) => {
                Self { status: ExitStatus::Failure, message }
            }
        }
    }
}

impl From<TrainError> for Failed {
    fn from(error: TrainError) -> Self {
        match error {
            TrainError::Server(error) => error.into(),
            error => Self { status: ExitStatus::Failure, message: error.to_string() },
        }
    }
}

impl From<Problem> for Failed {
    fn from(problem: Problem) -> Self {
        let status = match (problem.status, problem.code.as_str()) {
            (404, _) => ExitStatus::NotFound,
            (409 | 412 | 428, _) => ExitStatus::Conflict,
            (_, code) if REFUSALS.contains(&code) => ExitStatus::Refused,
            // A full disk there is for somebody to mend, and so is a database; any other failure of the server is a fault.
            (500.., code) if !["disk-full", "database-away"].contains(&code) => ExitStatus::Unexpected,
            _ => ExitStatus::Failure,
        };
        Self { status, message: problem.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use sekisho_domain::wire::Problem;

    use super::{ExitStatus, Failed};

    #[test]
    fn what_level_and_licence_refuse_is_told_from_a_mistake() {
        let status = |status: u16, code: &str| {
            let (kind, title) = ("about:blank".to_owned(), String::new());
            let (code, detail) = (code.to_owned(), String::new());
            Failed::from(Problem { kind, title, status, detail, code, instance: None, offset: None }).status
        };
        for code in ["level-mismatch", "level-in-person", "level-forbids-use", "license-contradiction"] {
            assert_eq!(status(422, code), ExitStatus::Refused, "{code}");
        }
        assert_eq!(status(403, "role-missing"), ExitStatus::Failure);
        assert_eq!(status(409, "level-mismatch"), ExitStatus::Conflict);
    }
}
