use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use sekisho_domain::user::{Role, Scope};
use sekisho_domain::{Timestamp, TokenId};
use sekisho_store::ApiToken;
use serde::{Deserialize, Serialize};

use super::body::JsonBody;
use super::paging::Page;
use crate::service::people;
use crate::{Actor, App, WebError};

/// `POST /api/v1/users/{name}/tokens`.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewToken)]
pub(super) struct AddToken {
    label: String,
    scopes: Vec<Scope>,
    #[serde(default)]
    days: Option<i64>,
}

/// A token's text, shown this once.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = TokenSecret)]
pub(super) struct NewToken {
    token: String,
}

/// A token without its text, which nobody keeps.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Token)]
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

/// Lists the tokens of an account, the oldest first
///
/// Without their texts, which nobody keeps.
#[utoipa::path(
    get,
    path = "/users/{name}/tokens",
    operation_id = "list_tokens",
    tag = "accounts",
    responses((status = 200, description = "The answer.", body = Page<TokenView>)),
    security(("token" = ["admin"])),
)]
pub(super) async fn list(
    State(app): State<App>,
    actor: Actor,
    Path(name): Path<String>,
) -> Result<Page<TokenView>, WebError> {
    actor.require(&[Role::Admin], Scope::Admin)?;
    let user = people::find(&app, &name).await?;
    Ok(Page::whole(app.store.tokens(user.id).await?.into_iter().map(TokenView::of).collect()))
}

/// Makes a token for an account
///
/// It can never approve. Its text is shown this once.
#[utoipa::path(
    post,
    path = "/users/{name}/tokens",
    operation_id = "create_token",
    tag = "accounts",
    request_body = AddToken,
    responses((status = 201, description = "Made.", body = NewToken)),
    security(("token" = ["admin"])),
)]
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
