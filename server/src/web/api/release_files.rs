use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use sekisho_domain::Language;
use sekisho_domain::manifest::FileEntry;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tokio::io::AsyncReadExt as _;

use crate::service::releases::{self, Piece};
use crate::{App, Viewer, WebError};

/// What an export of a release holds.
#[derive(Serialize)]
pub(super) struct BundleView {
    files: Vec<FileEntry>,
    /// Whether exactly this was approved; if not, folder and cards say so.
    approved: bool,
}

/// `GET /api/v1/releases/{id}/bundle`: the files that an export holds.
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

/// `GET /api/v1/releases/{id}/files/{path}`: the bytes of one of them.
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

/// `GET /api/v1/releases/{id}/plan`: what a publication would do now. Only reads.
pub(super) async fn plan(
    State(app): State<App>,
    viewer: Viewer,
    Path(key): Path<String>,
) -> Result<Json<Value>, WebError> {
    let release = releases::find(&app, &key).await?;
    releases::may_export(viewer.actor()?, &release)?;
    let plan = releases::plan(&app, &release).await?;
    let mut view = serde_json::to_value(&plan).map_err(WebError::internal)?;
    view["lines"] = json!(plan.lines());
    Ok(Json(view))
}

/// `?lang=ja`.
#[derive(Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    lang: Option<Language>,
}

/// A card with the texts that people may write in it.
#[derive(Serialize)]
pub(super) struct CardView {
    text: String,
    sections: BTreeMap<String, String>,
}

/// `GET /api/v1/releases/{id}/card?lang=ja`.
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
