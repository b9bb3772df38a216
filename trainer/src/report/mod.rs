//! Talking to the server: a plain client, and a reporter in the background that training never waits for.

mod background;
mod client;
mod told;
mod upload;

pub(crate) use background::{Reporter, Subject};
pub use client::{ReportError, RunClient};
pub use upload::{UploadEvent, UploadOptions};
