use axum::Json;
use axum::extract::{Path, State};
use sekisho_domain::wire::CheckpointView;

use crate::service::{checkpoints, standing};
use crate::{Actor, App, WebError};

/// Looks whether the files of a checkpoint are still those that were examined
#[utoipa::path(
    post,
    path = "/checkpoints/{id}/check",
    operation_id = "check_checkpoint",
    tag = "checkpoints",
    responses((status = 200, description = "The answer.", body = CheckpointView)),
    security(("token" = ["ingest"])),
)]
pub(super) async fn check(
    State(app): State<App>,
    actor: Actor,
    Path(key): Path<String>,
) -> Result<Json<CheckpointView>, WebError> {
    let checkpoint = checkpoints::find(&app, &key).await?;
    standing::may_change(&app, &actor, &checkpoint).await?;
    Ok(Json(checkpoints::view(&standing::look(&app, checkpoint).await?)))
}

/// Gives up a checkpoint whose files have changed
#[utoipa::path(
    post,
    path = "/checkpoints/{id}/withdraw",
    operation_id = "withdraw_checkpoint",
    tag = "checkpoints",
    responses((status = 200, description = "The answer.", body = CheckpointView)),
    security(("token" = ["ingest"])),
)]
pub(super) async fn withdraw(
    State(app): State<App>,
    actor: Actor,
    Path(key): Path<String>,
) -> Result<Json<CheckpointView>, WebError> {
    let checkpoint = checkpoints::find(&app, &key).await?;
    Ok(Json(checkpoints::view(&standing::withdraw(&app, &actor, &checkpoint).await?)))
}
