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
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewLoginRequest)]
pub(super) struct Ask {
    /// Who asks, for the person who confirms: `user@host`.
    origin: String,
}

/// What a command line waits with.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = LoginRequest)]
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

/// How far a request is.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = LoginState)]
enum StateView {
    /// Nobody has confirmed it yet.
    Waiting,
    /// It is a sign-in.
    Confirmed,
    /// It was refused, or is too old.
    Gone,
}

/// How a request stands.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = LoginStanding)]
pub(super) struct StandingView {
    state: StateView,
    user: Option<String>,
    expires: Option<Timestamp>,
}

/// Asks for a sign-in of a command line
///
/// Anybody may ask; a person confirms in a browser.
#[utoipa::path(
    post,
    path = "/login-requests",
    operation_id = "create_login_request",
    tag = "accounts",
    request_body = Ask,
    responses((status = 201, description = "Made.", body = AskedView)),
    security(()),
)]
pub(super) async fn ask(
    State(app): State<App>,
    JsonBody(request): JsonBody<Ask>,
) -> Result<(StatusCode, Json<AskedView>), WebError> {
    let logins::Asked { secret, code, url, expires } = logins::ask(&app, &request.origin).await?;
    Ok((StatusCode::CREATED, Json(AskedView { secret, code, url, expires })))
}

/// Says how a sign-in of a command line stands
///
/// With its secret as bearer token.
#[utoipa::path(
    get,
    path = "/login-requests",
    operation_id = "show_login_request",
    tag = "accounts",
    responses((status = 200, description = "The answer.", body = StandingView)),
    security(("token" = [])),
)]
pub(super) async fn standing(
    State(app): State<App>,
    headers: HeaderMap,
) -> Result<Json<StandingView>, WebError> {
    let secret = auth::bearer(&headers).ok_or_else(WebError::unauthorized)?;
    Ok(Json(match logins::standing(&app, secret).await? {
        Standing::Waiting => StandingView { state: StateView::Waiting, user: None, expires: None },
        Standing::Confirmed(user, expires) => {
            StandingView { state: StateView::Confirmed, user: Some(user), expires: Some(expires) }
        }
        Standing::Gone => StandingView { state: StateView::Gone, user: None, expires: None },
    }))
}

/// Ends a sign-in of a command line
///
/// With its secret as bearer token.
#[utoipa::path(
    delete,
    path = "/login-requests",
    operation_id = "delete_login_request",
    tag = "accounts",
    responses((status = 204, description = "Done; nothing is answered.")),
    security(("token" = [])),
)]
pub(super) async fn end(State(app): State<App>, headers: HeaderMap) -> Result<StatusCode, WebError> {
    let secret = auth::bearer(&headers).ok_or_else(WebError::unauthorized)?;
    app.store.end_session(Sha256::of(secret)).await?;
    Ok(StatusCode::NO_CONTENT)
}
