use async_trait::async_trait;
use sekisho_domain::Timestamp;
use sekisho_domain::corpus::Subset;
use sekisho_domain::lineage::Level;

use crate::{AuditEntry, StoreError};

/// A subset in the registry.
#[derive(Clone, Debug, PartialEq)]
pub struct RegisteredSubset {
    /// What is registered.
    pub subset: Subset,
    /// Grows with every change; the ETag.
    pub version: u64,
    /// Registered at.
    pub created: Timestamp,
    /// Last change.
    pub updated: Timestamp,
}

/// One line of a subset's history: its registration, or a change with the reason.
#[derive(Clone, Debug, PartialEq)]
pub struct SubsetChange {
    /// Who.
    pub user_name: String,
    /// Level from then on.
    pub level: Option<Level>,
    /// What was registered before; none at the registration.
    pub before: Option<Subset>,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

/// The registry of corpora. Every change writes its line of history and its audit entry in the same transaction.
#[async_trait]
pub trait CorpusRepository: Send + Sync {
    /// Registers subsets that are not there and replaces those that are still at the given version, all or none.
    /// [`StoreError::Stale`] when one has changed, or is there although its version is 0.
    async fn put_subsets(
        &self,
        subsets: &[(Subset, u64)],
        change: &SubsetChange,
        audit: &AuditEntry,
    ) -> Result<(), StoreError>;
    /// By id.
    async fn subset(&self, id: &str) -> Result<Option<RegisteredSubset>, StoreError>;
    /// All, by corpus and id.
    async fn subsets(&self) -> Result<Vec<RegisteredSubset>, StoreError>;
    /// History of one, oldest first.
    async fn subset_changes(&self, id: &str) -> Result<Vec<SubsetChange>, StoreError>;
}
