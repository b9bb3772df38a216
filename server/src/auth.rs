use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sekisho_domain::user::{Role, Scope};
use sekisho_domain::{Entropy, Sha256, TokenId, UserId};
use sekisho_store::{Session, SessionKind, User};
use subtle::ConstantTimeEq as _;

use crate::service::{passwords, people};
use crate::{Anonymous, App, WebError};

/// Twelve hours: a working day and a long evening.
const SESSION_SECONDS: i64 = 12 * 3600;

/// 256 random bits as text after a prefix that secret scanners can find.
#[must_use]
pub fn new_secret(prefix: &str, entropy: &dyn Entropy) -> String {
    let mut bytes = [0; 32];
    entropy.fill(&mut bytes);
    format!("{prefix}_{}", URL_SAFE_NO_PAD.encode(bytes))
}

/// How somebody has proved who they are.
#[derive(Clone, Debug, PartialEq)]
pub enum Proof {
    /// A browser session.
    Session {
        /// Token that every form of this session must carry.
        csrf: String,
        /// Whose tokens made the link that opened it; nobody's when the service itself did.
        makers: Vec<UserId>,
    },
    /// A command line that somebody signed in for in a browser, for a short time.
    Command {
        /// As of the browser's session.
        makers: Vec<UserId>,
    },
    /// A stored API token. It never approves.
    Token {
        /// Which one.
        id: TokenId,
        /// What it may do.
        scopes: Vec<Scope>,
        /// Whose tokens led to it.
        makers: Vec<UserId>,
    },
}

/// Somebody who acts: an account and how it proved itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Actor {
    /// The account.
    pub user: User,
    /// The proof.
    pub proof: Proof,
}

impl Actor {
    /// For the audit log.
    #[must_use]
    pub fn by(&self) -> String {
        match &self.proof {
            Proof::Session { .. } => "session".to_owned(),
            Proof::Command { .. } => "login".to_owned(),
            Proof::Token { id, .. } => format!("token:{id}"),
        }
    }

    /// Whether a person has proved to be there, which a stored token does not.
    #[must_use]
    pub const fn is_in_person(&self) -> bool {
        !matches!(self.proof, Proof::Token { .. })
    }

    /// The accounts behind what this actor makes with a token: its own, and those whose tokens led to this one.
    #[must_use]
    pub fn makers(&self) -> Vec<UserId> {
        match &self.proof {
            Proof::Session { makers, .. } | Proof::Command { makers } => makers.clone(),
            Proof::Token { .. } => self.behind(),
        }
    }

    /// The accounts behind a link or a token that this actor makes: its own in any case, and those whose tokens led to this one. Who
    /// made somebody's link has held their way in.
    #[must_use]
    pub fn behind(&self) -> Vec<UserId> {
        let (Proof::Session { makers, .. } | Proof::Command { makers } | Proof::Token { makers, .. }) =
            &self.proof;
        let mut all = makers.clone();
        all.push(self.user.id);
        all.sort();
        all.dedup();
        all
    }

    /// Refuses unless the account has one of `roles` and, for a token, the token has `scope`. Admins have every role but approver.
    ///
    /// # Errors
    /// 403 naming what is missing.
    pub fn require(&self, roles: &[Role], scope: Scope) -> Result<(), WebError> {
        self.require_where(None, roles, scope)
    }

    /// The same within a project, where an account may have roles that it has not everywhere.
    ///
    /// # Errors
    /// 403 naming what is missing.
    pub fn require_in(&self, project: &str, roles: &[Role], scope: Scope) -> Result<(), WebError> {
        self.require_where(Some(project), roles, scope)
    }

    fn require_where(&self, project: Option<&str>, roles: &[Role], scope: Scope) -> Result<(), WebError> {
        let has = |role: &Role| match project {
            Some(project) => self.user.has_in(project, *role),
            None => self.user.has(*role),
        };
        self.scope(scope)?;
        let admin = self.user.has(Role::Admin) && !roles.contains(&Role::Approver);
        if admin || roles.iter().any(has) {
            return Ok(());
        }
        let names: Vec<_> = roles.iter().map(|r| r.as_str()).collect();
        let detail = format!(
            "{0} has none of the roles {1}{2}. An admin can give it: `sekisho user roles {0} ROLE…`.",
            self.user.name,
            names.join(", "),
            project.map_or_else(String::new, |project| format!(" in project \"{project}\""))
        );
        Err(WebError::forbidden("role-missing", detail))
    }

