//! What happened, one row each, written in the transaction that makes it so: either both are there after a crash, or neither.

use sekisho_domain::release::ReleaseState;
use sekisho_domain::run::{EventKind, KeptEvent, MetricRow};
use sekisho_domain::webhook::EventType;
use sekisho_domain::{RunId, Timestamp};
use serde_json::{Value, json};

use super::database::{self, Lock, Transaction};
use super::fields::Fields;
use super::int;
use crate::{AuditEntry, Release, StoreError};

/// Notes that something happened. `detail` is what the subject's own row will not say when the message is written.
pub(super) async fn note(
    connection: &mut Transaction,
    kind: EventType,
    subject: &str,
    detail: &Value,
    now: Timestamp,
) -> Result<(), StoreError> {
    connection.lock(Lock::Outbox).await?;
    database::query("INSERT INTO outbox (kind, subject, detail, at) VALUES ($1, $2, $3, $4)")
        .bind(kind.as_str())
        .bind(subject)
        .bind(detail.to_string())
        .bind(now.unix_ms())
        .execute(connection)
        .await?;
    Ok(())
}

/// Notes that a run has begun, when it was only registered until now; asked before its state follows.
pub(super) async fn first_report(
    connection: &mut Transaction,
    id: RunId,
    now: Timestamp,
) -> Result<(), StoreError> {
    let query = database::query("SELECT 1 FROM runs WHERE id = $1 AND state = 'registered'");
    if query.bind(id.to_string()).fetch_optional(&mut *connection).await?.is_none() {
        return Ok(());
    }
    note(connection, EventType::RunStarted, &id.to_string(), &json!({}), now).await
}

/// When the run was last heard of.
pub(super) async fn last_heard(
    connection: &mut Transaction,
    id: RunId,
) -> Result<Option<Timestamp>, StoreError> {
    let query =
        database::query_scalar("SELECT updated FROM runs WHERE id = $1 AND step > 0").bind(id.to_string());
    let heard: Option<i64> = query.fetch_optional(connection).await?;
    Ok(heard.map(Timestamp::from_unix_ms))
}

/// Notes what an event of a run means to others; `down` is how long training stood still before it [s].
pub(super) async fn of_event(
    connection: &mut Transaction,
    id: RunId,
    event: &KeptEvent,
    down: Option<f64>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let kind = match event.kind {
        EventKind::Spike | EventKind::NotFinite | EventKind::Rollback => EventType::RunSpike,
        EventKind::Resumed => EventType::RunResumed,
        EventKind::Finished => EventType::RunFinished,
        EventKind::Failed => EventType::RunFailed,
        EventKind::Stalled => EventType::RunStalled,
        _ => return Ok(()),
    };
    let mut detail = json!({ "event": event.id, "step": event.step, "note": event.note, "down": down });
    if let Some(seen) = &event.seen {
        (detail["from"], detail["to"], detail["sigma"]) =
            (json!(seen.from), json!(seen.to), json!(seen.sigma));
    }
    if kind == EventType::RunStalled {
        (detail["minutes"], detail["host"]) = silence(connection, id, now).await?;
    }
    note(connection, kind, &id.to_string(), &detail, now).await
}

/// For how many minutes a run has been silent, and on which host it was.
async fn silence(
    connection: &mut Transaction,
    id: RunId,
    now: Timestamp,
) -> Result<(Value, Value), StoreError> {
    let heard: Option<i64> = database::query_scalar("SELECT updated FROM runs WHERE id = $1")
        .bind(id.to_string())
        .fetch_optional(&mut *connection)
        .await?;
    let host: Option<String> = database::query_scalar(
        "SELECT host FROM run_segments WHERE run_id = $1 AND host <> '' ORDER BY number DESC LIMIT 1",
    )
    .bind(id.to_string())
    .fetch_optional(connection)
    .await?;
    let minutes = heard.map(|heard| (now.seconds_since(Timestamp::from_unix_ms(heard)) / 60.0).round());
    Ok((json!(minutes), json!(host)))
}

/// Notes that a run has passed a multiple of the tokens after which some endpoint wants to hear of it; asked before the run's own row
/// moves forward.
pub(super) async fn progress(
    connection: &mut Transaction,
    id: RunId,
    row: &MetricRow,
    now: Timestamp,
) -> Result<(), StoreError> {
    let query = database::query_scalar(
        "SELECT tokens FROM runs WHERE id = $1 AND step <= $2 AND EXISTS (
             SELECT 1 FROM webhook_endpoints
             WHERE every_tokens > 0 AND runs.tokens / every_tokens < $3 / every_tokens)",
    );
    let query = query.bind(id.to_string()).bind(int(row.step.0)?).bind(int(row.tokens.0)?);
    let Some(from) = query.fetch_optional(&mut *connection).await? else { return Ok(()) };
    let from: i64 = from;
    let detail = json!({ "from": from, "to": row.tokens, "step": row.step, "loss": row.loss });
    note(connection, EventType::RunProgress, &id.to_string(), &detail, now).await
}

/// Notes that a run is behind its plan, once for each plan, which is known by when it was made.
pub(super) async fn behind(
    connection: &mut Transaction,
    id: RunId,
    planned: Timestamp,
    days: u64,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let query = database::query(
        "SELECT 1 FROM outbox WHERE kind = $1 AND subject = $2 AND CAST(json_extract(detail, '$.planned') AS BIGINT) = $3",
    );
    let query = query.bind(EventType::RunBehind.as_str()).bind(id.to_string()).bind(planned.unix_ms());
    if query.fetch_optional(&mut *connection).await?.is_some() {
        return Ok(false);
    }
    let detail = json!({ "days": days, "planned": planned.unix_ms() });
    note(connection, EventType::RunBehind, &id.to_string(), &detail, now).await?;
    Ok(true)
}

