use std::collections::HashMap;

use async_trait::async_trait;
use sekisho_domain::wire::{LaunchState, LaunchTask};
use sekisho_domain::{LaunchId, Timestamp};

use crate::{AuditEntry, StoreError};

/// Workers that were asked of a launcher together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    /// Its id.
    pub id: LaunchId,
    /// Which launcher.
    pub launcher: String,
    /// The pool that its workers work for; empty for any.
    pub pool: String,
    /// Its id at the launcher; empty before there is one.
    pub job: String,
    /// Where it stands.
    pub state: LaunchState,
    /// Its workers, by their number.
    pub tasks: Vec<LaunchTask>,
    /// The launcher's own words.
    pub message: String,
    /// Folder with script and logs.
    pub folder: String,
    /// What is asked of it and not carried out yet.
    pub asked: String,
    /// When it was asked for.
    pub created: Timestamp,
    /// Last change.
    pub updated: Timestamp,
}

/// How a launcher stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LauncherStanding {
    /// Whether somebody has told it to start none.
    pub paused: bool,
    /// Refusals in a row.
    pub refusals: u32,
    /// When it is tried again.
    pub not_before: Option<Timestamp>,
    /// Its own words.
    pub message: String,
}

/// Launches and launchers.
#[async_trait]
pub trait LaunchRepository: Send + Sync {
    /// Keeps a new one.
    async fn add_launch(&self, launch: &Launch) -> Result<(), StoreError>;
    /// Writes job, state, tasks and message. What is asked of it is left alone.
    async fn set_launch(&self, launch: &Launch) -> Result<(), StoreError>;
    /// Notes what somebody asks of it.
    async fn ask_launch(&self, id: LaunchId, asked: &str, audit: &AuditEntry) -> Result<(), StoreError>;
    /// What was asked of it is done, or refused; something else that was asked meanwhile stays.
    async fn launch_answered(&self, id: LaunchId, asked: &str) -> Result<(), StoreError>;
    /// One.
    async fn launch(&self, id: LaunchId) -> Result<Option<Launch>, StoreError>;
    /// Those that have not ended, and those of which something is asked, the oldest first.
    async fn open_launches(&self) -> Result<Vec<Launch>, StoreError>;
    /// All, the newest first; those older than `before` where it is given.
    async fn launches(&self, before: Option<LaunchId>, limit: u32) -> Result<Vec<Launch>, StoreError>;
    /// How launchers stand, by name; those of which nothing is known are absent.
    async fn launchers(&self) -> Result<HashMap<String, LauncherStanding>, StoreError>;
    /// Writes how a launcher stands, whether somebody has paused it apart.
    async fn set_launcher(&self, name: &str, standing: &LauncherStanding) -> Result<(), StoreError>;
    /// Pauses a launcher, or lets it go on; then nothing is held against it any more.
    async fn pause_launcher(&self, name: &str, paused: bool, audit: &AuditEntry) -> Result<(), StoreError>;
    /// Items of a pool that a worker could take now, counted up to `most`.
    async fn waiting_in(&self, pool: &str, most: u64, now: Timestamp) -> Result<u64, StoreError>;
    /// Ends the leases of a worker that has died: its items wait again, and the try counts, as if it had fallen silent.
    async fn expire(&self, worker: &str, now: Timestamp) -> Result<(), StoreError>;
    /// Items under a lease, by worker.
    async fn held_by(&self, now: Timestamp) -> Result<HashMap<String, u64>, StoreError>;
}
