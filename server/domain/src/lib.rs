//! The vocabulary of Sekisho: ids, units, entities, state machines and the types that cross the wire.
//!
//! Architecture invariant: no I/O, no clock, no randomness, no environment. Time and random bytes come in as
//! arguments ([`Clock`], [`Entropy`]), so every other crate can be tested with fixed ones.

mod canonical;
mod digest;
mod full;
mod glob;
mod id;
mod language;
mod state;
mod strict_toml;
mod text;
mod time;
mod units;

pub mod audit;
pub mod channel;
pub mod checkpoint;
pub mod corpus;
pub mod evaluation;
pub mod lineage;
pub mod manifest;
pub mod release;
pub mod reported;
pub mod run;
pub mod schedule;
pub mod score;
pub mod user;
pub mod webhook;
pub mod wire;

pub use canonical::canonical_json;
pub use digest::{DigestError, Sha256};
pub use full::{disk_sentence, is_disk_full};
pub use glob::fits_glob;
pub use id::{
    ChannelId, CheckpointId, EndpointId, EvaluationId, EventId, IdError, LaunchId, MessageId, ReleaseId,
    RunId, TokenId, UploadId, UserId, WorkItemId,
};
pub use language::Language;
pub use state::StateError;
pub use strict_toml::{TomlError, nearest, parse_toml};
pub use text::Text;
pub use time::{Clock, Entropy, Timestamp};
pub use units::{Step, Tokens};
