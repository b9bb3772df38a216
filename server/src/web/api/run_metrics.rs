use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use sekisho_domain::Step;
use sekisho_domain::run::{MetricRow, quote_bare_numbers};
use sekisho_domain::user::{Role, Scope};
use sekisho_domain::wire::{MetricsAccepted, MetricsBatch};
use serde::Deserialize;

use super::paging::{Filter, Page, Paging};
use crate::service::{reports, runs};
use crate::web::charts::{self, Scale};
use crate::{Actor, App, Viewer, WebError};

/// Which rows.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// First update.
    #[serde(default)]
    from: Option<u64>,
    /// Last update.
    #[serde(default)]
    to: Option<u64>,
    /// Rows at most: of more, those with the least and the greatest loss of each part.
    #[serde(default)]
    points: Option<usize>,
}

/// Rows are short, and there are many.
impl Filter for Wanted {
    const USUAL: u32 = 10_000;
    const MOST: u32 = 100_000;
}

/// Which part of them.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what `Paging` reads")]
pub(super) struct PartParams {
    /// Rows at most.
    #[param(minimum = 1, maximum = 100_000, default = 10_000)]
    limit: Option<u32>,
    /// The cursor of an earlier answer's `next`.
    after: Option<String>,
}

/// Lists the metrics of a run by step
///
/// Of an update that was reported again, what the last process reported. With `points` the answer is whole, thinned to so many rows.
#[utoipa::path(
    get,
    path = "/runs/{run}/metrics",
    operation_id = "list_metrics",
    tag = "runs",
    params(PartParams, Wanted),
    responses((status = 200, description = "The answer.", body = Page<MetricRow>)),
    security((), ("token" = []), ("session" = [])),
)]
pub(super) async fn list(
    State(app): State<App>,
    viewer: Viewer,
    Path(key): Path<String>,
    paging: Paging<Step, Wanted>,
) -> Result<Page<MetricRow>, WebError> {
    viewer.may_read()?;
    let run = runs::find(&app, &key).await?;
    let Wanted { from, to, points } = paging.filter;
    let (first, last) = (Step(from.unwrap_or(0)), Step(to.unwrap_or(u64::MAX)));
    if let Some(points) = points {
        let rows = app.store.metrics_between(run.id, first, last).await?;
        return Ok(Page::whole(thinned(rows, points)));
    }
    let first = paging.after.map_or(first, |after| Step(after.0.saturating_add(1)).max(first));
    let rows = app.store.metrics_part(run.id, first, last, paging.take()).await?;
    Ok(paging.page(rows, |row| row.step, |row| row))
}

fn thinned(rows: Vec<MetricRow>, points: usize) -> Vec<MetricRow> {
    let losses: Vec<(f64, f64)> =
        rows.iter().map(|row| (row.step.0 as f64, row.loss.unwrap_or(0.0))).collect();
    let kept = charts::thinned(&losses, Scale::Linear, points.max(4));
    let mut kept = kept.into_iter().map(|(step, _)| step).peekable();
    let mut is_kept = |row: &MetricRow| kept.next_if(|step| *step == row.step.0 as f64).is_some();
    rows.into_iter().filter(|row| is_kept(row)).collect()
}

/// Appends a batch of metrics, exactly once
///
/// A bare `NaN` or `Infinity`, which JSON does not have and Python writes, is read as what it says: a run that diverges is the last whose report
/// may be lost.
#[utoipa::path(
    post,
    path = "/runs/{run}/metrics",
    operation_id = "append_metrics",
    tag = "runs",
    request_body = MetricsBatch,
    responses((status = 200, description = "The answer.", body = MetricsAccepted)),
    security(("token" = ["ingest"])),
)]
pub(super) async fn append(
    State(app): State<App>,
    actor: Actor,
    Path(key): Path<String>,
    body: Bytes,
) -> Result<Json<MetricsAccepted>, WebError> {
    let batch = parse(&body).map_err(|error| {
        let detail = format!("The batch cannot be read: {error}. Send {{\"seq\": 0, \"rows\": [{{\"step\": 1, \"tokens\": 512, \"loss\": 3.2}}]}} as JSON.");
        WebError::bad_request("body", detail)
    })?;
    let run = runs::find(&app, &key).await?;
    actor.require_in(&run.project, &[Role::Contributor], Scope::Ingest)?;
    Ok(Json(reports::metrics(&app, &run, &batch).await?))
}

fn parse(body: &[u8]) -> Result<MetricsBatch, serde_json::Error> {
    match serde_json::from_slice(body) {
        Err(error) if error.is_syntax() => serde_json::from_slice(&quote_bare_numbers(body)),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn what_python_writes_for_no_number_is_read() {
        let body = br#"{"seq": 0, "writer": "a \" NaN b", "rows": [{"step": 1, "tokens": 2, "loss": NaN, "grad_norm": -Infinity, "NaN": Infinity}]}"#;
        let batch = parse(body).expect("a batch");
        assert_eq!(batch.writer, "a \" NaN b");
        let row = &batch.rows[0];
        assert!(row.loss.is_some_and(f64::is_nan));
        assert_eq!((row.grad_norm, row.more["NaN"]), (Some(f64::NEG_INFINITY), f64::INFINITY));
        for bad in ["{\"seq\": NaN, \"rows\": []}", "{\"seq\": 0, \"rows\": [NaN]}", "{\"seq\": 0,", "\\"] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
