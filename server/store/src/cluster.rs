use async_trait::async_trait;
use sekisho_domain::Timestamp;

use crate::StoreError;

/// What servers on one database agree on.
#[async_trait]
pub trait ClusterRepository: Send + Sync {
    /// The time of the database's own clock; none where the database is in this process and has the machine's.
    async fn database_time(&self) -> Result<Option<Timestamp>, StoreError>;
}
