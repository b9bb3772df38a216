use axum::extract::State;
use axum::http::StatusCode;

use crate::{App, WebError};

/// Says that the process answers
#[utoipa::path(
    get,
    path = "/healthz",
    operation_id = "check_health",
    tag = "service",
    responses((status = 204, description = "Done; nothing is answered.")),
    security(()),
)]
pub(super) async fn alive() -> StatusCode {
    StatusCode::NO_CONTENT
}

/// Says that the database answers too
#[utoipa::path(
    get,
    path = "/readyz",
    operation_id = "check_readiness",
    tag = "service",
    responses((status = 204, description = "Done; nothing is answered.")),
    security(()),
)]
pub(super) async fn ready(State(app): State<App>) -> Result<StatusCode, WebError> {
    app.store.queue_counts().await?;
    Ok(StatusCode::NO_CONTENT)
}
