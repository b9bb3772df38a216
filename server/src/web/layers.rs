use axum::Router;
use std::any::Any;
use std::panic::AssertUnwindSafe;

use axum::body::to_bytes;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use futures::FutureExt as _;
use sekisho_domain::Language;
use tower_http::compression::CompressionLayer;

use super::frame::{self, Frame, Nonce};
use super::i18n::Words as _;
use super::pages;
use crate::fault::panic_words;
use crate::{App, Viewer, WebError};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What lies around every route: a request id, one line in the log, errors in the form their reader expects, the security headers,
/// and compression.
pub fn layers(router: Router, app: &App) -> Router {
    router.layer(middleware::from_fn_with_state(app.clone(), dress)).layer(CompressionLayer::new())
}

async fn dress(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let begun = app.now();
    let id = random_hex(&app, 8);
    let nonce = random_hex(&app, 16);
    request.extensions_mut().insert(Nonce(nonce.clone()));
    let (method, uri, headers) = (request.method().clone(), request.uri().clone(), request.headers().clone());
    let answered = AssertUnwindSafe(async {
        match own_form(&app, &method, &uri, &headers) {
            Ok(()) => next.run(request).await,
            Err(error) => error.into_response(),
        }
    });
    let mut response =
        answered.catch_unwind().await.unwrap_or_else(|panic| panicked(&*panic).into_response());
    let error = match response.extensions_mut().remove::<WebError>() {
        Some(error) => Some(error),
        None => of_framework(&method, &uri, &mut response).await,
    };
    if let Some(error) = error {
        response = tell(&app, (&method, &uri), headers, error, &id, &nonce).await;
    }
    let kept = response.headers_mut();
    protect(kept, &nonce);
    for cookie in frame::remembered(&uri) {
        put(kept, header::SET_COOKIE, &cookie, true);
    }
    put(kept, REQUEST_ID, &id, false);
    let seconds = app.now().seconds_since(begun);
    tracing::info!(request = %id, %method, path = uri.path(), status = response.status().as_u16(), seconds, "answered");
    response
}

/// A fault of ours. The reader is told that it is one, the log has where it happened.
fn panicked(panic: &(dyn Any + Send)) -> WebError {
    WebError::internal(format_args!("a handler panicked: {}", panic_words(panic)))
}

/// Longest sentence of the framework that is passed on.
const SENTENCE: usize = 4096;

/// The error that an answer of the framework stands for: a method that a path has not got, a form or a body that cannot be read. They
/// come as plain text, and get the form that their reader expects.
async fn of_framework(method: &Method, uri: &Uri, response: &mut Response) -> Option<WebError> {
    let status = response.status();
    let kind = response.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    let is_plain = kind.is_none_or(|kind| kind.starts_with(b"text/plain"));
    if !is_plain || !(status.is_client_error() || status.is_server_error()) {
        return None;
    }
    if status == StatusCode::METHOD_NOT_ALLOWED {
        // axum adds the header `Allow` outside of this layer.
        let path = uri.path();
        let ja = Language::Ja.fill("error.method", &[("path", &path), ("method", method)]);
        return Some(WebError::of_status(status, format!("{path} does not take {method}.")).or_ja(ja));
    }
    let body = to_bytes(std::mem::take(response.body_mut()), SENTENCE).await.unwrap_or_default();
    let sentence = String::from_utf8_lossy(&body).trim().to_owned();
    let known = status.canonical_reason().unwrap_or("Error").to_owned();
    Some(WebError::of_status(status, if sentence.is_empty() { known } else { sentence }))
}

/// Refuses a form that a page of another site sends with our cookie, or to sign somebody in as somebody else. Browsers say in
/// `Sec-Fetch-Site` how the page stands to the address in their bar, which no proxy between changes; older ones send their `Origin`,
/// which can only be compared with the addresses that this service knows of itself. Programs without a browser say nothing, and
/// have no cookie. The API takes tokens alone.
fn own_form(app: &App, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<(), WebError> {
    if method.is_safe() || uri.path().starts_with("/api/") {
        return Ok(());
    }
    let said = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let fetched = said(HeaderName::from_static("sec-fetch-site"));
    let host = said(header::HOST).unwrap_or_default();
    let own = |origin: &str| {
        let rest = app.config.public_url.strip_prefix(origin);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            || origin.split_once("://").is_some_and(|(_, rest)| rest == host)
    };
    let elsewhere = match (fetched, said(header::ORIGIN)) {
        (Some(site), _) => !["same-origin", "none"].contains(&site),
        (None, Some(origin)) => !own(origin),
        (None, None) => false,
    };
    if elsewhere {
        let detail = format!(
            "This form was sent from a page of another site than {}. Behind a proxy, set [server] public_url to the address in the browser.",
            app.config.public_url
        );
        return Err(WebError::forbidden("cross-site", detail));
    }
    Ok(())
}

/// The error as a page, or as `application/problem+json` with the request's id where a program asked.
async fn tell(
    app: &App,
    (method, uri): (&Method, &Uri),
    headers: HeaderMap,
    error: WebError,
    id: &str,
    nonce: &str,
) -> Response {
    let path = uri.path();
    let is_api = path.starts_with("/api/") && path != "/api/docs" || path == "/events";
    if is_api || path.ends_with(".json") {
        let mut problem = error.problem();
        problem.instance = Some(id.to_owned());
        let kind = [(header::CONTENT_TYPE, "application/problem+json")];
        return (error.status, kind, axum::Json(problem)).into_response();
    }
    let (mut parts, ()) = axum::http::Request::new(()).into_parts();
    parts.headers = headers;
    let viewer = Viewer::from_request_parts(&mut parts, app).await.ok();
    let mut frame =
        Frame { nonce: nonce.to_owned(), ..Frame::new(app, &parts.headers, uri, viewer.as_ref()) };
    if !method.is_safe() {
        // The address of a form cannot be opened; the page's links, and the way back from a sign-in, lead to the first page.
        (frame.path, frame.query) = ("/".to_owned(), Vec::new());
    }
    pages::error::render(frame, &error, id)
}

/// Nothing from elsewhere runs, loads, frames or receives a form.
fn protect(headers: &mut HeaderMap, nonce: &str) {
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    );
    put(headers, header::CONTENT_SECURITY_POLICY, &policy, false);
    put(headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff", false);
    put(headers, header::REFERRER_POLICY, "same-origin", false);
    if !headers.contains_key(header::CACHE_CONTROL) {
        put(headers, header::VARY, "cookie, accept-language", true);
        put(headers, header::CACHE_CONTROL, "private, no-cache", false);
    }
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: &str, beside: bool) {
    let Ok(value) = HeaderValue::from_str(value) else { return };
    if beside {
        headers.append(name, value);
    } else {
        headers.insert(name, value);
    }
}

fn random_hex(app: &App, bytes: usize) -> String {
    let mut random = vec![0; bytes];
    app.entropy.fill(&mut random);
    hex::encode(random)
}
