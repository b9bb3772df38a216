use axum::Json;
use axum::extract::{FromRequest as _, Path, Request, State};
use axum::http::StatusCode;
use sekisho_domain::user::{Role, Scope};
use sekisho_domain::wire::{BeginUpload, UploadView};
use sekisho_store::Run;
use serde::Serialize;

use super::body::JsonBody;
use crate::service::{runs, uploads};
use crate::{Actor, App, WebError};

/// The run, for somebody who may hand checkpoints over to it.
pub(super) async fn run_of(app: &App, actor: &Actor, key: &str) -> Result<Run, WebError> {
    let run = runs::find(app, key).await?;
    actor.require_in(&run.project, &[Role::Contributor], Scope::Ingest)?;
    Ok(run)
}

/// A list in one part.
#[derive(Serialize)]
pub(super) struct Uploads {
    items: Vec<UploadView>,
    next: Option<String>,
}

/// `GET /api/v1/runs/{run}/uploads`: those that are under way, oldest first.
pub(super) async fn list(
    State(app): State<App>,
    actor: Actor,
    Path(key): Path<String>,
) -> Result<Json<Uploads>, WebError> {
    let run = run_of(&app, &actor, &key).await?;
    let found = app.store.uploads_of(run.id).await?;
    Ok(Json(Uploads { items: found.iter().map(|upload| uploads::view(&app, upload)).collect(), next: None }))
}

/// `POST /api/v1/runs/{run}/uploads`: begins one, or finds the same one that is under way. Files with `offset` = `size` are not sent. 200
/// with `checkpoint` when there is nothing to be done.
pub(super) async fn begin(
    State(app): State<App>,
    actor: Actor,
    Path(key): Path<String>,
    request: Request,
) -> Result<(StatusCode, Json<UploadView>), WebError> {
    let run = run_of(&app, &actor, &key).await?;
    let JsonBody(asked) = JsonBody::<BeginUpload>::from_request(request, &app).await?;
    let view = uploads::begin(&app, &actor, &run, &asked).await?;
    let status = if view.id.is_some() { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(view)))
}
