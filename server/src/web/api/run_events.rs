use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use sekisho_domain::run::{EventStatus, KeptEvent, RunEvent};
use sekisho_domain::user::{Role, Scope};
use serde::Deserialize;

use super::body::{JsonBody, if_match};
use crate::service::{reports, runs};
use crate::{Actor, App, Viewer, WebError};

/// `POST /api/v1/runs/{run}/events/{event}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Decide {
    /// The version the caller has seen, when it is not in `If-Match`.
    #[serde(default)]
    version: Option<u64>,
    /// What it is from now on.
    status: EventStatus,
    /// Why, or what it was.
    #[serde(default)]
    remark: String,
}

/// `GET /api/v1/runs/{run}/events`: by step, the dismissed ones too.
pub(super) async fn list(
    State(app): State<App>,
    viewer: Viewer,
    Path(key): Path<String>,
) -> Result<Json<Vec<KeptEvent>>, WebError> {
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
    reports::event(&app, &run, &event, &actor.user.name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /api/v1/runs/{run}/events/{event}`: confirms it, dismisses it, or notes what it was. Needs the version seen.
pub(super) async fn decide(
    State(app): State<App>,
    actor: Actor,
    headers: HeaderMap,
    Path((run, event)): Path<(String, String)>,
    JsonBody(request): JsonBody<Decide>,
) -> Result<Json<KeptEvent>, WebError> {
    let version = if_match(&headers, request.version)?;
    let at = (run.as_str(), event.as_str());
    let decided = reports::decide(&app, &actor, at, version, request.status, &request.remark).await?;
    Ok(Json(decided))
}
