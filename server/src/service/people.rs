use std::collections::BTreeMap;

use axum::http::StatusCode;
use sekisho_domain::user::{Role, Scope};
use sekisho_domain::{Sha256, TokenId, UserId};
use sekisho_store::{ApiToken, AuditEntry, LoginLink, User};

use crate::{Actor, App, Noun, WebError, new_secret};

/// A sign-in link holds for a day.
const LINK_SECONDS: i64 = 24 * 3600;

/// Adds an account. `actor` is who asked for it; nobody when the service itself does.
///
/// # Errors
/// 400 for a name that cannot be used, 409 for one that is taken.
pub async fn add_user(
    app: &App,
    actor: Option<&Actor>,
    name: &str,
    roles: &[Role],
) -> Result<User, WebError> {
    let user = new_user(app, name, roles)?;
    let audit = entry_of(app, actor, "user.add", &user.name, serde_json::json!({ "roles": roles }));
    app.store.add_user(&user, &audit).await?;
    Ok(user)
}

/// An account that is not in the store yet.
///
/// # Errors
/// 400 for a name that cannot be used.
pub fn new_user(app: &App, name: &str, roles: &[Role]) -> Result<User, WebError> {
    let fits = !name.trim().is_empty() && name.chars().count() <= 60 && !name.chars().any(char::is_control);
    if !fits {
        let detail = format!("\"{name}\" cannot be an account's name: use 1 to 60 visible characters.");
        return Err(WebError::bad_request("user-name", detail));
    }
    let id = UserId::new(&*app.clock, &*app.entropy);
    let roles = roles.to_vec();
    Ok(User { id, name: name.to_owned(), roles, projects: BTreeMap::new(), created: app.now() })
}

/// Gives an account these roles and no others.
///
/// # Errors
/// 409 when nobody would be an admin any more.
pub async fn set_roles(app: &App, actor: &Actor, user: &User, roles: &[Role]) -> Result<User, WebError> {
    let mut roles = roles.to_vec();
    roles.sort();
    roles.dedup();
    let detail = serde_json::json!({ "before": user.roles, "roles": roles });
    let audit = entry(app, actor, "user.roles", &user.name, "done", detail);
    app.store.set_roles(user.id, &roles, &audit).await?;
    Ok(User { roles, ..user.clone() })
}

/// An account by name.
///
/// # Errors
/// 404.
pub async fn find(app: &App, name: &str) -> Result<User, WebError> {
    let found = app.store.user_by_name(name).await?;
    found.ok_or_else(|| WebError::not_found(Noun::Account, name))
}

/// The names of accounts, as far as they are there.
///
/// # Errors
/// When the store fails.
pub async fn names(app: &App, ids: &[UserId]) -> Result<Vec<String>, WebError> {
    let mut names = Vec::with_capacity(ids.len());
    for id in ids {
        names.push(app.store.user(*id).await?.map_or_else(|| id.to_string(), |user| user.name));
    }
    Ok(names)
}

/// Makes a one-time sign-in link for an account and answers its URL. `maker` is who asked; nobody when the service
/// itself makes it. What the session may approve depends on it.
///
/// # Errors
/// When the store fails.
pub async fn login_link(app: &App, user: &User, maker: Option<&Actor>) -> Result<String, WebError> {
    let code = new_secret("login", &*app.entropy);
    let link = LoginLink {
        hash: Sha256::of(&code),
        user: user.id,
        makers: maker.map(Actor::behind).unwrap_or_default(),
        expires: app.now().plus_seconds(LINK_SECONDS),
    };
    let audit = entry_of(app, maker, "user.login_link", &user.name, serde_json::Value::Null);
    app.store.add_login_link(&link, &audit).await?;
    Ok(format!("{}/login?code={code}", app.config.public_url))
}

