use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;

use super::body::JsonBody;
use super::release::{ReleaseView, view, with_approvals};
use crate::service::releases::Proposal;
use crate::service::{checkpoints, releases};
use crate::{Actor, App, Viewer, WebError};

/// `POST /api/v1/releases`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Propose {
    checkpoint: String,
    lineage: String,
    /// Path of the lineage file beside those of `parents`; `lineage.toml` when absent.
    #[serde(default)]
    path: String,
    /// The lineage files that it refers to, by path.
    #[serde(default)]
    parents: BTreeMap<String, String>,
    /// Texts to be published, by name.
    #[serde(default)]
    files: BTreeMap<String, String>,
    #[serde(default)]
    announcement: Option<String>,
    /// What the lineage file names and is not there; absent when nobody has looked.
    #[serde(default)]
    missing: Option<Vec<String>>,
}

/// `GET /api/v1/releases`: those in review first, then the newest.
pub(super) async fn list(State(app): State<App>, viewer: Viewer) -> Result<Json<Vec<ReleaseView>>, WebError> {
    viewer.may_read()?;
    let mut views = Vec::new();
    let all = app.store.releases(200).await?;
    let approvals = releases::valid_approvals_of(&app, &all).await?;
    for release in all {
        let count = approvals.get(&release.id).map_or(0, Vec::len);
        views.push(with_approvals(&app, release, count).await?);
    }
    Ok(Json(views))
}

/// `POST /api/v1/releases`: drafts a release.
pub(super) async fn propose(
    State(app): State<App>,
    actor: Actor,
    JsonBody(request): JsonBody<Propose>,
) -> Result<(StatusCode, Json<ReleaseView>), WebError> {
    let checkpoint = checkpoints::find(&app, &request.checkpoint).await?;
    let Propose { lineage, path, parents, files, announcement, missing, .. } = request;
    let proposal = Proposal { lineage, path, parents, files, announcement, missing };
    let release = releases::propose(&app, &actor, &checkpoint, &proposal).await?;
    Ok((StatusCode::CREATED, Json(view(&app, release).await?)))
}
