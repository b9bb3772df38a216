use async_trait::async_trait;
use sekisho_domain::user::{Role, Scope};
use sekisho_domain::{Sha256, Timestamp, TokenId, UserId};
use serde_json::json;

use super::database::{self, Row, Transaction};
use super::fields::Fields;
use super::{SqlStore, audit, changed, conflict};
use crate::{ApiToken, AuditEntry, LoginLink, PeopleRepository, Session, StoreError, User};

#[async_trait]
impl PeopleRepository for SqlStore {
    async fn add_user(&self, user: &User, audit: &AuditEntry) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        put_user(&mut transaction, user).await?;
        audit::append(&mut transaction, audit).await?;
        Ok(transaction.commit().await?)
    }

    async fn user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        let query = database::query("SELECT * FROM accounts WHERE id = $1").bind(id.to_string());
        query.fetch_optional(&self.database.read).await?.as_ref().map(user).transpose()
    }

    async fn user_by_name(&self, name: &str) -> Result<Option<User>, StoreError> {
        let query = database::query("SELECT * FROM accounts WHERE name = $1").bind(name);
        query.fetch_optional(&self.database.read).await?.as_ref().map(user).transpose()
    }

    async fn users(&self) -> Result<Vec<User>, StoreError> {
        database::query("SELECT * FROM accounts ORDER BY name")
            .fetch_all(&self.database.read)
            .await?
            .iter()
            .map(user)
            .collect()
    }

    async fn set_roles(&self, id: UserId, roles: &[Role], audit: &AuditEntry) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        keep_an_admin(&mut transaction, id, roles).await?;
        let query = database::query("UPDATE users SET roles = $2 WHERE id = $1");
        let query = query.bind(id.to_string()).bind(json!(roles).to_string());
        changed(query.execute(&mut transaction).await?, "user", &id)?;
        audit::append(&mut transaction, audit).await?;
        Ok(transaction.commit().await?)
    }

    async fn add_token(&self, token: &ApiToken, audit: &AuditEntry) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        put_token(&mut transaction, token).await?;
        audit::append(&mut transaction, audit).await?;
        Ok(transaction.commit().await?)
    }

    async fn add_user_with_token(
        &self,
        user: &User,
        token: &ApiToken,
        audit: &AuditEntry,
    ) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        put_user(&mut transaction, user).await?;
        put_token(&mut transaction, token).await?;
        audit::append(&mut transaction, audit).await?;
        Ok(transaction.commit().await?)
    }

    async fn token(&self, hash: Sha256, now: Timestamp) -> Result<Option<(User, ApiToken)>, StoreError> {
        let query =
            database::query("SELECT * FROM api_tokens WHERE hash = $1 AND (expires IS NULL OR expires > $2)");
        let row = query.bind(hash.hex()).bind(now.unix_ms()).fetch_optional(&self.database.read).await?;
        let Some(token) = row.as_ref().map(token).transpose()? else { return Ok(None) };
        Ok(self.user(token.user).await?.map(|user| (user, token)))
    }

    async fn tokens(&self, user: UserId) -> Result<Vec<ApiToken>, StoreError> {
        let query = database::query("SELECT * FROM api_tokens WHERE user_id = $1 ORDER BY created, id");
        query.bind(user.to_string()).fetch_all(&self.database.read).await?.iter().map(token).collect()
    }

    async fn revoke_token(&self, id: TokenId, audit: &AuditEntry) -> Result<bool, StoreError> {
        let mut transaction = self.begin().await?;
        let query = database::query("DELETE FROM api_tokens WHERE id = $1").bind(id.to_string());
        let was_there = query.execute(&mut transaction).await?.rows_affected() == 1;
        if was_there {
            audit::append(&mut transaction, audit).await?;
        }
        transaction.commit().await?;
        Ok(was_there)
    }

    async fn add_login_link(&self, link: &LoginLink, audit: &AuditEntry) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        database::query("INSERT INTO login_links (hash, user_id, expires, makers) VALUES ($1, $2, $3, $4)")
            .bind(link.hash.hex())
            .bind(link.user.to_string())
            .bind(link.expires.unix_ms())
            .bind(json!(link.makers).to_string())
            .execute(&mut transaction)
            .await
            .map_err(|error| conflict(error, || "this sign-in link is there already".to_owned()))?;
        audit::append(&mut transaction, audit).await?;
        Ok(transaction.commit().await?)
    }

    async fn peek_login_link(&self, hash: Sha256, now: Timestamp) -> Result<Option<User>, StoreError> {
        let query = database::query(
            "SELECT accounts.* FROM accounts JOIN login_links ON accounts.id = login_links.user_id
             WHERE login_links.hash = $1 AND login_links.expires > $2",
        );
        let query = query.bind(hash.hex()).bind(now.unix_ms());
        query.fetch_optional(&self.database.read).await?.as_ref().map(user).transpose()
    }

    async fn take_login_link(
        &self,
        hash: Sha256,
        now: Timestamp,
    ) -> Result<Option<(User, LoginLink)>, StoreError> {
        let mut transaction = self.begin().await?;
        // Each sign-in also clears away what has expired.
        for old in ["DELETE FROM login_links WHERE expires <= $1", "DELETE FROM sessions WHERE expires <= $1"]
        {
            database::query(old).bind(now.unix_ms()).execute(&mut transaction).await?;
        }
        let taken = database::query("DELETE FROM login_links WHERE hash = $1 RETURNING *")
            .bind(hash.hex())
            .fetch_optional(&mut transaction)
            .await?;
        let taken = taken.as_ref().map(link).transpose()?;
        transaction.commit().await?;
        let Some(link) = taken else { return Ok(None) };
        Ok(self.user(link.user).await?.map(|user| (user, link)))
    }

    async fn add_session(&self, session: &Session) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        put_session(&mut transaction, session).await?;
        Ok(transaction.commit().await?)
    }

    async fn session(&self, hash: Sha256, now: Timestamp) -> Result<Option<(User, Session)>, StoreError> {
        let query = database::query("SELECT * FROM sessions WHERE hash = $1 AND expires > $2");
        let row = query.bind(hash.hex()).bind(now.unix_ms()).fetch_optional(&self.database.read).await?;
        let Some(session) = row.as_ref().map(session).transpose()? else { return Ok(None) };
        Ok(self.user(session.user).await?.map(|user| (user, session)))
    }

    async fn end_session(&self, hash: Sha256) -> Result<(), StoreError> {
        database::query("DELETE FROM sessions WHERE hash = $1")
            .bind(hash.hex())
            .execute(&self.database)
            .await?;
        Ok(())
    }
}

