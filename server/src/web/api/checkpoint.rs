use axum::Json;
use axum::extract::{Path, State};
use sekisho_domain::wire::CheckpointView;

use crate::service::checkpoints;
use crate::{App, Viewer, WebError};

/// Shows a checkpoint
#[utoipa::path(
    get,
    path = "/checkpoints/{id}",
    operation_id = "show_checkpoint",
    tag = "checkpoints",
    responses((status = 200, description = "The answer.", body = CheckpointView)),
    security((), ("token" = []), ("session" = [])),
)]
pub(super) async fn show(
    State(app): State<App>,
    viewer: Viewer,
    Path(key): Path<String>,
) -> Result<Json<CheckpointView>, WebError> {
    viewer.may_read()?;
    let checkpoint = checkpoints::find(&app, &key).await?;
    Ok(Json(checkpoints::view(&checkpoint)))
}
