use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use sekisho_domain::RunId;
use sekisho_domain::user::{Role, Scope};
use sekisho_domain::wire::{RegisterRun, RunView};
use sekisho_foreign::Warning;
use serde::{Deserialize, Serialize};

use super::body::JsonBody;
use super::paging::{Page, PageParams, Paging};
use super::query::Query;
use crate::service::{projects, registrations, runs};
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

/// How it is registered.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct How {
    /// Look at it and keep nothing.
    #[serde(default)]
    check: bool,
}

/// What a registration answers.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Registered {
    /// The run; absent when nothing was kept.
    #[serde(flatten)]
    run: Option<RunView>,
    /// What to look at in its specification. They forbid nothing.
    warnings: Vec<Warning>,
}

/// Registers a run
///
/// 200 with the run that is there, where the same name has the same specification, and with `check=true` for what could be registered
/// and is not.
#[utoipa::path(
    post,
    path = "/runs",
    operation_id = "create_run",
    tag = "runs",
    params(How),
    request_body = RegisterRun,
    responses((status = 201, description = "Made.", body = Registered), (status = 200, description = "It is there already.", body = Registered)),
    security(("token" = ["ingest"])),
)]
pub(super) async fn register(
    State(app): State<App>,
    actor: Actor,
    Query(how): Query<How>,
    JsonBody(request): JsonBody<RegisterRun>,
) -> Result<(StatusCode, Json<Registered>), WebError> {
    let project = request.project.as_deref().unwrap_or(projects::DEFAULT);
    actor.require_in(project, &[Role::Contributor], Scope::Ingest)?;
    if how.check {
        let existing = runs::check(&app, &request).await?.existing;
        let warnings =
            registrations::warnings_of(&app, request.spec.as_ref(), request.planned_tokens).await?;
        let run = existing.as_ref().map(runs::view);
        return Ok((StatusCode::OK, Json(Registered { run, warnings })));
    }
    let (run, new) = runs::register(&app, &request, &actor.user.name).await?;
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    let warnings = registrations::warnings_of(&app, run.spec.as_ref(), run.planned_tokens).await?;
    Ok((status, Json(Registered { run: Some(runs::view(&run)), warnings })))
}
