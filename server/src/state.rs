use std::path::PathBuf;
use std::sync::Arc;

use sekisho_bench::Catalog;
use sekisho_domain::{Clock, Entropy, Timestamp};
use sekisho_policy::PolicySet;
use sekisho_store::Store;
use sekisho_store::blobs::Blobs;
use tokio::sync::{Mutex, Notify};

use crate::jobs::prepare::Preparer;
use crate::jobs::publish::Publisher;
use crate::service::comparisons::Rankings;
use crate::service::computed::Computed;
use crate::service::found::Finished;
use crate::service::passwords::Tries;
use crate::service::sources::Sources;
use crate::service::standing::Looking;
use crate::service::uploads::UploadLocks;
use crate::service::webhooks::WebhookKey;
use crate::web::Boards;
use crate::{Config, Events};

/// What every handler and job works with. Cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Inner>);

/// The fields behind [`App`].
pub struct Inner {
    /// Everything that is remembered.
    pub store: Arc<dyn Store>,
    /// Record chunks, card files.
    pub blobs: Blobs,
    /// The configuration, resolved.
    pub config: Config,
    /// Task definitions and suites: built in, and the user's.
    pub catalog: Catalog,
    /// The rules that releases are judged by.
    pub policy: PolicySet,
    /// Benchmark data files by digest.
    pub sources: Sources,
    /// What changed, for browsers.
    pub events: Events,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Random bytes.
    pub entropy: Arc<dyn Entropy>,
    /// Who writes to which upload.
    pub uploads: UploadLocks,
    /// Held while copies of checkpoints find their place, and while they are removed.
    pub keeping: Mutex<()>,
    /// Checkpoints whose files are read again at this moment.
    pub looking: Looking,
    /// Wakes the job that verifies checkpoints.
    pub ingest: Notify,
    /// Leaderboards before they are filtered, while nothing of them changes.
    pub boards: Boards,
    /// Means and comparisons of late.
    pub computed: Computed,
    /// Which rows of a leaderboard tests cannot tell apart, of late.
    pub rankings: Rankings,
    /// What finished evaluations found.
    pub finished: Finished,
    /// Held while comparisons are computed for a page.
    pub comparing: Mutex<()>,
    /// The key that releases and heads of the audit log are signed with.
    pub signing: sekisho_hub::signature::SigningKey,
    /// What the secrets of webhooks are derived from.
    pub webhook_key: WebhookKey,
    /// Wrong passwords of late.
    pub tries: Tries,
    /// Hands releases to the job that makes their files.
    pub prepare: Preparer,
    /// Hands releases to the job that publishes them.
    pub publish: Publisher,
}

impl App {
    /// Wraps the parts.
    #[must_use]
    pub fn new(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    /// The present instant.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Folder for the store's own copies of checkpoints.
    #[must_use]
    pub fn checkpoints_dir(&self) -> PathBuf {
        self.config.dir.join("checkpoints")
    }

    /// Folder for uploads that arrive in pieces, each in a folder of its own; kept over a start.
    #[must_use]
    pub fn uploads_dir(&self) -> PathBuf {
        self.config.dir.join("uploads")
    }

    /// Folder for uploads that are not complete yet; emptied at start.
    #[must_use]
    pub fn staging_dir(&self) -> PathBuf {
        self.config.dir.join("staging")
    }
}

impl std::ops::Deref for App {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}
