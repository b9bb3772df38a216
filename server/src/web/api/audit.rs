use axum::Json;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use crate::service::audit::{self, SignedHead};
use crate::{App, Viewer, WebError};

/// `?after=0`.
#[derive(Deserialize)]
pub(super) struct From {
    #[serde(default)]
    after: u64,
}

/// `GET /api/v1/audit?after=N`: every entry above a number, oldest first, one JSON object a line.
pub(super) async fn export(
    State(app): State<App>,
    viewer: Viewer,
    Query(from): Query<From>,
) -> Result<Response, WebError> {
    viewer.reader()?;
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(audit::lines(app, from.after)))
        .into_response())
}

/// `GET /api/v1/audit/head`: where the log ends now, signed.
pub(super) async fn head(State(app): State<App>, viewer: Viewer) -> Result<Json<SignedHead>, WebError> {
    viewer.reader()?;
    Ok(Json(audit::head(&app).await?))
}

/// `GET /api/v1/signing-key`: the public key of this service as PEM.
pub(super) async fn key(State(app): State<App>) -> Response {
    ([(header::CONTENT_TYPE, "application/x-pem-file")], app.signing.public().pem()).into_response()
}
