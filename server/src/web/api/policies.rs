use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use sekisho_domain::release::ReleaseState;
use sekisho_domain::{ReleaseId, Sha256, Timestamp};
use sekisho_policy::{PolicySet, Verdict};
use serde::{Deserialize, Serialize};

use super::body::JsonBody;
use super::paging::Page;
use crate::service::policies::{self, Simulated};
use crate::{App, Noun, Viewer, WebError};

/// A policy set and since when it was in force.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = PolicyInForce)]
pub(super) struct PolicyView {
    name: String,
    version: String,
    digest: Sha256,
    since: Timestamp,
}

/// Lists which policy set was in force since when
///
/// Newest first; the first is in force.
#[utoipa::path(
    get,
    path = "/policies",
    operation_id = "list_policies",
    tag = "policies",
    responses((status = 200, description = "The answer.", body = Page<PolicyView>)),
    security((), ("token" = []), ("session" = [])),
)]
pub(super) async fn list(State(app): State<App>, viewer: Viewer) -> Result<Page<PolicyView>, WebError> {
    viewer.may_read()?;
    let view = |(set, since): (sekisho_store::KeptPolicy, Timestamp)| PolicyView {
        name: set.name,
        version: set.version,
        digest: set.digest,
        since,
    };
    Ok(Page::whole(app.store.policies_in_force().await?.into_iter().map(view).collect()))
}

/// Shows the rules of a set that judged here
#[utoipa::path(
    get,
    path = "/policies/{digest}",
    operation_id = "show_policy",
    tag = "policies",
    responses((status = 200, description = "The set, TOML.", body = String, content_type = "application/toml")),
    security((), ("token" = []), ("session" = [])),
)]
pub(super) async fn show(
    State(app): State<App>,
    viewer: Viewer,
    Path(digest): Path<String>,
) -> Result<Response, WebError> {
    viewer.may_read()?;
    let parsed: Option<Sha256> = digest.parse().ok();
    let found = match parsed {
        Some(digest) => app.store.policy(digest).await?,
        None => None,
    };
    let set = found.ok_or_else(|| WebError::not_found(Noun::Policy, &digest))?;
    Ok(([(header::CONTENT_TYPE, "application/toml")], set.text).into_response())
}

/// `POST /api/v1/policies/simulate`.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PolicyToTry)]
pub(super) struct Simulate {
    /// A built-in set.
    #[serde(default)]
    set: Option<String>,
    /// Or a set as TOML.
    #[serde(default)]
    text: Option<String>,
}

/// A past release under the other set.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = SimulatedRelease)]
pub(super) struct SimulatedView {
    release: ReleaseId,
    name: String,
    state: ReleaseState,
    then: Option<Verdict>,
    now: Verdict,
    /// Codes that came or went, each with what changed it.
    changes: Vec<String>,
}

/// Says what another policy set makes of past releases
///
/// Changes nothing, but judges hundreds of releases, which is not for strangers.
#[utoipa::path(
    post,
    path = "/policies/simulate",
    operation_id = "simulate_policy",
    tag = "policies",
    request_body = Simulate,
    responses((status = 200, description = "The answer.", body = Page<SimulatedView>)),
    security(("token" = ["read"]), ("session" = [])),
)]
pub(super) async fn simulate(
    State(app): State<App>,
    viewer: Viewer,
    JsonBody(request): JsonBody<Simulate>,
) -> Result<Page<SimulatedView>, WebError> {
    viewer.reader()?;
    let set = match (&request.set, &request.text) {
        (Some(name), None) => PolicySet::builtin(name),
        (None, Some(text)) => PolicySet::from_toml("policy.toml", text),
        _ => {
            return Err(WebError::bad_request(
                "policy",
                "Send either \"set\" (a built-in name) or \"text\" (TOML).",
            ));
        }
    };
    let set = set.map_err(|error| WebError::refused("policy", format!("{error}.")))?;
    let view = |simulated: Simulated| SimulatedView {
        changes: policies::changed_codes(&simulated),
        release: simulated.release.id,
        name: simulated.release.name,
        state: simulated.release.state,
        then: simulated.then.map(|decision| decision.verdict),
        now: simulated.now.verdict,
    };
    Ok(Page::whole(policies::simulate(&app, &set).await?.into_iter().map(view).collect()))
}
