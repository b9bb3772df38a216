use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use sekisho_domain::Timestamp;
use sekisho_domain::user::Role;
use sekisho_store::Project;
use serde::{Deserialize, Serialize};

use super::body::JsonBody;
use super::paging::Page;
use super::users::{UserView, view as user_view};
use crate::service::{people, projects};
use crate::{Actor, App, Viewer, WebError};

/// A project as the API shows it.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Project)]
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
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewProject)]
pub(super) struct Add {
    name: String,
    #[serde(default)]
    title: String,
}

/// `POST /api/v1/projects/{project}/roles`.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ProjectRoles)]
pub(super) struct SetRoles {
    user: String,
    roles: Vec<Role>,
}

/// Lists projects by name
#[utoipa::path(
    get,
    path = "/projects",
    operation_id = "list_projects",
    tag = "accounts",
    responses((status = 200, description = "The answer.", body = Page<ProjectView>)),
    security((), ("token" = []), ("session" = [])),
)]
pub(super) async fn list(State(app): State<App>, viewer: Viewer) -> Result<Page<ProjectView>, WebError> {
    viewer.may_read()?;
    Ok(Page::whole(app.store.projects().await?.into_iter().map(ProjectView::of).collect()))
}

/// Adds a project
#[utoipa::path(
    post,
    path = "/projects",
    operation_id = "create_project",
    tag = "accounts",
    request_body = Add,
    responses((status = 201, description = "Made.", body = ProjectView)),
    security(("token" = ["admin"])),
)]
pub(super) async fn add(
    State(app): State<App>,
    actor: Actor,
    JsonBody(request): JsonBody<Add>,
) -> Result<(StatusCode, Json<ProjectView>), WebError> {
    let project = projects::add(&app, &actor, &request.name, &request.title).await?;
    Ok((StatusCode::CREATED, Json(ProjectView::of(project))))
}

/// Sets the roles of an account in a project
///
/// These from now on, and no others there.
#[utoipa::path(
    post,
    path = "/projects/{project}/roles",
    operation_id = "set_project_roles",
    tag = "accounts",
    request_body = SetRoles,
    responses((status = 200, description = "The answer.", body = UserView)),
    security(("token" = ["admin"])),
)]
pub(super) async fn set_roles(
    State(app): State<App>,
    actor: Actor,
    Path(project): Path<String>,
    JsonBody(request): JsonBody<SetRoles>,
) -> Result<Json<UserView>, WebError> {
    let user = people::find(&app, &request.user).await?;
    Ok(Json(user_view(projects::set_roles(&app, &actor, &user, &project, &request.roles).await?)))
}
