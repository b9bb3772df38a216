use std::collections::BTreeSet;

use async_trait::async_trait;
use sekisho_domain::evaluation::WorkState;
use sekisho_domain::score::{ResultEntry, TokenCounts};
use sekisho_domain::webhook::EventType;
use sekisho_domain::wire::{HeldItem, ItemFailure};
use sekisho_domain::{CheckpointId, EvaluationId, Sha256, Timestamp, WorkItemId};
use serde_json::json;

use super::claims::{self, Claim};
use super::database::{self, Lock, Row, Transaction};
use super::fields::Fields;
use super::{SqlStore, evaluations, int, outbox, tries};
use crate::queue::{MAX_ATTEMPTS, retry_after};
use crate::{Evaluation, NewWork, Progress, QueueRepository, StoreError, Try, WorkRow};

/// The way on after a failure, as SQL over a row of `work_items`.
macro_rules! again {
    () => {
        "' When that is mended, ask again: `sekisho checkpoint evaluate ' || checkpoint_id || ' --suite '
             || (SELECT suite FROM evaluations WHERE id = evaluation_id) || '`.'"
    };
}
pub(super) use again;

#[async_trait]
impl QueueRepository for SqlStore {
    async fn claim(
        &self,
        worker: &str,
        pool: &str,
        loaded: Option<Sha256>,
        max: u32,
        lease_seconds: i64,
        now: Timestamp,
    ) -> Result<Vec<WorkRow>, StoreError> {
        self.sweep(now).await?;
        let mut transaction = self.beside().await?;
        let lease_until = now.plus_seconds(lease_seconds);
        let claim = Claim { worker, pool, loaded, max, lease_until, now };
        let leased = claim.take(&mut transaction).await?;
        transaction.commit().await?;
        Ok(leased)
    }

    async fn next_checkpoint(&self, pool: &str, now: Timestamp) -> Result<Option<CheckpointId>, StoreError> {
        Ok(claims::next(&self.database.read, pool, now).await?.map(|next| next.checkpoint))
    }

    async fn heartbeat(
        &self,
        worker: &str,
        items: &[HeldItem],
        lease_seconds: i64,
        now: Timestamp,
    ) -> Result<Vec<WorkItemId>, StoreError> {
        let mut transaction = self.beside().await?;
        let mut lost = Vec::new();
        // In one order, so that nobody waits in a circle.
        let mut items: Vec<&HeldItem> = items.iter().collect();
        items.sort_by_key(|item| item.id);
        for item in items {
            // A fence that the database cannot hold is none that it gave out.
            let prolonged = database::query(
                "UPDATE work_items SET lease_until = $4
                 WHERE id = $1 AND fence = $2 AND worker = $3 AND state = 'running'",
            )
            .bind(item.id.to_string())
            .bind(int(item.fence).ok())
            .bind(worker)
            .bind(now.plus_seconds(lease_seconds).unix_ms())
            .execute(&mut transaction)
            .await?;
            if prolonged.rows_affected() == 0 {
                lost.push(item.id);
            }
        }
        transaction.commit().await?;
        Ok(lost)
    }

    async fn record_progress(
        &self,
        held: HeldItem,
        progress: Progress<'_>,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let mut transaction = self.beside().await?;
        let row = under_fence(&mut transaction, held).await?;
        if progress.batch > 0 && progress.batch <= last_batch(&mut transaction, held).await? {
            return Ok(row.finished);
        }
        let new = match progress.chunk {
            Some(chunk) => evaluations::add_chunk(&mut transaction, held.id, chunk).await?,
            None => Some(0),
        };
        // A batch that came before changes nothing, and nothing more is said about what is finished.
        let (Some(new), WorkState::Running) = (new, row.state) else { return Ok(row.finished) };
        database::query(
            "UPDATE work_items
             SET finished = finished + $2, total = COALESCE($3, total), seconds = seconds + $4, prompt = prompt + $5,
                 prefilled = prefilled + $6, generated = generated + $7, batch = MAX(batch, $8), updated = $9
             WHERE id = $1",
        )
        .bind(held.id.to_string())
        .bind(int(new)?)
        .bind(progress.total.map(int).transpose()?)
        .bind(progress.seconds)
        .bind(int(progress.tokens.prompt)?)
        .bind(int(progress.tokens.prefilled)?)
        .bind(int(progress.tokens.generated)?)
        .bind(int(progress.batch)?)
        .bind(now.unix_ms())
        .execute(&mut transaction)
        .await?;
        transaction.commit().await?;
        Ok(row.finished + new)
    }

    async fn finish(
        &self,
        held: HeldItem,
        scores: &[(ResultEntry, bool)],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut transaction = self.beside().await?;
        let row = under_fence(&mut transaction, held).await?;
        if row.state == WorkState::Finished {
            return Ok(());
        }
        evaluations::add_scores(&mut transaction, held.id, scores).await?;
        tries::end(&mut transaction, held.id, None, now).await?;
        database::query(
            "UPDATE work_items SET state = 'finished', lease_until = NULL, error = NULL, updated = $2 WHERE id = $1",
        )
        .bind(held.id.to_string())
        .bind(now.unix_ms())
        .execute(&mut transaction)
        .await?;
        settle(&mut transaction, row.evaluation, now).await?;
        Ok(transaction.commit().await?)
    }

