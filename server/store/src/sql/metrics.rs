//! Rows of metrics: a batch is written as one chunk, and chunks are folded into larger ones as they gather, so that writing costs the
//! same however long a run is and reading decodes few of them.

use std::collections::{BTreeMap, HashMap};

use sekisho_domain::run::{
    Detectors, EventKind, EventStatus, Finding, KeptEvent, MetricRow, RunState, Segment, Sketch, segment_of,
};
use sekisho_domain::wire::MetricsBatch;
use sekisho_domain::{EventId, RunId, Sha256, Step, Timestamp};

use super::database::{self, Row, Transaction};
use super::fields::Fields;
use super::{int, outbox, reports};
use crate::{Appended, StoreError, chunk};

/// Chunks of one level that are folded into one of the next.
const FOLD: usize = 32;
/// Rows above which a chunk is not folded any more: a curve that is zoomed in reads no more than it must.
const FULL: i64 = 50_000;

/// Everything that a batch changes, in a transaction that the caller commits or not.
pub(super) async fn append(
    connection: &mut Transaction,
    id: RunId,
    batch: &MetricsBatch,
    now: Timestamp,
    ids: &(dyn Fn() -> EventId + Send + Sync),
) -> Result<Appended, StoreError> {
    let rows = sorted(batch.rows.iter().cloned());
    let layout = chunk::layout(&rows)?;
    // Of the rows alone: the same ones sent again after a restart may name another host, or whom they follow.
    let digest = Sha256::of(&layout);
    let state = state(connection, id).await?;
    if let Some(before) = known(connection, id, batch).await? {
        let same = before.is_none_or(|before| before == digest);
        return Ok(if same { Appended::Repeated } else { Appended::OtherRows });
    }
    let last = segments(connection, id).await?.pop();
    let is_free = |last: &Segment| {
        last.writer == batch.writer
            || (!batch.follows.is_empty() && batch.follows == last.writer)
            || state != RunState::Running
            || !last.is_alive(now)
    };
    if let Some(other) = last.clone().filter(|last| !is_free(last)) {
        return Ok(Appended::Busy(other));
    }
    reports::heard(connection, id, now).await?;
    database::query("INSERT INTO metric_batches (run_id, writer, seq, digest) VALUES ($1, $2, $3, $4)")
        .bind(id.to_string())
        .bind(&batch.writer)
        .bind(int(batch.seq)?)
        .bind(digest.hex())
        .execute(&mut *connection)
        .await?;
    let (Some(first), Some(latest)) = (rows.first(), rows.last()) else {
        return Ok(Appended::Accepted { proposed: 0 });
    };
    let segment = reach(connection, id, batch, (first.step, latest.step), last, now).await?;
    if segment.batches == 1 && segment.number > 1 {
        resumed(connection, id, &segment, now, ids).await?;
    }
    put(connection, id, (segment.number, 0), &rows, &chunk::compress(&layout)?).await?;
    fold(connection, id, segment.number).await?;
    outbox::progress(connection, id, latest, now).await?;
    move_forward(connection, id, latest).await?;
    let proposed = detect(connection, id, &rows, now, ids).await?;
    Ok(Appended::Accepted { proposed })
}

async fn state(connection: &mut Transaction, id: RunId) -> Result<RunState, StoreError> {
    let query = database::query("SELECT id, state FROM runs WHERE id = $1").bind(id.to_string());
    match query.fetch_optional(connection).await? {
        Some(row) => Fields::of("runs", &["id"], &row).parse("state"),
        None => Err(StoreError::Missing { kind: "run", id: id.to_string() }),
    }
}

/// The digest of a batch of that number, if one was taken; of those of before none was kept.
async fn known(
    connection: &mut Transaction,
    id: RunId,
    batch: &MetricsBatch,
) -> Result<Option<Option<Sha256>>, StoreError> {
    let query =
        database::query("SELECT * FROM metric_batches WHERE run_id = $1 AND writer = $2 AND seq = $3");
    let query = query.bind(id.to_string()).bind(&batch.writer).bind(int(batch.seq)?);
    let row = query.fetch_optional(connection).await?;
    row.map(|row| Fields::of("metric_batches", &["run_id", "seq"], &row).parse_optional("digest")).transpose()
}