/// Makes an API token for an account and answers its text, which is shown this once. `maker` as for [`login_link`].
///
/// # Errors
/// When the store fails.
pub async fn add_token(
    app: &App,
    user: &User,
    label: &str,
    scopes: &[Scope],
    days: Option<i64>,
    maker: Option<&Actor>,
) -> Result<String, WebError> {
    let (token, text) = new_token(app, user, label, scopes, days, maker);
    let detail = serde_json::json!({ "label": label, "scopes": scopes });
    app.store.add_token(&token, &entry_of(app, maker, "token.add", &user.name, detail)).await?;
    Ok(text)
}

/// Withdraws a token of an account. `actor` as for [`add_user`].
///
/// # Errors
/// When the store fails.
pub async fn revoke_token(
    app: &App,
    actor: Option<&Actor>,
    user: &User,
    token: &ApiToken,
) -> Result<(), WebError> {
    let detail = serde_json::json!({ "id": token.id, "label": token.label, "scopes": token.scopes });
    app.store.revoke_token(token.id, &entry_of(app, actor, "token.revoke", &user.name, detail)).await?;
    Ok(())
}

/// An API token that is not in the store yet, and its text.
#[must_use]
pub fn new_token(
    app: &App,
    user: &User,
    label: &str,
    scopes: &[Scope],
    days: Option<i64>,
    maker: Option<&Actor>,
) -> (ApiToken, String) {
    let text = new_secret("sek", &*app.entropy);
    let token = ApiToken {
        id: TokenId::new(&*app.clock, &*app.entropy),
        user: user.id,
        label: label.to_owned(),
        hash: Sha256::of(&text),
        scopes: scopes.to_vec(),
        makers: maker.map(Actor::behind).unwrap_or_default(),
        expires: days.map(|days| app.now().plus_seconds(days * 24 * 3600)),
        created: app.now(),
    };
    (token, text)
}

/// An audit entry of what was done at this instant: by somebody, or by the service itself.
fn entry_of(
    app: &App,
    actor: Option<&Actor>,
    action: &str,
    object: &str,
    detail: serde_json::Value,
) -> AuditEntry {
    match actor {
        Some(actor) => entry(app, actor, action, object, "done", detail),
        None => system_entry(app, action, object, "done", detail),
    }
}

/// An audit entry of the service itself at this instant.
#[must_use]
pub fn system_entry(
    app: &App,
    action: &str,
    object: &str,
    result: &str,
    detail: serde_json::Value,
) -> AuditEntry {
    written(app, ("system", "system".to_owned()), action, object, result, detail)
}

/// Passes on what came of an action, and puts it on record when it was refused for who asked, by the policy, or because a permit is
/// void. A form with a mistake, a version that is not the newest and a wrong state are no refusals.
///
/// # Errors
/// Those of `done`, or when the store fails.
pub async fn on_record<T>(
    app: &App,
    actor: &Actor,
    action: &str,
    object: &str,
    done: Result<T, WebError>,
) -> Result<T, WebError> {
    if let Err(error) = &done
        && (error.status == StatusCode::FORBIDDEN || error.code == "permit-void")
    {
        let detail = serde_json::json!({ "code": error.code });
        app.store.append_audit(&entry(app, actor, action, object, "refused", detail)).await?;
    }
    done
}

/// An audit entry of somebody's action at this instant.
#[must_use]
pub fn entry(
    app: &App,
    actor: &Actor,
    action: &str,
    object: &str,
    result: &str,
    detail: serde_json::Value,
) -> AuditEntry {
    written(app, (&actor.user.name, actor.by()), action, object, result, detail)
}

/// An entry at this instant in the name of `actor`, which `by` acted.
fn written(
    app: &App,
    (actor, by): (&str, String),
    action: &str,
    object: &str,
    result: &str,
    detail: serde_json::Value,
) -> AuditEntry {
    AuditEntry {
        at: app.now(),
        actor: actor.to_owned(),
        by,
        action: action.to_owned(),
        object: object.to_owned(),
        result: result.to_owned(),
        detail,
    }
}
