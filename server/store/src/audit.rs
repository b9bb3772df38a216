use async_trait::async_trait;
pub use sekisho_domain::audit::AuditEntry;
use sekisho_domain::audit::{AuditFault, AuditHead, ChainedEntry};
use sekisho_domain::{Sha256, Timestamp};

use crate::StoreError;

/// What is looked for in the log; nothing given means everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Account name.
    pub actor: Option<String>,
    /// What the action begins with: `release.`, `user.roles`.
    pub action: Option<String>,
    /// To what.
    pub object: Option<String>,
    /// `done`, `refused` or `failed`.
    pub result: Option<String>,
    /// What the proof begins with: `session`, `login`, `token`, `system`.
    pub by: Option<String>,
    /// Not before this second.
    pub from: Option<Timestamp>,
    /// Before this second.
    pub until: Option<Timestamp>,
}

/// The audit log: append-only, each entry hashed over the one before it.
#[async_trait]
pub trait AuditRepository: Send + Sync {
    /// Appends an entry.
    async fn append_audit(&self, entry: &AuditEntry) -> Result<(), StoreError>;
    /// Newest first, those below a number (all when it is none).
    async fn audit(
        &self,
        filter: &AuditFilter,
        below: Option<u64>,
        limit: u32,
    ) -> Result<Vec<ChainedEntry>, StoreError>;
    /// Oldest first, those above a number.
    async fn audit_after(&self, seq: u64, limit: u32) -> Result<Vec<ChainedEntry>, StoreError>;
    /// Number and hash of the last entry; none in an empty log.
    async fn audit_end(&self) -> Result<Option<(u64, Sha256)>, StoreError>;
    /// Recomputes the chain and holds it against heads taken before: the number of entries, or what does not fit.
    async fn verify_audit(&self, heads: &[AuditHead]) -> Result<Result<u64, AuditFault>, StoreError>;
}
