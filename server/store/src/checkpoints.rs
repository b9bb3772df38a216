use async_trait::async_trait;
use sekisho_domain::checkpoint::CheckpointState;
use sekisho_domain::manifest::{FileEntry, FileStamp};
use sekisho_domain::{CheckpointId, RunId, Sha256, Step, Text, Timestamp, Tokens};

use crate::StoreError;

/// A checkpoint of a run. (run, step) is unique among those not refused.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// Its id.
    pub id: CheckpointId,
    /// The run.
    pub run: RunId,
    /// The run's name, joined in for display.
    pub run_name: String,
    /// Update number.
    pub step: Step,
    /// Training targets seen in this stage.
    pub tokens: Tokens,
    /// Where it stands.
    pub state: CheckpointState,
    /// Why it is refused, or what became of its files.
    pub refusal: Option<Text>,
    /// Folder with its files.
    pub path: String,
    /// Whether the folder is the store's own copy.
    pub owned: bool,
    /// Where that copy goes, from before its files are moved there.
    pub place: Option<String>,
    /// What was found, once verified.
    pub verification: Option<Verification>,
    /// What the file system said of its files when they were read; empty when that is not known.
    pub stamps: Vec<FileStamp>,
    /// Received at.
    pub created: Timestamp,
    /// Last change.
    pub updated: Timestamp,
}

/// What the examination of a checkpoint's bytes found.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Verification {
    /// Identity of weights and resolved configuration.
    pub digest: Sha256,
    /// Identity of the weights, independent of sharding.
    pub weights: Sha256,
    /// Digest of the tokenizer, if the folder has one.
    pub tokenizer: Option<Sha256>,
    /// Parameters.
    pub parameters: u64,
    /// Parameters in embeddings (input and output).
    pub embedding_parameters: u64,
    /// Number of tensors.
    pub tensors: u64,
    /// Data type of the weights.
    pub dtype: String,
    /// Vocabulary size.
    pub vocab_size: u64,
    /// Every file with size and digest.
    pub files: Vec<FileEntry>,
    /// Largest absolute value found, with its tensor.
    pub largest: Option<(String, f64)>,
    /// The resolved configuration.
    pub config: serde_json::Value,
}

/// Checkpoints.
#[async_trait]
pub trait CheckpointRepository: Send + Sync {
    /// Adds an announced checkpoint. When (run, step) is there and not refused: the existing one is answered and nothing changes.
    async fn add_checkpoint(&self, checkpoint: &Checkpoint) -> Result<Checkpoint, StoreError>;
    /// By id.
    async fn checkpoint(&self, id: CheckpointId) -> Result<Option<Checkpoint>, StoreError>;
    /// Of one run, by step.
    async fn checkpoints_of_run(&self, run: RunId) -> Result<Vec<Checkpoint>, StoreError>;
    /// Newest first.
    async fn checkpoints(&self, limit: u32) -> Result<Vec<Checkpoint>, StoreError>;
    /// Verified ones that no suite was ever queued for, oldest first.
    async fn checkpoints_unevaluated(&self) -> Result<Vec<Checkpoint>, StoreError>;
    /// In that state, oldest first.
    async fn checkpoints_in(&self, state: CheckpointState) -> Result<Vec<Checkpoint>, StoreError>;
    /// A verified checkpoint with the same digest, if one is there: the same bytes are kept once.
    async fn checkpoint_by_digest(&self, digest: Sha256) -> Result<Option<Checkpoint>, StoreError>;
    /// received → verifying; also verifying → verifying, after a start of the service that found it half examined.
    /// [`StoreError::Conflict`] in any other state, here and below.
    async fn start_verifying(&self, id: CheckpointId, now: Timestamp) -> Result<(), StoreError>;
    /// Notes where the store's own copy of a checkpoint that is received or verifying goes.
    async fn set_place(&self, id: CheckpointId, place: &str, now: Timestamp) -> Result<(), StoreError>;
    /// received or verifying → verified. `path` is where its files lie now.
    async fn set_verified(
        &self,
        id: CheckpointId,
        path: &str,
        owned: bool,
        found: &Verification,
        now: Timestamp,
    ) -> Result<(), StoreError>;
    /// received, verifying or verified (its bytes have changed) → refused.
    async fn set_refused(&self, id: CheckpointId, reason: &Text, now: Timestamp) -> Result<(), StoreError>;
}
