//! What other trainers write, read: arguments and logs of Megatron-LM, configurations and logs of torchtitan and nanotron, TensorBoard event files, W&B's
//! exports; and the warnings that any configuration gets, whoever trains.
//!
//! Architecture invariant: bytes and text in, values out. No files, no clock, no environment.

pub mod configuration;
mod error;
mod history;
mod log;
pub mod megatron;
mod names;
mod nanotron;
mod number;
pub mod tensorboard;
mod torchtitan;
pub mod wandb;
pub mod warnings;

pub use configuration::{Configuration, Source, configuration};
pub use error::ForeignError;
pub use history::{History, Mark, Row, When};
pub use log::{LogReader, Setup, Trainer};
pub use warnings::{Warning, warnings};

#[cfg(test)]
mod tests;
