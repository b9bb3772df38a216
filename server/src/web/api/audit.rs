use std::convert::Infallible;

use axum::Json;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures::stream;
use sekisho_domain::audit::ChainedEntry;
use serde::Deserialize;

use crate::service::audit::{self, SignedHead};
use crate::{App, Viewer, WebError};

/// Entries read at once.
const AT_ONCE: u32 = 1_000;

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
    let lines = stream::unfold((app, Some(from.after)), |(app, after)| async move {
        let after = after?;
        let entries = match app.store.audit_after(after, AT_ONCE).await {
            Ok(entries) => entries,
            Err(error) => {
                // The status is out already; a log that ends early does not verify against its head.
                tracing::error!(%error, "the export of the audit log broke off");
                return None;
            }
        };
        let last = entries.last()?.seq;
        let text: String = entries.iter().map(line).collect();
        Some((Ok::<_, Infallible>(text), (app, Some(last))))
    });
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response())
}

fn line(entry: &ChainedEntry) -> String {
    serde_json::to_string(entry).map(|text| text + "\n").unwrap_or_default()
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
