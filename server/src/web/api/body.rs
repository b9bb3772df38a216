use axum::Json;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
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

/// The header in which a version is told, for the description of the API.
#[derive(serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes what `if_match` reads")]
pub(super) struct IfMatch {
    /// ETag of the version that the caller has seen; `version` in the body says the same. 428 without either, 412 when there is a newer one.
    #[serde(rename = "If-Match")]
    if_match: Option<String>,
}

/// The version that the caller has seen: `If-Match` (an ETag of ours), or a field of the body where a client has no headers.
///
/// # Errors
/// 428 when neither is there, 400 for one that is no ETag of ours.
pub(super) fn if_match(headers: &HeaderMap, version: Option<u64>) -> Result<u64, WebError> {
    let Some(tag) = headers.get(header::IF_MATCH) else {
        return version.ok_or_else(WebError::version_missing);
    };
    let number = tag.to_str().ok().and_then(|tag| tag.trim().trim_end_matches('"').rsplit(['"', '-']).next());
    number.and_then(|number| number.parse().ok()).ok_or_else(|| {
        let detail = "If-Match holds no ETag of this service; send the one that came with the resource.";
        WebError::bad_request("if-match", detail)
    })
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue, header};

    use super::if_match;

    #[test]
    fn the_version_is_in_the_etag_or_in_the_body() {
        let with =
            |tag: &'static str| HeaderMap::from_iter([(header::IF_MATCH, HeaderValue::from_static(tag))]);
        let code = |found: Result<u64, crate::WebError>| found.map_err(|error| error.status.as_u16());
        assert_eq!(code(if_match(&with("W/\"01kc-7\""), None)), Ok(7));
        assert_eq!(code(if_match(&with("\"3\""), Some(9))), Ok(3), "the header counts");
        assert_eq!(code(if_match(&HeaderMap::new(), Some(9))), Ok(9));
        assert_eq!(code(if_match(&HeaderMap::new(), None)), Err(428));
        assert_eq!(code(if_match(&with("*"), Some(9))), Err(400));
    }
}
