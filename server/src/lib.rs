//! The service: takes checkpoints in, hands work out, shows what came of it, and lets releases out with a permit.
//!
//! Architecture invariant: no tensor library is linked here. Training and evaluation run in processes of their own
//! (`sekisho train`, `sekisho worker`), so a fault in them cannot take the service down.

mod auth;
mod config;
mod egress;
mod error;
mod error_ja;
mod events;
mod fault;
mod kept;
mod reader;
mod state;
mod system;

pub mod jobs;
pub mod launch;
pub mod serve;
pub mod service;
pub mod web;

pub use auth::{Actor, Proof, Viewer, new_secret, sign_in};
pub use config::{Anonymous, Config, ConfigError};
pub use error::WebError;
pub use error_ja::Noun;
pub use events::{Change, Events};
pub use kept::Kept;
pub use reader::{Answer, Reader};
pub use serve::{ServeError, Server, bind, take};
pub use state::App;
pub use system::{SharedClock, SystemClock, SystemEntropy};
