use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use sekisho_domain::user::{Role, Scope};
use sekisho_domain::wire::{RegisterRun, RunView};
use sekisho_foreign::Warning;
use serde::{Deserialize, Serialize};

use super::body::JsonBody;
use crate::service::{projects, registrations, runs};
use crate::{Actor, App, Viewer, WebError};

/// `GET /api/v1/runs`: newest report first.
pub(super) async fn list(State(app): State<App>, viewer: Viewer) -> Result<Json<Vec<RunView>>, WebError> {
    viewer.may_read()?;
    let runs = app.store.runs(200).await?;
    Ok(Json(runs.iter().map(runs::view).collect()))
}

/// How it is registered.
#[derive(Deserialize)]
pub(super) struct How {
    /// Look at it and keep nothing.
    #[serde(default)]
    check: bool,
}

/// What a registration answers.
#[derive(Serialize)]
pub(super) struct Registered {
    /// The run; absent when nothing was kept.
    #[serde(flatten)]
    run: Option<RunView>,
    /// What to look at in its specification. They forbid nothing.
    warnings: Vec<Warning>,
}

/// `POST /api/v1/runs?check=`: 201 for a new run, 200 for the one that is there, and with `check=true` for what could be registered and
/// is not.
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
    let (run, new) = runs::register(&app, &request).await?;
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    let warnings = registrations::warnings_of(&app, run.spec.as_ref(), run.planned_tokens).await?;
    Ok((status, Json(Registered { run: Some(runs::view(&run)), warnings })))
}