/// Refuses to take the role from the only admin. Within the transaction that writes the roles, so that of two admins who take it
/// from each other at once one stays.
async fn keep_an_admin(connection: &mut Transaction, id: UserId, roles: &[Role]) -> Result<(), StoreError> {
    let rows = database::query("SELECT * FROM accounts").fetch_all(connection).await?;
    let users = rows.iter().map(user).collect::<Result<Vec<User>, _>>()?;
    let mut admins = users.into_iter().filter(|user| user.has(Role::Admin));
    match (admins.next(), admins.next()) {
        (Some(only), None) if only.id == id && !roles.contains(&Role::Admin) => {
            Err(StoreError::LastAdmin { name: only.name })
        }
        _ => Ok(()),
    }
}

pub(super) async fn put_session(connection: &mut Transaction, session: &Session) -> Result<(), StoreError> {
    database::query(
        "INSERT INTO sessions (hash, user_id, csrf, expires, makers, kind) VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(session.hash.hex())
    .bind(session.user.to_string())
    .bind(&session.csrf)
    .bind(session.expires.unix_ms())
    .bind(json!(session.makers).to_string())
    .bind(session.kind.as_str())
    .execute(connection)
    .await
    .map_err(|error| conflict(error, || "this session is there already".to_owned()))?;
    Ok(())
}

async fn put_user(connection: &mut Transaction, user: &User) -> Result<(), StoreError> {
    database::query("INSERT INTO users (id, name, roles, created) VALUES ($1, $2, $3, $4)")
        .bind(user.id.to_string())
        .bind(&user.name)
        .bind(json!(user.roles).to_string())
        .bind(user.created.unix_ms())
        .execute(connection)
        .await
        .map_err(|error| {
            conflict(error, || format!("the name \"{}\" is taken; choose another", user.name))
        })?;
    Ok(())
}

async fn put_token(connection: &mut Transaction, token: &ApiToken) -> Result<(), StoreError> {
    database::query(
        "INSERT INTO api_tokens (id, user_id, label, hash, scopes, expires, created, makers)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(token.id.to_string())
    .bind(token.user.to_string())
    .bind(&token.label)
    .bind(token.hash.hex())
    .bind(json!(token.scopes).to_string())
    .bind(token.expires.map(Timestamp::unix_ms))
    .bind(token.created.unix_ms())
    .bind(json!(token.makers).to_string())
    .execute(connection)
    .await
    .map_err(|error| conflict(error, || "this token is there already".to_owned()))?;
    Ok(())
}

fn user(row: &Row) -> Result<User, StoreError> {
    let fields = Fields::of("users", &["id"], row);
    Ok(User {
        id: fields.parse("id")?,
        name: fields.get("name")?,
        roles: fields.json::<Vec<Role>>("roles")?,
        projects: fields.json("projects")?,
        created: fields.time("created")?,
    })
}

fn token(row: &Row) -> Result<ApiToken, StoreError> {
    let fields = Fields::of("api_tokens", &["id"], row);
    Ok(ApiToken {
        id: fields.parse("id")?,
        user: fields.parse("user_id")?,
        label: fields.get("label")?,
        hash: fields.parse("hash")?,
        scopes: fields.json::<Vec<Scope>>("scopes")?,
        makers: fields.json("makers")?,
        expires: fields.time_optional("expires")?,
        created: fields.time("created")?,
    })
}

fn link(row: &Row) -> Result<LoginLink, StoreError> {
    let fields = Fields::of("login_links", &["hash"], row);
    Ok(LoginLink {
        hash: fields.parse("hash")?,
        user: fields.parse("user_id")?,
        makers: fields.json("makers")?,
        expires: fields.time("expires")?,
    })
}

fn session(row: &Row) -> Result<Session, StoreError> {
    let fields = Fields::of("sessions", &["hash"], row);
    Ok(Session {
        hash: fields.parse("hash")?,
        user: fields.parse("user_id")?,
        csrf: fields.get("csrf")?,
        makers: fields.json("makers")?,
        kind: fields.parse("kind")?,
        expires: fields.time("expires")?,
    })
}
