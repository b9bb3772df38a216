use async_trait::async_trait;
use sekisho_domain::run::{MetricRow, RunEvent, RunState};
use sekisho_domain::wire::{MetricsAccepted, MetricsBatch};
use sekisho_domain::{RunId, Step, Timestamp, Tokens, canonical_json};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use super::fields::Fields;
use super::{SqliteStore, changed, conflict, int, outbox};
use crate::{Run, RunRepository, StoreError};

#[async_trait]
impl RunRepository for SqliteStore {
    async fn add_run(&self, run: &Run) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO runs (id, name, state, spec, spec_digest, planned_tokens, suite, step, tokens, loss, created, updated, project)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        )
        .bind(run.id.to_string())
        .bind(&run.name)
        .bind(run.state.as_str())
        .bind(run.spec.as_ref().map(canonical_json))
        .bind(run.spec_digest.map(|digest| digest.hex()))
        .bind(run.planned_tokens.map(|tokens| int(tokens.0)).transpose()?)
        .bind(&run.suite)
        .bind(int(run.step.0)?)
        .bind(int(run.tokens.0)?)
        .bind(run.loss)
        .bind(run.created.unix_ms())
        .bind(run.updated.unix_ms())
        .bind(&run.project)
        .execute(&self.write)
        .await
        .map_err(|error| conflict(error, || format!("a run with the name \"{}\" is there already", run.name)))?;
        Ok(())
    }

    async fn run(&self, id: RunId) -> Result<Option<Run>, StoreError> {
        let query = sqlx::query("SELECT * FROM runs WHERE id = $1").bind(id.to_string());
        query.fetch_optional(&self.read).await?.as_ref().map(run).transpose()
    }

    async fn run_by_name(&self, name: &str) -> Result<Option<Run>, StoreError> {
        let query = sqlx::query("SELECT * FROM runs WHERE name = $1").bind(name);
        query.fetch_optional(&self.read).await?.as_ref().map(run).transpose()
    }

    async fn runs(&self, limit: u32) -> Result<Vec<Run>, StoreError> {
        let query =
            sqlx::query("SELECT * FROM runs ORDER BY updated DESC, id DESC LIMIT $1").bind(i64::from(limit));
        query.fetch_all(&self.read).await?.iter().map(run).collect()
    }

    async fn set_run_state(&self, id: RunId, state: RunState, now: Timestamp) -> Result<(), StoreError> {
        let query = sqlx::query("UPDATE runs SET state = $2, updated = $3 WHERE id = $1");
        let query = query.bind(id.to_string()).bind(state.as_str()).bind(now.unix_ms());
        changed(&query.execute(&self.write).await?, "run", &id)
    }

    async fn append_metrics(
        &self,
        id: RunId,
        batch: &MetricsBatch,
        now: Timestamp,
    ) -> Result<MetricsAccepted, StoreError> {
        let mut transaction = self.begin().await?;
        report(&mut transaction, id, now).await?;
        let new = sqlx::query(
            "INSERT INTO metric_batches (run_id, writer, seq) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        )
        .bind(id.to_string())
        .bind(&batch.writer)
        .bind(int(batch.seq)?)
        .execute(&mut *transaction)
        .await?;
        if new.rows_affected() == 0 {
            return Ok(MetricsAccepted { accepted: 0, repeated: true });
        }
        for row in &batch.rows {
            put_row(&mut transaction, id, row).await?;
        }
        if let Some(last) = batch.rows.iter().max_by_key(|row| row.step) {
            outbox::progress(&mut transaction, id, last, now).await?;
            move_forward(&mut transaction, id, last).await?;
        }
        transaction.commit().await?;
        Ok(MetricsAccepted { accepted: batch.rows.len() as u64, repeated: false })
    }

    async fn metrics(&self, id: RunId) -> Result<Vec<MetricRow>, StoreError> {
        let query = sqlx::query("SELECT * FROM metrics WHERE run_id = $1 ORDER BY step").bind(id.to_string());
        query.fetch_all(&self.read).await?.iter().map(metric).collect()
    }

    async fn add_event(&self, id: RunId, event: &RunEvent, now: Timestamp) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        let heard = outbox::last_heard(&mut transaction, id).await?;
        report(&mut transaction, id, now).await?;
        let added = sqlx::query(
            "INSERT INTO run_events (run_id, step, kind, note, at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
        )
        .bind(id.to_string())
        .bind(int(event.step.0)?)
        .bind(event.kind.as_str())
        .bind(&event.note)
        .bind(event.at.unwrap_or(now).unix_ms())
        .execute(&mut *transaction)
        .await?;
        if added.rows_affected() == 1 {
            outbox::of_event(&mut transaction, id, event, heard, now).await?;
        }
        Ok(transaction.commit().await?)
    }

    async fn events(&self, id: RunId) -> Result<Vec<RunEvent>, StoreError> {
        let query = sqlx::query("SELECT * FROM run_events WHERE run_id = $1 ORDER BY step, at, kind, note");
        query.bind(id.to_string()).fetch_all(&self.read).await?.iter().map(event).collect()
    }
}

