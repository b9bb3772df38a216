use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sekisho_domain::StateError;
use sekisho_domain::wire::Problem;
use sekisho_store::StoreError;

/// What a request can fail with. Under `/api` it is `application/problem+json`; pages turn the same value into HTML
/// (`web::pages::error`), which they find in the response's extensions.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{detail}")]
pub struct WebError {
    /// HTTP status.
    pub status: StatusCode,
    /// Stable kebab-case code.
    pub code: &'static str,
    /// Thing, rule and way on.
    pub detail: String,
}

impl WebError {
    fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into() }
    }

    /// 400: the request itself is wrong.
    pub fn bad_request(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// 401: who are you?
    pub fn unauthorized() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "sign-in-needed",
            "This needs a sign-in or an API token. Set SEKISHO_TOKEN, or open a one-time link made by `sekisho user link NAME`.",
        )
    }

    /// 403: known, but not allowed.
    pub fn forbidden(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, code, detail)
    }

    /// 404: no such thing. `what` reads like `run "x"`.
    pub fn not_found(what: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", format!("There is no {what}."))
    }

    /// 409: not possible in this state.
    pub fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    /// 422: understood and refused.
    pub fn refused(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail)
    }

    /// 507: no room on the server's disk; the same request is good later.
    pub fn disk_full(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::INSUFFICIENT_STORAGE, "disk-full", detail)
    }

    /// 500: our fault. The cause goes to the log, not to the reader.
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        tracing::error!(cause = %cause, "a request failed");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "The service failed on this request; nothing was changed. The server's log has the cause.",
        )
    }

    /// The RFC 9457 form.
    #[must_use]
    pub fn problem(&self) -> Problem {
        Problem {
            kind: "about:blank".to_owned(),
            title: self.status.canonical_reason().unwrap_or("Error").to_owned(),
            status: self.status.as_u16(),
            detail: self.detail.clone(),
            code: self.code.to_owned(),
            instance: None,
        }
    }
}

impl From<StoreError> for WebError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Stale => Self::new(StatusCode::PRECONDITION_FAILED, "stale", error.to_string()),
            StoreError::LeaseLost(_) => Self::conflict("lease-lost", error.to_string()),
            StoreError::Conflict(text) => Self::conflict("conflict", text),
            full if full.is_disk_full() => {
                tracing::error!(error = %full, "the disk is full");
                Self::disk_full(
                    "Not enough space on the server's disk; nothing of this was kept. Free some space there and send it again.",
                )
            }
            other => Self::internal(other),
        }
    }
}

impl From<StateError> for WebError {
    fn from(error: StateError) -> Self {
        Self::conflict("wrong-state", format!("{error}."))
    }
}

impl IntoResponse for WebError {
    fn into_response(self) -> Response {
        let body = serde_json::to_string(&self.problem()).unwrap_or_default();
        let mut response = (self.status, body).into_response();
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response.extensions_mut().insert(self);
        response
    }
}
