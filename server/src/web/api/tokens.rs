use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use sekisho_domain::user::{Role, Scope};
use serde::{Deserialize, Serialize};

use super::body::JsonBody;
use crate::service::people;
use crate::{Actor, App, WebError};

/// `POST /api/v1/users/{name}/tokens`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AddToken {
    label: String,
    scopes: Vec<Scope>,
    #[serde(default)]
    days: Option<i64>,
}

/// A token's text, shown this once.
#[derive(Serialize)]
pub(super) struct TokenView {
    token: String,
}

/// `POST /api/v1/users/{name}/tokens`: a token for an account. It can never approve.
pub(super) async fn add(
    State(app): State<App>,
    actor: Actor,
    Path(name): Path<String>,
    JsonBody(request): JsonBody<AddToken>,
) -> Result<(StatusCode, Json<TokenView>), WebError> {
    actor.require(&[Role::Admin], Scope::Admin)?;
    let user = people::find(&app, &name).await?;
    let token = people::add_token(&app, &user, &request.label, &request.scopes, request.days).await?;
    let detail = serde_json::json!({ "label": request.label, "scopes": request.scopes });
    people::audit(&app, &actor, "token.add", &user.name, detail).await?;
    Ok((StatusCode::CREATED, Json(TokenView { token })))
}
