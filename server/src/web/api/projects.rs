use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use sekisho_domain::Timestamp;
use sekisho_domain::user::Role;
use sekisho_store::Project;
use serde::{Deserialize, Serialize};

use super::body::JsonBody;
use super::users::{UserView, view as user_view};
use crate::service::{people, projects};
use crate::{Actor, App, Viewer, WebError};

/// A project as the API shows it.
#[derive(Serialize)]
pub(super) struct ProjectView {
    name: String,
    title: String,
    created: Timestamp,
}

impl ProjectView {
    fn of(project: Project) -> Self {
        let Project { name, title, created } = project;
        Self { name, title, created }
    }
}

/// `POST /api/v1/projects`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Add {
    name: String,
    #[serde(default)]
    title: String,
}

/// `POST /api/v1/projects/{project}/roles`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SetRoles {
    user: String,
    roles: Vec<Role>,
}

/// `GET /api/v1/projects`: by name.
pub(super) async fn list(State(app): State<App>, viewer: Viewer) -> Result<Json<Vec<ProjectView>>, WebError> {
    viewer.may_read()?;
    Ok(Json(app.store.projects().await?.into_iter().map(ProjectView::of).collect()))
}

/// `POST /api/v1/projects`.
pub(super) async fn add(
    State(app): State<App>,
    actor: Actor,
    JsonBody(request): JsonBody<Add>,
) -> Result<(StatusCode, Json<ProjectView>), WebError> {
    let project = projects::add(&app, &actor, &request.name, &request.title).await?;
    Ok((StatusCode::CREATED, Json(ProjectView::of(project))))
}

/// `POST /api/v1/projects/{project}/roles`: the account has these roles in the project from now on, and no others there.
pub(super) async fn set_roles(
    State(app): State<App>,
    actor: Actor,
    Path(project): Path<String>,
    JsonBody(request): JsonBody<SetRoles>,
) -> Result<Json<UserView>, WebError> {
    let user = people::find(&app, &request.user).await?;
    Ok(Json(user_view(projects::set_roles(&app, &actor, &user, &project, &request.roles).await?)))
}
