use std::collections::HashSet;

use async_trait::async_trait;
use sekisho_domain::RunId;
use sekisho_domain::wire::KeptContamination;

use crate::{AuditEntry, StoreError};

/// Reports on items of benchmarks in the training text of runs. There is one per run, profile, task, split and data.
#[async_trait]
pub trait ContaminationRepository: Send + Sync {
    /// Keeps reports on a run, all or none; each takes the place of an older one on the same task, split and data.
    async fn put_contamination(
        &self,
        run: RunId,
        reports: &[KeptContamination],
        audit: &AuditEntry,
    ) -> Result<(), StoreError>;
    /// Reports on a run, by profile, task and split.
    async fn contamination(&self, run: RunId) -> Result<Vec<KeptContamination>, StoreError>;
    /// Those of the runs that have a report.
    async fn runs_looked_through(&self, runs: &[RunId]) -> Result<HashSet<RunId>, StoreError>;
}
