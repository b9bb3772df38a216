use async_trait::async_trait;
use sekisho_domain::UserId;
use sekisho_domain::user::Role;
use serde_json::json;

use super::database::{self, Row};
use super::fields::Fields;
use super::{SqlStore, audit, conflict};
use crate::{AuditEntry, Project, ProjectRepository, StoreError};

#[async_trait]
impl ProjectRepository for SqlStore {
    async fn add_project(&self, project: &Project, audit: &AuditEntry) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        database::query("INSERT INTO projects (name, title, created) VALUES ($1, $2, $3)")
            .bind(&project.name)
            .bind(&project.title)
            .bind(project.created.unix_ms())
            .execute(&mut transaction)
            .await
            .map_err(|error| {
                conflict(error, || format!("a project with the name \"{}\" is there already", project.name))
            })?;
        audit::append(&mut transaction, audit).await?;
        Ok(transaction.commit().await?)
    }

    async fn projects(&self) -> Result<Vec<Project>, StoreError> {
        let query = database::query("SELECT * FROM projects ORDER BY name");
        query.fetch_all(&self.database.read).await?.iter().map(project).collect()
    }

    async fn set_project_roles(
        &self,
        id: UserId,
        project: &str,
        roles: &[Role],
        audit: &AuditEntry,
    ) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        let query = if roles.is_empty() {
            database::query("DELETE FROM project_roles WHERE user_id = $1 AND project = $2")
        } else {
            database::query(
                "INSERT INTO project_roles (user_id, project, roles) VALUES ($1, $2, $3)
                 ON CONFLICT (user_id, project) DO UPDATE SET roles = excluded.roles",
            )
        };
        let query = query.bind(id.to_string()).bind(project);
        let query = if roles.is_empty() { query } else { query.bind(json!(roles).to_string()) };
        query.execute(&mut transaction).await?;
        audit::append(&mut transaction, audit).await?;
        Ok(transaction.commit().await?)
    }
}

fn project(row: &Row) -> Result<Project, StoreError> {
    let fields = Fields::of("projects", &["name"], row);
    Ok(Project { name: fields.get("name")?, title: fields.get("title")?, created: fields.time("created")? })
}
