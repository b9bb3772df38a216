use axum::Json;
use axum::extract::{Path, State};
use sekisho_domain::wire::{ContaminationReport, KeptContamination};

use super::body::JsonBody;
use crate::service::contamination;
use crate::{Actor, App, Viewer, WebError};

/// `GET /api/v1/runs/{run}/contamination`: the reports on a run, by profile, task and split.
pub(super) async fn list(
    State(app): State<App>,
    viewer: Viewer,
    Path(key): Path<String>,
) -> Result<Json<Vec<KeptContamination>>, WebError> {
    viewer.may_read()?;
    Ok(Json(contamination::of_run(&app, &key).await?))
}

/// `POST /api/v1/runs/{run}/contamination`: what `sekisho contamination` found; answers all reports on the run.
pub(super) async fn send(
    State(app): State<App>,
    actor: Actor,
    Path(key): Path<String>,
    JsonBody(report): JsonBody<ContaminationReport>,
) -> Result<Json<Vec<KeptContamination>>, WebError> {
    Ok(Json(contamination::accept(&app, &actor, &key, report).await?))
}
