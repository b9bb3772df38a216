use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use sekisho_domain::release::ReleaseAction;
use serde::Deserialize;

use super::body::JsonBody;
use super::release::{ReleaseView, view};
use crate::service::releases;
use crate::service::releases::Proposal;
use crate::{Actor, App, WebError};

/// `POST /api/v1/releases/{id}/{action}`: `freeze`, `request`, `approve`, `return`, `reject`, `withdraw`, `publish`, `comment`, `edit`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Act {
    /// The version the caller has seen; 412 when there is a newer one.
    version: u64,
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
}

pub(super) async fn act(
    State(app): State<App>,
    actor: Actor,
    Path((key, action)): Path<(String, String)>,
    JsonBody(request): JsonBody<Act>,
) -> Result<Json<ReleaseView>, WebError> {
    let id = releases::find(&app, &key).await?.id;
    let release = match action.as_str() {
        "comment" => {
            releases::comment(&app, &actor, id, &request.comment).await?;
            releases::find(&app, &key).await?
        }
        "edit" => {
            let version = request.version;
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
            releases::act(&app, &actor, id, request.version, action, &request.comment).await?
        }
    };
    Ok(Json(view(&app, release).await?))
}
