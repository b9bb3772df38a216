use axum::extract::{Path, State};
use sekisho_domain::run::Segment;

use super::paging::Page;
use crate::service::runs;
use crate::{App, Viewer, WebError};

/// Lists the processes that reported of a run, in the order in which they did
#[utoipa::path(
    get,
    path = "/runs/{run}/segments",
    operation_id = "list_run_segments",
    tag = "runs",
    responses((status = 200, description = "The answer.", body = Page<Segment>)),
    security((), ("token" = []), ("session" = [])),
)]
pub(super) async fn list(
    State(app): State<App>,
    viewer: Viewer,
    Path(key): Path<String>,
) -> Result<Page<Segment>, WebError> {
    viewer.may_read()?;
    let run = runs::find(&app, &key).await?;
    Ok(Page::whole(app.store.segments(run.id).await?))
}
