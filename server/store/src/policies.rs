use async_trait::async_trait;
use sekisho_domain::{Sha256, Timestamp};

use crate::StoreError;

/// A policy set that judged here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptPolicy {
    /// Its digest.
    pub digest: Sha256,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its rules, whole.
    pub text: String,
}

/// Policy sets, immutable, and which was in force since when.
#[async_trait]
pub trait PolicyRepository: Send + Sync {
    /// Keeps the set, and writes down that it is in force from now on unless it is already.
    async fn put_in_force(&self, set: &KeptPolicy, now: Timestamp) -> Result<(), StoreError>;
    /// By digest.
    async fn policy(&self, digest: Sha256) -> Result<Option<KeptPolicy>, StoreError>;
    /// Which set was in force since when, newest first.
    async fn policies_in_force(&self) -> Result<Vec<(KeptPolicy, Timestamp)>, StoreError>;
}
