use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use sekisho_domain::{Sha256, Timestamp};
use serde::{Deserialize, Serialize};

use super::body::JsonBody;
use crate::auth;
use crate::service::logins::{self, Standing};
use crate::{App, WebError};

/// `POST /api/v1/login-requests`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ask {
    /// Who asks, for the person who confirms: `user@host`.
    origin: String,
}

/// What a command line waits with.
#[derive(Serialize)]
pub(super) struct AskedView {
    /// Its bearer token, once somebody has confirmed.
    secret: String,
    /// Shown on both sides.
    code: String,
    /// Where it is confirmed.
    url: String,
    /// Until when.
    expires: Timestamp,
}

/// How a request stands: `waiting`, `confirmed` or `gone`.
#[derive(Serialize)]
pub(super) struct StandingView {
    state: &'static str,
    user: Option<String>,
    expires: Option<Timestamp>,
}

/// `POST /api/v1/login-requests`: anybody may ask; a person confirms in a browser.
pub(super) async fn ask(
    State(app): State<App>,
    JsonBody(request): JsonBody<Ask>,
) -> Result<(StatusCode, Json<AskedView>), WebError> {
    let logins::Asked { secret, code, url, expires } = logins::ask(&app, &request.origin).await?;
    Ok((StatusCode::CREATED, Json(AskedView { secret, code, url, expires })))
}

/// `GET /api/v1/login-requests` with the secret as bearer token.
pub(super) async fn standing(
    State(app): State<App>,
    headers: HeaderMap,
) -> Result<Json<StandingView>, WebError> {
    let secret = auth::bearer(&headers).ok_or_else(WebError::unauthorized)?;
    Ok(Json(match logins::standing(&app, secret).await? {
        Standing::Waiting => StandingView { state: "waiting", user: None, expires: None },
        Standing::Confirmed(user, expires) => {
            StandingView { state: "confirmed", user: Some(user), expires: Some(expires) }
        }
        Standing::Gone => StandingView { state: "gone", user: None, expires: None },
    }))
}

/// `DELETE /api/v1/login-requests`: ends the sign-in.
pub(super) async fn end(State(app): State<App>, headers: HeaderMap) -> Result<StatusCode, WebError> {
    let secret = auth::bearer(&headers).ok_or_else(WebError::unauthorized)?;
    app.store.end_session(Sha256::of(secret)).await?;
    Ok(StatusCode::NO_CONTENT)
}
