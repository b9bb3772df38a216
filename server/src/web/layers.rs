use axum::Router;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use tower_http::compression::CompressionLayer;

use super::frame::{self, Frame, Nonce};
use super::pages;
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
    let mut response = match own_form(&app, &method, &uri, &headers) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    };
    if let Some(error) = response.extensions_mut().remove::<WebError>() {
        response = tell(&app, &uri, headers, error, &id, &nonce).await;
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

/// Refuses a form that a page of another site sends with our cookie, or to sign somebody in as somebody else. Browsers say where a
/// request comes from; programs without a browser say nothing, and have no cookie. The API takes tokens alone.
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
    let elsewhere = fetched.is_some_and(|site| !["same-origin", "none"].contains(&site))
        || said(header::ORIGIN).is_some_and(|origin| !own(origin));
    if elsewhere {
        return Err(WebError::forbidden("csrf", "This form was sent from a page of another site."));
    }
    Ok(())
}

/// The error as a page, or as `application/problem+json` with the request's id where a program asked.
async fn tell(app: &App, uri: &Uri, headers: HeaderMap, error: WebError, id: &str, nonce: &str) -> Response {
    if uri.path().starts_with("/api/") || uri.path().ends_with(".json") {
        let mut problem = error.problem();
        problem.instance = Some(id.to_owned());
        let kind = [(header::CONTENT_TYPE, "application/problem+json")];
        return (error.status, kind, axum::Json(problem)).into_response();
    }
    let (mut parts, ()) = axum::http::Request::new(()).into_parts();
    parts.headers = headers;
    let viewer = Viewer::from_request_parts(&mut parts, app).await.ok();
    let frame = Frame { nonce: nonce.to_owned(), ..Frame::new(app, &parts.headers, uri, viewer.as_ref()) };
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
