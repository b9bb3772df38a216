use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use sekisho_domain::manifest::FileEntry;
use sekisho_domain::{Language, Text};
use sekisho_hub::Plan;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tokio::io::AsyncReadExt as _;

use super::query::Query;
use crate::service::releases::{self, Piece};
use crate::{App, Viewer, WebError};

/// What an export of a release holds.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Bundle)]
pub(super) struct BundleView {
    files: Vec<FileEntry>,
    /// Whether exactly this was approved; if not, folder and cards say so.
    approved: bool,
}

/// Lists the files that an export of a release holds
#[utoipa::path(
    get,
    path = "/releases/{id}/bundle",
    operation_id = "list_release_files",
    tag = "releases",
    responses((status = 200, description = "The answer.", body = BundleView)),
    security(("token" = ["read"]), ("session" = [])),
)]
pub(super) async fn bundle(
    State(app): State<App>,
    viewer: Viewer,
    Path(key): Path<String>,
) -> Result<Json<BundleView>, WebError> {
    let actor = viewer.actor()?;
    let release = releases::find(&app, &key).await?;
    releases::may_export(actor, &release)?;
    let export = releases::export(&app, &release).await?;
    releases::note_export(&app, actor, &release, &export).await?;
    Ok(Json(BundleView { approved: export.approved, files: export.files }))
}

/// Downloads one file of an export
#[utoipa::path(
    get,
    path = "/releases/{id}/files/{*path}",
    operation_id = "download_release_file",
    tag = "releases",
    params(("id" = String, Path, description = "The release."), ("path" = String, Path, description = "Path in the export, with its slashes.")),
    responses((status = 200, description = "The bytes.", content_type = "application/octet-stream")),
    security(("token" = ["read"]), ("session" = [])),
)]
pub(super) async fn file(
    State(app): State<App>,
    viewer: Viewer,
    Path((key, path)): Path<(String, String)>,
) -> Result<Response, WebError> {
    let actor = viewer.actor()?;
    let release = releases::find(&app, &key).await?;
    releases::may_export(actor, &release)?;
    let export = releases::export(&app, &release).await?;
    let (body, length) = match export.open(&path).await? {
        Piece::Bytes(bytes) => (Body::from(bytes.to_vec()), bytes.len() as u64),
        Piece::File(file, size) => {
            let file = fs_err::tokio::File::from_std(file).take(size);
            (Body::from_stream(tokio_util::io::ReaderStream::new(file)), size)
        }
    };
    let kind = HeaderValue::from_static("application/octet-stream");
    Ok(([(header::CONTENT_TYPE, kind), (header::CONTENT_LENGTH, length.into())], body).into_response())
}

/// Says what a publication would do now
///
/// Only reads.
#[utoipa::path(
    get,
    path = "/releases/{id}/plan",
    operation_id = "show_publication_plan",
    tag = "releases",
    responses((status = 200, description = "The answer.", body = PlanView)),
    security(("token" = ["read"]), ("session" = [])),
)]
pub(super) async fn plan(
    State(app): State<App>,
    viewer: Viewer,
    Path(key): Path<String>,
) -> Result<Json<PlanView>, WebError> {
    let actor = viewer.actor()?;
    let release = releases::find(&app, &key).await?;
    releases::may_export(actor, &release)?;
    let plan = releases::plan(&app, &release).await?;
    Ok(Json(PlanView { lines: plan.lines(), plan }))
}

/// What a publication would do.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = PublicationPlanInWords)]
pub(super) struct PlanView {
    #[serde(flatten)]
    plan: Plan,
    /// The same for people.
    lines: Vec<Text>,
}

/// In which language.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// English when absent.
    #[serde(default)]
    #[param(inline)]
    lang: Option<Language>,
}

/// A card with the texts that people may write in it.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Card)]
pub(super) struct CardView {
    text: String,
    sections: BTreeMap<String, String>,
}

/// Shows a model card with the texts that people may write in it
#[utoipa::path(
    get,
    path = "/releases/{id}/card",
    operation_id = "show_release_card",
    tag = "releases",
    params(Wanted),
    responses((status = 200, description = "The answer.", body = CardView)),
    security((), ("token" = []), ("session" = [])),
)]
pub(super) async fn card(
    State(app): State<App>,
    viewer: Viewer,
    Path(key): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<CardView>, WebError> {
    viewer.may_read()?;
    let release = releases::find(&app, &key).await?;
    let language = wanted.lang.unwrap_or(Language::En);
    let sections = releases::editable(&app, &release, language).await?;
    let sections = sections.into_iter().map(|(section, text)| (section.to_string(), text)).collect();
    let text = if language == Language::Ja { release.card_ja } else { release.card_en };
    Ok(Json(CardView { text, sections }))
}