/// Notes that the run was heard of; one that was only registered is running from now on.
async fn report(connection: &mut SqliteConnection, id: RunId, now: Timestamp) -> Result<(), StoreError> {
    outbox::first_report(&mut *connection, id, now).await?;
    let query = sqlx::query(
        "UPDATE runs SET updated = $2, state = CASE WHEN state = 'registered' THEN 'running' ELSE state END WHERE id = $1",
    );
    changed(&query.bind(id.to_string()).bind(now.unix_ms()).execute(connection).await?, "run", &id)
}

async fn put_row(connection: &mut SqliteConnection, id: RunId, row: &MetricRow) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO metrics (run_id, step, tokens, loss, ce, z_loss, lr, grad_norm, seconds)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         ON CONFLICT (run_id, step) DO UPDATE SET tokens = excluded.tokens, loss = excluded.loss, ce = excluded.ce,
             z_loss = excluded.z_loss, lr = excluded.lr, grad_norm = excluded.grad_norm, seconds = excluded.seconds",
    )
    .bind(id.to_string())
    .bind(int(row.step.0)?)
    .bind(int(row.tokens.0)?)
    .bind(row.loss)
    .bind(row.ce)
    .bind(row.z_loss)
    .bind(row.lr)
    .bind(row.grad_norm)
    .bind(row.seconds)
    .execute(connection)
    .await?;
    Ok(())
}

/// A resumed run repeats steps; what is shown of it does not go back.
async fn move_forward(
    connection: &mut SqliteConnection,
    id: RunId,
    row: &MetricRow,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE runs SET step = $2, tokens = $3, loss = $4 WHERE id = $1 AND step <= $2")
        .bind(id.to_string())
        .bind(int(row.step.0)?)
        .bind(int(row.tokens.0)?)
        .bind(row.loss)
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) fn run(row: &SqliteRow) -> Result<Run, StoreError> {
    let fields = Fields::of("runs", &["id"], row);
    Ok(Run {
        id: fields.parse("id")?,
        project: fields.get("project")?,
        name: fields.get("name")?,
        state: fields.parse("state")?,
        spec: fields.json_optional("spec")?,
        spec_digest: fields.parse_optional("spec_digest")?,
        planned_tokens: fields.count_optional("planned_tokens")?.map(Tokens),
        suite: fields.get("suite")?,
        step: Step(fields.count("step")?),
        tokens: Tokens(fields.count("tokens")?),
        loss: fields.get("loss")?,
        created: fields.time("created")?,
        updated: fields.time("updated")?,
    })
}

fn metric(row: &SqliteRow) -> Result<MetricRow, StoreError> {
    let fields = Fields::of("metrics", &["run_id", "step"], row);
    Ok(MetricRow {
        step: Step(fields.count("step")?),
        tokens: Tokens(fields.count("tokens")?),
        loss: fields.get("loss")?,
        ce: fields.get("ce")?,
        z_loss: fields.get("z_loss")?,
        lr: fields.get("lr")?,
        grad_norm: fields.get("grad_norm")?,
        seconds: fields.get("seconds")?,
    })
}

fn event(row: &SqliteRow) -> Result<RunEvent, StoreError> {
    let fields = Fields::of("run_events", &["run_id", "step", "kind"], row);
    Ok(RunEvent {
        kind: fields.parse("kind")?,
        step: Step(fields.count("step")?),
        note: fields.get("note")?,
        at: Some(fields.time("at")?),
    })
}
