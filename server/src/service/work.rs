use std::collections::BTreeSet;

use sekisho_bench::{Record, aggregate};
use sekisho_domain::evaluation::Bos;
use sekisho_domain::wire::{
    Claim, ClaimedItems, Heartbeat, HeartbeatAnswer, HeldItem, ItemFailure, NextCheckpoint, ResultsAccepted,
    ResultsBatch, WorkItem,
};
use sekisho_store::{Progress, RecordChunk, WorkRow};

use super::{copies, standing};
use crate::{App, Noun, WebError};

/// A worker says it is alive three times within this.
pub(crate) const LEASE_SECONDS: i64 = 60;

/// Leases work to a worker. An item whose definition or data is missing fails at once, with the reason, and is not handed out.
///
/// # Errors
/// 403 for an unknown pool, 409 for a worker of another version.
pub async fn claim(app: &App, claim: &Claim) -> Result<ClaimedItems, WebError> {
    claim_for(app, claim, LEASE_SECONDS).await
}

/// The same under a lease of so many seconds.
pub(super) async fn claim_for(app: &App, claim: &Claim, seconds: i64) -> Result<ClaimedItems, WebError> {
    check_worker(app, claim)?;
    let max = claim.max.clamp(1, 64);
    let rows = app.store.claim(&claim.worker, &claim.pool, claim.loaded, max, seconds, app.now()).await?;
    let next = match rows.first() {
        Some(row) => next_checkpoint(app, &claim.pool, row).await?,
        None => None,
    };
    if let Some(row) = rows.first()
        && !is_as_examined(app, row).await?
    {
        for row in &rows {
            app.store.give_back(held(row), app.now()).await?;
        }
        return Ok(ClaimedItems { items: Vec::new(), next: None });
    }
    let mut items = Vec::with_capacity(rows.len());
    for row in rows {
        match prepare(app, &row).await? {
            Ok(item) => items.push(item),
            Err(message) => {
                let failure = ItemFailure { message, retry: false };
                app.store.fail(held(&row), &failure, app.now()).await?;
                changed(app, &row).await?;
            }
        }
    }
    Ok(ClaimedItems { items, next })
}

/// Whether the files that are to be evaluated are still those that were examined; the items of one claim are of one checkpoint. Where
/// the file system says something else than before, they are read again in the background, and nothing is handed out until it is known.
async fn is_as_examined(app: &App, row: &WorkRow) -> Result<bool, WebError> {
    let Some(checkpoint) = app.store.checkpoint(row.checkpoint).await? else { return Ok(true) };
    let is_untouched = {
        let (app, checkpoint) = (app.clone(), checkpoint.clone());
        let look = move || standing::is_untouched(&app, &checkpoint);
        tokio::task::spawn_blocking(look).await.map_err(WebError::internal)?
    };
    if !is_untouched {
        standing::look_later(app, checkpoint);
    }
    Ok(is_untouched)
}

/// What a worker may load while it answers this item: another checkpoint, and only when it comes next.
async fn next_checkpoint(app: &App, pool: &str, row: &WorkRow) -> Result<Option<NextCheckpoint>, WebError> {
    let Some(next) = app.store.next_checkpoint(pool, app.now()).await? else { return Ok(None) };
    if next == row.checkpoint {
        return Ok(None);
    }
    let Some(checkpoint) = app.store.checkpoint(next).await? else { return Ok(None) };
    let path = copies::present(app, &checkpoint).display().to_string();
    Ok(checkpoint.verification.map(|found| NextCheckpoint { digest: found.digest, path }))
}

