//! `Idempotency-Key`: a request that is sent twice, because its answer was lost, is carried out once.
//!
//! The key, a digest of the request and the answer are kept for a day. Only what succeeded is kept: an error has changed nothing, so the
//! same request may be sent again under its key.

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{FromRequestParts as _, OriginalUri, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sekisho_domain::{Sha256, UserId};
use sekisho_store::{KeptAnswer, KeyStanding, KeyedRequest};

use super::JSON_LIMIT;
use crate::{Actor, App, WebError};

pub(super) const KEY: &str = "idempotency-key";
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// How long an answer is kept [s].
const KEPT: i64 = 24 * 3600;

/// The longest answer that is kept. What creates something answers far less.
const LONGEST: usize = 1 << 20;

/// Carries a POST with a key out once.
pub(super) async fn once(State(app): State<App>, request: Request, next: Next) -> Response {
    match keyed(&app, request, next).await {
        Ok(response) => response,
        Err(error) => error.into_response(),
    }
}

/// Refuses a key where the answer holds a secret: nobody keeps it, so it cannot be answered twice.
pub(super) async fn never(request: Request, next: Next) -> Response {
    if request.method() == Method::POST && request.headers().contains_key(KEY) {
        let detail = "The answer to this request holds a secret, which is not kept and so cannot be answered again. Send it without \
                      Idempotency-Key; after a lost answer, withdraw what was made and make another.";
        return WebError::bad_request("idempotency-secret", detail).into_response();
    }
    next.run(request).await
}

async fn keyed(app: &App, request: Request, next: Next) -> Result<Response, WebError> {
    if request.method() != Method::POST {
        return Ok(next.run(request).await);
    }
    let Some(key) = key(request.headers())? else { return Ok(next.run(request).await) };
    let (mut parts, body) = request.into_parts();
    let Ok(actor) = Actor::from_request_parts(&mut parts, app).await else {
        // The handler refuses it, or answers anybody.
        return Ok(next.run(Request::from_parts(parts, body)).await);
    };
    let body = whole(&parts.headers, body).await?;
    let path =
        parts.extensions.get::<OriginalUri>().map_or_else(|| parts.uri.to_string(), |uri| uri.0.to_string());
    let asked = KeyedRequest { user: actor.user.id, key, digest: digest(actor.user.id, &path, &body) };
    let before = app.now().plus_seconds(-KEPT);
    match app.store.begin_keyed(&asked, before, app.now()).await? {
        KeyStanding::New => {}
        KeyStanding::Other => return Err(mismatch(&asked.key)),
        KeyStanding::Running => return Err(running(&asked.key)),
        KeyStanding::Answered(answer) => return Ok(replay(answer)),
    }
    let request = Request::from_parts(parts, Body::from(body));
    // A task of its own: it goes on when the caller hangs up, and its answer is there when they ask again.
    let carried_out = tokio::spawn(carry_out(app.clone(), asked.clone(), next.run(request))).await;
    match carried_out {
        Ok(response) => response,
        Err(error) => {
            app.store.drop_keyed(&asked).await?;
            if error.is_panic() {
                std::panic::resume_unwind(error.into_panic());
            }
            Err(WebError::internal(error))
        }
    }
}

/// Waits for the answer and keeps it, if it is one of success.
async fn carry_out(
    app: App,
    asked: KeyedRequest,
    answered: impl Future<Output = Response>,
) -> Result<Response, WebError> {
    let response = answered.await;
    if !response.status().is_success() {
        app.store.drop_keyed(&asked).await?;
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, JSON_LIMIT).await.map_err(WebError::internal)?;
    if body.len() > LONGEST {
        app.store.drop_keyed(&asked).await?;
    } else {
        let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let answer = KeptAnswer {
            status: parts.status.as_u16(),
            content_type: kind.unwrap_or_default().to_owned(),
            body: body.to_vec(),
        };
        app.store.keep_answer(&asked, &answer).await?;
    }
    Ok(Response::from_parts(parts, Body::from(body)))
}

fn replay(answer: KeptAnswer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let mut response = (status, [(REPLAYED, HeaderValue::from_static("true"))], answer.body).into_response();
    response.headers_mut().remove(header::CONTENT_TYPE);
    if let Ok(kind) = HeaderValue::from_str(&answer.content_type)
        && !kind.is_empty()
    {
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    response
}

/// The key of a request, if it has one.
fn key(headers: &HeaderMap) -> Result<Option<String>, WebError> {
    let Some(value) = headers.get(KEY) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    if (1..=200).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(Some(text.to_owned()));
    }
    let detail = "Idempotency-Key takes 1 to 200 visible ASCII characters, for example a UUID.";
    Err(WebError::bad_request("idempotency-key", detail))
}

/// The body, held until the request is carried out.
async fn whole(headers: &HeaderMap, body: Body) -> Result<Bytes, WebError> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if kind.starts_with("multipart/") {
        let detail = "Idempotency-Key goes with a JSON body. An upload needs none: the same checkpoint handed over twice is one.";
        return Err(WebError::bad_request("idempotency-key", detail));
    }
    to_bytes(body, JSON_LIMIT).await.map_err(|_| {
        let detail =
            format!("The body is longer than {} MiB, which is the most that this takes.", JSON_LIMIT >> 20);
        WebError::of_status(StatusCode::PAYLOAD_TOO_LARGE, detail)
    })
}

fn digest(user: UserId, path: &str, body: &[u8]) -> Sha256 {
    Sha256::of([user.to_string().as_bytes(), b"\n", path.as_bytes(), b"\n", body].concat())
}

fn mismatch(key: &str) -> WebError {
    let detail = format!(
        "The Idempotency-Key \"{key}\" was used for another request within the last 24 hours. Send this one under a key of its own."
    );
    WebError::refused("idempotency-mismatch", detail)
}

fn running(key: &str) -> WebError {
    let detail = format!(
        "The first request under the Idempotency-Key \"{key}\" is not answered yet. Ask again in a moment."
    );
    WebError::conflict("idempotency-running", detail)
}
