use async_trait::async_trait;
use sekisho_domain::channel::{ChannelState, ChannelTakes};
use sekisho_domain::{ChannelId, CheckpointId, ReleaseId, Sha256, Timestamp, UserId};

use crate::{Approval, AuditEntry, Release, StoreError};

/// What goes out by itself: checkpoints of certain runs, released like one that people let out before.
#[derive(Clone, Debug, PartialEq)]
pub struct Channel {
    /// Its id.
    pub id: ChannelId,
    /// The project of its runs and releases.
    pub project: String,
    /// What people call it.
    pub name: String,
    /// Where it stands.
    pub state: ChannelState,
    /// Who proposed it.
    pub author: UserId,
    /// The published release that the others are like: lineage, repository, texts.
    pub reference: ReleaseId,
    /// Glob over the names of runs.
    pub runs: String,
    /// Which of their checkpoints.
    pub takes: ChannelTakes,
    /// Branch on the Hub, with `{run}` and `{step}`.
    pub revision: String,
    /// The blanket approval ends at this instant.
    pub until: Timestamp,
    /// Digest of exactly what is approved.
    pub digest: Sha256,
    /// Approvals needed.
    pub approvals_needed: u32,
    /// Since the last approval that was needed; checkpoints that came before are not taken.
    pub active_since: Option<Timestamp>,
    /// Grows with every change; the ETag.
    pub version: u64,
    /// Proposed at.
    pub created: Timestamp,
    /// Last change.
    pub updated: Timestamp,
}

/// Channels. Every change names the version it was made from and writes its audit entry in the same transaction.
#[async_trait]
pub trait ChannelRepository: Send + Sync {
    /// Adds a channel.
    async fn add_channel(&self, channel: &Channel, audit: &AuditEntry) -> Result<(), StoreError>;
    /// By id.
    async fn channel(&self, id: ChannelId) -> Result<Option<Channel>, StoreError>;
    /// All, newest first.
    async fn channels(&self) -> Result<Vec<Channel>, StoreError>;
    /// Writes state and `active_since` if the version is still `channel.version`, and raises it by one. [`StoreError::Stale`]
    /// otherwise.
    async fn update_channel(&self, channel: &Channel, audit: &AuditEntry) -> Result<(), StoreError>;
    /// Adds an approval and writes the channel, as [`Self::update_channel`]. [`StoreError::Conflict`] when that person approved it
    /// before, [`StoreError::Stale`] also when the digest is not the channel's.
    async fn approve_channel(
        &self,
        channel: &Channel,
        approval: &Approval,
        audit: &AuditEntry,
    ) -> Result<(), StoreError>;
    /// Its approvals, oldest first.
    async fn channel_approvals(&self, id: ChannelId) -> Result<Vec<Approval>, StoreError>;
    /// Adds a release that a channel made of a checkpoint. [`StoreError::Conflict`] when it took that checkpoint before.
    async fn add_channel_release(
        &self,
        id: ChannelId,
        release: &Release,
        audit: &AuditEntry,
    ) -> Result<(), StoreError>;
    /// The checkpoints that it took and their releases, newest first.
    async fn channel_releases(&self, id: ChannelId) -> Result<Vec<(CheckpointId, ReleaseId)>, StoreError>;
}
