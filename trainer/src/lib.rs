//! The trainer: a specification in, checkpoints and a log out.
//!
//! [`Spec::load`] reads a run specification, [`train`] runs it in a folder of its own, [`replay`] says what it was trained on.
//! What a run does depends on its specification and its data alone: not on the number of threads, not on interruptions
//! (N+M updates equal N, a kill, and M more, bit for bit), not on whether a server listens.
//!
//! Architecture invariant: talks to the server over HTTP and files only, and never waits for it while it trains.

mod checkpoint;
mod data;
mod digests;
mod error;
mod folder;
pub mod grid;
mod init;
mod lineage;
mod log;
mod optimizer;
mod parent;
mod progress;
mod replay;
pub mod report;
mod rollback;
pub mod spec;
mod stability;
pub mod surgery;
mod trainer;

pub use data::{DataError, Texts};
pub use error::TrainError;
pub use progress::{Ended, Outcome, Progress, ServerAddress, SpikeScore, TrainOptions};
pub use replay::{ReplayedDocument, ReplayedSample, ReplayedStep, replay};
pub use spec::{Spec, SpecError};
pub use trainer::train;

#[cfg(test)]
mod tests;
