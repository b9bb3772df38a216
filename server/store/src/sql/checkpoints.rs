use async_trait::async_trait;
use sekisho_domain::checkpoint::CheckpointState;
use sekisho_domain::webhook::EventType;
use sekisho_domain::{CheckpointId, RunId, Sha256, StateError, Step, Text, Timestamp, Tokens};
use serde_json::json;

use super::database::{self, Done, Row};
use super::fields::Fields;
use super::{SqlStore, int, outbox};
use crate::{Checkpoint, CheckpointRepository, StoreError, Verification};

#[async_trait]
impl CheckpointRepository for SqlStore {
    async fn add_checkpoint(&self, checkpoint: &Checkpoint) -> Result<Checkpoint, StoreError> {
        let found = checkpoint.verification.as_ref();
        let mut transaction = self.begin().await?;
        database::query(
            "INSERT INTO checkpoints
                 (id, run_id, step, tokens, state, refusal, path, owned, digest, verification, created, updated, refusal_ja)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
             ON CONFLICT (run_id, step) WHERE state <> 'refused' DO NOTHING",
        )
        .bind(checkpoint.id.to_string())
        .bind(checkpoint.run.to_string())
        .bind(int(checkpoint.step.0)?)
        .bind(int(checkpoint.tokens.0)?)
        .bind(checkpoint.state.as_str())
        .bind(checkpoint.refusal.as_ref().map(|refusal| &refusal.en))
        .bind(&checkpoint.path)
        .bind(checkpoint.owned)
        .bind(found.map(|found| found.digest.hex()))
        .bind(found.map(|found| json!(found).to_string()))
        .bind(checkpoint.created.unix_ms())
        .bind(checkpoint.updated.unix_ms())
        .bind(checkpoint.refusal.as_ref().map(|refusal| &refusal.ja))
        .execute(&mut transaction)
        .await?;
        let kept = database::query(
            "SELECT checkpoints.*, runs.name AS run_name FROM checkpoints JOIN runs ON runs.id = run_id
             WHERE checkpoints.id = $1 OR (run_id = $2 AND checkpoints.step = $3 AND checkpoints.state <> 'refused')
             ORDER BY CASE WHEN checkpoints.id = $1 THEN 0 ELSE 1 END LIMIT 1",
        )
        .bind(checkpoint.id.to_string())
        .bind(checkpoint.run.to_string())
        .bind(int(checkpoint.step.0)?)
        .fetch_one(&mut transaction)
        .await?;
        transaction.commit().await?;
        self::checkpoint(&kept)
    }

    async fn checkpoint(&self, id: CheckpointId) -> Result<Option<Checkpoint>, StoreError> {
        let query = database::query(
            "SELECT checkpoints.*, runs.name AS run_name FROM checkpoints JOIN runs ON runs.id = run_id
             WHERE checkpoints.id = $1",
        );
        query
            .bind(id.to_string())
            .fetch_optional(&self.database.read)
            .await?
            .as_ref()
            .map(checkpoint)
            .transpose()
    }

    async fn checkpoints_of_run(&self, run: RunId) -> Result<Vec<Checkpoint>, StoreError> {
        let query = database::query(
            "SELECT checkpoints.*, runs.name AS run_name FROM checkpoints JOIN runs ON runs.id = run_id
             WHERE run_id = $1 ORDER BY checkpoints.step, checkpoints.created, checkpoints.id",
        );
        query.bind(run.to_string()).fetch_all(&self.database.read).await?.iter().map(checkpoint).collect()
    }

    async fn checkpoints(&self, limit: u32) -> Result<Vec<Checkpoint>, StoreError> {
        let query = database::query(
            "SELECT checkpoints.*, runs.name AS run_name FROM checkpoints JOIN runs ON runs.id = run_id
             ORDER BY checkpoints.created DESC, checkpoints.id DESC LIMIT $1",
        );
        query.bind(i64::from(limit)).fetch_all(&self.database.read).await?.iter().map(checkpoint).collect()
    }

    async fn checkpoints_in(&self, state: CheckpointState) -> Result<Vec<Checkpoint>, StoreError> {
        let query = database::query(
            "SELECT checkpoints.*, runs.name AS run_name FROM checkpoints JOIN runs ON runs.id = run_id
             WHERE checkpoints.state = $1 ORDER BY checkpoints.created, checkpoints.id",
        );
        query.bind(state.as_str()).fetch_all(&self.database.read).await?.iter().map(checkpoint).collect()
    }

    async fn checkpoints_unevaluated(&self) -> Result<Vec<Checkpoint>, StoreError> {
        let query = database::query(
            "SELECT checkpoints.*, runs.name AS run_name FROM checkpoints JOIN runs ON runs.id = run_id
             WHERE checkpoints.state = 'verified'
                 AND NOT EXISTS (SELECT 1 FROM evaluations WHERE checkpoint_id = checkpoints.id)
             ORDER BY checkpoints.created, checkpoints.id",
        );
        query.fetch_all(&self.database.read).await?.iter().map(checkpoint).collect()
    }

