use async_trait::async_trait;
use sekisho_domain::{Sha256, Timestamp, UserId};
use serde_json::json;

use super::database::{self, Row};
use super::fields::Fields;
use super::people::put_session;
use super::{SqlStore, audit, changed, conflict};
use crate::{AuditEntry, LoginRequest, Password, Session, SignInRepository, StoreError};

#[async_trait]
impl SignInRepository for SqlStore {
    async fn password(&self, id: UserId) -> Result<Option<Password>, StoreError> {
        let query = database::query("SELECT * FROM users WHERE id = $1 AND password IS NOT NULL");
        let row = query.bind(id.to_string()).fetch_optional(&self.database.read).await?;
        row.as_ref().map(password).transpose()
    }

    async fn set_password(
        &self,
        id: UserId,
        password: Option<&Password>,
        keep: Option<Sha256>,
        audit: &AuditEntry,
    ) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        let query = database::query("UPDATE users SET password = $2, password_makers = $3 WHERE id = $1")
            .bind(id.to_string())
            .bind(password.map(|password| &password.hash))
            .bind(json!(password.map(|password| password.makers.clone()).unwrap_or_default()).to_string());
        changed(query.execute(&mut transaction).await?, "user", &id)?;
        database::query("DELETE FROM sessions WHERE user_id = $1 AND hash IS DISTINCT FROM $2")
            .bind(id.to_string())
            .bind(keep.as_ref().map(Sha256::hex))
            .execute(&mut transaction)
            .await?;
        audit::append(&mut transaction, audit).await?;
        Ok(transaction.commit().await?)
    }

    async fn add_login_request(
        &self,
        request: &LoginRequest,
        most: u32,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let old = database::query("DELETE FROM login_requests WHERE expires <= $1").bind(now.unix_ms());
        old.execute(&self.database).await?;
        let insert = "INSERT INTO login_requests (hash, code, origin, expires) SELECT $1, $2, $3, $4
             WHERE (SELECT count(*) FROM login_requests) < $5";
        let added = database::query(insert)
            .bind(request.hash.hex())
            .bind(&request.code)
            .bind(&request.origin)
            .bind(request.expires.unix_ms())
            .bind(most)
            .execute(&self.database)
            .await
            .map_err(|error| conflict(error, || "this code is in use; ask once more".to_owned()))?;
        Ok(added.rows_affected() == 1)
    }

    async fn login_request(&self, code: &str, now: Timestamp) -> Result<Option<LoginRequest>, StoreError> {
        let query = database::query("SELECT * FROM login_requests WHERE code = $1 AND expires > $2");
        let query = query.bind(code).bind(now.unix_ms());
        query.fetch_optional(&self.database.read).await?.as_ref().map(request).transpose()
    }

    async fn login_request_waits(&self, hash: Sha256, now: Timestamp) -> Result<bool, StoreError> {
        let query = database::query("SELECT * FROM login_requests WHERE hash = $1 AND expires > $2");
        let query = query.bind(hash.hex()).bind(now.unix_ms());
        Ok(query.fetch_optional(&self.database.read).await?.is_some())
    }

    async fn confirm_login_request(
        &self,
        code: &str,
        session: &Session,
        audit: &AuditEntry,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.begin().await?;
        let query = database::query("DELETE FROM login_requests WHERE code = $1 AND hash = $2");
        let taken = query.bind(code).bind(session.hash.hex()).execute(&mut transaction).await?;
        if taken.rows_affected() == 0 {
            return Ok(false);
        }
        put_session(&mut transaction, session).await?;
        audit::append(&mut transaction, audit).await?;
        transaction.commit().await?;
        Ok(true)
    }

    async fn drop_login_request(&self, code: &str) -> Result<bool, StoreError> {
        let query = database::query("DELETE FROM login_requests WHERE code = $1").bind(code);
        Ok(query.execute(&self.database).await?.rows_affected() == 1)
    }
}

fn password(row: &Row) -> Result<Password, StoreError> {
    let fields = Fields::of("users", &["id"], row);
    Ok(Password { hash: fields.get("password")?, makers: fields.json("password_makers")? })
}

fn request(row: &Row) -> Result<LoginRequest, StoreError> {
    let fields = Fields::of("login_requests", &["code"], row);
    Ok(LoginRequest {
        hash: fields.parse("hash")?,
        code: fields.get("code")?,
        origin: fields.get("origin")?,
        expires: fields.time("expires")?,
    })
}
