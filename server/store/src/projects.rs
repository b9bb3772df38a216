use async_trait::async_trait;
use sekisho_domain::user::Role;
use sekisho_domain::{Timestamp, UserId};

use crate::{AuditEntry, StoreError};

/// What runs and their releases belong to; roles may be given for one alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// Its unique name. `default` is always there.
    pub name: String,
    /// In words.
    pub title: String,
    /// Created at.
    pub created: Timestamp,
}

/// Projects, and roles in them.
#[async_trait]
pub trait ProjectRepository: Send + Sync {
    /// Adds a project. [`StoreError::Conflict`] when the name is taken.
    async fn add_project(&self, project: &Project, audit: &AuditEntry) -> Result<(), StoreError>;
    /// All, by name.
    async fn projects(&self) -> Result<Vec<Project>, StoreError>;
    /// Replaces an account's roles in one project; none take it out.
    async fn set_project_roles(
        &self,
        id: UserId,
        project: &str,
        roles: &[Role],
        audit: &AuditEntry,
    ) -> Result<(), StoreError>;
}