    async fn checkpoint_by_digest(&self, digest: Sha256) -> Result<Option<Checkpoint>, StoreError> {
        // The store's own copy first: nobody else moves it.
        let query = database::query(
            "SELECT checkpoints.*, runs.name AS run_name FROM checkpoints JOIN runs ON runs.id = run_id
             WHERE checkpoints.digest = $1 AND checkpoints.state = 'verified'
             ORDER BY checkpoints.owned DESC, checkpoints.created, checkpoints.id LIMIT 1",
        );
        query
            .bind(digest.hex())
            .fetch_optional(&self.database.read)
            .await?
            .as_ref()
            .map(checkpoint)
            .transpose()
    }

    async fn start_verifying(&self, id: CheckpointId, now: Timestamp) -> Result<(), StoreError> {
        let query = database::query(
            "UPDATE checkpoints SET state = 'verifying', updated = $2
             WHERE id = $1 AND state IN ('received', 'verifying')",
        );
        let result = query.bind(id.to_string()).bind(now.unix_ms()).execute(&self.database).await?;
        self.moved(&result, id, "examining it", "received, verifying").await
    }

    async fn set_place(&self, id: CheckpointId, place: &str, now: Timestamp) -> Result<(), StoreError> {
        let query = database::query(
            "UPDATE checkpoints SET place = $2, updated = $3 WHERE id = $1 AND state IN ('received', 'verifying')",
        );
        let result =
            query.bind(id.to_string()).bind(place).bind(now.unix_ms()).execute(&self.database).await?;
        self.moved(&result, id, "moving it", "received, verifying").await
    }

    async fn set_verified(
        &self,
        id: CheckpointId,
        path: &str,
        owned: bool,
        found: &Verification,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        let result = database::query(
            "UPDATE checkpoints
             SET state = 'verified', path = $2, owned = $3, digest = $4, verification = $5, updated = $6
             WHERE id = $1 AND state IN ('received', 'verifying')",
        )
        .bind(id.to_string())
        .bind(path)
        .bind(owned)
        .bind(found.digest.hex())
        .bind(json!(found).to_string())
        .bind(now.unix_ms())
        .execute(&mut transaction)
        .await?;
        if result.rows_affected() == 1 {
            outbox::note(&mut transaction, EventType::CheckpointReady, &id.to_string(), &json!({}), now)
                .await?;
        }
        transaction.commit().await?;
        self.moved(&result, id, "accepting it", "received, verifying").await
    }

    async fn set_refused(&self, id: CheckpointId, reason: &Text, now: Timestamp) -> Result<(), StoreError> {
        let query = database::query(
            "UPDATE checkpoints SET state = 'refused', refusal = $2, refusal_ja = $3, updated = $4
             WHERE id = $1 AND state <> 'refused'",
        );
        let query = query.bind(id.to_string()).bind(&reason.en).bind(&reason.ja).bind(now.unix_ms());
        let mut transaction = self.begin().await?;
        let result = query.execute(&mut transaction).await?;
        if result.rows_affected() == 1 {
            outbox::note(&mut transaction, EventType::CheckpointRefused, &id.to_string(), &json!({}), now)
                .await?;
        }
        transaction.commit().await?;
        self.moved(&result, id, "refusing it", "received, verifying, verified").await
    }
}

impl SqlStore {
    /// Says why a change of state met no row.
    pub(super) async fn moved(
        &self,
        result: &Done,
        id: CheckpointId,
        action: &'static str,
        allowed: &str,
    ) -> Result<(), StoreError> {
        if result.rows_affected() == 1 {
            return Ok(());
        }
        let Some(checkpoint) = self.checkpoint(id).await? else {
            return Err(StoreError::Missing { kind: "checkpoint", id: id.to_string() });
        };
        let state = checkpoint.state.as_str();
        let error = StateError { kind: "checkpoint", state, action, allowed: allowed.to_owned() };
        Err(StoreError::Conflict(error.to_string()))
    }
}

pub(super) fn checkpoint(row: &Row) -> Result<Checkpoint, StoreError> {
    let fields = Fields::of("checkpoints", &["id"], row);
    Ok(Checkpoint {
        id: fields.parse("id")?,
        run: fields.parse("run_id")?,
        run_name: fields.get("run_name")?,
        step: Step(fields.count("step")?),
        tokens: Tokens(fields.count("tokens")?),
        state: fields.parse("state")?,
        refusal: refusal(&fields)?,
        path: fields.get("path")?,
        owned: fields.get("owned")?,
        place: fields.get("place")?,
        verification: fields.json_optional("verification")?,
        stamps: fields.json_optional("stamps")?.unwrap_or_default(),
        created: fields.time("created")?,
        updated: fields.time("updated")?,
    })
}

/// Rows from before the Japanese sentence was kept have the English one alone.
fn refusal(fields: &Fields<'_>) -> Result<Option<Text>, StoreError> {
    let (en, ja): (Option<String>, Option<String>) = (fields.get("refusal")?, fields.get("refusal_ja")?);
    Ok(en.map(|en| Text { ja: ja.unwrap_or_else(|| en.clone()), en }))
}
