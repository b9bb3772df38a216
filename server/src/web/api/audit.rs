use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::query::Query;
use crate::service::audit::{self, SignedHead};
use crate::{App, Viewer, WebError};

/// From where.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct From {
    /// Number of the last entry that the caller has; 0 for none.
    #[serde(default)]
    after: u64,
}

/// Reads the audit log
///
/// Every entry above a number, oldest first, one JSON object (`ChainedEntry`) a line.
#[utoipa::path(
    get,
    path = "/audit",
    operation_id = "export_audit",
    tag = "audit",
    params(From),
    responses((status = 200, description = "One `ChainedEntry` a line.", body = String, content_type = "application/x-ndjson")),
    security(("token" = ["read"]), ("session" = [])),
)]
pub(super) async fn export(
    State(app): State<App>,
    viewer: Viewer,
    Query(from): Query<From>,
) -> Result<Response, WebError> {
    viewer.reader()?;
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(audit::lines(app, from.after)))
        .into_response())
}

/// Shows where the audit log ends now, signed
///
/// Kept elsewhere, it shows a log that was cut or written anew.
#[utoipa::path(
    get,
    path = "/audit/head",
    operation_id = "show_audit_head",
    tag = "audit",
    responses((status = 200, description = "The answer.", body = SignedHead)),
    security(("token" = ["read"]), ("session" = [])),
)]
pub(super) async fn head(State(app): State<App>, viewer: Viewer) -> Result<Json<SignedHead>, WebError> {
    viewer.reader()?;
    Ok(Json(audit::head(&app).await?))
}

/// Shows the public key that releases and audit heads are signed with
#[utoipa::path(
    get,
    path = "/signing-key",
    operation_id = "show_signing_key",
    tag = "audit",
    responses((status = 200, description = "PEM.", body = String, content_type = "application/x-pem-file")),
    security(()),
)]
pub(super) async fn key(State(app): State<App>) -> Response {
    ([(header::CONTENT_TYPE, "application/x-pem-file")], app.signing.public().pem()).into_response()
}
