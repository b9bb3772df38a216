use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sekisho_domain::wire::Problem;
use sekisho_domain::{Language, StateError, Text};
use sekisho_store::StoreError;

use crate::error_ja::{Noun, missing_ja, wrong_state_ja};
use crate::web::i18n::Words as _;

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
    /// The same in Japanese, where the catalogue has no sentence for the code because it names things.
    pub ja: Option<String>,
    /// Of a piece of an upload: where the next one begins.
    pub offset: Option<u64>,
}

impl WebError {
    fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), ja: None, offset: None }
    }

    /// An answer of the framework, made before a handler was reached: 405, a body or a form that cannot be read.
    pub(crate) fn of_status(status: StatusCode, detail: impl Into<String>) -> Self {
        let code = match status {
            StatusCode::METHOD_NOT_ALLOWED => "method-not-allowed",
            StatusCode::PAYLOAD_TOO_LARGE => "too-large",
            StatusCode::UNSUPPORTED_MEDIA_TYPE => "content-type",
            status if status.is_server_error() => "internal",
            _ => "request",
        };
        Self::new(status, code, detail)
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

    /// 404: no such thing.
    pub fn not_found(noun: Noun, name: impl std::fmt::Display) -> Self {
        let name = name.to_string();
        let detail = match noun {
            Noun::Page => format!("There is no page {name}."),
            _ => format!("There is no {} \"{name}\".", noun.en()),
        };
        Self::new(StatusCode::NOT_FOUND, "not-found", detail).or_ja(missing_ja(noun, &name))
    }

    /// 409: not possible in this state.
    pub fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    /// 422: understood and refused.
    pub fn refused(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail)
    }

    /// 429: not so often.
    pub fn too_many(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, code, detail)
    }

    /// 428: the version that was seen is not told.
    pub fn version_missing() -> Self {
        let detail =
            "Say which version you have seen: send its ETag as If-Match, or \"version\" in the body.";
        Self::new(StatusCode::PRECONDITION_REQUIRED, "version-missing", detail)
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

    /// The same error with its sentence in Japanese too.
    #[must_use]
    pub fn or_ja(mut self, detail: impl Into<String>) -> Self {
        self.ja = Some(detail.into());
        self
    }

    /// The sentence in the reader's language: its own, that of the catalogue for its code, or the English one.
    #[must_use]
    pub fn told(&self, language: Language) -> String {
        match (language, &self.ja) {
            (Language::Ja, Some(ja)) => ja.clone(),
            (Language::En, Some(_)) => self.detail.clone(),
            (_, None) => {
                let known = language.find(&format!("error_detail.{}", self.code));
                known.map_or_else(|| self.detail.clone(), ToOwned::to_owned)
            }
        }
    }

    /// The sentence in both languages.
    #[must_use]
    pub fn text(&self) -> Text {
        Text { en: self.told(Language::En), ja: self.told(Language::Ja) }
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
            offset: self.offset,
        }
    }
}

impl From<StoreError> for WebError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Stale => Self::new(StatusCode::PRECONDITION_FAILED, "stale", error.to_string()),
            StoreError::LeaseLost(_) => Self::conflict("lease-lost", error.to_string()),
            StoreError::Conflict(text) => Self::conflict("conflict", text),
            StoreError::LastAdmin { name } => {
                let detail = format!("{name} is the only admin. Make somebody else one first.");
                let ja = format!("管理者は{name}さんだけです。先に別の管理者を設定してください。");
                Self::conflict("last-admin", detail).or_ja(ja)
            }
            full if full.is_disk_full() => {
                tracing::error!(error = %full, "the disk is full");
                Self::disk_full(
                    "Not enough space on the server's disk; nothing of this was kept. Free some space there and send it again.",
                )
            }
            away if away.is_away() => {
                tracing::warn!(error = %away, "the database does not answer");
                Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "database-away",
                    "The database does not answer at the moment; nothing of this was kept. Send it again in a few seconds.",
                )
            }
            other => Self::internal(other),
        }
    }
}

impl From<StateError> for WebError {
    fn from(error: StateError) -> Self {
        let ja = wrong_state_ja(&error);
        Self::conflict("wrong-state", format!("{error}.")).or_ja(ja)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_in_both_languages() {
        let run = WebError::not_found(Noun::Run, "v4");
        assert_eq!(run.detail, "There is no run \"v4\".");
        assert_eq!(run.ja.as_deref(), Some("実験「v4」は見つかりません。"));
        let page = WebError::not_found(Noun::Page, "/nowhere");
        assert_eq!(page.ja.as_deref(), Some("画面「/nowhere」は見つかりません。"));
        let error = StateError {
            kind: "release",
            state: "in_review",
            action: "publish",
            allowed: "approved, publishing".to_owned(),
        };
        let ja = WebError::from(error).ja.expect("Japanese");
        assert!(ja.contains("承認待ち") && ja.contains("承認済み、公開処理中"), "{ja}");
    }
}
