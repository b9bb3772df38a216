use axum::extract::FromRequestParts;
use axum::http::Uri;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use crate::WebError;

/// The parameters of a query. What is unknown, or cannot be read, is answered with a problem document that names what is allowed.
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = WebError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, WebError> {
        read(&parts.uri).map(Self)
    }
}

/// The parameters of an address.
///
/// # Errors
/// 400.
pub(super) fn read<T: DeserializeOwned>(uri: &Uri) -> Result<T, WebError> {
    let read = axum::extract::Query::try_from_uri(uri).map_err(|rejection| {
        let what = rejection.body_text();
        let what = what.strip_prefix("Failed to deserialize query string: ").unwrap_or(&what);
        let what: String = what.chars().take(400).collect();
        let detail =
            format!("The query cannot be read: {what}. /api/docs names the parameters and what each takes.");
        WebError::bad_request("query", detail)
    })?;
    Ok(read.0)
}
