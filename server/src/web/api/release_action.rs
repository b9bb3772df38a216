use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use sekisho_domain::Timestamp;
use sekisho_domain::release::{ReleaseAction, YankExtent};
use sekisho_store::CardEdits;
use serde::Deserialize;

use super::body::{IfMatch, JsonBody, if_match};
use super::release::{ReleaseView, view};
use crate::service::releases;
use crate::service::releases::Proposal;
use crate::{Actor, App, WebError};

/// `POST /api/v1/releases/{id}/{action}`: `freeze`, `request`, `approve`, `return`, `reject`, `withdraw`, `publish`, `break_glass`, `comment`, `edit`,
/// `card`, `schedule`, `revise`, `yank`, `resume`.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ReleaseDecision)]
pub(super) struct Act {
    /// The version the caller has seen, when it is not in `If-Match`; 412 when there is a newer one.
    #[serde(default)]
    version: Option<u64>,
    /// A comment, or the reason; `return`, `reject`, `break_glass` and `yank` need one.
    #[serde(default)]
    comment: String,
    /// For `edit`: the new lineage file.
    #[serde(default)]
    lineage: Option<String>,
    /// For `edit`: its path beside those of `parents`.
    #[serde(default)]
    path: String,
    /// For `edit`: the lineage files that it refers to, by path.
    #[serde(default)]
    parents: BTreeMap<String, String>,
    /// For `edit`: the new texts.
    #[serde(default)]
    files: BTreeMap<String, String>,
    /// For `edit`: the new announcement.
    #[serde(default)]
    announcement: Option<String>,
    /// For `edit`: what the new lineage file names and is not there; absent when nobody has looked.
    #[serde(default)]
    missing: Option<Vec<String>>,
    /// For `schedule`: when to publish; nothing takes the time back.
    #[serde(default)]
    at: Option<Timestamp>,
    /// For `card`: language → section → text; what is not named stays as it is, an empty text brings the default back.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, BTreeMap<String, String>>)]
    sections: CardEdits,
    /// For `yank`: how far.
    #[serde(default)]
    extent: Option<YankExtent>,
}

/// Edits the texts of a model card
///
/// Only `sections` and `version` are read. Needs the version seen.
#[utoipa::path(
    post,
    path = "/releases/{id}/card",
    operation_id = "edit_release_card",
    tag = "releases",
    request_body = Act,
    params(IfMatch),
    responses((status = 200, description = "The answer.", body = ReleaseView)),
    security(("token" = ["release"])),
)]
pub(super) async fn edit_card(
    app: State<App>,
    actor: Actor,
    headers: HeaderMap,
    Path(key): Path<String>,
    body: JsonBody<Act>,
) -> Result<Json<ReleaseView>, WebError> {
    act(app, actor, headers, Path((key, "card".to_owned())), body).await
}

/// Moves a release on, or changes it
///
/// `freeze`, `request`, `approve`, `return`, `reject`, `withdraw`, `publish`, `break_glass`, `comment`, `edit`, `card`, `schedule`, `revise`, `yank`,
/// `resume`. All but `comment` and `resume` need the version seen; a stored token never approves, returns or rejects.
#[utoipa::path(
    post,
    path = "/releases/{id}/{action}",
    operation_id = "act_on_release",
    tag = "releases",
    request_body = Act,
    params(IfMatch),
    responses((status = 200, description = "The answer.", body = ReleaseView)),
    security(("token" = ["release"])),
)]
pub(super) async fn act(
    State(app): State<App>,
    actor: Actor,
    headers: HeaderMap,
    Path((key, action)): Path<(String, String)>,
    JsonBody(request): JsonBody<Act>,
) -> Result<Json<ReleaseView>, WebError> {
    let id = releases::find(&app, &key).await?.id;
    if action == "comment" {
        // A comment changes nothing that somebody could have missed.
        releases::comment(&app, &actor, id, &request.comment).await?;
        return Ok(Json(view(&app, releases::find(&app, &key).await?).await?));
    }
    if action == "resume" {
        // What was decided is carried out; nothing is decided anew.
        releases::resume(&app, &actor, id).await?;
        return Ok(Json(view(&app, releases::find(&app, &key).await?).await?));
    }
    let version = if_match(&headers, request.version)?;
    let release = match action.as_str() {
        "schedule" => releases::schedule(&app, &actor, id, version, request.at).await?,
        "card" => releases::edit_card(&app, &actor, id, version, &request.sections).await?,
        "yank" => {
            let (extent, reason) = (request.extent, request.comment.as_str());
            releases::yank(&app, &actor, id, version, extent, reason).await?
        }
        "revise" => releases::revise(&app, &actor, id, version).await?,
        "edit" => {
            let Some(lineage) = request.lineage else {
                return Err(WebError::bad_request(
                    "lineage",
                    "edit needs the whole new lineage file in \"lineage\".",
                ));
            };
            let Act { path, parents, files, announcement, missing, .. } = request;
            let proposal = Proposal { lineage, path, parents, files, announcement, missing };
            releases::edit(&app, &actor, id, version, &proposal).await?
        }
        other => {
            let action: ReleaseAction = other.parse().map_err(|error| {
                WebError::bad_request("action", format!("There is no such action: {error}."))
            })?;
            releases::act(&app, &actor, id, version, action, &request.comment).await?
        }
    };
    Ok(Json(view(&app, release).await?))
}
