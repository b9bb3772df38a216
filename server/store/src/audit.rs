use async_trait::async_trait;
use sekisho_domain::Timestamp;

use crate::StoreError;

/// One line of the audit log: who did what to what, and how they had proved who they are.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct AuditEntry {
    /// When.
    pub at: Timestamp,
    /// Account name, or `system`.
    pub actor: String,
    /// `session`, `token:<id>` or `system`.
    pub by: String,
    /// What was done, e.g. `release.approve`.
    pub action: String,
    /// To what, e.g. a release id.
    pub object: String,
    /// `done`, `refused`, or `failed` for what the service itself could not do.
    pub result: String,
    /// Details.
    pub detail: serde_json::Value,
}

/// The audit log: append-only, each entry hashed over the one before it.
#[async_trait]
pub trait AuditRepository: Send + Sync {
    /// Appends an entry.
    async fn append_audit(&self, entry: &AuditEntry) -> Result<(), StoreError>;
    /// Newest first.
    async fn audit(&self, limit: u32) -> Result<Vec<AuditEntry>, StoreError>;
    /// Recomputes the chain: the number of entries, or the first one that does not fit.
    async fn verify_audit(&self) -> Result<Result<u64, u64>, StoreError>;
}
