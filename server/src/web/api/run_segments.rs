use axum::Json;
use axum::extract::{Path, State};
use sekisho_domain::run::Segment;

use crate::service::runs;
use crate::{App, Viewer, WebError};

/// `GET /api/v1/runs/{run}/segments`: the processes that reported, in the order in which they did.
pub(super) async fn list(
    State(app): State<App>,
    viewer: Viewer,
    Path(key): Path<String>,
) -> Result<Json<Vec<Segment>>, WebError> {
    viewer.may_read()?;
    let run = runs::find(&app, &key).await?;
    Ok(Json(app.store.segments(run.id).await?))
}
