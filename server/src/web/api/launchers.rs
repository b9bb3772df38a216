use axum::Json;
use axum::extract::{Path, State};
use sekisho_domain::wire::LauncherView;

use super::paging::Page;
use crate::service::launches;
use crate::{Actor, App, Viewer, WebError};

/// Lists what starts workers
#[utoipa::path(
    get,
    path = "/launchers",
    operation_id = "list_launchers",
    tag = "work",
    responses((status = 200, description = "The answer.", body = Page<LauncherView>)),
    security(("token" = ["read"])),
)]
pub(super) async fn list(State(app): State<App>, viewer: Viewer) -> Result<Page<LauncherView>, WebError> {
    viewer.reader()?;
    Ok(Page::whole(launches::standing(&app).await?))
}

/// Lets a launcher start no more workers
///
/// Those that were started go on.
#[utoipa::path(
    post,
    path = "/launchers/{launcher}/pause",
    operation_id = "pause_launcher",
    tag = "work",
    responses((status = 200, description = "The answer.", body = LauncherView)),
    security(("token" = ["evaluate"])),
)]
pub(super) async fn pause(
    State(app): State<App>,
    actor: Actor,
    Path(name): Path<String>,
) -> Result<Json<LauncherView>, WebError> {
    Ok(Json(launches::pause(&app, &actor, &name, true).await?))
}

/// Lets a launcher go on
///
/// What it refused before is forgotten, and it is asked again at once.
#[utoipa::path(
    post,
    path = "/launchers/{launcher}/resume",
    operation_id = "resume_launcher",
    tag = "work",
    responses((status = 200, description = "The answer.", body = LauncherView)),
    security(("token" = ["evaluate"])),
)]
pub(super) async fn resume(
    State(app): State<App>,
    actor: Actor,
    Path(name): Path<String>,
) -> Result<Json<LauncherView>, WebError> {
    Ok(Json(launches::pause(&app, &actor, &name, false).await?))
}
