use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use sekisho_domain::RunId;
use sekisho_domain::user::{Role, Scope};
use sekisho_domain::wire::{RegisterRun, RunView};

use super::body::JsonBody;
use super::paging::{Page, PageParams, Paging};
use crate::service::{projects, runs};
use crate::{Actor, App, Viewer, WebError};

/// Lists runs, the one registered last first
#[utoipa::path(
    get,
    path = "/runs",
    operation_id = "list_runs",
    tag = "runs",
    params(PageParams),
    responses((status = 200, description = "The answer.", body = Page<RunView>)),
    security((), ("token" = []), ("session" = [])),
)]
pub(super) async fn list(
    State(app): State<App>,
    viewer: Viewer,
    paging: Paging<RunId>,
) -> Result<Page<RunView>, WebError> {
    viewer.may_read()?;
    let found = app.store.runs_part(paging.after, paging.take()).await?;
    Ok(paging.page(found, |run| run.id, |run| runs::view(&run)))
}

/// Registers a run
///
/// 200 with the run that is there, where the same name has the same specification.
#[utoipa::path(
    post,
    path = "/runs",
    operation_id = "create_run",
    tag = "runs",
    request_body = RegisterRun,
    responses((status = 201, description = "Made.", body = RunView), (status = 200, description = "It is there already.", body = RunView)),
    security(("token" = ["ingest"])),
)]
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