/// By step; of an update that is there twice the later one holds.
fn sorted(rows: impl Iterator<Item = MetricRow>) -> Vec<MetricRow> {
    let rows: Vec<MetricRow> = rows.collect();
    if rows.is_sorted_by(|a, b| a.step < b.step) {
        return rows;
    }
    let by_step: BTreeMap<Step, MetricRow> = rows.into_iter().map(|row| (row.step, row)).collect();
    by_step.into_values().collect()
}

/// The segment that the rows belong to, reaching to them: a new one for another writer, and for one that has gone back.
async fn reach(
    connection: &mut Transaction,
    id: RunId,
    batch: &MetricsBatch,
    (first, latest): (Step, Step),
    last: Option<Segment>,
    now: Timestamp,
) -> Result<Segment, StoreError> {
    let goes_on = |last: &Segment| {
        // A batch that was overtaken by a later one is no restart.
        let overtaken = batch.seq < last.last_seq;
        last.writer == batch.writer && (first > last.last_step || overtaken)
    };
    let number = last.as_ref().map_or(1, |last| last.number + 1);
    let segment = match last.filter(goes_on) {
        Some(last) => Segment {
            first_step: first.min(last.first_step),
            last_step: latest.max(last.last_step),
            last_at: now,
            batches: last.batches + 1,
            last_seq: batch.seq.max(last.last_seq),
            ..last
        },
        None => Segment {
            number,
            writer: batch.writer.clone(),
            host: batch.host.clone(),
            first_step: first,
            last_step: latest,
            first_at: now,
            last_at: now,
            batches: 1,
            last_seq: batch.seq,
        },
    };
    database::query(
        "INSERT INTO run_segments (run_id, number, writer, host, first_step, last_step, first_at, last_at, batches, last_seq)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
         ON CONFLICT (run_id, number) DO UPDATE SET first_step = excluded.first_step, last_step = excluded.last_step,
             last_at = excluded.last_at, batches = excluded.batches, last_seq = excluded.last_seq",
    )
    .bind(id.to_string())
    .bind(i64::from(segment.number))
    .bind(&segment.writer)
    .bind(&segment.host)
    .bind(int(segment.first_step.0)?)
    .bind(int(segment.last_step.0)?)
    .bind(segment.first_at.unix_ms())
    .bind(segment.last_at.unix_ms())
    .bind(int(segment.batches)?)
    .bind(int(segment.last_seq)?)
    .execute(connection)
    .await?;
    Ok(segment)
}

/// A restart is an event with the time that it lost, whether the trainer tells of it or not.
async fn resumed(
    connection: &mut Transaction,
    id: RunId,
    segment: &Segment,
    now: Timestamp,
    ids: &(dyn Fn() -> EventId + Send + Sync),
) -> Result<(), StoreError> {
    let all = segments(connection, id).await?;
    let Some(before) = all.iter().find(|other| other.number + 1 == segment.number) else { return Ok(()) };
    let lost = now.seconds_since(before.last_at).max(0.0);
    if reports::note_loss(connection, id, segment.first_step, lost).await? {
        return Ok(());
    }
    let event = KeptEvent {
        lost_seconds: Some(lost),
        ..KeptEvent::noticed(ids(), EventKind::Resumed, segment.first_step, now)
    };
    if reports::insert(connection, id, &event).await? {
        outbox::of_event(connection, id, &event, Some(lost), now).await?;
    }
    Ok(())
}

async fn put(
    connection: &mut Transaction,
    id: RunId,
    (segment, level): (u32, i64),
    rows: &[MetricRow],
    body: &[u8],
) -> Result<(), StoreError> {
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return Ok(()) };
    database::query(
        "INSERT INTO metric_chunks (run_id, segment, level, first_step, last_step, rows, body)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(id.to_string())
    .bind(i64::from(segment))
    .bind(level)
    .bind(int(first.step.0)?)
    .bind(int(last.step.0)?)
    .bind(int(rows.len() as u64)?)
    .bind(body)
    .execute(connection)
    .await?;
    Ok(())
}

