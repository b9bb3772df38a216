use std::collections::BTreeMap;

use sekisho_bench::{Record, Suite, TaskItems, mean_over_tasks};
use sekisho_domain::evaluation::{TaskRun, WorkState};
use sekisho_domain::run::RunState;
use sekisho_domain::score::Interval;
use sekisho_domain::user::{Role, Scope};
use sekisho_domain::{EvaluationId, Sha256, WorkItemId};
use sekisho_store::{Checkpoint, Evaluation, NewWork, Run, ScoreRow};

use super::{computed, runs, standing};
use crate::{Actor, App, Noun, WebError};

/// Priority of checkpoints of running training; release checks go before them, backfill after.
const TRAINING_PRIORITY: i32 = 10;

/// An evaluation by id.
///
/// # Errors
/// 404.
pub async fn find(app: &App, key: &str) -> Result<Evaluation, WebError> {
    let id: EvaluationId = key.parse().map_err(|_| WebError::not_found(Noun::Evaluation, key))?;
    let found = app.store.evaluation(id).await?;
    found.ok_or_else(|| WebError::not_found(Noun::Evaluation, key))
}

/// A suite by name.
///
/// # Errors
/// 404 with the names that exist.
pub fn suite<'a>(app: &'a App, name: &str) -> Result<&'a Suite, WebError> {
    app.catalog.suite(name).map_err(|error| {
        let mut not_found = WebError::not_found(Noun::Suite, name);
        not_found.detail = error.to_string();
        not_found
    })
}

/// Who may ask for evaluations.
pub const ASKERS: [Role; 2] = [Role::Evaluator, Role::Contributor];

/// [`start`] for somebody who asks.
///
/// # Errors
/// 403, and those of [`start`].
pub async fn ask(
    app: &App,
    actor: &Actor,
    checkpoint: &Checkpoint,
    suite_name: &str,
) -> Result<Evaluation, WebError> {
    let run = runs::find(app, &checkpoint.run.to_string()).await?;
    actor.require_in(&run.project, &ASKERS, Scope::Evaluate)?;
    start(app, checkpoint, suite_name).await
}

/// Queues a verified checkpoint for a suite. Asking twice answers the first; one that failed is tried again from what it has.
///
/// # Errors
/// 404 for the suite, 409 for a checkpoint that is not verified.
pub async fn start(app: &App, checkpoint: &Checkpoint, suite_name: &str) -> Result<Evaluation, WebError> {
    let suite = suite(app, suite_name)?;
    standing::is_usable(checkpoint)?;
    let Some(found) = &checkpoint.verification else {
        let detail = format!(
            "Checkpoint {} is {}; only a verified one is evaluated.",
            checkpoint.id, checkpoint.state
        );
        let ja = "評価できるのは、検証済みのチェックポイントだけです。";
        return Err(WebError::conflict("checkpoint-unverified", detail).or_ja(ja));
    };
    let now = app.now();
    let evaluation = Evaluation {
        id: EvaluationId::new(&*app.clock, &*app.entropy),
        checkpoint: checkpoint.id,
        suite: suite.name.clone(),
        state: WorkState::Waiting,
        environment: BTreeMap::new(),
        created: now,
        updated: now,
    };
    let work: Vec<NewWork> = (0..)
        .zip(&suite.tasks)
        .map(|(position, run)| NewWork {
            id: WorkItemId::new(&*app.clock, &*app.entropy),
            run: run.clone(),
            digest: found.digest,
            position,
            priority: TRAINING_PRIORITY,
            pool: String::new(),
        })
        .collect();
    let mut kept = app.store.add_evaluation(&evaluation, &work).await?;
    if kept.state == WorkState::Failed {
        app.store.retry(kept.id, now).await?;
        kept = find(app, &kept.id.to_string()).await?;
        app.events.publish(format!("evaluation:{}", kept.id), "score");
    }
    app.events.publish("queue", "state");
    app.events.publish(format!("run:{}", checkpoint.run), "checkpoint");
    Ok(kept)
}

