use std::collections::HashMap;

use async_trait::async_trait;
use sekisho_domain::run::{EventKind, KeptEvent, MetricRow, RunEvent, Segment};
use sekisho_domain::wire::MetricsBatch;
use sekisho_domain::{EventId, RunId, Step, Timestamp};

use super::database::{self, Row, Transaction};
use super::fields::Fields;
use super::{SqlStore, changed, int, metrics, outbox};
use crate::{Appended, EventDecision, ReportRepository, StoreError};

#[async_trait]
impl ReportRepository for SqlStore {
    async fn append_metrics(
        &self,
        id: RunId,
        batch: &MetricsBatch,
        now: Timestamp,
        ids: &(dyn Fn() -> EventId + Send + Sync),
    ) -> Result<Appended, StoreError> {
        let mut transaction = self.begin().await?;
        let appended = metrics::append(&mut transaction, id, batch, now, ids).await?;
        if matches!(appended, Appended::Accepted { .. } | Appended::Repeated) {
            transaction.commit().await?;
        }
        Ok(appended)
    }

    async fn metrics(&self, id: RunId) -> Result<Vec<MetricRow>, StoreError> {
        self.metrics_between(id, Step(0), Step(u64::MAX)).await
    }

    async fn metrics_between(
        &self,
        id: RunId,
        first: Step,
        last: Step,
    ) -> Result<Vec<MetricRow>, StoreError> {
        // One snapshot: a chunk that is folded meanwhile would otherwise be read twice or not at all.
        let mut snapshot = self.database.snapshot().await?;
        metrics::read(&mut snapshot, id, first, last).await
    }

    async fn segments(&self, id: RunId) -> Result<Vec<Segment>, StoreError> {
        let mut snapshot = self.database.snapshot().await?;
        metrics::segments(&mut snapshot, id).await
    }

    async fn segments_of(&self, ids: &[RunId]) -> Result<HashMap<RunId, Vec<Segment>>, StoreError> {
        let mut snapshot = self.database.snapshot().await?;
        metrics::segments_of(&mut snapshot, ids).await
    }

    async fn add_event(
        &self,
        id: RunId,
        new: EventId,
        event: &RunEvent,
        by: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.begin().await?;
        let before = outbox::last_heard(&mut transaction, id).await?;
        heard(&mut transaction, id, now).await?;
        let kept = KeptEvent {
            note: event.note.clone(),
            ..KeptEvent::new(new, event.kind, event.step, event.at.unwrap_or(now), by)
        };
        if adopt(&mut transaction, id, &kept).await? {
            transaction.commit().await?;
            return Ok(true);
        }
        let is_new = insert(&mut transaction, id, &kept).await?;
        if is_new {
            let down = before.map(|before| now.seconds_since(before));
            outbox::of_event(&mut transaction, id, &kept, down, now).await?;
        }
        transaction.commit().await?;
        Ok(is_new)
    }

    async fn put_event(&self, id: RunId, event: &KeptEvent) -> Result<bool, StoreError> {
        let mut transaction = self.begin().await?;
        let is_new = insert(&mut transaction, id, event).await?;
        if is_new {
            outbox::of_event(&mut transaction, id, event, None, event.at).await?;
        }
        transaction.commit().await?;
        Ok(is_new)
    }

    async fn note_behind(
        &self,
        id: RunId,
        planned: Timestamp,
        days: u64,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.begin().await?;
        let is_new = outbox::behind(&mut transaction, id, planned, days, now).await?;
        transaction.commit().await?;
        Ok(is_new)
    }

    async fn events(&self, id: RunId) -> Result<Vec<KeptEvent>, StoreError> {
        let query =
            database::query("SELECT * FROM run_events WHERE run_id = $1 ORDER BY step, at, kind, note");
        query.bind(id.to_string()).fetch_all(&self.database.read).await?.iter().map(event).collect()
    }

    async fn events_of(
        &self,
        ids: &[RunId],
        kind: EventKind,
    ) -> Result<HashMap<RunId, Vec<KeptEvent>>, StoreError> {
        let query = database::query(
            "SELECT * FROM run_events WHERE run_id IN (SELECT value FROM json_each($1)) AND kind = $2 ORDER BY run_id, step, at",
        );
        let query = query.bind(serde_json::json!(ids).to_string()).bind(kind.as_str());
        let mut found: HashMap<RunId, Vec<KeptEvent>> = HashMap::new();
        for row in query.fetch_all(&self.database.read).await? {
            let run = Fields::of("run_events", &["run_id", "id"], &row).parse("run_id")?;
            found.entry(run).or_default().push(event(&row)?);
        }
        Ok(found)
    }

    async fn event(&self, id: RunId, wanted: EventId) -> Result<Option<KeptEvent>, StoreError> {
        let query = database::query("SELECT * FROM run_events WHERE run_id = $1 AND id = $2");
        let query = query.bind(id.to_string()).bind(wanted.to_string());
        query.fetch_optional(&self.database.read).await?.as_ref().map(event).transpose()
    }

