use axum::Json;
use axum::extract::{Path, State};
use sekisho_domain::run::MetricRow;
use sekisho_domain::user::{Role, Scope};
use sekisho_domain::wire::{MetricsAccepted, MetricsBatch};

use super::body::JsonBody;
use crate::service::runs;
use crate::{Actor, App, Viewer, WebError};

/// `GET /api/v1/runs/{run}/metrics`: every row by step.
pub(super) async fn list(
    State(app): State<App>,
    viewer: Viewer,
    Path(key): Path<String>,
) -> Result<Json<Vec<MetricRow>>, WebError> {
    viewer.may_read()?;
    let run = runs::find(&app, &key).await?;
    Ok(Json(app.store.metrics(run.id).await?))
}

/// `POST /api/v1/runs/{run}/metrics`: a batch, exactly once.
pub(super) async fn append(
    State(app): State<App>,
    actor: Actor,
    Path(key): Path<String>,
    JsonBody(batch): JsonBody<MetricsBatch>,
) -> Result<Json<MetricsAccepted>, WebError> {
    let run = runs::find(&app, &key).await?;
    actor.require_in(&run.project, &[Role::Contributor], Scope::Ingest)?;
    Ok(Json(runs::metrics(&app, &key, &batch).await?))
}
