use axum::Json;
use axum::extract::{Path, State};
use sekisho_domain::user::{Role, Scope};
use serde::Serialize;

use crate::service::people;
use crate::{Actor, App, WebError};

/// A sign-in link, shown this once.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = LoginLink)]
pub(super) struct LoginLinkView {
    url: String,
}

/// Makes a one-time sign-in link for an account
///
/// The session that it opens approves nothing that the account of the token, or one behind it, proposed. The link is shown this once.
#[utoipa::path(
    post,
    path = "/users/{name}/login-link",
    operation_id = "create_login_link",
    tag = "accounts",
    responses((status = 200, description = "The answer.", body = LoginLinkView)),
    security(("token" = ["admin"])),
)]
pub(super) async fn make(
    State(app): State<App>,
    actor: Actor,
    Path(name): Path<String>,
) -> Result<Json<LoginLinkView>, WebError> {
    actor.require(&[Role::Admin], Scope::Admin)?;
    let user = people::find(&app, &name).await?;
    let url = people::login_link(&app, &user, Some(&actor)).await?;
    Ok(Json(LoginLinkView { url }))
}
