//! How workers are started. Here: a child process on this machine. Slurm and Kubernetes come with the cluster.

pub mod local;

/// Variable with the process id of whoever starts a worker or trainer that is to end with it.
pub const PARENT: &str = "SEKISHO_PARENT";
