use axum::extract::{Path, State};
use axum::http::StatusCode;
use sekisho_domain::TokenId;
use sekisho_domain::user::{Role, Scope};

use crate::service::people;
use crate::{Actor, App, Noun, WebError};

/// Withdraws a token: it works no longer
#[utoipa::path(
    delete,
    path = "/users/{name}/tokens/{id}",
    operation_id = "delete_token",
    tag = "accounts",
    responses((status = 204, description = "Done; nothing is answered.")),
    security(("token" = ["admin"])),
)]
pub(super) async fn revoke(
    State(app): State<App>,
    actor: Actor,
    Path((name, key)): Path<(String, String)>,
) -> Result<StatusCode, WebError> {
    actor.require(&[Role::Admin], Scope::Admin)?;
    let user = people::find(&app, &name).await?;
    let missing = || WebError::not_found(Noun::Token, &key);
    let id: TokenId = key.parse().map_err(|_| missing())?;
    let found = app.store.tokens(user.id).await?.into_iter().find(|token| token.id == id);
    let token = found.ok_or_else(missing)?;
    people::revoke_token(&app, Some(&actor), &user, &token).await?;
    Ok(StatusCode::NO_CONTENT)
}
