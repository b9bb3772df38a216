use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use jiff::civil::Date;
use sekisho_domain::channel::{ChannelState, ChannelTakes};
use sekisho_domain::{ChannelId, CheckpointId, ReleaseId, Sha256, Timestamp};
use sekisho_store::{Approval, Channel};
use serde::{Deserialize, Serialize};

use super::body::{IfMatch, JsonBody, if_match};
use super::paging::Page;
use crate::service::channels::{self, Proposed};
use crate::{Actor, App, Viewer, WebError};

/// A channel as the API shows it.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Channel)]
pub(super) struct ChannelView {
    id: ChannelId,
    project: String,
    name: String,
    state: ChannelState,
    reference: ReleaseId,
    runs: String,
    takes: ChannelTakes,
    revision: String,
    until: Timestamp,
    digest: Sha256,
    /// Approvals that count, of how many.
    approvals: Vec<ApprovalView>,
    approvals_needed: u32,
    active_since: Option<Timestamp>,
    /// What it has taken, newest first.
    releases: Vec<Taken>,
    version: u64,
}

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = ChannelApproval)]
struct ApprovalView {
    user: String,
    comment: String,
    at: Timestamp,
}

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = ChannelRelease)]
struct Taken {
    checkpoint: CheckpointId,
    release: ReleaseId,
}

/// `POST /api/v1/channels`.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewChannel)]
pub(super) struct Propose {
    name: String,
    /// Id of the published release that the others are like.
    reference: ReleaseId,
    /// Glob over the names of runs.
    runs: String,
    takes: ChannelTakes,
    /// Branch on the Hub; `{run}` where it is absent.
    #[serde(default = "by_run")]
    revision: String,
    /// Last day of the blanket approval.
    #[schema(value_type = String, format = Date)]
    until: Date,
}

fn by_run() -> String {
    "{run}".to_owned()
}

/// `POST /api/v1/channels/{id}/approve` and `…/end`.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ChannelDecision)]
pub(super) struct Act {
    /// The version the caller has seen, when it is not in `If-Match`.
    #[serde(default)]
    version: Option<u64>,
    #[serde(default)]
    comment: String,
}

/// Lists channels of automatic publication, newest first
#[utoipa::path(
    get,
    path = "/channels",
    operation_id = "list_channels",
    tag = "channels",
    responses((status = 200, description = "The answer.", body = Page<ChannelView>)),
    security((), ("token" = []), ("session" = [])),
)]
pub(super) async fn list(State(app): State<App>, viewer: Viewer) -> Result<Page<ChannelView>, WebError> {
    viewer.may_read()?;
    let mut views = Vec::new();
    for channel in app.store.channels().await? {
        views.push(view(&app, channel).await?);
    }
    Ok(Page::whole(views))
}

/// Proposes a channel
///
/// It takes nothing before enough people have approved it.
#[utoipa::path(
    post,
    path = "/channels",
    operation_id = "create_channel",
    tag = "channels",
    request_body = Propose,
    responses((status = 201, description = "Made.", body = ChannelView)),
    security(("token" = ["release"])),
)]
pub(super) async fn propose(
    State(app): State<App>,
    actor: Actor,
    JsonBody(request): JsonBody<Propose>,
) -> Result<(StatusCode, Json<ChannelView>), WebError> {
    let Propose { name, reference, runs, takes, revision, until } = request;
    let until = channels::end_of(until)?;
    let proposed = Proposed { name, reference, runs, takes, revision, until };
    let channel = channels::propose(&app, &actor, &proposed).await?;
    Ok((StatusCode::CREATED, Json(view(&app, channel).await?)))
}

/// Shows a channel
///
/// Its version is in the ETag.
#[utoipa::path(
    get,
    path = "/channels/{id}",
    operation_id = "show_channel",
    tag = "channels",
    responses((status = 200, description = "The answer.", body = ChannelView)),
    security((), ("token" = []), ("session" = [])),
)]
pub(super) async fn show(
    State(app): State<App>,
    viewer: Viewer,
    Path(key): Path<String>,
) -> Result<Response, WebError> {
    viewer.may_read()?;
    let channel = channels::find(&app, &key).await?;
    let tag = format!("\"{}\"", channel.version);
    Ok(([(header::ETAG, tag)], Json(view(&app, channel).await?)).into_response())
}

/// Approves a channel for a time
///
/// In person: a stored token never approves. Needs the version seen.
#[utoipa::path(
    post,
    path = "/channels/{id}/approve",
    operation_id = "approve_channel",
    tag = "channels",
    request_body = Act,
    params(IfMatch),
    responses((status = 200, description = "The answer.", body = ChannelView)),
    security(("token" = ["release"])),
)]
pub(super) async fn approve(
    State(app): State<App>,
    actor: Actor,
    headers: HeaderMap,
    Path(key): Path<String>,
    JsonBody(request): JsonBody<Act>,
) -> Result<Json<ChannelView>, WebError> {
    let version = if_match(&headers, request.version)?;
    let channel = channels::approve(&app, &actor, &key, version, &request.comment).await?;
    Ok(Json(view(&app, channel).await?))
}

/// Ends a channel
///
/// What it has on its way stops. Needs the version seen.
#[utoipa::path(
    post,
    path = "/channels/{id}/end",
    operation_id = "end_channel",
    tag = "channels",
    request_body = Act,
    params(IfMatch),
    responses((status = 200, description = "The answer.", body = ChannelView)),
    security(("token" = ["release"])),
)]
pub(super) async fn end(
    State(app): State<App>,
    actor: Actor,
    headers: HeaderMap,
    Path(key): Path<String>,
    JsonBody(request): JsonBody<Act>,
) -> Result<Json<ChannelView>, WebError> {
    let version = if_match(&headers, request.version)?;
    let channel = channels::end(&app, &actor, &key, version, &request.comment).await?;
    Ok(Json(view(&app, channel).await?))
}

async fn view(app: &App, channel: Channel) -> Result<ChannelView, WebError> {
    let valid = channels::valid_approvals(app, &channel).await?;
    let taken = app.store.channel_releases(channel.id).await?;
    let approvals_needed = channels::needed(app, &channel);
    let approval = |approval: Approval| ApprovalView {
        user: approval.user_name,
        comment: approval.comment,
        at: approval.at,
    };
    Ok(ChannelView {
        id: channel.id,
        project: channel.project,
        name: channel.name,
        state: channel.state,
        reference: channel.reference,
        runs: channel.runs,
        takes: channel.takes,
        revision: channel.revision,
        until: channel.until,
        digest: channel.digest,
        approvals: valid.into_iter().map(approval).collect(),
        approvals_needed,
        active_since: channel.active_since,
        releases: taken.into_iter().map(|(checkpoint, release)| Taken { checkpoint, release }).collect(),
        version: channel.version,
    })
}
