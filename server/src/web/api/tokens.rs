use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use sekisho_domain::user::{Role, Scope};
use sekisho_domain::{Timestamp, TokenId};
use sekisho_store::ApiToken;
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
pub(super) struct NewToken {
    token: String,
}

/// A token without its text, which nobody keeps.
#[derive(Serialize)]
pub(super) struct TokenView {
    id: TokenId,
    label: String,
    scopes: Vec<Scope>,
    expires: Option<Timestamp>,
    created: Timestamp,
}

impl TokenView {
    fn of(token: ApiToken) -> Self {
        let ApiToken { id, label, scopes, expires, created, .. } = token;
        Self { id, label, scopes, expires, created }
    }
}

/// `GET /api/v1/users/{name}/tokens`: the oldest first.
pub(super) async fn list(
    State(app): State<App>,
    actor: Actor,
    Path(name): Path<String>,
) -> Result<Json<Vec<TokenView>>, WebError> {
    actor.require(&[Role::Admin], Scope::Admin)?;
    let user = people::find(&app, &name).await?;
    Ok(Json(app.store.tokens(user.id).await?.into_iter().map(TokenView::of).collect()))
}

/// `POST /api/v1/users/{name}/tokens`: a token for an account. It can never approve.
pub(super) async fn add(
    State(app): State<App>,
    actor: Actor,
    Path(name): Path<String>,
    JsonBody(request): JsonBody<AddToken>,
) -> Result<(StatusCode, Json<NewToken>), WebError> {
    actor.require(&[Role::Admin], Scope::Admin)?;
    let user = people::find(&app, &name).await?;
    let (label, scopes) = (&request.label, &request.scopes);
    let token = people::add_token(&app, &user, label, scopes, request.days, Some(&actor)).await?;
    Ok((StatusCode::CREATED, Json(NewToken { token })))
}
