use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use sekisho_domain::wire::{CheckpointView, UploadView};

use super::uploads::run_of;
use crate::service::{checkpoints, uploads};
use crate::{Actor, App, WebError};

/// Shows how far the files of an upload are
#[utoipa::path(
    get,
    path = "/runs/{run}/uploads/{id}",
    operation_id = "show_upload",
    tag = "checkpoints",
    responses((status = 200, description = "The answer.", body = UploadView)),
    security(("token" = ["ingest"])),
)]
pub(super) async fn show(
    State(app): State<App>,
    actor: Actor,
    Path((key, id)): Path<(String, String)>,
) -> Result<Json<UploadView>, WebError> {
    let run = run_of(&app, &actor, &key).await?;
    Ok(Json(uploads::view(&app, &uploads::find(&app, &run, &id).await?)))
}

/// Makes the checkpoint of an upload whose files are all there
#[utoipa::path(
    post,
    path = "/runs/{run}/uploads/{id}/complete",
    operation_id = "complete_upload",
    tag = "checkpoints",
    responses((status = 202, description = "It is examined next.", body = CheckpointView)),
    security(("token" = ["ingest"])),
)]
pub(super) async fn complete(
    State(app): State<App>,
    actor: Actor,
    Path((key, id)): Path<(String, String)>,
) -> Result<(StatusCode, Json<CheckpointView>), WebError> {
    let run = run_of(&app, &actor, &key).await?;
    let checkpoint = uploads::complete(&app, &run, &id).await?;
    Ok((StatusCode::ACCEPTED, Json(checkpoints::view(&checkpoint))))
}

/// Gives an upload up; what has arrived is removed
#[utoipa::path(
    delete,
    path = "/runs/{run}/uploads/{id}",
    operation_id = "delete_upload",
    tag = "checkpoints",
    responses((status = 204, description = "Done; nothing is answered.")),
    security(("token" = ["ingest"])),
)]
pub(super) async fn abandon(
    State(app): State<App>,
    actor: Actor,
    Path((key, id)): Path<(String, String)>,
) -> Result<StatusCode, WebError> {
    let run = run_of(&app, &actor, &key).await?;
    uploads::abandon(&app, &run, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
