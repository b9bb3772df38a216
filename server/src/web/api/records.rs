use axum::extract::{Path, Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use sekisho_bench::Record;
use serde::Deserialize;

use crate::service::evaluations;
use crate::{App, Viewer, WebError};

#[derive(Deserialize)]
pub(super) struct Filter {
    /// Only this task.
    task: Option<String>,
}

/// Fields of a record that hold the benchmark's content, or give it away.
const CONTENT: [&str; 6] = ["output", "stop", "prediction", "gold", "loglikelihoods", "choice_tokens"];

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
            let line = if whole { serde_json::to_string(&record) } else { without_content(&record) };
            lines.push_str(&line.map_err(WebError::internal)?);
            lines.push('\n');
        }
    }
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], lines).into_response())
}

fn without_content(record: &Record) -> serde_json::Result<String> {
    let mut fields = serde_json::to_value(record)?;
    if let Some(fields) = fields.as_object_mut() {
        fields.retain(|name, _| !CONTENT.contains(&name.as_str()));
    }
    serde_json::to_string(&fields)
}
