use axum::Json;
use axum::extract::{Path, State};
use sekisho_domain::user::{Role, Scope};
use serde::Deserialize;

use super::body::JsonBody;
use super::users::{UserView, view};
use crate::service::people;
use crate::{Actor, App, WebError};

/// `POST /api/v1/users/{name}/roles`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SetRoles {
    roles: Vec<Role>,
}

/// `POST /api/v1/users/{name}/roles`: the account has these roles from now on, and no others.
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