    async fn decide_event(
        &self,
        id: RunId,
        decided: EventId,
        version: u64,
        decision: &EventDecision,
    ) -> Result<(), StoreError> {
        let done = database::query(
            "UPDATE run_events SET status = $4, remark = $5, decided_by = $6, decided_at = $7, version = version + 1
             WHERE run_id = $1 AND id = $2 AND version = $3",
        )
        .bind(id.to_string())
        .bind(decided.to_string())
        .bind(int(version)?)
        .bind(decision.status.as_str())
        .bind(&decision.remark)
        .bind(&decision.by)
        .bind(decision.at.unix_ms())
        .execute(&self.database)
        .await?;
        if done.rows_affected() == 1 { Ok(()) } else { Err(StoreError::Stale) }
    }

    async fn proposed_events(&self, limit: u32) -> Result<Vec<(RunId, KeptEvent)>, StoreError> {
        let query = database::query(
            "SELECT * FROM run_events WHERE status = 'proposed' ORDER BY at DESC, id DESC LIMIT $1",
        );
        let rows = query.bind(i64::from(limit)).fetch_all(&self.database.read).await?;
        rows.iter().map(|row| Ok((fields(row).parse("run_id")?, event(row)?))).collect()
    }
}

/// Notes that the run was heard of; one that was only registered is running from now on.
pub(super) async fn heard(connection: &mut Transaction, id: RunId, now: Timestamp) -> Result<(), StoreError> {
    outbox::first_report(&mut *connection, id, now).await?;
    let query = database::query(
        "UPDATE runs SET updated = $2, state = CASE WHEN state = 'registered' THEN 'running' ELSE state END WHERE id = $1",
    );
    changed(query.bind(id.to_string()).bind(now.unix_ms()).execute(connection).await?, "run", &id)
}

/// Adds an event unless the same is there.
pub(super) async fn insert(
    connection: &mut Transaction,
    id: RunId,
    event: &KeptEvent,
) -> Result<bool, StoreError> {
    let seen = event.seen.as_ref().map(serde_json::to_string).transpose();
    let done = database::query(
        "INSERT INTO run_events (id, run_id, step, kind, note, at, status, by, seen, lost_seconds, remark, version)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT DO NOTHING",
    )
    .bind(event.id.to_string())
    .bind(id.to_string())
    .bind(int(event.step.0)?)
    .bind(event.kind.as_str())
    .bind(&event.note)
    .bind(event.at.unix_ms())
    .bind(event.status.as_str())
    .bind(&event.by)
    .bind(seen.map_err(std::io::Error::from)?)
    .bind(event.lost_seconds)
    .bind(&event.remark)
    .bind(int(event.version)?)
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// What a trainer says of a restart that was noticed already belongs to that one event.
async fn adopt(connection: &mut Transaction, id: RunId, told: &KeptEvent) -> Result<bool, StoreError> {
    if !matches!(told.kind, EventKind::Resumed | EventKind::Rollback) {
        return Ok(false);
    }
    let done = database::query(
        "UPDATE run_events SET kind = $6, note = $4, by = $5 WHERE id = (
             SELECT id FROM run_events WHERE run_id = $1 AND kind = 'resumed' AND by = 'detector' AND note = ''
             AND step BETWEEN $2 AND $3 ORDER BY at DESC LIMIT 1)
         AND NOT EXISTS (SELECT 1 FROM run_events WHERE run_id = $1 AND kind = $6 AND note = $4
             AND step BETWEEN $2 AND $3)",
    )
    .bind(id.to_string())
    .bind(int(told.step.0)?)
    .bind(int(told.step.0.saturating_add(1))?)
    .bind(&told.note)
    .bind(&told.by)
    .bind(told.kind.as_str())
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// What a restart lost, at the event by which the trainer told of it; false when it told nothing.
pub(super) async fn note_loss(
    connection: &mut Transaction,
    id: RunId,
    first: Step,
    seconds: f64,
) -> Result<bool, StoreError> {
    let done = database::query(
        "UPDATE run_events SET lost_seconds = $4 WHERE id = (
             SELECT id FROM run_events WHERE run_id = $1 AND kind IN ('resumed', 'rollback') AND step BETWEEN $2 AND $3
             AND lost_seconds IS NULL ORDER BY at DESC LIMIT 1)",
    )
    .bind(id.to_string())
    .bind(int(first.0.saturating_sub(1))?)
    .bind(int(first.0)?)
    .bind(seconds)
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

fn fields(row: &Row) -> Fields<'_> {
    Fields::of("run_events", &["run_id", "step", "kind"], row)
}

pub(super) fn event(row: &Row) -> Result<KeptEvent, StoreError> {
    let fields = fields(row);
    Ok(KeptEvent {
        id: fields.parse("id")?,
        kind: fields.parse("kind")?,
        step: Step(fields.count("step")?),
        note: fields.get("note")?,
        at: fields.time("at")?,
        status: fields.parse("status")?,
        by: fields.get("by")?,
        seen: fields.json_optional("seen")?,
        lost_seconds: fields.get("lost_seconds")?,
        decided_by: fields.get("decided_by")?,
        decided_at: fields.time_optional("decided_at")?,
        remark: fields.get("remark")?,
        version: fields.count("version")?,
    })
}
