use axum::Json;
use axum::extract::State;
use sekisho_domain::reported::ReportedModel;
use serde::{Deserialize, Serialize};

use super::body::JsonBody;
use crate::service::reported::{self, Refused};
use crate::{Actor, App, Viewer, WebError};

/// `GET /api/v1/reported`: rows that others published, those that ship with this program too.
pub(super) async fn list(
    State(app): State<App>,
    viewer: Viewer,
) -> Result<Json<Vec<ReportedModel>>, WebError> {
    viewer.may_read()?;
    Ok(Json(reported::all(&app).await?))
}

/// `POST /api/v1/reported`: a CSV file as `text`; with `dry_run` nothing is kept.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Import {
    text: String,
    #[serde(default)]
    dry_run: bool,
}

/// What of a file is kept, and what is not.
#[derive(Serialize)]
pub(super) struct Imported {
    models: Vec<ReportedModel>,
    refused: Vec<Refused>,
}

/// `POST /api/v1/reported`. Models with a refused line are not kept; the others are. 422 when there is none.
pub(super) async fn import(
    State(app): State<App>,
    actor: Actor,
    JsonBody(request): JsonBody<Import>,
) -> Result<Json<Imported>, WebError> {
    let read = reported::read(&app.catalog, &request.text);
    if !request.dry_run {
        reported::import(&app, &actor, read.models.clone()).await?;
    }
    Ok(Json(Imported { models: read.models, refused: read.refused }))
}