/// Folds the chunks of a segment while there are enough of one level.
async fn fold(connection: &mut Transaction, id: RunId, segment: u32) -> Result<(), StoreError> {
    for level in 0.. {
        let query = database::query(
            "SELECT * FROM metric_chunks WHERE run_id = $1 AND segment = $2 AND level = $3 AND rows < $4 ORDER BY id",
        );
        let query = query.bind(id.to_string()).bind(i64::from(segment)).bind(level).bind(FULL);
        let found = query.fetch_all(&mut *connection).await?;
        if found.len() < FOLD {
            break;
        }
        let mut rows = Vec::new();
        for row in &found {
            rows.extend(body(row)?);
        }
        let rows = sorted(rows.into_iter());
        put(connection, id, (segment, level + 1), &rows, &chunk::encode(&rows)?).await?;
        let delete = database::query(
            "DELETE FROM metric_chunks WHERE run_id = $1 AND segment = $2 AND level = $3 AND rows < $4",
        );
        delete
            .bind(id.to_string())
            .bind(i64::from(segment))
            .bind(level)
            .bind(FULL)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

fn body(row: &Row) -> Result<Vec<MetricRow>, StoreError> {
    let fields = Fields::of("metric_chunks", &["run_id", "id"], row);
    chunk::decode(fields.get("body")?).map_err(|message| fields.unreadable("body", &message))
}

/// A resumed run repeats steps; what is shown of it does not go back.
async fn move_forward(connection: &mut Transaction, id: RunId, row: &MetricRow) -> Result<(), StoreError> {
    database::query("UPDATE runs SET step = $2, tokens = $3, loss = $4 WHERE id = $1 AND step <= $2")
        .bind(id.to_string())
        .bind(int(row.step.0)?)
        .bind(int(row.tokens.0)?)
        .bind(row.loss.filter(|loss| loss.is_finite()))
        .execute(connection)
        .await?;
    Ok(())
}

async fn detect(
    connection: &mut Transaction,
    id: RunId,
    rows: &[MetricRow],
    now: Timestamp,
    ids: &(dyn Fn() -> EventId + Send + Sync),
) -> Result<usize, StoreError> {
    let kept = database::query("SELECT * FROM run_watches WHERE run_id = $1").bind(id.to_string());
    let (mut detectors, mut sketch): (Detectors, Sketch) = match kept.fetch_optional(&mut *connection).await?
    {
        Some(row) => {
            let fields = Fields::of("run_watches", &["run_id"], &row);
            (fields.json("detectors")?, fields.json("sketch")?)
        }
        None => Default::default(),
    };
    let found = detectors.feed(rows);
    sketch.feed(rows);
    watch(connection, id, &detectors, &sketch).await?;
    let mut proposed = 0;
    for (step, kind, finding) in found {
        let event = proposal(ids(), step, kind, finding, now);
        if reports::insert(connection, id, &event).await? {
            outbox::of_event(connection, id, &event, None, now).await?;
            proposed += 1;
        }
    }
    Ok(proposed)
}

async fn watch(
    connection: &mut Transaction,
    id: RunId,
    detectors: &Detectors,
    sketch: &Sketch,
) -> Result<(), StoreError> {
    database::query(
        "INSERT INTO run_watches (run_id, detectors, sketch) VALUES ($1, $2, $3)
         ON CONFLICT (run_id) DO UPDATE SET detectors = excluded.detectors, sketch = excluded.sketch",
    )
    .bind(id.to_string())
    .bind(serde_json::to_string(detectors).map_err(std::io::Error::from)?)
    .bind(serde_json::to_string(sketch).map_err(std::io::Error::from)?)
    .execute(connection)
    .await?;
    Ok(())
}

fn proposal(id: EventId, step: Step, kind: EventKind, finding: Finding, now: Timestamp) -> KeptEvent {
    KeptEvent {
        note: finding.note(),
        status: EventStatus::Proposed,
        seen: Some(finding),
        ..KeptEvent::noticed(id, kind, step, now)
    }
}

pub(super) async fn segments(connection: &mut Transaction, id: RunId) -> Result<Vec<Segment>, StoreError> {
    let query =
        database::query("SELECT * FROM run_segments WHERE run_id = $1 ORDER BY number").bind(id.to_string());
    query.fetch_all(connection).await?.iter().map(segment).collect()
}

pub(super) async fn segments_of(
    connection: &mut Transaction,
    ids: &[RunId],
) -> Result<HashMap<RunId, Vec<Segment>>, StoreError> {
    let query = database::query(
        "SELECT * FROM run_segments WHERE run_id IN (SELECT value FROM json_each($1)) ORDER BY run_id, number",
    );
    let mut found: HashMap<RunId, Vec<Segment>> = HashMap::new();
    for row in query.bind(serde_json::json!(ids).to_string()).fetch_all(connection).await? {
        let run = Fields::of("run_segments", &["run_id", "number"], &row).parse("run_id")?;
        found.entry(run).or_default().push(segment(&row)?);
    }
    Ok(found)
}

fn segment(row: &Row) -> Result<Segment, StoreError> {
    let fields = Fields::of("run_segments", &["run_id", "number"], row);
    Ok(Segment {
        number: fields.count("number")?,
        writer: fields.get("writer")?,
        host: fields.get("host")?,
        first_step: Step(fields.count("first_step")?),
        last_step: Step(fields.count("last_step")?),
        first_at: fields.time("first_at")?,
        last_at: fields.time("last_at")?,
        batches: fields.count("batches")?,
        last_seq: fields.count("last_seq")?,
    })
}

/// The rows that are shown between two updates.
pub(super) async fn read(
    connection: &mut Transaction,
    id: RunId,
    first: Step,
    last: Step,
) -> Result<Vec<MetricRow>, StoreError> {
    let all = segments(connection, id).await?;
    // A segment counts later than its number says when what it reported first came last of all.
    let bound = |step: Step| i64::try_from(step.0).unwrap_or(i64::MAX);
    let query = database::query(
        "SELECT * FROM metric_chunks WHERE run_id = $1 AND last_step >= $2 AND first_step <= $3 ORDER BY segment, id",
    );
    let query = query.bind(id.to_string()).bind(bound(first)).bind(bound(last));
    let mut shown: BTreeMap<Step, MetricRow> = BTreeMap::new();
    for chunk in query.fetch_all(connection).await? {
        let of: u32 = Fields::of("metric_chunks", &["run_id", "id"], &chunk).count("segment")?;
        let rows = body(&chunk)?.into_iter().filter(|row| (first..=last).contains(&row.step));
        for row in rows {
            if segment_of(&all, row.step).is_some_and(|segment| segment.number == of) {
                shown.insert(row.step, row);
            }
        }
    }
    Ok(shown.into_values().collect())
}

/// Brings the rows that an older version kept one by one into chunks. Nothing happens when there are none.
pub(super) async fn take_over(connection: &mut Transaction) -> Result<(), StoreError> {
    let runs = database::query("SELECT DISTINCT run_id FROM metrics").fetch_all(&mut *connection).await?;
    for run in runs {
        let id: RunId = Fields::of("metrics", &["run_id"], &run).parse("run_id")?;
        let query =
            database::query("SELECT * FROM metrics WHERE run_id = $1 ORDER BY step").bind(id.to_string());
        let rows: Vec<MetricRow> =
            query.fetch_all(&mut *connection).await?.iter().map(old_row).collect::<Result<_, _>>()?;
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else { continue };
        let steps = (first.step, last.step);
        let about =
            database::query("SELECT id, created, updated FROM runs WHERE id = $1").bind(id.to_string());
        let about = about.fetch_one(&mut *connection).await?;
        let updated = Fields::of("runs", &["id"], &about).time("updated")?;
        reach(connection, id, &MetricsBatch::default(), steps, None, updated).await?;
        for rows in rows.chunks(usize::try_from(FULL).unwrap_or(usize::MAX)) {
            put(connection, id, (1, 1), rows, &chunk::encode(rows)?).await?;
        }
        // What the detectors would have found long ago is no news; they begin with the last rows.
        let mut detectors = Detectors::default();
        detectors.feed(&rows[rows.len().saturating_sub(256)..]);
        let mut sketch = Sketch::default();
        sketch.feed(&rows);
        watch(connection, id, &detectors, &sketch).await?;
    }
    database::query("DELETE FROM metrics").execute(connection).await?;
    Ok(())
}

fn old_row(row: &Row) -> Result<MetricRow, StoreError> {
    let fields = Fields::of("metrics", &["run_id", "step"], row);
    Ok(MetricRow {
        step: Step(fields.count("step")?),
        tokens: sekisho_domain::Tokens(fields.count("tokens")?),
        loss: fields.get("loss")?,
        ce: fields.get("ce")?,
        z_loss: fields.get("z_loss")?,
        lr: fields.get("lr")?,
        grad_norm: fields.get("grad_norm")?,
        seconds: fields.get("seconds")?,
        more: BTreeMap::new(),
    })
}
