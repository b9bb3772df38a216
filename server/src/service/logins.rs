//! Sign-ins of command lines: asked for there, confirmed by a person in a browser, and short. This is how people approve by command;
//! a stored token never does.

use sekisho_domain::{Sha256, Timestamp};
use sekisho_store::{LoginRequest, Session, SessionKind};
use serde_json::json;

use super::people;
use crate::auth::COMMAND_SECRET;
use crate::{Actor, App, Proof, WebError, new_secret};

/// A request waits so long for its confirmation.
const REQUEST_SECONDS: i64 = 10 * 60;
/// So many may wait at once: anybody may ask, and each is kept.
const MOST_WAITING: u32 = 100;
/// A confirmed sign-in holds so long: enough to read a release and act on it.
const LOGIN_SECONDS: i64 = 15 * 60;

/// Letters that are not taken for one another, as in RFC 8628 §6.1.
const LETTERS: &[u8] = b"BCDFGHJKLMNPQRSTVWXZ";

/// What a command line is given.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// Becomes its credential once somebody confirms.
    pub secret: String,
    /// Shown on both sides.
    pub code: String,
    /// Where it is confirmed.
    pub url: String,
    /// Until when.
    pub expires: Timestamp,
}

/// How a request stands.
#[derive(Clone, Debug, PartialEq)]
pub enum Standing {
    /// Nobody has confirmed it yet.
    Waiting,
    /// It is this account's sign-in until then.
    Confirmed(String, Timestamp),
    /// Denied, or too old.
    Gone,
}

/// Takes a request. `origin` is who the command line says it is; the confirming person sees it.
///
/// # Errors
/// 400 for an origin that cannot be shown, 429 while too many wait.
pub async fn ask(app: &App, origin: &str) -> Result<Asked, WebError> {
    if origin.trim().is_empty() || origin.chars().count() > 100 || origin.chars().any(char::is_control) {
        let detail = "\"origin\" says who asks, in 1 to 100 visible characters, for example ueda@login01.";
        return Err(WebError::bad_request("origin", detail));
    }
    let (secret, code) = (new_secret(COMMAND_SECRET, &*app.entropy), code(app));
    let expires = app.now().plus_seconds(REQUEST_SECONDS);
    let request =
        LoginRequest { hash: Sha256::of(&secret), code: code.clone(), origin: origin.to_owned(), expires };
    if !app.store.add_login_request(&request, MOST_WAITING, app.now()).await? {
        let detail =
            "Too many sign-ins wait to be confirmed. Try again in ten minutes, or sign in with the browser.";
        let ja = "確認を待っているログイン要求が多すぎます。10分後にもう一度試すか、ブラウザーでログインしてください。";
        return Err(WebError::too_many("too-many-requests", detail).or_ja(ja));
    }
    let url = format!("{}/login/command?code={code}", app.config.public_url);
    Ok(Asked { secret, code, url, expires })
}

/// `WXDF-BQTZ`: 34 bits for ten minutes.
fn code(app: &App) -> String {
    let mut bytes = [0; 8];
    app.entropy.fill(&mut bytes);
    let letters: Vec<char> =
        bytes.iter().map(|b| char::from(LETTERS[usize::from(*b) % LETTERS.len()])).collect();
    let (left, right): (String, String) = (letters[..4].iter().collect(), letters[4..].iter().collect());
    format!("{left}-{right}")
}

/// How the request behind a secret stands.
///
/// # Errors
/// When the store fails.
pub async fn standing(app: &App, secret: &str) -> Result<Standing, WebError> {
    let hash = Sha256::of(secret);
    if let Some((user, session)) = app.store.session(hash, app.now()).await?
        && session.kind == SessionKind::Command
    {
        return Ok(Standing::Confirmed(user.name, session.expires));
    }
    let waits = app.store.login_request_waits(hash, app.now()).await?;
    Ok(if waits { Standing::Waiting } else { Standing::Gone })
}

/// A request that waits, by its code.
///
/// # Errors
/// 403 when it is not there.
pub async fn find(app: &App, code: &str) -> Result<LoginRequest, WebError> {
    let code = code.trim().to_ascii_uppercase();
    app.store.login_request(&code, app.now()).await?.ok_or_else(gone)
}

/// Signs the command line in as the one who confirms.
///
/// # Errors
/// 403 unless confirmed in a browser, or when the request is not there any more.
pub async fn confirm(app: &App, actor: &Actor, code: &str) -> Result<(), WebError> {
    let Proof::Session { makers, .. } = &actor.proof else {
        let detail = "A sign-in of a command line is confirmed in the browser.";
        return Err(WebError::forbidden("browser-needed", detail));
    };
    let request = find(app, code).await?;
    let session = Session {
        hash: request.hash,
        user: actor.user.id,
        // No form belongs to it.
        csrf: String::new(),
        makers: makers.clone(),
        kind: SessionKind::Command,
        expires: app.now().plus_seconds(LOGIN_SECONDS),
    };
    let detail = json!({ "origin": request.origin });
    let audit = people::entry(app, actor, "user.login", &actor.user.name, "done", detail);
    if app.store.confirm_login_request(&request.code, &session, &audit).await? { Ok(()) } else { Err(gone()) }
}

/// Takes a request off the table.
///
/// # Errors
/// 403 when it is not there any more.
pub async fn deny(app: &App, actor: &Actor, code: &str) -> Result<(), WebError> {
    let request = find(app, code).await?;
    if !app.store.drop_login_request(&request.code).await? {
        return Err(gone());
    }
    let detail = json!({ "origin": request.origin });
    let audit = people::entry(app, actor, "user.login", &actor.user.name, "refused", detail);
    Ok(app.store.append_audit(&audit).await?)
}

fn gone() -> WebError {
    let detail = "There is no sign-in with this code; it may be too old. Ask once more: `sekisho login`.";
    WebError::forbidden("login-code", detail)
}
