use axum::Json;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use sekisho_domain::lineage::Visibility;
use sekisho_domain::release::{ReleaseState, StepState, Yank};
use sekisho_domain::{CheckpointId, ReleaseId, Sha256, Text, Timestamp};
use sekisho_store::{PublishStep, Release};
use serde::Serialize;

use crate::service::releases;
use crate::{App, Viewer, WebError};

/// A release as the API shows it.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Release)]
pub(super) struct ReleaseView {
    id: ReleaseId,
    checkpoint: CheckpointId,
    name: String,
    state: ReleaseState,
    version: u64,
    digest: Option<Sha256>,
    /// What the policy says of what is frozen.
    #[schema(value_type = Option<sekisho_policy::Decision>)]
    decision: Option<serde_json::Value>,
    approvals: usize,
    approvals_needed: u32,
    /// Where it goes, who may see it there, and the licences that it names.
    #[serde(flatten)]
    target: TargetView,
    commit: Option<String>,
    url: Option<String>,
    /// Whether it is being published at this moment.
    publishing: bool,
    /// Bytes that have gone up, while they do.
    progress: Option<ProgressView>,
    /// The release that took its place.
    successor: Option<ReleaseId>,
    /// How it was taken back.
    yank: Option<Yank>,
    /// When it goes out by itself.
    publish_at: Option<Timestamp>,
    /// Whether one person alone let it out.
    broken_glass: bool,
    project: String,
    /// How far its publication is, in the order in which the steps began.
    steps: Vec<StepView>,
    created: Timestamp,
    updated: Timestamp,
}

/// What the lineage file says of the target; nulls where it names none.
#[derive(Default, Serialize, utoipa::ToSchema)]
#[schema(as = ReleaseTarget)]
struct TargetView {
    repo: Option<String>,
    revision: Option<String>,
    visibility: Option<Visibility>,
    license: Vec<String>,
}

impl TargetView {
    fn of(release: &Release) -> Self {
        releases::target(release).map_or_else(Self::default, |section| Self {
            repo: Some(section.repo),
            revision: Some(section.revision),
            visibility: Some(section.visibility),
            license: section.license,
        })
    }
}

/// How far an upload is, in bytes.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = UploadProgress)]
pub(super) struct ProgressView {
    done: u64,
    total: u64,
}

/// A publication step, and what was observed or the error.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = PublicationStep)]
pub(super) struct StepView {
    name: String,
    state: StepState,
    detail: Text,
    at: Timestamp,
}

impl StepView {
    fn of(step: PublishStep) -> Self {
        Self { name: step.name, state: step.state, detail: step.detail, at: step.at }
    }
}

/// Shows a release
///
/// Its version is in the ETag.
#[utoipa::path(
    get,
    path = "/releases/{id}",
    operation_id = "show_release",
    tag = "releases",
    responses((status = 200, description = "The answer.", body = ReleaseView)),
    security((), ("token" = []), ("session" = [])),
)]
pub(super) async fn show(
    State(app): State<App>,
    viewer: Viewer,
    Path(key): Path<String>,
) -> Result<Response, WebError> {
    viewer.may_read()?;
    // Asked before the row is read: one that ends in between still goes on, and has not stopped.
    let goes_on = key.parse().is_ok_and(|id| app.publish.holds(id));
    let release = releases::find(&app, &key).await?;
    let tag = format!("W/\"{}-{}\"", release.id, release.version);
    let mut view = view(&app, release).await?;
    view.publishing |= goes_on;
    Ok(([(header::ETAG, tag)], Json(view)).into_response())
}

pub(super) async fn view(app: &App, release: Release) -> Result<ReleaseView, WebError> {
    let approvals = releases::valid_approvals(app, &release).await?.len();
    with_approvals(app, release, approvals).await
}

/// The view of a release of which so many approvals count.
pub(super) async fn with_approvals(
    app: &App,
    release: Release,
    approvals: usize,
) -> Result<ReleaseView, WebError> {
    let approvals_needed = releases::needed(app, &release);
    Ok(ReleaseView {
        approvals,
        publishing: app.publish.holds(release.id),
        progress: app.publish.progress(release.id).map(|(done, total)| ProgressView { done, total }),
        broken_glass: releases::broken_glass(app, &release).await?.is_some(),
        project: release.project.clone(),
        successor: release.successor,
        yank: release.yank.clone(),
        publish_at: release.publish_at,
        steps: app.store.steps(release.id).await?.into_iter().map(StepView::of).collect(),
        target: TargetView::of(&release),
        id: release.id,
        checkpoint: release.checkpoint,
        name: release.name,
        state: release.state,
        version: release.version,
        digest: release.digest,
        decision: release.decision,
        approvals_needed,
        commit: release.commit,
        url: release.url,
        created: release.created,
        updated: release.updated,
    })
}
