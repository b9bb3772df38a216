//! Projects: what runs and their releases belong to. Roles hold everywhere, or in one project.

use sekisho_domain::user::{Role, Scope};
use sekisho_store::{Project, User};
use serde_json::json;

use super::people;
use crate::{Actor, App, Noun, WebError};

/// The project that is always there.
pub const DEFAULT: &str = "default";

/// The project that a request names, or the default one.
///
/// # Errors
/// 404.
pub async fn of_request(app: &App, name: Option<&str>) -> Result<String, WebError> {
    let name = name.unwrap_or(DEFAULT);
    let known = app.store.projects().await?.into_iter().any(|project| project.name == name);
    if known { Ok(name.to_owned()) } else { Err(WebError::not_found(Noun::Project, name)) }
}

/// Adds a project.
///
/// # Errors
/// 403, 400 for a name that cannot be used, 409 for one that is taken.
pub async fn add(app: &App, actor: &Actor, name: &str, title: &str) -> Result<Project, WebError> {
    actor.require(&[Role::Admin], Scope::Admin)?;
    let fits = !name.is_empty()
        && name.len() <= 60
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
        && name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if !fits || title.chars().count() > 200 {
        let detail = format!(
            "\"{}\" cannot be a project's name: use up to 60 letters, digits, '.', '_' and '-', beginning with a letter or a digit; a title has at most 200 characters.",
            name.escape_debug()
        );
        return Err(WebError::bad_request("project-name", detail));
    }
    let project = Project { name: name.to_owned(), title: title.trim().to_owned(), created: app.now() };
    let audit = people::entry(app, actor, "project.add", name, "done", json!({ "title": project.title }));
    app.store.add_project(&project, &audit).await?;
    Ok(project)
}

/// Gives an account these roles in a project and no others there. None take it out.
///
/// # Errors
/// 403, 404, 400 for a role that only exists everywhere.
pub async fn set_roles(
    app: &App,
    actor: &Actor,
    user: &User,
    project: &str,
    roles: &[Role],
) -> Result<User, WebError> {
    actor.require(&[Role::Admin], Scope::Admin)?;
    let project = of_request(app, Some(project)).await?;
    if roles.contains(&Role::Admin) {
        let detail = "An admin manages the whole service; the role cannot be given for one project.";
        return Err(WebError::bad_request("project-role", detail));
    }
    let mut roles = roles.to_vec();
    roles.sort();
    roles.dedup();
    let before = user.projects.get(&project);
    let detail = json!({ "project": project, "before": before, "roles": roles });
    let audit = people::entry(app, actor, "user.project_roles", &user.name, "done", detail);
    app.store.set_project_roles(user.id, &project, &roles, &audit).await?;
    people::find(app, &user.name).await
}
