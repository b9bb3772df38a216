use axum::Json;
use axum::extract::{Path, State};
use sekisho_domain::user::{Role, Scope};
use serde::Deserialize;

use super::body::JsonBody;
use super::users::{UserView, view};
use crate::service::people;
use crate::{Actor, App, WebError};

/// `POST /api/v1/users/{name}/roles`.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = UserRoles)]
pub(super) struct SetRoles {
    roles: Vec<Role>,
}

/// Sets the roles of an account
///
/// These from now on, and no others.
#[utoipa::path(
    post,
    path = "/users/{name}/roles",
    operation_id = "set_user_roles",
    tag = "accounts",
    request_body = SetRoles,
    responses((status = 200, description = "The answer.", body = UserView)),
    security(("token" = ["admin"])),
)]
pub(super) async fn set(
    State(app): State<App>,
    actor: Actor,
    Path(name): Path<String>,
    JsonBody(request): JsonBody<SetRoles>,
) -> Result<Json<UserView>, WebError> {
    actor.require(&[Role::Admin], Scope::Admin)?;
    let before = people::find(&app, &name).await?;
    Ok(Json(view(people::set_roles(&app, &actor, &before, &request.roles).await?)))
}
