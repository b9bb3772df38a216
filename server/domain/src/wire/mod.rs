//! Requests and answers of `/api/v1` that more than one crate speaks: the server answers what trainers, workers and the
//! command line ask. Additive changes only.

mod bundles;
mod cleanup;
mod contamination;
mod launches;
mod problem;
mod runs;
mod uploads;
mod work;

pub use bundles::{MakeBundle, WorkBundle};
pub use cleanup::{CleanUp, CleanedUp, CleanupItem, CleanupRule, CleanupView, Kept, KeptReason};
pub use contamination::{
    ContaminationMethod, ContaminationReport, KeptContamination, ScannedSubset, TaskContamination,
    data_digest,
};
pub use launches::{LaunchState, LaunchTask, LaunchView, LauncherView, TaskState};
pub use problem::Problem;
pub use runs::{AnnounceCheckpoint, CheckpointView, MetricsAccepted, MetricsBatch, RegisterRun, RunView};
pub use uploads::{BeginUpload, UploadFileView, UploadView};
pub use work::{
    Claim, ClaimedItems, Heartbeat, HeartbeatAnswer, HeldItem, ItemFailure, NextCheckpoint, ResultsAccepted,
    ResultsBatch, SourceFile, WorkItem,
};
