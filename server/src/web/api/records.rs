use axum::extract::{Path, Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use crate::service::evaluations;
use crate::{App, Viewer, WebError};

#[derive(Deserialize)]
pub(super) struct Filter {
    /// Only this task.
    task: Option<String>,
}

/// `GET /api/v1/evals/{id}/records?task=…`: the per-item records as NDJSON, in the contract's format. Of a benchmark that may not be
/// handed on, whoever is not known gets ids, digests and scores.
pub(super) async fn list(
    State(app): State<App>,
    viewer: Viewer,
    Path(key): Path<String>,
    Query(filter): Query<Filter>,
) -> Result<Response, WebError> {
    viewer.may_read()?;
    let evaluation = evaluations::find(&app, &key).await?;
    let mut lines = String::new();
    for row in app.store.work_of(evaluation.id).await? {
        if filter.task.as_ref().is_some_and(|task| *task != row.work.run.task) {
            continue;
        }
        let whole = viewer.actor.is_some() || evaluations::is_redistributable(&app, &row.work.run);
        for record in evaluations::records(&app, row.work.id).await? {
            lines.push_str(&evaluations::shown(&record, whole).to_string());
            lines.push('\n');
        }
    }
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], lines).into_response())
}
