use async_trait::async_trait;
use sekisho_domain::{RunId, Sha256, Step, Timestamp, Tokens, UploadId};

use crate::StoreError;

/// A checkpoint on its way in, piece by piece.
#[derive(Clone, Debug, PartialEq)]
pub struct Upload {
    /// Its id.
    pub id: UploadId,
    /// The run.
    pub run: RunId,
    /// Update number.
    pub step: Step,
    /// Training targets seen in this stage.
    pub tokens: Tokens,
    /// SHA-256 over step, tokens and the list of files.
    pub key: Sha256,
    /// Account that began it.
    pub who: String,
    /// Its files, by path.
    pub files: Vec<UploadFile>,
    /// Begun at.
    pub created: Timestamp,
    /// Last piece at.
    pub updated: Timestamp,
}

/// A file of an upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadFile {
    /// Its name.
    pub path: String,
    /// Bytes that it will have.
    pub size: u64,
    /// SHA-256 that it will have.
    pub sha256: Sha256,
    /// Bytes that are on the disk.
    pub received: u64,
    /// Whether all bytes are there and have that SHA-256.
    pub done: bool,
}

/// Uploads.
#[async_trait]
pub trait UploadRepository: Send + Sync {
    /// Adds an upload. When the run has one with the same key: that one is answered and nothing changes.
    async fn add_upload(&self, upload: &Upload) -> Result<Upload, StoreError>;
    /// By id.
    async fn upload(&self, id: UploadId) -> Result<Option<Upload>, StoreError>;
    /// Of one run, oldest first.
    async fn uploads_of(&self, run: RunId) -> Result<Vec<Upload>, StoreError>;
    /// Those without a piece since then, oldest first.
    async fn uploads_silent_since(&self, then: Timestamp) -> Result<Vec<Upload>, StoreError>;
    /// Of each upload of the project a file that is done and has one of these digests.
    async fn uploads_holding(
        &self,
        project: &str,
        digests: &[Sha256],
    ) -> Result<Vec<(UploadId, UploadFile)>, StoreError>;
    /// Moves a file on from `from` bytes to `to`; whether it was there. What is done is not moved.
    async fn set_received(
        &self,
        id: UploadId,
        path: &str,
        from: u64,
        to: u64,
        now: Timestamp,
    ) -> Result<bool, StoreError>;
    /// Notes that a file is complete and what was announced.
    async fn set_file_done(&self, id: UploadId, path: &str, now: Timestamp) -> Result<(), StoreError>;
    /// Forgets an upload.
    async fn remove_upload(&self, id: UploadId) -> Result<(), StoreError>;
}