/// Notes what an audit entry means to others: everything about releases and levels leaves one with the change.
pub(super) async fn of_audit(connection: &mut Transaction, entry: &AuditEntry) -> Result<(), StoreError> {
    let who = &entry.actor;
    let (kind, detail) = match (entry.action.as_str(), entry.result.as_str()) {
        ("release.propose", "done") => (EventType::ReleaseProposed, json!({ "who": who })),
        ("release.freeze" | "release.prepare" | "release.rejudge", "done") => {
            match violations(connection, &entry.object).await? {
                Some(violations) => (EventType::ReleaseRefused, json!({ "violations": violations })),
                None => return Ok(()),
            }
        }
        ("release.request", "done") => (EventType::ReleaseReviewRequested, json!({ "who": who })),
        ("release.approve" | "release.break_glass", "done")
            if entry.detail["state"] == ReleaseState::Approved.as_str() =>
        {
            (EventType::ReleaseApproved, json!({ "who": who }))
        }
        ("release.return", "done") => (
            EventType::ReleaseReturned,
            json!({ "who": who, "comment": last_comment(connection, &entry.object).await? }),
        ),
        ("release.reject", "done") => (EventType::ReleaseRejected, json!({ "who": who })),
        ("release.publish", "failed") => (EventType::ReleaseStopped, stop(connection, &entry.object).await?),
        ("release.complete", "done") => (EventType::ReleasePublished, json!({ "url": entry.detail["url"] })),
        ("release.yank", "done") => (EventType::ReleaseYanked, json!({ "who": who })),
        ("release.supersede", "done") => {
            (EventType::ReleaseSuperseded, json!({ "successor": entry.detail["successor"] }))
        }
        ("corpus.level", "done") => (
            EventType::CorpusLevelChanged,
            json!({ "from": entry.detail["before"], "to": entry.detail["level"], "who": who }),
        ),
        _ => return Ok(()),
    };
    note(connection, kind, &entry.object, &detail, entry.at).await
}

/// How many violations the policy has found in a release that it refuses; none when it allows it.
async fn violations(connection: &mut Transaction, release: &str) -> Result<Option<i64>, StoreError> {
    let query = database::query_scalar(
        "SELECT json_array_length(decision, '$.violations') FROM releases
         WHERE id = $1 AND state = 'policy_checked' AND json_extract(decision, '$.verdict') = 'refused'",
    );
    Ok(query.bind(release).fetch_optional(connection).await?)
}

async fn last_comment(connection: &mut Transaction, release: &str) -> Result<Option<String>, StoreError> {
    let query =
        database::query_scalar("SELECT text FROM comments WHERE release_id = $1 ORDER BY seq DESC LIMIT 1");
    Ok(query.bind(release).fetch_optional(connection).await?)
}

/// Where a publication stopped, and the reason in both languages.
async fn stop(connection: &mut Transaction, release: &str) -> Result<Value, StoreError> {
    let query = database::query(
        "SELECT name, detail, detail_ja FROM publish_steps
         WHERE release_id = $1 AND state <> 'done' AND detail <> '' ORDER BY at DESC, seq DESC LIMIT 1",
    );
    let Some(row) = query.bind(release).fetch_optional(connection).await? else { return Ok(json!({})) };
    let fields = Fields::of("publish_steps", &["name"], &row);
    let text = |column| fields.get::<String>(column);
    Ok(json!({ "step": text("name")?, "reason": { "en": text("detail")?, "ja": text("detail_ja")? } }))
}

/// Notes that approvals are about to fall because the content is another one, with whose they are and what has changed; asked before the
/// release is written. What a return or the end of a release voids is told as such.
pub(super) async fn approvals_fall(
    connection: &mut Transaction,
    release: &Release,
) -> Result<(), StoreError> {
    let query = database::query_scalar(
        "SELECT user_id FROM approvals WHERE release_id = $1 AND void = FALSE AND digest IS DISTINCT FROM $2 ORDER BY seq",
    );
    let query = query.bind(release.id.to_string()).bind(release.digest.map(|digest| digest.hex()));
    let approvers: Vec<String> = query.fetch_all(&mut *connection).await?;
    if approvers.is_empty() {
        return Ok(());
    }
    let what = changes(connection, release).await?;
    if what.is_empty() {
        return Ok(());
    }
    let detail = json!({ "n": approvers.len(), "approvers": approvers, "what": what });
    note(connection, EventType::ReleaseApprovalVoided, &release.id.to_string(), &detail, release.updated)
        .await
}

/// The parts of what is approved that differ from those that are written.
async fn changes(connection: &mut Transaction, release: &Release) -> Result<Vec<&'static str>, StoreError> {
    let query = database::query("SELECT * FROM releases WHERE id = $1").bind(release.id.to_string());
    let Some(row) = query.fetch_optional(connection).await? else { return Ok(Vec::new()) };
    let before = super::releases::release(&row)?;
    let decision = |release: &Release| release.decision.as_ref().map(|decision| decision["digest"].clone());
    let parts = [
        ("lineage", before.lineage != release.lineage || before.parents != release.parents),
        (
            "card",
            (&before.card_en, &before.card_ja, &before.card_edits)
                != (&release.card_en, &release.card_ja, &release.card_edits),
        ),
        ("files", before.files != release.files || before.given != release.given),
        ("policy", release.decision.is_some() && decision(&before) != decision(release)),
    ];
    Ok(parts.into_iter().filter_map(|(name, is_other)| is_other.then_some(name)).collect())
}
