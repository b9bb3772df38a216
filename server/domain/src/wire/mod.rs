//! Requests and answers of `/api/v1` that more than one crate speaks: the server answers what trainers, workers and the
//! command line ask. Additive changes only.

mod contamination;
mod problem;
mod runs;
mod work;

pub use contamination::{
    ContaminationMethod, ContaminationReport, KeptContamination, ScannedSubset, TaskContamination,
    data_digest,
};
pub use problem::Problem;
pub use runs::{AnnounceCheckpoint, CheckpointView, MetricsAccepted, MetricsBatch, RegisterRun, RunView};
pub use work::{
    Claim, ClaimedItems, Heartbeat, HeartbeatAnswer, HeldItem, ItemFailure, NextCheckpoint, ResultsAccepted,
    ResultsBatch, SourceFile, WorkItem,
};
