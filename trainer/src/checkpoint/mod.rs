//! Checkpoints: a Hugging Face folder that other programs load, and beside it everything that an exact resume needs.
//!
//! A checkpoint appears under its name when all of it is on the disk, and never before.

mod export;
mod keep;
mod restore;
mod save;
mod state;
mod writer;

pub(crate) use keep::{held, is_permanent, removable};
pub(crate) use restore::{Restored, check_data, check_spec, restore};
pub(crate) use save::Subject;
pub(crate) use state::{DecayGroups, State};
pub(crate) use writer::Writer;

/// The folder with what only the trainer reads.
const TRAINING_STATE: &str = "training_state";
const PARAMETERS: &str = "parameters.safetensors";
const MOMENTS: &str = "moments.safetensors";
const STATE: &str = "state.json";

/// Names of the two moments in front of a parameter's.
const EXP_AVG: &str = "exp_avg.";
const EXP_AVG_SQ: &str = "exp_avg_sq.";
