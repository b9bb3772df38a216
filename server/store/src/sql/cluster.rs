use async_trait::async_trait;
use sekisho_domain::Timestamp;

use super::SqlStore;
use super::database::{self, Pool};
use crate::{ClusterRepository, StoreError};

#[async_trait]
impl ClusterRepository for SqlStore {
    async fn database_time(&self) -> Result<Option<Timestamp>, StoreError> {
        if matches!(self.database.read, Pool::Sqlite(_)) {
            return Ok(None);
        }
        let query =
            database::query_scalar("SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)");
        Ok(Some(Timestamp::from_unix_ms(query.fetch_one(&self.database.read).await?)))
    }
}
