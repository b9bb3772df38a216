use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use sekisho_domain::evaluation::WorkState;
use sekisho_domain::score::{Interval, ResultEntry};
use sekisho_domain::{CheckpointId, EvaluationId, Timestamp, WorkItemId};
use sekisho_store::{Evaluation, Try};
use serde::{Deserialize, Serialize};

use super::body::JsonBody;
use super::paging::Page;
use crate::service::{checkpoints, evaluations, found};
use crate::{Actor, App, Viewer, WebError};

/// An evaluation as the API shows it.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Evaluation)]
pub(super) struct EvaluationView {
    id: EvaluationId,
    checkpoint: CheckpointId,
    suite: String,
    state: WorkState,
    environment: std::collections::BTreeMap<String, String>,
    tasks: Vec<TaskView>,
    mean: Option<Interval>,
    created: Timestamp,
    updated: Timestamp,
}

/// One task of an evaluation.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = EvaluationTask)]
struct TaskView {
    work: WorkItemId,
    profile: String,
    task: String,
    split: String,
    state: WorkState,
    attempt: u32,
    finished: u64,
    total: Option<u64>,
    error: Option<String>,
    tries: Vec<TryView>,
    scores: Vec<ResultEntry>,
}

/// One try of a task, by a worker.
#[derive(Serialize, utoipa::ToSchema)]
struct TryView {
    worker: String,
    /// Items that were answered when it began.
    first: u64,
    /// And when it ended.
    last: Option<u64>,
    began: Timestamp,
    ended: Option<Timestamp>,
    /// Why it ended before the task was finished: `silent`, `freed`, `given_back`, or the worker's own sentence.
    cause: Option<String>,
}

/// `POST /api/v1/checkpoints/{id}/evaluations`.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewEvaluation)]
pub(super) struct Start {
    suite: String,
}

/// Shows an evaluation with its tasks and scores
#[utoipa::path(
    get,
    path = "/evals/{id}",
    operation_id = "show_evaluation",
    tag = "evaluations",
    responses((status = 200, description = "The answer.", body = EvaluationView)),
    security((), ("token" = []), ("session" = [])),
)]
pub(super) async fn show(
    State(app): State<App>,
    viewer: Viewer,
    Path(key): Path<String>,
) -> Result<Json<EvaluationView>, WebError> {
    viewer.may_read()?;
    let evaluation = evaluations::find(&app, &key).await?;
    Ok(Json(view(&app, evaluation).await?))
}

/// Lists the evaluations of a checkpoint, newest first
#[utoipa::path(
    get,
    path = "/checkpoints/{id}/evaluations",
    operation_id = "list_evaluations",
    tag = "evaluations",
    responses((status = 200, description = "The answer.", body = Page<EvaluationView>)),
    security((), ("token" = []), ("session" = [])),
)]
pub(super) async fn of_checkpoint(
    State(app): State<App>,
    viewer: Viewer,
    Path(key): Path<String>,
) -> Result<Page<EvaluationView>, WebError> {
    viewer.may_read()?;
    let checkpoint = checkpoints::find(&app, &key).await?;
    let mut views = Vec::new();
    for evaluation in app.store.evaluations_of(checkpoint.id).await? {
        views.push(view(&app, evaluation).await?);
    }
    Ok(Page::whole(views))
}

/// Queues a suite for a checkpoint
///
/// Asking twice answers the first.
#[utoipa::path(
    post,
    path = "/checkpoints/{id}/evaluations",
    operation_id = "create_evaluation",
    tag = "evaluations",
    request_body = Start,
    responses((status = 202, description = "Taken in; the work goes on.", body = EvaluationView)),
    security(("token" = ["evaluate"])),
)]
pub(super) async fn start(
    State(app): State<App>,
    actor: Actor,
    Path(key): Path<String>,
    JsonBody(request): JsonBody<Start>,
) -> Result<(StatusCode, Json<EvaluationView>), WebError> {
    let checkpoint = checkpoints::find(&app, &key).await?;
    let evaluation = evaluations::ask(&app, &actor, &checkpoint, &request.suite).await?;
    Ok((StatusCode::ACCEPTED, Json(view(&app, evaluation).await?)))
}

fn try_view(one: &Try) -> TryView {
    let Try { worker, first, last, began, ended, cause, .. } = one.clone();
    TryView { worker, first, last, began, ended, cause }
}

async fn view(app: &App, evaluation: Evaluation) -> Result<EvaluationView, WebError> {
    let scores = app.store.scores(evaluation.id).await?;
    let tries = app.store.tries_of(evaluation.id).await?;
    let tasks = app
        .store
        .work_of(evaluation.id)
        .await?
        .into_iter()
        .map(|row| TaskView {
            work: row.work.id,
            scores: scores.iter().filter(|s| s.work == row.work.id).map(|s| s.entry.clone()).collect(),
            profile: row.work.run.profile,
            task: row.work.run.task,
            split: row.work.run.split,
            state: row.state,
            attempt: row.attempt,
            finished: row.finished,
            total: row.total,
            error: row.error,
            tries: tries.iter().filter(|one| one.work == row.work.id).map(try_view).collect(),
        })
        .collect();
    Ok(EvaluationView {
        id: evaluation.id,
        checkpoint: evaluation.checkpoint,
        mean: found::of(app, &evaluation).await?.scores.mean,
        suite: evaluation.suite,
        state: evaluation.state,
        environment: evaluation.environment,
        tasks,
        created: evaluation.created,
        updated: evaluation.updated,
    })
}