    async fn fail(&self, held: HeldItem, failure: &ItemFailure, now: Timestamp) -> Result<(), StoreError> {
        let mut transaction = self.beside().await?;
        let row = running(&mut transaction, held).await?;
        let state =
            if failure.retry && row.attempt < MAX_ATTEMPTS { WorkState::Waiting } else { WorkState::Failed };
        tries::end(&mut transaction, held.id, Some(&failure.message), now).await?;
        let failed = state == WorkState::Failed && !failure.message.ends_with('.');
        database::query(concat!(
            "UPDATE work_items SET state = $2, lease_until = NULL, not_before = $4, updated = $5,
                 error = $3 || CASE $2 WHEN 'failed' THEN ",
            again!(),
            " ELSE '' END WHERE id = $1",
        ))
        .bind(held.id.to_string())
        .bind(state.as_str())
        .bind(format!("{}{}", failure.message, if failed { "." } else { "" }))
        .bind(now.plus_seconds(retry_after(row.attempt)).unix_ms())
        .bind(now.unix_ms())
        .execute(&mut transaction)
        .await?;
        settle(&mut transaction, row.evaluation, now).await?;
        Ok(transaction.commit().await?)
    }

    async fn retry(&self, evaluation: EvaluationId, now: Timestamp) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        database::query(
            "UPDATE work_items SET state = 'waiting', attempt = 0, not_before = $2, error = NULL, updated = $2
             WHERE evaluation_id = $1 AND state = 'failed'",
        )
        .bind(evaluation.to_string())
        .bind(now.unix_ms())
        .execute(&mut transaction)
        .await?;
        settle(&mut transaction, evaluation, now).await?;
        Ok(transaction.commit().await?)
    }

    async fn free(&self, worker: &str, now: Timestamp) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        let rows = database::query(
            "UPDATE work_items SET state = 'waiting', attempt = attempt - 1, lease_until = NULL, updated = $2
             WHERE state = 'running' AND worker = $1 RETURNING *",
        )
        .bind(worker)
        .bind(now.unix_ms())
        .fetch_all(&mut transaction)
        .await?;
        let released = rows.iter().map(work).collect::<Result<Vec<_>, _>>()?;
        for row in &released {
            tries::end(&mut transaction, row.work.id, Some(Try::FREED), now).await?;
        }
        for evaluation in released.iter().map(|row| row.evaluation).collect::<BTreeSet<_>>() {
            settle(&mut transaction, evaluation, now).await?;
        }
        Ok(transaction.commit().await?)
    }

    async fn give_back(&self, held: HeldItem, now: Timestamp) -> Result<(), StoreError> {
        let mut transaction = self.beside().await?;
        let row = running(&mut transaction, held).await?;
        tries::end(&mut transaction, held.id, Some(Try::GIVEN_BACK), now).await?;
        database::query(
            "UPDATE work_items SET state = 'waiting', attempt = attempt - 1, lease_until = NULL, updated = $2 WHERE id = $1",
        )
        .bind(held.id.to_string())
        .bind(now.unix_ms())
        .execute(&mut transaction)
        .await?;
        settle(&mut transaction, row.evaluation, now).await?;
        Ok(transaction.commit().await?)
    }

    async fn work(&self, id: WorkItemId) -> Result<Option<WorkRow>, StoreError> {
        let query = database::query("SELECT * FROM work_items WHERE id = $1").bind(id.to_string());
        query.fetch_optional(&self.database.read).await?.as_ref().map(work).transpose()
    }

    async fn work_of(&self, evaluation: EvaluationId) -> Result<Vec<WorkRow>, StoreError> {
        let query = database::query("SELECT * FROM work_items WHERE evaluation_id = $1 ORDER BY position");
        query.bind(evaluation.to_string()).fetch_all(&self.database.read).await?.iter().map(work).collect()
    }

    async fn tries_of(&self, evaluation: EvaluationId) -> Result<Vec<Try>, StoreError> {
        tries::read(&self.database.read, evaluation).await
    }

    async fn queue_counts(&self) -> Result<(u64, u64, u64), StoreError> {
        let query = database::query(
            "SELECT COUNT(*) FILTER (WHERE state = 'waiting') AS waiting,
                    COUNT(*) FILTER (WHERE state = 'running') AS running,
                    COUNT(*) FILTER (WHERE state = 'failed') AS failed
             FROM work_items WHERE state <> 'finished'",
        );
        let row = query.fetch_one(&self.database.read).await?;
        let fields = Fields::of("work_items", &[], &row);
        Ok((fields.count("waiting")?, fields.count("running")?, fields.count("failed")?))
    }
}

