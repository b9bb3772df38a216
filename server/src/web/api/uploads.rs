use axum::Json;
use axum::extract::{FromRequest as _, Path, Request, State};
use axum::http::StatusCode;
use sekisho_domain::user::{Role, Scope};
use sekisho_domain::wire::{BeginUpload, UploadView};
use sekisho_store::Run;

use super::body::JsonBody;
use super::paging::Page;
use crate::service::{runs, uploads};
use crate::{Actor, App, WebError};

/// The run, for somebody who may hand checkpoints over to it.
pub(super) async fn run_of(app: &App, actor: &Actor, key: &str) -> Result<Run, WebError> {
    let run = runs::find(app, key).await?;
    actor.require_in(&run.project, &[Role::Contributor], Scope::Ingest)?;
    Ok(run)
}

/// Lists the uploads that are under way, the oldest first
#[utoipa::path(
    get,
    path = "/runs/{run}/uploads",
    operation_id = "list_uploads",
    tag = "checkpoints",
    responses((status = 200, description = "The answer.", body = Page<UploadView>)),
    security(("token" = ["ingest"])),
)]
pub(super) async fn list(
    State(app): State<App>,
    actor: Actor,
    Path(key): Path<String>,
) -> Result<Page<UploadView>, WebError> {
    let run = run_of(&app, &actor, &key).await?;
    let found = app.store.uploads_of(run.id).await?;
    Ok(Page::whole(found.iter().map(|upload| uploads::view(&app, upload)).collect()))
}

/// Begins an upload in pieces, or finds the same one that is under way
///
/// Files with `offset` = `size` are not sent. 200 with `checkpoint` when there is nothing to be done.
#[utoipa::path(
    post,
    path = "/runs/{run}/uploads",
    operation_id = "create_upload",
    tag = "checkpoints",
    request_body = BeginUpload,
    responses((status = 201, description = "Under way.", body = UploadView), (status = 200, description = "The checkpoint is there already.", body = UploadView)),
    security(("token" = ["ingest"])),
)]
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
