use axum::Json;
use axum::extract::{Path, State};
use sekisho_domain::LaunchId;
use sekisho_domain::wire::LaunchView;
use serde::Serialize;

use super::paging::{Page, PageParams, Paging};
use crate::service::launches::{self, Ask};
use crate::{Actor, App, Noun, Viewer, WebError};

/// Lists what launchers have started, newest first
#[utoipa::path(
    get,
    path = "/launches",
    operation_id = "list_launches",
    tag = "work",
    params(PageParams),
    responses((status = 200, description = "The answer.", body = Page<LaunchView>)),
    security(("token" = ["read"])),
)]
pub(super) async fn list(
    State(app): State<App>,
    viewer: Viewer,
    paging: Paging<LaunchId>,
) -> Result<Page<LaunchView>, WebError> {
    viewer.reader()?;
    let found = app.store.launches(paging.after, paging.take()).await?;
    Ok(paging.page(found, |launch| launch.id, launches::view))
}

/// Shows one launch with its workers
#[utoipa::path(
    get,
    path = "/launches/{id}",
    operation_id = "show_launch",
    tag = "work",
    responses((status = 200, description = "The answer.", body = LaunchView)),
    security(("token" = ["read"])),
)]
pub(super) async fn show(
    State(app): State<App>,
    viewer: Viewer,
    Path(key): Path<String>,
) -> Result<Json<LaunchView>, WebError> {
    viewer.reader()?;
    Ok(Json(launches::view(launches::find(&app, &key).await?)))
}

/// What a launch has left on the disk.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = LaunchPapers)]
pub(super) struct Papers {
    /// The script that was handed over.
    script: String,
    /// The end of each log that is there.
    logs: Vec<Log>,
}

/// What a worker has written.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = LaunchLog)]
struct Log {
    /// The worker's number.
    task: usize,
    /// Its last 64 KiB.
    text: String,
}

/// Shows the script and the logs of a launch
#[utoipa::path(
    get,
    path = "/launches/{id}/papers",
    operation_id = "show_launch_papers",
    tag = "work",
    responses((status = 200, description = "The answer.", body = Papers)),
    security(("token" = ["read"])),
)]
pub(super) async fn papers(
    State(app): State<App>,
    viewer: Viewer,
    Path(key): Path<String>,
) -> Result<Json<Papers>, WebError> {
    viewer.reader()?;
    let launch = launches::find(&app, &key).await?;
    let (script, logs) = launches::papers(&launch).map_err(WebError::internal)?;
    let logs = logs.into_iter().map(|(task, text)| Log { task, text }).collect();
    Ok(Json(Papers { script, logs }))
}

/// Ends the workers of a launch
///
/// What they have answered counts; the rest waits for others. It is carried out within seconds.
#[utoipa::path(
    post,
    path = "/launches/{id}/cancel",
    operation_id = "cancel_launch",
    tag = "work",
    responses((status = 200, description = "The answer.", body = LaunchView)),
    security(("token" = ["evaluate"])),
)]
pub(super) async fn cancel(
    State(app): State<App>,
    actor: Actor,
    Path(key): Path<String>,
) -> Result<Json<LaunchView>, WebError> {
    let launch = launches::find(&app, &key).await?;
    Ok(Json(launches::view(launches::ask(&app, &actor, &launch, Ask::Cancel).await?)))
}

/// Runs one worker of a launch again
///
/// It is carried out within seconds, by the launcher's own means.
#[utoipa::path(
    post,
    path = "/launches/{id}/tasks/{task}/requeue",
    operation_id = "requeue_launch_task",
    tag = "work",
    responses((status = 200, description = "The answer.", body = LaunchView)),
    security(("token" = ["evaluate"])),
)]
pub(super) async fn requeue(
    State(app): State<App>,
    actor: Actor,
    Path((key, task)): Path<(String, String)>,
) -> Result<Json<LaunchView>, WebError> {
    let launch = launches::find(&app, &key).await?;
    let number = task.parse().map_err(|_| WebError::not_found(Noun::LaunchTask, &task))?;
    Ok(Json(launches::view(launches::ask(&app, &actor, &launch, Ask::Requeue(number)).await?)))
}
