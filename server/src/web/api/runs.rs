use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use sekisho_domain::user::{Role, Scope};
use sekisho_domain::wire::{RegisterRun, RunView};

use super::body::JsonBody;
use crate::service::{projects, runs};
use crate::{Actor, App, Viewer, WebError};

/// `GET /api/v1/runs`: newest report first.
pub(super) async fn list(State(app): State<App>, viewer: Viewer) -> Result<Json<Vec<RunView>>, WebError> {
    viewer.may_read()?;
    let runs = app.store.runs(200).await?;
    Ok(Json(runs.iter().map(runs::view).collect()))
}

/// `POST /api/v1/runs`: 201 for a new run, 200 for the one that is there.
pub(super) async fn register(
    State(app): State<App>,
    actor: Actor,
    JsonBody(request): JsonBody<RegisterRun>,
) -> Result<(StatusCode, Json<RunView>), WebError> {
    let project = request.project.as_deref().unwrap_or(projects::DEFAULT);
    actor.require_in(project, &[Role::Contributor], Scope::Ingest)?;
    let (run, new) = runs::register(&app, &request).await?;
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(runs::view(&run))))
}
