use axum::Json;
use axum::extract::{Path, State};
use sekisho_domain::user::{Role, Scope};
use serde::Serialize;

use crate::service::people;
use crate::{Actor, App, WebError};

/// A sign-in link, shown this once.
#[derive(Serialize)]
pub(super) struct LoginLinkView {
    url: String,
}

/// `POST /api/v1/users/{name}/login-link`: a one-time link that opens a browser session for the account. The session approves
/// nothing that the token's account, or one behind it, proposed.
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