    /// Refuses a token that has not this scope.
    fn scope(&self, scope: Scope) -> Result<(), WebError> {
        match &self.proof {
            Proof::Token { scopes, .. } if !scopes.contains(&scope) => {
                let detail = format!(
                    "This API token has no scope \"{scope}\". Make one that has: `sekisho token add --scope {scope}`."
                );
                let ja = format!(
                    "このAPIトークンにはスコープ「{scope}」がありません。`sekisho token add --scope {scope}` で発行してください。"
                );
                Err(WebError::forbidden("scope-missing", detail).or_ja(ja))
            }
            _ => Ok(()),
        }
    }
}

/// Who looks at a page or calls the API: somebody, or nobody known.
#[derive(Clone, Debug)]
pub struct Viewer {
    /// Somebody, if a session or a token says so.
    pub actor: Option<Actor>,
    anonymous: Anonymous,
}

impl Viewer {
    /// The account, if any.
    #[must_use]
    pub fn user(&self) -> Option<&User> {
        self.actor.as_ref().map(|a| &a.user)
    }

    /// The token that forms of this session carry; empty without a session.
    #[must_use]
    pub fn csrf(&self) -> &str {
        match self.actor.as_ref().map(|a| &a.proof) {
            Some(Proof::Session { csrf, .. }) => csrf,
            _ => "",
        }
    }

    /// Refuses a stranger where the configuration does.
    ///
    /// # Errors
    /// 401.
    pub fn may_read(&self) -> Result<(), WebError> {
        match (&self.actor, self.anonymous) {
            (Some(_), _) | (None, Anonymous::Viewer) => Ok(()),
            (None, Anonymous::None) => Err(WebError::unauthorized()),
        }
    }

    /// Somebody, or 401.
    ///
    /// # Errors
    /// 401.
    pub fn actor(&self) -> Result<&Actor, WebError> {
        self.actor.as_ref().ok_or_else(WebError::unauthorized)
    }

    /// Somebody, for what strangers never read: a token needs the scope `read`.
    ///
    /// # Errors
    /// 401, 403.
    pub fn reader(&self) -> Result<&Actor, WebError> {
        let actor = self.actor()?;
        actor.scope(Scope::Read)?;
        Ok(actor)
    }

    /// Somebody whose form carried the session's token.
    ///
    /// # Errors
    /// 401 without a sign-in, 403 when the token is not the session's.
    pub fn form_actor(&self, csrf: &str) -> Result<&Actor, WebError> {
        let actor = self.actor()?;
        let own = self.csrf();
        if !own.is_empty() && bool::from(own.as_bytes().ct_eq(csrf.as_bytes())) {
            return Ok(actor);
        }
        Err(WebError::forbidden(
            "csrf",
            "This form was not made by your session. Load the page again and send it once more.",
        ))
    }
}

impl FromRequestParts<App> for Viewer {
    type Rejection = WebError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, WebError> {
        let actor = match bearer(&parts.headers) {
            Some(token) => Some(token_actor(app, token).await?),
            None => session_actor(app, &parts.headers).await?,
        };
        Ok(Self { actor, anonymous: app.config.anonymous() })
    }
}

/// A caller of the API that must be known.
impl FromRequestParts<App> for Actor {
    type Rejection = WebError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, WebError> {
        let Some(token) = bearer(&parts.headers) else { return Err(WebError::unauthorized()) };
        token_actor(app, token).await
    }
}

pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ").map(str::trim)
}

/// What a sign-in of a command line begins with.
pub(crate) const COMMAND_SECRET: &str = "cli";

async fn token_actor(app: &App, token: &str) -> Result<Actor, WebError> {
    if token.starts_with(COMMAND_SECRET) {
        return command_actor(app, token).await;
    }
    let found = app.store.token(Sha256::of(token), app.now()).await?;
    let Some((user, token)) = found else {
        let mut error = WebError::unauthorized();
        error.code = "token-unknown";
        "This API token is unknown, expired or withdrawn. Make a new one with `sekisho token add`."
            .clone_into(&mut error.detail);
        return Err(error);
    };
    let proof = Proof::Token { id: token.id, scopes: token.scopes, makers: token.makers };
    Ok(Actor { user, proof })
}

