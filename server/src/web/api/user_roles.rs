use axum::Json;
use axum::extract::{Path, State};
use sekisho_domain::user::{Role, Scope};
use serde::Deserialize;

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
    Json(request): Json<SetRoles>,
) -> Result<Json<UserView>, WebError> {
    actor.require(&[Role::Admin], Scope::Admin)?;
    let before = people::find(&app, &name).await?;
    let user = people::set_roles(&app, &before, &request.roles).await?;
    let detail = serde_json::json!({ "before": before.roles, "roles": user.roles });
    people::audit(&app, &actor, "user.roles", &user.name, detail).await?;
    Ok(Json(view(user)))
}