/// Puts a work item into the queue.
pub(super) async fn add(
    connection: &mut Transaction,
    evaluation: &Evaluation,
    item: &NewWork,
) -> Result<(), StoreError> {
    database::query(
        "INSERT INTO work_items (id, evaluation_id, checkpoint_id, run, digest, position, priority, pool, queued, not_before,
             state, attempt, fence, finished, seconds, prompt, prefilled, generated, updated, profile, task)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, 'waiting', 0, 0, 0, 0, 0, 0, 0, $9, $10, $11)",
    )
    .bind(item.id.to_string())
    .bind(evaluation.id.to_string())
    .bind(evaluation.checkpoint.to_string())
    .bind(json!(item.run).to_string())
    .bind(item.digest.hex())
    .bind(i64::from(item.position))
    .bind(i64::from(item.priority))
    .bind(&item.pool)
    .bind(evaluation.created.unix_ms())
    .bind(&item.run.profile)
    .bind(&item.run.task)
    .execute(connection)
    .await?;
    Ok(())
}

/// The item, if nothing was claimed or given up since that lease began.
async fn under_fence(connection: &mut Transaction, held: HeldItem) -> Result<WorkRow, StoreError> {
    let query = database::query("SELECT * FROM work_items WHERE id = $1").bind(held.id.to_string()).locking();
    let row = query.fetch_optional(connection).await?.as_ref().map(work).transpose()?;
    row.filter(|row| row.fence == held.fence && matches!(row.state, WorkState::Running | WorkState::Finished))
        .ok_or(StoreError::LeaseLost(held.id))
}

/// The number of the last batch that was taken under this lease.
async fn last_batch(connection: &mut Transaction, held: HeldItem) -> Result<u64, StoreError> {
    let query = database::query("SELECT id, batch FROM work_items WHERE id = $1").bind(held.id.to_string());
    let row = query.fetch_one(connection).await?;
    Fields::of("work_items", &["id"], &row).count("batch")
}

async fn running(connection: &mut Transaction, held: HeldItem) -> Result<WorkRow, StoreError> {
    let row = under_fence(connection, held).await?;
    if row.state == WorkState::Running { Ok(row) } else { Err(StoreError::LeaseLost(held.id)) }
}

/// Lets the state of an evaluation follow its items: failed if one failed, finished if all have, running once one has begun.
pub(super) async fn settle(
    connection: &mut Transaction,
    id: EvaluationId,
    now: Timestamp,
) -> Result<(), StoreError> {
    connection.lock(Lock::Evaluation(&id.to_string())).await?;
    let before = database::query_scalar("SELECT state FROM evaluations WHERE id = $1").bind(id.to_string());
    let before: Option<String> = before.fetch_optional(&mut *connection).await?;
    let after = database::query_scalar(
        "UPDATE evaluations SET updated = $2, state = (
             SELECT CASE
                 WHEN COUNT(*) FILTER (WHERE work_items.state = 'failed') > 0 THEN 'failed'
                 WHEN COUNT(*) FILTER (WHERE work_items.state <> 'finished') = 0 THEN 'finished'
                 WHEN COUNT(*) FILTER (WHERE work_items.state <> 'waiting') > 0 THEN 'running'
                 ELSE 'waiting' END
             FROM work_items WHERE work_items.evaluation_id = evaluations.id)
         WHERE id = $1 RETURNING state",
    );
    let after = after.bind(id.to_string()).bind(now.unix_ms());
    let after: Option<String> = after.fetch_optional(&mut *connection).await?;
    let kind = match after.as_deref().filter(|after| before.as_deref() != Some(*after)) {
        Some("finished") => EventType::EvaluationFinished,
        Some("failed") => EventType::EvaluationFailed,
        _ => return Ok(()),
    };
    outbox::note(connection, kind, &id.to_string(), &json!({}), now).await
}

pub(super) fn work(row: &Row) -> Result<WorkRow, StoreError> {
    let fields = Fields::of("work_items", &["id"], row);
    Ok(WorkRow {
        work: NewWork {
            id: fields.parse("id")?,
            run: fields.json("run")?,
            digest: fields.parse("digest")?,
            position: fields.count("position")?,
            priority: fields.count("priority")?,
            pool: fields.get("pool")?,
        },
        evaluation: fields.parse("evaluation_id")?,
        checkpoint: fields.parse("checkpoint_id")?,
        state: fields.parse("state")?,
        attempt: fields.count("attempt")?,
        fence: fields.count("fence")?,
        worker: fields.get("worker")?,
        lease_until: fields.time_optional("lease_until")?,
        finished: fields.count("finished")?,
        total: fields.count_optional("total")?,
        seconds: fields.get("seconds")?,
        tokens: TokenCounts {
            prompt: fields.count("prompt")?,
            prefilled: fields.count("prefilled")?,
            generated: fields.count("generated")?,
        },
        error: fields.get("error")?,
        updated: fields.time("updated")?,
    })
}
