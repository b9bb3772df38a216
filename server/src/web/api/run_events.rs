use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use sekisho_domain::run::RunEvent;
use sekisho_domain::user::{Role, Scope};

use super::body::JsonBody;
use crate::service::runs;
use crate::{Actor, App, Viewer, WebError};

/// `GET /api/v1/runs/{run}/events`: by step.
pub(super) async fn list(
    State(app): State<App>,
    viewer: Viewer,
    Path(key): Path<String>,
) -> Result<Json<Vec<RunEvent>>, WebError> {
    viewer.may_read()?;
    let run = runs::find(&app, &key).await?;
    Ok(Json(app.store.events(run.id).await?))
}

/// `POST /api/v1/runs/{run}/events`.
pub(super) async fn add(
    State(app): State<App>,
    actor: Actor,
    Path(key): Path<String>,
    JsonBody(event): JsonBody<RunEvent>,
) -> Result<StatusCode, WebError> {
    let run = runs::find(&app, &key).await?;
    actor.require_in(&run.project, &[Role::Contributor], Scope::Ingest)?;
    runs::event(&app, &key, &event).await?;
    Ok(StatusCode::NO_CONTENT)
}
