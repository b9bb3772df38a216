use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use sekisho_domain::wire::{CheckpointView, UploadView};

use super::uploads::run_of;
use crate::service::{checkpoints, uploads};
use crate::{Actor, App, WebError};

/// `GET /api/v1/runs/{run}/uploads/{id}`: how far its files are.
pub(super) async fn show(
    State(app): State<App>,
    actor: Actor,
    Path((key, id)): Path<(String, String)>,
) -> Result<Json<UploadView>, WebError> {
    let run = run_of(&app, &actor, &key).await?;
    Ok(Json(uploads::view(&app, &uploads::find(&app, &run, &id).await?)))
}

/// `POST /api/v1/runs/{run}/uploads/{id}/complete`: makes the checkpoint. 202 as for one that is handed over otherwise.
pub(super) async fn complete(
    State(app): State<App>,
    actor: Actor,
    Path((key, id)): Path<(String, String)>,
) -> Result<(StatusCode, Json<CheckpointView>), WebError> {
    let run = run_of(&app, &actor, &key).await?;
    let checkpoint = uploads::complete(&app, &run, &id).await?;
    Ok((StatusCode::ACCEPTED, Json(checkpoints::view(&checkpoint))))
}

/// `DELETE /api/v1/runs/{run}/uploads/{id}`: what has arrived is removed.
pub(super) async fn abandon(
    State(app): State<App>,
    actor: Actor,
    Path((key, id)): Path<(String, String)>,
) -> Result<StatusCode, WebError> {
    let run = run_of(&app, &actor, &key).await?;
    uploads::abandon(&app, &run, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