async fn command_actor(app: &App, secret: &str) -> Result<Actor, WebError> {
    match app.store.session(Sha256::of(secret), app.now()).await? {
        Some((user, session)) if session.kind == SessionKind::Command => {
            Ok(Actor { user, proof: Proof::Command { makers: session.makers } })
        }
        _ => {
            let mut error = WebError::unauthorized();
            error.code = "login-expired";
            "The sign-in of this command line has ended. Sign in again: `sekisho login`."
                .clone_into(&mut error.detail);
            Err(error)
        }
    }
}

async fn session_actor(app: &App, headers: &HeaderMap) -> Result<Option<Actor>, WebError> {
    let Some(cookie) = cookie(headers, app.config.cookie_name()) else { return Ok(None) };
    let found = app.store.session(Sha256::of(cookie), app.now()).await?;
    let found = found.filter(|(_, session)| session.kind == SessionKind::Browser);
    let proof = |session: Session| Proof::Session { csrf: session.csrf, makers: session.makers };
    Ok(found.map(|(user, session)| Actor { user, proof: proof(session) }))
}

fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
}

/// Uses up a one-time link and opens a session, and puts on record whose tokens had made the link. Answers the value of `Set-Cookie`.
///
/// # Errors
/// 403 when the link is unknown, used or too old.
pub async fn sign_in(app: &App, code: &str, from: &str) -> Result<String, WebError> {
    let now = app.now();
    let Some((user, link)) = app.store.take_login_link(Sha256::of(code), now).await? else {
        let detail = "This sign-in link has been used already or is too old. Make a new one: `sekisho user link NAME`.";
        return Err(WebError::forbidden("login-link", detail));
    };
    let makers = people::names(app, &link.makers).await?;
    let detail = serde_json::json!({ "from": from, "link_made_by": makers });
    app.store.append_audit(&people::system_entry(app, "user.sign_in", &user.name, "done", detail)).await?;
    open_session(app, user.id, link.makers).await
}

/// Opens a session for somebody with a password. Answers the value of `Set-Cookie`.
///
/// # Errors
/// As [`passwords::check`].
pub(crate) async fn sign_in_with_password(
    app: &App,
    name: &str,
    password: &str,
    from: &str,
) -> Result<String, WebError> {
    let (user, kept) = passwords::check(app, name, password, from).await?;
    let detail = serde_json::json!({ "from": from });
    app.store.append_audit(&people::system_entry(app, "user.sign_in", &user.name, "done", detail)).await?;
    open_session(app, user.id, kept.makers).await
}

/// A session with a new id: one from before the sign-in is worth nothing after it.
async fn open_session(app: &App, user: UserId, makers: Vec<UserId>) -> Result<String, WebError> {
    let secret = new_secret("ses", &*app.entropy);
    let session = Session {
        hash: Sha256::of(&secret),
        user,
        csrf: new_secret("csrf", &*app.entropy),
        makers,
        kind: SessionKind::Browser,
        expires: app.now().plus_seconds(SESSION_SECONDS),
    };
    app.store.add_session(&session).await?;
    Ok(set_cookie(app, &secret, SESSION_SECONDS))
}

/// The hash of a request's session, for what ends all others.
pub(crate) fn session_hash(app: &App, headers: &HeaderMap) -> Option<Sha256> {
    cookie(headers, app.config.cookie_name()).map(Sha256::of)
}

/// The session's cookie. A browser neither sets nor removes one named `__Host-…` without `Secure`.
fn set_cookie(app: &App, secret: &str, seconds: i64) -> String {
    let secure = if app.config.is_https() { "; Secure" } else { "" };
    let name = app.config.cookie_name();
    format!("{name}={secret}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}")
}

/// Ends the session of a request. Answers the `Set-Cookie` that removes the cookie.
///
/// # Errors
/// When the store fails.
pub(crate) async fn sign_out(app: &App, headers: &HeaderMap) -> Result<String, WebError> {
    if let Some(secret) = cookie(headers, app.config.cookie_name()) {
        app.store.end_session(Sha256::of(secret)).await?;
    }
    Ok(set_cookie(app, "", 0))
}
