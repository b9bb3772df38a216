use axum::Json;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use serde::de::DeserializeOwned;

use crate::WebError;

/// A JSON body. One that cannot be read is answered with a problem document, like everything else that is refused.
pub(super) struct JsonBody<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = WebError;

    async fn from_request(request: Request, state: &S) -> Result<Self, WebError> {
        let Json(value) = Json::from_request(request, state).await.map_err(|rejection| {
            let refused = WebError::bad_request(
                "body",
                format!("{}. Send JSON as the API describes it, as application/json.", rejection.body_text()),
            );
            match rejection.status() {
                status @ StatusCode::PAYLOAD_TOO_LARGE => WebError { status, ..refused },
                _ => refused,
            }
        })?;
        Ok(Self(value))
    }
}
