use std::collections::HashSet;

use async_trait::async_trait;
use sekisho_domain::checkpoint::CheckpointState;
use sekisho_domain::manifest::FileStamp;
use sekisho_domain::webhook::EventType;
use sekisho_domain::{CheckpointId, Sha256, Text, Timestamp};
use serde_json::json;

use super::checkpoints::checkpoint;
use super::database;
use super::{SqlStore, audit, changed, outbox};
use crate::{AuditEntry, Checkpoint, StandingRepository, StoreError};

#[async_trait]
impl StandingRepository for SqlStore {
    async fn set_stamps(&self, id: CheckpointId, stamps: &[FileStamp]) -> Result<(), StoreError> {
        let query = database::query("UPDATE checkpoints SET stamps = $2 WHERE id = $1");
        let query = query.bind(id.to_string()).bind(json!(stamps).to_string());
        changed(query.execute(&self.database).await?, "checkpoint", &id)
    }

    async fn set_lost(
        &self,
        id: CheckpointId,
        state: CheckpointState,
        reason: &Text,
        audit: &AuditEntry,
    ) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        let result = database::query(
            "UPDATE checkpoints SET state = $2, refusal = $3, refusal_ja = $4, updated = $5
             WHERE id = $1 AND state IN ('verified', 'changed')",
        )
        .bind(id.to_string())
        .bind(state.as_str())
        .bind(&reason.en)
        .bind(&reason.ja)
        .bind(audit.at.unix_ms())
        .execute(&mut transaction)
        .await?;
        if result.rows_affected() == 1 {
            outbox::note(
                &mut transaction,
                EventType::CheckpointChanged,
                &id.to_string(),
                &json!({}),
                audit.at,
            )
            .await?;
            audit::append(&mut transaction, audit).await?;
        }
        transaction.commit().await?;
        self.moved(&result, id, "noting that its files changed", "verified, changed").await
    }

    async fn set_found(
        &self,
        id: CheckpointId,
        stamps: &[FileStamp],
        audit: &AuditEntry,
    ) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        let result = database::query(
            "UPDATE checkpoints SET state = 'verified', refusal = NULL, refusal_ja = NULL, stamps = $2, updated = $3
             WHERE id = $1 AND state IN ('changed', 'gone')",
        )
        .bind(id.to_string())
        .bind(json!(stamps).to_string())
        .bind(audit.at.unix_ms())
        .execute(&mut transaction)
        .await?;
        if result.rows_affected() == 1 {
            audit::append(&mut transaction, audit).await?;
        }
        transaction.commit().await?;
        self.moved(&result, id, "taking it back", "changed, gone").await
    }

    async fn give_up(
        &self,
        ids: &[CheckpointId],
        reason: &Text,
        audit: &AuditEntry,
    ) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        for id in ids {
            let result = database::query(
                "UPDATE checkpoints SET state = 'gone', refusal = $2, refusal_ja = $3, updated = $4
                 WHERE id = $1 AND state IN ('verified', 'changed')",
            )
            .bind(id.to_string())
            .bind(&reason.en)
            .bind(&reason.ja)
            .bind(audit.at.unix_ms())
            .execute(&mut transaction)
            .await?;
            if result.rows_affected() == 0 {
                drop(transaction);
                return self.moved(&result, *id, "giving its files up", "verified, changed").await;
            }
        }
        audit::append(&mut transaction, audit).await?;
        Ok(transaction.commit().await?)
    }

    async fn folders_of_others(
        &self,
        paths: &[&str],
        these: &[CheckpointId],
    ) -> Result<HashSet<String>, StoreError> {
        let query = database::query_scalar(
            "SELECT DISTINCT path FROM checkpoints
             WHERE path IN (SELECT value FROM json_each($1)) AND id NOT IN (SELECT value FROM json_each($2))
                 AND NOT owned AND state NOT IN ('gone', 'refused')",
        );
        let found = query.bind(json!(paths).to_string()).bind(json!(these).to_string());
        Ok(found.fetch_all(&self.database.read).await?.into_iter().collect())
    }

    async fn hand_over_again(
        &self,
        id: CheckpointId,
        path: &str,
        owned: bool,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let query = database::query(
            "UPDATE checkpoints
             SET state = 'received', path = $2, owned = $3, place = NULL, stamps = NULL, refusal = NULL, refusal_ja = NULL, updated = $4
             WHERE id = $1 AND state IN ('changed', 'gone')",
        );
        let query = query.bind(id.to_string()).bind(path).bind(owned).bind(now.unix_ms());
        let result = query.execute(&self.database).await?;
        self.moved(&result, id, "handing it over again", "changed, gone").await
    }

    async fn checkpoints_holding(
        &self,
        project: &str,
        digests: &[Sha256],
    ) -> Result<Vec<Checkpoint>, StoreError> {
        let query = database::query(
            "SELECT checkpoints.*, runs.name AS run_name FROM checkpoints JOIN runs ON runs.id = run_id
             WHERE checkpoints.id IN (
                 SELECT MAX(holder.id)
                 FROM checkpoints AS holder JOIN runs AS owner ON owner.id = holder.run_id,
                     json_each(holder.verification, '$.files') AS file
                 WHERE owner.project = $1 AND holder.owned AND holder.state = 'verified'
                     AND json_extract(file.value, '$.sha256') IN (SELECT value FROM json_each($2))
                 GROUP BY json_extract(file.value, '$.sha256'))
             ORDER BY checkpoints.id",
        );
        let query = query.bind(project).bind(json!(digests).to_string());
        query.fetch_all(&self.database.read).await?.iter().map(checkpoint).collect()
    }

    async fn checkpoints_in_folder(&self, name: &str) -> Result<Vec<Checkpoint>, StoreError> {
        let query = database::query(
            "SELECT checkpoints.*, runs.name AS run_name FROM checkpoints JOIN runs ON runs.id = run_id
             WHERE owned AND checkpoints.state NOT IN ('refused', 'gone') AND (path LIKE '%/' || $1 OR place LIKE '%/' || $1)
             ORDER BY checkpoints.created, checkpoints.id",
        );
        query.bind(name).fetch_all(&self.database.read).await?.iter().map(checkpoint).collect()
    }
}