/// The records of a work item, each item once, by item.
///
/// # Errors
/// When store or blobs fail.
pub async fn records(app: &App, work: WorkItemId) -> Result<Vec<Record>, WebError> {
    let mut by_item = BTreeMap::new();
    for chunk in app.store.chunks(work).await? {
        for value in app.blobs.get_records(&chunk.blob).await? {
            let record: Record = serde_json::from_value(value).map_err(WebError::internal)?;
            by_item.entry(record.item).or_insert(record);
        }
    }
    Ok(by_item.into_values().collect())
}

/// Fields of a record that hold the benchmark's content, or give it away.
const CONTENT: [&str; 6] = ["output", "stop", "prediction", "gold", "loglikelihoods", "choice_tokens"];

/// A record as it is handed on: whole, or with ids, digests and scores alone.
#[must_use]
pub fn shown(record: &Record, whole: bool) -> serde_json::Value {
    let mut fields = serde_json::json!(record);
    if let Some(fields) = fields.as_object_mut().filter(|_| !whole) {
        fields.retain(|name, _| !CONTENT.contains(&name.as_str()));
    }
    fields
}

/// Whether the content of a task's items may be handed on to anybody. What has no definition here may not.
#[must_use]
pub fn is_redistributable(app: &App, run: &TaskRun) -> bool {
    app.catalog.find(&run.profile, &run.task).is_ok_and(|definition| definition.redistributable)
}

/// The suite that examines a run's checkpoints: its own, or the service's. Curves, boards and release pages show this one and no
/// other beside it.
#[must_use]
pub fn suite_of<'a>(app: &'a App, run: &'a Run) -> &'a str {
    run.suite.as_deref().unwrap_or(&app.config.suite)
}

/// Whether a run's own suite examines this checkpoint: each, those at multiples of `[evaluate] every`, and the last of a run that has
/// finished. A suite that this service does not have examines none.
#[must_use]
pub fn is_due(app: &App, run: &Run, checkpoint: &Checkpoint) -> bool {
    let every = run.spec.as_ref().and_then(|spec| spec.pointer("/evaluate/every")?.as_u64()).unwrap_or(1);
    let last = run.state == RunState::Finished && checkpoint.step >= run.step;
    let at_step = every <= 1 || checkpoint.step.0.is_multiple_of(every) || last;
    if let (true, Err(error)) = (at_step, suite(app, suite_of(app, run))) {
        tracing::warn!(checkpoint = %checkpoint.id, %error, "a suite cannot be queued");
        return false;
    }
    at_step
}

/// Identity of what is computed of scores and kept: the formulas, and each work item with the metric that was read of it. Finished
/// work never changes; what a newer version computes otherwise must have another `FORMULAS`.
#[must_use]
pub fn identity(scores: &[ScoreRow]) -> String {
    const FORMULAS: u32 = 2;
    let parts: Vec<String> =
        scores.iter().map(|score| format!("{} {}", score.work, score.entry.metric)).collect();
    Sha256::of(format!("{FORMULAS}\n{}", parts.join("\n"))).hex()
}

/// The answers behind a score.
///
/// # Errors
/// When store or blobs fail.
pub async fn items_of(app: &App, score: &ScoreRow) -> Result<TaskItems, WebError> {
    let definition = app.catalog.find(&score.entry.profile, &score.entry.task);
    let clustered = definition.is_ok_and(|definition| definition.cluster.is_some());
    Ok(TaskItems::new(&score.entry.metric, clustered, &records(app, score.work).await?))
}

/// The mean over the tasks of these scores, with its interval from their items; none where nothing enters a mean. It is computed once
/// per set of scores and then remembered: it needs every record.
///
/// # Errors
/// When store or blobs fail.
pub async fn mean(app: &App, rows: &[ScoreRow]) -> Result<Option<Interval>, WebError> {
    let key = format!("means/{}.json", identity(rows));
    if let Some(known) = computed::get(app, &key).await?.and_then(|bytes| serde_json::from_slice(&bytes).ok())
    {
        return Ok(known);
    }
    let mut tasks = Vec::with_capacity(rows.len());
    for row in rows {
        tasks.push(items_of(app, row).await?);
    }
    tasks.retain(TaskItems::enters_means);
    let interval =
        tokio::task::spawn_blocking(move || mean_over_tasks(&tasks)).await.map_err(WebError::internal)?;
    let bytes = serde_json::to_vec(&interval).map_err(WebError::internal)?;
    computed::put(app, &key, bytes).await?;
    Ok(interval)
}
