use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use sekisho_domain::ReleaseId;
use serde::Deserialize;

use super::body::JsonBody;
use super::paging::{Page, PageParams, Paging};
use super::release::{ReleaseView, view, with_approvals};
use crate::service::releases::Proposal;
use crate::service::{checkpoints, releases};
use crate::{Actor, App, Viewer, WebError};

/// `POST /api/v1/releases`.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewRelease)]
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

/// Lists releases, the one drafted last first
#[utoipa::path(
    get,
    path = "/releases",
    operation_id = "list_releases",
    tag = "releases",
    params(PageParams),
    responses((status = 200, description = "The answer.", body = Page<ReleaseView>)),
    security((), ("token" = []), ("session" = [])),
)]
pub(super) async fn list(
    State(app): State<App>,
    viewer: Viewer,
    paging: Paging<ReleaseId>,
) -> Result<Page<ReleaseView>, WebError> {
    viewer.may_read()?;
    let mut views = Vec::new();
    let found = app.store.releases_part(paging.after, paging.take()).await?;
    let (found, next) = paging.cut(found, |release| release.id);
    let approvals = releases::valid_approvals_of(&app, &found).await?;
    for release in found {
        let count = approvals.get(&release.id).map_or(0, Vec::len);
        views.push(with_approvals(&app, release, count).await?);
    }
    Ok(Page { items: views, next })
}

/// Drafts a release
#[utoipa::path(
    post,
    path = "/releases",
    operation_id = "create_release",
    tag = "releases",
    request_body = Propose,
    responses((status = 201, description = "Made.", body = ReleaseView)),
    security(("token" = ["release"])),
)]
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
