use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use sekisho_domain::UserId;
use sekisho_domain::user::{Role, Scope};
use sekisho_store::User;
use serde::{Deserialize, Serialize};

use super::body::JsonBody;
use super::paging::Page;
use crate::service::people;
use crate::{Actor, App, Viewer, WebError};

/// An account as the API shows it.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = User)]
pub(super) struct UserView {
    id: UserId,
    name: String,
    roles: Vec<Role>,
}

/// `POST /api/v1/users`.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewUser)]
pub(super) struct AddUser {
    name: String,
    roles: Vec<Role>,
}

/// Lists accounts by name
#[utoipa::path(
    get,
    path = "/users",
    operation_id = "list_users",
    tag = "accounts",
    responses((status = 200, description = "The answer.", body = Page<UserView>)),
    security(("token" = ["read"]), ("session" = [])),
)]
pub(super) async fn list(State(app): State<App>, viewer: Viewer) -> Result<Page<UserView>, WebError> {
    viewer.reader()?;
    Ok(Page::whole(app.store.users().await?.into_iter().map(view).collect()))
}

/// Adds an account
#[utoipa::path(
    post,
    path = "/users",
    operation_id = "create_user",
    tag = "accounts",
    request_body = AddUser,
    responses((status = 201, description = "Made.", body = UserView)),
    security(("token" = ["admin"])),
)]
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
