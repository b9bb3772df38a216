//! Where the service keeps what it knows: repository traits, their implementation in SQL, the work queue and the blob store.
//!
//! Architecture invariants: only this crate holds SQL; lookups answer `Result<Option<T>>`, because what "not there" means is the
//! caller's decision; time comes in as an argument; every change of state and its audit entry commit together.

mod audit;
mod board;
mod channels;
mod checkpoints;
mod chunk;
mod cluster;
mod contamination;
mod corpora;
mod error;
mod evaluations;
mod keyed;
mod launches;
mod lists;
mod parts;
mod people;
mod policies;
mod projects;
mod queue;
mod releases;
mod reports;
mod runs;
mod sign_in;
mod standing;
#[cfg(test)]
mod story;
mod uploads;
mod webhooks;

pub mod blobs;
mod sql;

pub use audit::{AuditEntry, AuditFilter, AuditRepository};
pub use board::{BoardRepository, Candidates, Reported, Standing, StandingWork};
pub use channels::{Channel, ChannelRepository};
pub use checkpoints::{Checkpoint, CheckpointRepository, Verification};
pub use cluster::ClusterRepository;
pub use contamination::ContaminationRepository;
pub use corpora::{CorpusRepository, RegisteredSubset, SubsetChange};
pub use error::StoreError;
pub use evaluations::{Evaluation, EvaluationRepository, RecordChunk, ScoreRow};
pub use keyed::{KeptAnswer, KeyStanding, KeyedRepository, KeyedRequest};
pub use launches::{Launch, LaunchRepository, LauncherStanding};
pub use lists::{CheckpointSummary, ListRepository, QueueHealth, RunFilter};
pub use parts::PartRepository;
pub use people::{ApiToken, LoginLink, PeopleRepository, Session, SessionKind, User};
pub use policies::{KeptPolicy, PolicyRepository};
pub use projects::{Project, ProjectRepository};
pub use queue::{MAX_ATTEMPTS, NewWork, Progress, QueueRepository, Try, WorkRow};
pub use releases::{
    Approval, ApprovalKind, CardEdits, Comment, HubCommit, Prepared, PublishStep, Release, ReleaseRepository,
    StepState,
};
pub use reports::{Appended, EventDecision, ReportRepository};
pub use runs::{Run, RunRepository};
pub use sign_in::{LoginRequest, Password, SignInRepository};
pub use sql::SqlStore;
pub use standing::StandingRepository;
pub use uploads::{Upload, UploadFile, UploadRepository};
pub use webhooks::{Attempt, Circuit, Endpoint, Happening, Message, Outcome, Resend, WebhookRepository};

/// Everything the service keeps. [`SqlStore`] implements it, on SQLite and on PostgreSQL; one story is told on both by the tests.
pub trait Store:
    RunRepository
    + ReportRepository
    + CheckpointRepository
    + StandingRepository
    + UploadRepository
    + EvaluationRepository
    + QueueRepository
    + ReleaseRepository
    + ChannelRepository
    + CorpusRepository
    + ContaminationRepository
    + PolicyRepository
    + PeopleRepository
    + ProjectRepository
    + SignInRepository
    + AuditRepository
    + WebhookRepository
    + ListRepository
    + BoardRepository
    + PartRepository
    + KeyedRepository
    + ClusterRepository
    + LaunchRepository
{
}

impl<T> Store for T where
    T: RunRepository
        + ReportRepository
        + CheckpointRepository
        + StandingRepository
        + UploadRepository
        + EvaluationRepository
        + QueueRepository
        + ReleaseRepository
        + ChannelRepository
        + CorpusRepository
        + ContaminationRepository
        + PolicyRepository
        + PeopleRepository
        + ProjectRepository
        + SignInRepository
        + AuditRepository
        + WebhookRepository
        + ListRepository
        + BoardRepository
        + PartRepository
        + KeyedRepository
        + ClusterRepository
        + LaunchRepository
{
}
