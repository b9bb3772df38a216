use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use sekisho_domain::UserId;
use sekisho_domain::user::{Role, Scope};
use sekisho_store::User;
use serde::{Deserialize, Serialize};

use super::body::JsonBody;
use crate::service::people;
use crate::{Actor, App, Viewer, WebError};

/// An account as the API shows it.
#[derive(Serialize)]
pub(super) struct UserView {
    id: UserId,
    name: String,
    roles: Vec<Role>,
}

/// `POST /api/v1/users`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AddUser {
    name: String,
    roles: Vec<Role>,
}

/// `GET /api/v1/users`: by name.
pub(super) async fn list(State(app): State<App>, viewer: Viewer) -> Result<Json<Vec<UserView>>, WebError> {
    viewer.reader()?;
    Ok(Json(app.store.users().await?.into_iter().map(view).collect()))
}

/// `POST /api/v1/users`.
pub(super) async fn add(
    State(app): State<App>,
    actor: Actor,
    JsonBody(request): JsonBody<AddUser>,
) -> Result<(StatusCode, Json<UserView>), WebError> {
    actor.require(&[Role::Admin], Scope::Admin)?;
    let user = people::add_user(&app, Some(&actor), &request.name, &request.roles).await?;
    Ok((StatusCode::CREATED, Json(view(user))))
}

pub(super) fn view(user: User) -> UserView {
    UserView { id: user.id, name: user.name, roles: user.roles }
}
