use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use sekisho_domain::run::{EventStatus, KeptEvent, RunEvent};
use sekisho_domain::user::{Role, Scope};
use sekisho_domain::{EventId, Step};
use serde::Deserialize;

use super::body::{IfMatch, JsonBody, if_match};
use super::paging::{Page, PageParams, Paging};
use crate::service::{reports, runs};
use crate::{Actor, App, Viewer, WebError};

/// `POST /api/v1/runs/{run}/events/{event}`.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = EventDecision)]
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

/// Lists what happened to a run by step, the dismissed too
#[utoipa::path(
    get,
    path = "/runs/{run}/events",
    operation_id = "list_run_events",
    tag = "runs",
    params(PageParams),
    responses((status = 200, description = "The answer.", body = Page<KeptEvent>)),
    security((), ("token" = []), ("session" = [])),
)]
pub(super) async fn list(
    State(app): State<App>,
    viewer: Viewer,
    Path(key): Path<String>,
    paging: Paging<(Step, EventId)>,
) -> Result<Page<KeptEvent>, WebError> {
    viewer.may_read()?;
    let run = runs::find(&app, &key).await?;
    let found = app.store.events_part(run.id, paging.after, paging.take()).await?;
    Ok(paging.page(found, |event| (event.step, event.id), |event| event))
}

/// Tells of something that happened to a run
///
/// The same kind, step and note twice is one event.
#[utoipa::path(
    post,
    path = "/runs/{run}/events",
    operation_id = "create_run_event",
    tag = "runs",
    request_body = RunEvent,
    responses((status = 204, description = "Done; nothing is answered.")),
    security(("token" = ["ingest"])),
)]
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

/// Confirms or dismisses an event, or notes what it was
///
/// Needs the version seen.
#[utoipa::path(
    post,
    path = "/runs/{run}/events/{event}",
    operation_id = "decide_run_event",
    tag = "runs",
    request_body = Decide,
    params(IfMatch),
    responses((status = 200, description = "The answer.", body = KeptEvent)),
    security(("token" = ["ingest"])),
)]
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
