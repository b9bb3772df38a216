//! `/settings`: one's own account: roles, password, API tokens.

use askama::Template;
use axum::Form;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Redirect, Response};
use sekisho_domain::user::{Role, Scope};
use sekisho_store::{ApiToken, User};
use serde::Deserialize;

use super::error;
use super::parts::{self, Cell};
use crate::service::{passwords, people};
use crate::web::frame::Frame;
use crate::{Actor, App, Viewer, WebError, auth};

#[derive(Template)]
#[template(path = "settings/settings.html")]
struct SettingsPage {
    frame: Frame,
    how: Vec<String>,
    token_command: String,
    user: User,
    roles: String,
    projects: Vec<(String, String)>,
    has_password: bool,
    tokens: Vec<TokenRow>,
    scopes: &'static [Scope],
    /// A token that was made just now; shown this once.
    fresh: Option<String>,
    notice: Option<String>,
    done: Option<&'static str>,
}

struct TokenRow {
    id: String,
    label: String,
    scopes: String,
    created: String,
    expires: Cell,
}

/// What the forms send.
#[derive(Deserialize)]
pub(crate) struct Fields {
    csrf: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    label: String,
    #[serde(default)]
    scope: String,
    #[serde(default)]
    days: String,
    #[serde(default)]
    id: String,
}

/// Scopes that people may give a token of their own; the others are an admin's to give.
const SCOPES: &[Scope] = &[Scope::Read, Scope::Ingest, Scope::Evaluate, Scope::Release, Scope::Publish];

/// `GET /settings`.
pub(crate) async fn show(State(app): State<App>, frame: Frame, viewer: Viewer) -> Result<Response, WebError> {
    let actor = viewer.actor()?;
    parts::page(&page(&app, frame, actor, None, None).await?)
}

/// `POST /settings/password`.
pub(crate) async fn password(
    State(app): State<App>,
    frame: Frame,
    viewer: Viewer,
    headers: HeaderMap,
    Form(fields): Form<Fields>,
) -> Result<Response, WebError> {
    let actor = viewer.form_actor(&fields.csrf)?;
    let session = auth::session_hash(&app, &headers);
    let set = passwords::set(&app, actor, &fields.password, session).await;
    told(&app, frame, actor, set.map(|()| "settings.password_set")).await
}

/// `POST /settings/tokens`: a token of one's own, shown this once.
pub(crate) async fn add_token(
    State(app): State<App>,
    frame: Frame,
    viewer: Viewer,
    Form(fields): Form<Fields>,
) -> Result<Response, WebError> {
    let actor = viewer.form_actor(&fields.csrf)?;
    let scope = fields.scope.parse::<Scope>().ok().filter(|scope| SCOPES.contains(scope));
    let (label, days) = (fields.label.trim(), fields.days.parse::<i64>().unwrap_or(90).clamp(1, 366));
    let Some(scope) = scope.filter(|_| !label.is_empty() && label.chars().count() <= 100) else {
        let detail = "A token needs a label of at most 100 characters and one of the scopes offered.";
        let ja = "用途（100文字以内）とスコープを指定してください。";
        return told(&app, frame, actor, Err(WebError::bad_request("token", detail).or_ja(ja))).await;
    };
    let scopes = if scope == Scope::Read { vec![scope] } else { vec![Scope::Read, scope] };
    let text = people::add_token(&app, &actor.user, label, &scopes, Some(days), Some(actor)).await?;
    let frame = Frame { path: "/settings".to_owned(), ..frame };
    parts::page(&page(&app, frame, actor, Some(text), None).await?)
}

/// `POST /settings/tokens/revoke`.
pub(crate) async fn revoke_token(
    State(app): State<App>,
    viewer: Viewer,
    Form(fields): Form<Fields>,
) -> Result<Response, WebError> {
    let actor = viewer.form_actor(&fields.csrf)?;
    let own = app.store.tokens(actor.user.id).await?;
    if let Some(token) = own.iter().find(|token| token.id.to_string() == fields.id) {
        people::revoke_token(&app, Some(actor), &actor.user, token).await?;
    }
    Ok(Redirect::to("/settings").into_response())
}

