use std::collections::HashSet;

use async_trait::async_trait;
use sekisho_domain::checkpoint::CheckpointState;
use sekisho_domain::manifest::FileStamp;
use sekisho_domain::{CheckpointId, Sha256, Text, Timestamp};

use crate::{AuditEntry, Checkpoint, StoreError};

/// What becomes of the files of checkpoints after they were examined. [`StoreError::Conflict`] in any other state than those named.
#[async_trait]
pub trait StandingRepository: Send + Sync {
    /// Notes what the file system says of the files that were read.
    async fn set_stamps(&self, id: CheckpointId, stamps: &[FileStamp]) -> Result<(), StoreError>;
    /// verified or changed → `state` (changed or gone), with the reason; others are told.
    async fn set_lost(
        &self,
        id: CheckpointId,
        state: CheckpointState,
        reason: &Text,
        audit: &AuditEntry,
    ) -> Result<(), StoreError>;
    /// changed or gone → verified: the files that were examined are there again.
    async fn set_found(
        &self,
        id: CheckpointId,
        stamps: &[FileStamp],
        audit: &AuditEntry,
    ) -> Result<(), StoreError>;
    /// verified or changed → gone, all or none: somebody gives their files up.
    async fn give_up(
        &self,
        ids: &[CheckpointId],
        reason: &Text,
        audit: &AuditEntry,
    ) -> Result<(), StoreError>;
    /// changed or gone → received: the same files are handed over again, from `path`.
    async fn hand_over_again(
        &self,
        id: CheckpointId,
        path: &str,
        owned: bool,
        now: Timestamp,
    ) -> Result<(), StoreError>;
    /// For each of these digests one verified checkpoint of the project whose own copy has a file with it, as far as there is one.
    async fn checkpoints_holding(
        &self,
        project: &str,
        digests: &[Sha256],
    ) -> Result<Vec<Checkpoint>, StoreError>;
    /// Checkpoints whose own copy lies, or will lie, in a folder of this name; those whose files were given up are not among them.
    async fn checkpoints_in_folder(&self, name: &str) -> Result<Vec<Checkpoint>, StoreError>;
    /// Those of the folders handed over by reference that checkpoints beside these stand on too.
    async fn folders_of_others(
        &self,
        paths: &[&str],
        these: &[CheckpointId],
    ) -> Result<HashSet<String>, StoreError>;
}