fn check_worker(app: &App, claim: &Claim) -> Result<(), WebError> {
    let ours = env!("CARGO_PKG_VERSION");
    let minor = |version: &str| version.split('.').take(2).map(ToOwned::to_owned).collect::<Vec<_>>();
    if !claim.version.is_empty() && minor(&claim.version) != minor(ours) {
        let detail = format!(
            "Worker {} is version {}, the server {ours}; update the older one.",
            claim.worker, claim.version
        );
        return Err(WebError::conflict("worker-version", detail));
    }
    if claim.pool.is_empty() || app.config.pools.is_empty() || app.config.pools.contains(&claim.pool) {
        return Ok(());
    }
    let detail = format!(
        "There is no pool \"{}\"; [workers] pools names {}.",
        claim.pool,
        app.config.pools.join(", ")
    );
    Err(WebError::forbidden("pool-unknown", detail))
}

/// Everything a worker needs for an item, or the reason why it cannot be had.
async fn prepare(app: &App, row: &WorkRow) -> Result<Result<WorkItem, String>, WebError> {
    let Some(checkpoint) = app.store.checkpoint(row.checkpoint).await? else {
        return Ok(Err(format!("Checkpoint {} is gone.", row.checkpoint)));
    };
    let run = &row.work.run;
    let definition = match app.catalog.find(&run.profile, &run.task) {
        Ok(definition) => definition,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let sources = match app.sources.of_run(definition, run) {
        Ok(sources) => sources,
        Err(message) => return Ok(Err(message)),
    };
    let mut finished = BTreeSet::new();
    for chunk in app.store.chunks(row.work.id).await? {
        finished.extend(chunk.items);
    }
    Ok(Ok(WorkItem {
        id: row.work.id,
        fence: row.fence,
        lease_seconds: LEASE_SECONDS.unsigned_abs(),
        evaluation: row.evaluation,
        checkpoint: row.checkpoint,
        digest: row.work.digest,
        path: copies::present(app, &checkpoint).display().to_string(),
        run: run.clone(),
        bos: Bos::Auto,
        definition: definition.toml().to_owned(),
        sources,
        finished: finished.into_iter().collect(),
    }))
}

/// Prolongs leases.
///
/// # Errors
/// When the store fails.
pub async fn heartbeat(app: &App, beat: &Heartbeat) -> Result<HeartbeatAnswer, WebError> {
    let lost = app.store.heartbeat(&beat.worker, &beat.items, LEASE_SECONDS, app.now()).await?;
    Ok(HeartbeatAnswer { lost })
}

/// Takes records, and the end of an item. What was accepted is on disk before the answer goes out.
///
/// # Errors
/// 404, 409 when the lease has passed on, 422 for records that are not of this item.
pub async fn results(app: &App, batch: &ResultsBatch) -> Result<ResultsAccepted, WebError> {
    let not_found = || WebError::not_found(Noun::WorkItem, batch.id);
    let row = app.store.work(batch.id).await?.ok_or_else(not_found)?;
    let held = HeldItem { id: batch.id, fence: batch.fence };
    if let Some(failure) = &batch.failure {
        app.store.fail(held, failure, app.now()).await?;
        changed(app, &row).await?;
        return Ok(ResultsAccepted { accepted: 0, finished: row.finished });
    }
    check_plan(app, &row, batch).await?;
    let chunk = new_records(app, &row, batch).await?;
    let accepted = chunk.as_ref().map_or(0, |c| c.items.len() as u64);
    let progress = Progress {
        batch: batch.batch,
        chunk: chunk.as_ref(),
        total: batch.total,
        seconds: batch.seconds,
        tokens: batch.tokens,
    };
    let finished = app.store.record_progress(held, progress, app.now()).await?;
    if !batch.environment.is_empty() {
        app.store.merge_environment(row.evaluation, &batch.environment, app.now()).await?;
    }
    if batch.done {
        finish(app, &row, held).await?;
    } else if batch.give_back {
        app.store.give_back(held, app.now()).await?;
    }
    changed(app, &row).await?;
    Ok(ResultsAccepted { accepted, finished })
}

/// Results from a bundle may be old: they count only for the plan that the item still has.
async fn check_plan(app: &App, row: &WorkRow, batch: &ResultsBatch) -> Result<(), WebError> {
    let Some(plan) = batch.plan else { return Ok(()) };
    let now = prepare(app, row).await?.map_err(|message| WebError::refused("bundle-plan", message))?;
    if now.plan() == plan {
        return Ok(());
    }
    let detail = format!(
        "The results are of another plan than work item {} has now: its task, its settings, its data or its model changed. Make a new bundle.",
        batch.id
    );
    Err(WebError::refused("bundle-plan", detail))
}

/// Writes the records that are new as a blob. The row that names it follows in one transaction; a blob without a row is never read.
async fn new_records(
    app: &App,
    row: &WorkRow,
    batch: &ResultsBatch,
) -> Result<Option<RecordChunk>, WebError> {
    let mut seen = BTreeSet::new();
    for chunk in app.store.chunks(row.work.id).await? {
        seen.extend(chunk.items);
    }
    let mut items = Vec::new();
    let mut fresh = Vec::new();
    for value in &batch.records {
        let record: Record = serde_json::from_value(value.clone()).map_err(|error| {
            WebError::refused(
                "record",
                format!("A record of work item {} cannot be read: {error}.", batch.id),
            )
        })?;
        let run = &row.work.run;
        if (&record.profile, &record.task, &record.split) != (&run.profile, &run.task, &run.split) {
            let detail = format!(
                "A record of {}/{}/{} does not belong to work item {} ({}/{}/{}).",
                record.profile, record.task, record.split, batch.id, run.profile, run.task, run.split
            );
            return Err(WebError::refused("record", detail));
        }
        if seen.insert(record.item) {
            items.push(record.item);
            fresh.push(value.clone());
        }
    }
    if fresh.is_empty() {
        return Ok(None);
    }
    let blob = app.blobs.put_records(row.work.id, items[0], &fresh).await?;
    Ok(Some(RecordChunk { work: row.work.id, blob, items }))
}

async fn finish(app: &App, row: &WorkRow, held: HeldItem) -> Result<(), WebError> {
    let run = &row.work.run;
    let definition = app.catalog.find(&run.profile, &run.task).map_err(WebError::internal)?;
    let sources = app.sources.of_run(definition, run).map_err(WebError::internal)?;
    let records = super::evaluations::records(app, row.work.id).await?;
    let total = app.store.work(row.work.id).await?.and_then(|w| w.total);
    if total.is_some_and(|total| total != records.len() as u64) {
        let detail = format!(
            "Work item {} is not done: {} of {} items are answered.",
            row.work.id,
            records.len(),
            total.unwrap_or(0)
        );
        return Err(WebError::refused("not-done", detail));
    }
    let mut scores = aggregate(definition, run, &sources, Bos::Auto, &records);
    let spent = app.store.work(row.work.id).await?.unwrap_or_else(|| row.clone());
    for (entry, _) in &mut scores {
        entry.seconds = spent.seconds;
        entry.tokens = spent.tokens;
    }
    app.store.finish(held, &scores, app.now()).await?;
    // The mean reads every record and draws a thousand times: whoever opens a page first should not wait for it.
    let (app, id) = (app.clone(), row.evaluation);
    tokio::spawn(async move {
        if let Err(error) = super::found::prepare(&app, id).await {
            tracing::warn!(evaluation = %id, %error, "the mean could not be computed yet");
        }
    });
    Ok(())
}

fn held(row: &WorkRow) -> HeldItem {
    HeldItem { id: row.work.id, fence: row.fence }
}

/// Tells the pages that show this item: the queue's, the evaluation's, the checkpoint's and the run's.
async fn changed(app: &App, row: &WorkRow) -> Result<(), WebError> {
    app.events.publish("queue", "state");
    app.events.publish(format!("evaluation:{}", row.evaluation), "score");
    app.events.publish(format!("checkpoint:{}", row.checkpoint), "score");
    if let Some(checkpoint) = app.store.checkpoint(row.checkpoint).await? {
        app.events.publish(format!("run:{}", checkpoint.run), "score");
    }
    Ok(())
}
