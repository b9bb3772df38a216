use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use sekisho_store::WorkRow;
use serde::Deserialize;

use super::query::Query;
use crate::service::{checkpoints, corpora, evaluations};
use crate::{App, Viewer, WebError};

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    /// Only this task.
    task: Option<String>,
}

/// Reads the per-item records of an evaluation
///
/// One JSON object a line, one task after the other. Of a benchmark that may not be handed on, whoever is not known gets ids, digests and
/// scores.
#[utoipa::path(
    get,
    path = "/evals/{id}/records",
    operation_id = "list_records",
    tag = "evaluations",
    params(Filter),
    responses((status = 200, description = "One record a line, as `sekisho eval --out` writes it.", body = String, content_type = "application/x-ndjson")),
    security((), ("token" = []), ("session" = [])),
)]
pub(super) async fn list(
    State(app): State<App>,
    viewer: Viewer,
    Path(key): Path<String>,
    Query(filter): Query<Filter>,
) -> Result<Response, WebError> {
    viewer.may_read()?;
    let evaluation = evaluations::find(&app, &key).await?;
    let checkpoint = checkpoints::find(&app, &evaluation.checkpoint.to_string()).await?;
    corpora::may_use_checkpoint(&app, &checkpoint).await?;
    let mut rows = app.store.work_of(evaluation.id).await?;
    rows.retain(|row| filter.task.as_ref().is_none_or(|task| *task == row.work.run.task));
    let is_known = viewer.actor.is_some();
    let tasks = stream::iter(rows).then(move |row| {
        let app = app.clone();
        async move { of_task(&app, &row, is_known).await }
    });
    // The status is out already: what cannot be read breaks the answer off, and does not end it.
    let tasks = tasks.inspect_err(|error| tracing::error!(%error, "records cannot be read"));
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(tasks)).into_response())
}

async fn of_task(app: &App, row: &WorkRow, is_known: bool) -> Result<String, WebError> {
    let whole = is_known || evaluations::is_redistributable(app, &row.work.run);
    let records = evaluations::records(app, row.work.id).await?;
    Ok(records.iter().map(|record| format!("{}\n", evaluations::shown(record, whole))).collect())
}
