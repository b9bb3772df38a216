//! `/login`: with a password, or by a one-time link, which says whom it signs in; a button does it, so that no link preview uses it up.

use askama::Template;
use std::net::SocketAddr;

use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::{Extension, Form};
use sekisho_domain::Sha256;
use serde::Deserialize;

use super::{error, parts};
use crate::web::frame::{Frame, OpenFrame};
use crate::{App, Viewer, WebError, auth};

#[derive(Template)]
#[template(path = "login/login.html")]
struct LoginPage {
    frame: Frame,
    /// Whom the link signs in, and its code; nothing without a link.
    link: Option<(String, String)>,
    /// The link holds no longer.
    is_void: bool,
    /// Where to go afterwards.
    next: String,
    /// Why a password was not taken, and the name that was typed.
    notice: Option<String>,
    name: String,
}

/// What the form sends.
#[derive(Deserialize)]
pub(crate) struct NameAndPassword {
    name: String,
    password: String,
    #[serde(default)]
    next: String,
}

/// What the button sends.
#[derive(Deserialize)]
pub(crate) struct Code {
    code: String,
    #[serde(default)]
    next: String,
}

/// `GET /login?code=…`.
pub(crate) async fn show(State(app): State<App>, OpenFrame(frame): OpenFrame) -> Result<Response, WebError> {
    let code = frame.param("code").map(ToOwned::to_owned);
    let link = match &code {
        Some(code) => {
            let user = app.store.peek_login_link(Sha256::of(code), app.now()).await?;
            user.map(|user| (user.name, code.clone()))
        }
        None => None,
    };
    let next = own_path(frame.param("next").unwrap_or_default());
    let is_void = code.is_some() && link.is_none();
    parts::page(&LoginPage { is_void, link, next, notice: None, name: String::new(), frame })
}

/// A path of this service; anything else leads to the first page. A browser reads `//host` and `\\` as another host.
fn own_path(next: &str) -> String {
    let fits = next.starts_with('/')
        && !next.starts_with("//")
        && !next.chars().any(|c| c == '\\' || c.is_control());
    if fits { next.to_owned() } else { "/".to_owned() }
}

/// `POST /login/password`. What is refused shows the page again, with the reason and the name that was typed.
pub(crate) async fn with_password(
    State(app): State<App>,
    OpenFrame(frame): OpenFrame,
    from: Option<Extension<ConnectInfo<SocketAddr>>>,
    Form(form): Form<NameAndPassword>,
) -> Result<Response, WebError> {
    let from = address(from);
    let next = own_path(&form.next);
    match auth::sign_in_with_password(&app, form.name.trim(), &form.password, &from).await {
        Ok(cookie) => with_cookie(&cookie, &next),
        Err(error) if error.status.is_client_error() => {
            let notice = Some(error::told(frame.lang, &error));
            let frame = Frame { path: "/login".to_owned(), ..frame };
            let page = LoginPage { frame, link: None, is_void: false, next, notice, name: form.name };
            Ok((error.status, parts::page(&page)?).into_response())
        }
        Err(error) => Err(error),
    }
}

/// `POST /login`: uses the link up and opens a session.
pub(crate) async fn sign_in(
    State(app): State<App>,
    from: Option<Extension<ConnectInfo<SocketAddr>>>,
    Form(form): Form<Code>,
) -> Result<Response, WebError> {
    let cookie = auth::sign_in(&app, &form.code, &address(from)).await?;
    with_cookie(&cookie, &own_path(&form.next))
}

/// Where a request came from; a test without a connection came from nowhere.
fn address(from: Option<Extension<ConnectInfo<SocketAddr>>>) -> String {
    from.map_or_else(|| "?".to_owned(), |Extension(ConnectInfo(from))| from.ip().to_string())
}

/// `POST /logout`.
pub(crate) async fn sign_out(
    State(app): State<App>,
    viewer: Viewer,
    headers: HeaderMap,
    Form(form): Form<parts::Csrf>,
) -> Result<Response, WebError> {
    viewer.form_actor(&form.csrf)?;
    let cookie = auth::sign_out(&app, &headers).await?;
    with_cookie(&cookie, "/")
}

fn with_cookie(cookie: &str, next: &str) -> Result<Response, WebError> {
    let mut response = Redirect::to(next).into_response();
    let cookie = HeaderValue::from_str(cookie).map_err(WebError::internal)?;
    response.headers_mut().append(header::SET_COOKIE, cookie);
    Ok(response)
}

#[cfg(test)]
pub(super) fn samples(frame: &Frame) -> Vec<String> {
    let page = |link: Option<(&str, &str)>, is_void: bool| {
        let link = link.map(|(name, code)| (name.to_owned(), code.to_owned()));
        let notice = is_void.then(|| "no < yes".to_owned());
        let (next, name) = ("/releases/01kc?card=ja".to_owned(), "ueda".to_owned());
        LoginPage { frame: frame.clone(), link, is_void, next, notice, name }.render().expect("renders")
    };
    let pages = vec![page(Some(("ueda", "login_x")), false), page(None, true), page(None, false)];
    let back = "name=\"next\" value=\"/releases/01kc?card=ja\"";
    assert!(pages.iter().all(|page| page.contains(back)), "both forms know the way back");
    pages
}

#[cfg(test)]
mod tests {
    use super::own_path;

    #[test]
    fn a_sign_in_leads_nowhere_else() {
        assert_eq!(own_path("/login/command?code=WXDF-BQTZ"), "/login/command?code=WXDF-BQTZ");
        assert_eq!(own_path("/releases?state=in_review&x=1"), "/releases?state=in_review&x=1");
        for other in [
            "",
            "releases",
            "//evil.example",
            "https://evil.example",
            "/\\evil.example",
            "/\u{9}/evil.example",
        ] {
            assert_eq!(own_path(other), "/", "{other}");
        }
    }
}
