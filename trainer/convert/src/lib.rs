//! Checkpoints of other trainers as Hugging Face folders: Megatron-LM's (`torch` and `torch_dist`) and those of
//! `torch.distributed.checkpoint`, of Llamas, without Python, without a GPU and a piece of a tensor at a time.
//!
//! Architecture invariant: nothing that a checkpoint says is ever executed. Its pickles are read as data by [`pickle`], which knows a
//! short list of names; everything is held against bounds before memory is taken for it.

mod arguments;
mod convert;
mod dcp;
mod detect;
mod error;
mod file;
mod legacy;
mod names;
mod pickle;
mod plan;
mod report;
mod source;
mod torch;
mod write;
mod zip;

pub use convert::{Options, Origin, convert, origin};
pub use detect::{Format, detect, is_complete, step_of};
pub use error::ConvertError;
pub use report::{Report, Written};
pub use write::Progress;
