//! The evaluator: plan, run, record.
//!
//! [`run_tasks`] asks one model the items of some tasks and hands every answer over as a scored record as soon as it is there;
//! [`evaluate`] does so without a server. Prompts become a trie of token ids and every edge is run once, many in a batch;
//! without sharing every sequence is run by itself, and the records are the same bit for bit, because a token's numbers
//! depend only on the tokens before it. Where a server answers for the model instead ([`Remote`]), prompts, questions and records
//! are the same.
//!
//! Architecture invariant: knows models and tasks, not runs or databases. No tensor type leaves this crate.

pub mod bundle;

mod client;
mod contamination;
mod encode;
mod environment;
mod error;
mod evaluate;
mod generate;
mod lease;
mod ledger;
mod models;
mod out;
mod plan;
mod prompts;
mod questions;
mod remote;
mod run;
mod timing;
mod walk;
mod worker;

pub use client::ClientError;
pub use contamination::{Found, Scan};
pub use environment::environment;
pub use error::EvalError;
pub use evaluate::{ModelView, Progress, Report, Request, evaluate};
pub use prompts::Prompts;
pub use remote::{Fault, Remote, RemoteError, RemoteOptions};
pub use run::{Engine, Model, Settings, Spent, Task, Watch, run_tasks};
pub use timing::Timing;
pub use worker::{Ended, Worker, WorkerError, WorkerOptions};
