use axum::Json;
use axum::extract::State;
use sekisho_domain::reported::ReportedModel;
use serde::{Deserialize, Serialize};

use super::body::JsonBody;
use super::paging::Page;
use crate::service::reported::{self, Refused};
use crate::{Actor, App, Viewer, WebError};

/// Lists the scores that others published, those that ship with this program too
#[utoipa::path(
    get,
    path = "/reported",
    operation_id = "list_reported",
    tag = "evaluations",
    responses((status = 200, description = "The answer.", body = Page<ReportedModel>)),
    security((), ("token" = []), ("session" = [])),
)]
pub(super) async fn list(State(app): State<App>, viewer: Viewer) -> Result<Page<ReportedModel>, WebError> {
    viewer.may_read()?;
    Ok(Page::whole(reported::all(&app).await?))
}

/// `POST /api/v1/reported`: a CSV file as `text`; with `dry_run` nothing is kept.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewReported)]
pub(super) struct Import {
    /// The file.
    text: String,
    /// Only says what would be kept.
    #[serde(default)]
    dry_run: bool,
}

/// What of a file is kept, and what is not.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = ImportedReported)]
pub(super) struct Imported {
    models: Vec<ReportedModel>,
    refused: Vec<Refused>,
}

/// Imports scores that others published
///
/// Models with a refused line are not kept; the others are.
#[utoipa::path(
    post,
    path = "/reported",
    operation_id = "import_reported",
    tag = "evaluations",
    request_body = Import,
    responses((status = 200, description = "The answer.", body = Imported)),
    security(("token" = ["ingest"])),
)]
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
