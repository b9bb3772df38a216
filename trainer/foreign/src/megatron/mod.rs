//! Megatron-LM and its forks: arguments as text or as the dump at the top of a log, and iteration lines.
//!
//! Source: `megatron/training/{arguments,training}.py` of NVIDIA/Megatron-LM from 2020 to 2025, of llm-jp's fork, and of
//! Megatron-DeepSpeed, whose lines this reads too.

mod args;
pub(crate) mod log;
mod spec;

pub(crate) use args::Dump;
pub use args::{Args, arguments};
pub use spec::{setup, specification};
