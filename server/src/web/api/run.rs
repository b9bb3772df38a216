use axum::Json;
use axum::extract::{Path, State};
use sekisho_domain::wire::RunView;

use crate::service::runs;
use crate::{App, Viewer, WebError};

/// Shows a run
#[utoipa::path(
    get,
    path = "/runs/{run}",
    operation_id = "show_run",
    tag = "runs",
    responses((status = 200, description = "The answer.", body = RunView)),
    security((), ("token" = []), ("session" = [])),
)]
pub(super) async fn show(
    State(app): State<App>,
    viewer: Viewer,
    Path(key): Path<String>,
) -> Result<Json<RunView>, WebError> {
    viewer.may_read()?;
    let run = runs::find(&app, &key).await?;
    Ok(Json(runs::view(&run)))
}
