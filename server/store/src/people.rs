use std::collections::BTreeMap;

use async_trait::async_trait;
use sekisho_domain::user::{Role, Scope};
use sekisho_domain::{Sha256, Timestamp, TokenId, UserId};

use crate::{AuditEntry, StoreError};

/// An account.
#[derive(Clone, Debug, PartialEq)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// Unique name, shown.
    pub name: String,
    /// What it may do everywhere.
    pub roles: Vec<Role>,
    /// What it may do in single projects besides.
    pub projects: BTreeMap<String, Vec<Role>>,
    /// Created at.
    pub created: Timestamp,
}

impl User {
    /// Whether the account holds that role everywhere.
    #[must_use]
    pub fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    /// Whether the account holds that role in a project: there, or everywhere.
    #[must_use]
    pub fn has_in(&self, project: &str, role: Role) -> bool {
        self.has(role) || self.projects.get(project).is_some_and(|roles| roles.contains(&role))
    }
}

/// What a session was opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionKind {
    /// A browser, by cookie.
    Browser,
    /// A command line, confirmed in a browser.
    Command,
}

impl SessionKind {
    /// The fixed name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Browser => "browser",
            Self::Command => "command",
        }
    }
}

impl std::str::FromStr for SessionKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Browser, Self::Command]
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| format!("\"{text}\" is none of browser, command"))
    }
}

/// An API token. Only its hash is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct ApiToken {
    /// Its id.
    pub id: TokenId,
    /// Whose.
    pub user: UserId,
    /// What for, in words.
    pub label: String,
    /// SHA-256 of the token's text.
    pub hash: Sha256,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// Whose tokens led to it: the account behind the token that made it, and those behind that one. None: the service itself.
    pub makers: Vec<UserId>,
    /// Until when.
    pub expires: Option<Timestamp>,
    /// Created at.
    pub created: Timestamp,
}

/// A browser session. Only the hash of its cookie is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Session {
    /// SHA-256 of the cookie.
    pub hash: Sha256,
    /// Whose.
    pub user: UserId,
    /// Token that every form of this session must carry.
    pub csrf: String,
    /// As of the link that opened it.
    pub makers: Vec<UserId>,
    /// What it was opened for.
    pub kind: SessionKind,
    /// Until when.
    pub expires: Timestamp,
}

/// A one-time sign-in link. Only the hash of its code is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct LoginLink {
    /// SHA-256 of the code.
    pub hash: Sha256,
    /// Whom it signs in.
    pub user: UserId,
    /// Whose tokens led to it, as for [`ApiToken::makers`].
    pub makers: Vec<UserId>,
    /// Until when.
    pub expires: Timestamp,
}

/// Accounts, tokens and sessions. What changes anybody's rights is written together with its audit entry: both or neither.
#[async_trait]
pub trait PeopleRepository: Send + Sync {
    /// Adds an account. [`StoreError::Conflict`] when the name is taken.
    async fn add_user(&self, user: &User, audit: &AuditEntry) -> Result<(), StoreError>;
    /// By id.
    async fn user(&self, id: UserId) -> Result<Option<User>, StoreError>;
    /// By name.
    async fn user_by_name(&self, name: &str) -> Result<Option<User>, StoreError>;
    /// All, by name.
    async fn users(&self) -> Result<Vec<User>, StoreError>;
    /// Replaces an account's roles. [`StoreError::LastAdmin`] when nobody would be an admin any more.
    async fn set_roles(&self, id: UserId, roles: &[Role], audit: &AuditEntry) -> Result<(), StoreError>;
    /// Adds a token.
    async fn add_token(&self, token: &ApiToken, audit: &AuditEntry) -> Result<(), StoreError>;
    /// An account and its first token, both or neither.
    async fn add_user_with_token(
        &self,
        user: &User,
        token: &ApiToken,
        audit: &AuditEntry,
    ) -> Result<(), StoreError>;
    /// The account and token behind a hash, unless it has expired.
    async fn token(&self, hash: Sha256, now: Timestamp) -> Result<Option<(User, ApiToken)>, StoreError>;
    /// Tokens of an account.
    async fn tokens(&self, user: UserId) -> Result<Vec<ApiToken>, StoreError>;
    /// Withdraws a token; false, and no entry, when there was none.
    async fn revoke_token(&self, id: TokenId, audit: &AuditEntry) -> Result<bool, StoreError>;
    /// Adds a sign-in link.
    async fn add_login_link(&self, link: &LoginLink, audit: &AuditEntry) -> Result<(), StoreError>;
    /// Whom a link would sign in, without using it up.
    async fn peek_login_link(&self, hash: Sha256, now: Timestamp) -> Result<Option<User>, StoreError>;
    /// Uses a link up: of two at once, one gets the account and the link.
    async fn take_login_link(
        &self,
        hash: Sha256,
        now: Timestamp,
    ) -> Result<Option<(User, LoginLink)>, StoreError>;
    /// Adds a session.
    async fn add_session(&self, session: &Session) -> Result<(), StoreError>;
    /// The account and session behind a hash, unless it has expired.
    async fn session(&self, hash: Sha256, now: Timestamp) -> Result<Option<(User, Session)>, StoreError>;
    /// Ends a session.
    async fn end_session(&self, hash: Sha256) -> Result<(), StoreError>;
}
