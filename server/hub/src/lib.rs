//! Publishing to a Hugging Face Hub, and the model card.
//!
//! [`Publisher::publish`] is a list of idempotent steps: each looks at the Hub before it acts and again after an error, so a
//! publication that was cut off anywhere is finished by asking for the same publication again. The order is the point:
//! nothing leaves before the write right is known, no byte before the repository is seen to be private, one commit that
//! names its parent, bytes compared on the remote tree, the tag, the visibility last, and then a look without a token.
//! [`Publisher::plan`] only looks; [`Publisher::yank`] and [`Publisher::revise`] change cards and access of what is published.
//! [`signature`] says who published exactly these files.
//!
//! `hf-hub` creates repositories, branches and tags and changes settings. Bytes and the commit are ours, because its
//! `create_commit` inlines whole shards into one request where a Hub does not speak Xet, repeats a commit that is not
//! idempotent, and gives no way to switch off the telemetry of `hf-xet` or to say where that keeps its files.
//!
//! Architecture invariant: an address that came from the Hub's answers is used only when it is https (or loopback), and the
//! token is sent to the configured endpoint alone.

pub mod card;
pub mod signature;

mod bundle;
mod config;
mod error;
mod error_ja;
mod eval_results;
mod intended;
mod journal;
mod new_version;
mod publish;
mod remote;
mod upload;

pub use bundle::{Bundle, BundleFile, Existing, Source};
pub use config::{HubConfig, Patience, Token};
pub use error::PublishError;
pub use eval_results::{EvalSource, eval_results};
pub use journal::{Journal, JournalError, Step};
pub use new_version::with_new_version;
pub use publish::{
    CardRevision, Hide, Objection, Plan, PlannedFile, Progress, Published, Publisher, RepositoryNow, Revised,
    SettingChange, TagNow, Tombstone, What,
};
