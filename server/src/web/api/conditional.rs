//! `If-None-Match`: who has an answer already is told so, and not sent it again.

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sekisho_domain::Sha256;

use crate::WebError;

/// Gives every JSON answer to a GET a weak ETag, and answers 304 where the caller has it. The content counts and not the row's own
/// version: what is answered of a release or a run also tells of what lies in other rows.
pub(super) async fn answer(request: Request, next: Next) -> Response {
    let is_get = request.method() == Method::GET;
    let known = request.headers().get(header::IF_NONE_MATCH).cloned();
    let response = next.run(request).await;
    let is_json = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/json");
    if !is_get || !is_json || response.status() != StatusCode::OK {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let bytes = match to_bytes(body, usize::MAX).await {
        Ok(bytes) => bytes,
        Err(error) => return WebError::internal(error).into_response(),
    };
    let own = parts.headers.get(header::ETAG).and_then(|tag| tag.to_str().ok());
    let tag = tag(&bytes, own);
    let has = known.is_some_and(|known| names(&known, &tag));
    let Ok(tag) = HeaderValue::from_str(&tag) else { return WebError::internal("an ETag").into_response() };
    if has {
        return (StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response();
    }
    parts.headers.insert(header::ETAG, tag);
    Response::from_parts(parts, Body::from(bytes))
}

/// The content's digest, and the version after it where the handler names one: `If-Match` reads that.
fn tag(bytes: &[u8], own: Option<&str>) -> String {
    let digest = &Sha256::of(bytes).hex()[..32];
    match own.and_then(|own| own.trim_end_matches('"').rsplit(['"', '-']).next()) {
        Some(version) => format!("W/\"{digest}-{version}\""),
        None => format!("W/\"{digest}\""),
    }
}

/// Whether `If-None-Match` names that tag; weak and strong ones are the same here (RFC 9110, 13.1.2).
fn names(known: &HeaderValue, tag: &str) -> bool {
    let bare = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let known = known.to_str().unwrap_or_default();
    known.trim() == "*" || known.split(',').any(|one| bare(one) == bare(tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_of_the_content_and_names_the_version() {
        let (plain, versioned) = (tag(b"{}", None), tag(b"{}", Some("W/\"01kc-7\"")));
        assert_eq!(plain.len(), 4 + 32, "{plain}");
        assert_eq!(versioned, format!("{}-7\"", plain.trim_end_matches('"')));
        assert_eq!(tag(b"{}", Some("\"7\"")), versioned);
        assert_ne!(tag(b"[]", Some("\"7\"")), versioned, "another content of the same version");
        let known = |text: &'static str| HeaderValue::from_static(text);
        for has in ["*", "W/\"a-7\"", "\"a-7\"", "\"b\", W/\"a-7\""] {
            assert!(names(&known(has), "W/\"a-7\""), "{has}");
        }
        for has_not in ["", "W/\"a-6\"", "a", "\"a\""] {
            assert!(!names(&known(has_not), "W/\"a-7\""), "{has_not}");
        }
    }
}
