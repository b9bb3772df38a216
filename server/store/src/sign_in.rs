use async_trait::async_trait;
use sekisho_domain::{Sha256, Timestamp, UserId};

use crate::{AuditEntry, Session, StoreError};

/// A password as it is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct Password {
    /// Argon2 in the PHC string format.
    pub hash: String,
    /// Whose tokens led to the session in which it was set; a sign-in with it is as good as that session was.
    pub makers: Vec<UserId>,
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(***)")
    }
}

/// A sign-in that a command line asks for. Only the hash of its secret is kept; confirmed, the secret opens a session.
#[derive(Clone, Debug, PartialEq)]
pub struct LoginRequest {
    /// SHA-256 of the secret that the command line holds.
    pub hash: Sha256,
    /// Shown by the command line and by the browser.
    pub code: String,
    /// Who says it asks.
    pub origin: String,
    /// Until when it may be confirmed.
    pub expires: Timestamp,
}

/// Passwords, and sign-ins of command lines.
#[async_trait]
pub trait SignInRepository: Send + Sync {
    /// The password of an account, if it has one.
    async fn password(&self, id: UserId) -> Result<Option<Password>, StoreError>;
    /// Sets or removes a password and ends every other session of the account.
    async fn set_password(
        &self,
        id: UserId,
        password: Option<&Password>,
        keep: Option<Sha256>,
        audit: &AuditEntry,
    ) -> Result<(), StoreError>;
    /// Adds a request of a command line to sign in, and clears away those that are too old. False, and nothing is added, when `most`
    /// wait already: anybody may ask.
    async fn add_login_request(
        &self,
        request: &LoginRequest,
        most: u32,
        now: Timestamp,
    ) -> Result<bool, StoreError>;
    /// A request that may still be confirmed, by the code that people see.
    async fn login_request(&self, code: &str, now: Timestamp) -> Result<Option<LoginRequest>, StoreError>;
    /// A request that waits, by the hash of its secret.
    async fn login_request_waits(&self, hash: Sha256, now: Timestamp) -> Result<bool, StoreError>;
    /// Turns a request into its session: of two at once, one does. False when it is not there any more.
    async fn confirm_login_request(
        &self,
        code: &str,
        session: &Session,
        audit: &AuditEntry,
    ) -> Result<bool, StoreError>;
    /// Takes a request back; false when it is not there any more.
    async fn drop_login_request(&self, code: &str) -> Result<bool, StoreError>;
}