/// The page after something was done or refused.
async fn told(
    app: &App,
    frame: Frame,
    actor: &Actor,
    result: Result<&'static str, WebError>,
) -> Result<Response, WebError> {
    let frame = Frame { path: "/settings".to_owned(), ..frame };
    match result {
        Ok(done) => {
            let done = frame.t(done);
            let page = SettingsPage { done: Some(done), ..page(app, frame, actor, None, None).await? };
            parts::page(&page)
        }
        Err(error) if error.status.is_client_error() => {
            let notice = error::told(frame.lang, &error);
            let page = page(app, frame, actor, None, Some(notice)).await?;
            Ok((error.status, parts::page(&page)?).into_response())
        }
        Err(error) => Err(error),
    }
}

async fn page(
    app: &App,
    frame: Frame,
    actor: &Actor,
    fresh: Option<String>,
    notice: Option<String>,
) -> Result<SettingsPage, WebError> {
    let tokens = app.store.tokens(actor.user.id).await?;
    let has_password = app.store.password(actor.user.id).await?.is_some();
    Ok(view(frame, actor.user.clone(), &tokens, has_password, fresh, notice))
}

fn view(
    frame: Frame,
    user: User,
    tokens: &[ApiToken],
    has_password: bool,
    fresh: Option<String>,
    notice: Option<String>,
) -> SettingsPage {
    let words = |roles: &[Role]| {
        roles.iter().map(|role| frame.word("role", role)).collect::<Vec<_>>().join(frame.t("common.comma"))
    };
    let row = |token: &ApiToken| TokenRow {
        id: token.id.to_string(),
        label: token.label.clone(),
        scopes: token.scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(", "),
        created: frame.stamp(&token.created),
        expires: Cell::of(token.expires.map(|at| frame.stamp(&at)), frame.t("settings.never")),
    };
    let token_command = format!("sekisho token add {} --label LABEL --scope ingest --days 90", user.name);
    SettingsPage {
        how: vec![token_command.clone()],
        token_command,
        roles: words(&user.roles),
        projects: user.projects.iter().map(|(project, roles)| (project.clone(), words(roles))).collect(),
        tokens: tokens.iter().map(row).collect(),
        scopes: SCOPES,
        has_password,
        fresh,
        notice,
        done: None,
        user,
        frame,
    }
}

#[cfg(test)]
pub(super) fn samples(frame: &Frame) -> Vec<String> {
    use super::fixtures;
    let mut user = fixtures::user("ueda", fixtures::id("ueda"), &[Role::Approver, Role::Publisher]);
    user.projects.insert("v4".to_owned(), vec![Role::Contributor]);
    let token = ApiToken {
        id: fixtures::id("token"),
        user: user.id,
        label: "CI <main>".to_owned(),
        hash: sekisho_domain::Sha256::of("x"),
        scopes: vec![Scope::Read, Scope::Ingest],
        makers: Vec::new(),
        expires: None,
        created: frame.now,
    };
    let frame = Frame { user: Some(user.clone()), csrf: "csrf_x".to_owned(), ..frame.clone() };
    let empty = fixtures::user("mori", fixtures::id("mori"), &[]);
    let mut of_project = empty.clone();
    of_project.projects.insert("v4".to_owned(), vec![Role::Approver]);
    let of_project = view(frame.clone(), of_project, &[], true, None, None).render().expect("renders");
    assert!(!of_project.contains(frame.t("settings.no_roles")), "roles in a project are roles");
    [
        view(frame.clone(), user, &[token], true, Some("sek_x".to_owned()), None),
        view(frame, empty, &[], false, None, Some("no".to_owned())),
    ]
    .map(|page| page.render().expect("renders"))
    .into_iter()
    .chain([of_project])
    .collect()
}
