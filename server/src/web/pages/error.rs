//! An error in the frame of a page: the thing, the rule, the way on, and the request's id.

use askama::Template;
use axum::response::{Html, IntoResponse as _, Response};
use sekisho_domain::Language;

use crate::WebError;
use crate::web::frame::Frame;
use crate::web::i18n::Words as _;

#[derive(Template)]
#[template(path = "error/error.html")]
struct ErrorPage {
    frame: Frame,
    status: u16,
    title: &'static str,
    detail: String,
    way_on: &'static str,
    request: String,
}

/// The error as a page with its status.
pub(crate) fn render(frame: Frame, error: &WebError, request: &str) -> Response {
    let page = view(frame, error, request);
    // A page that says less is better than none.
    let html = page.render().unwrap_or_else(|_| error.detail.clone());
    (error.status, Html(html)).into_response()
}

/// The sentence of an error in the reader's language. What has only an English one (a syntax error with its place in the file) is
/// introduced in Japanese.
pub(super) fn told(lang: Language, error: &WebError) -> String {
    let told = error.told(lang);
    if lang == Language::Ja && told == error.detail {
        return lang.fill("error.in_english", &[("detail", &told)]);
    }
    told
}

fn view(frame: Frame, error: &WebError, request: &str) -> ErrorPage {
    let lang = frame.lang;
    let status = error.status.as_u16();
    let known = |section: &str| lang.find(&format!("{section}.{status}"));
    ErrorPage {
        status,
        title: known("error_title").unwrap_or_else(|| {
            lang.t(if error.status.is_client_error() { "error_title.400" } else { "error_title.500" })
        }),
        detail: told(lang, error),
        way_on: known("error_way").unwrap_or(""),
        request: request.to_owned(),
        frame,
    }
}

#[cfg(test)]
pub(super) fn samples(frame: &Frame) -> Vec<String> {
    use crate::Noun;
    let errors = [
        WebError::not_found(Noun::Run, "x"),
        WebError::unauthorized(),
        WebError::bad_request("odd", "Odd."),
        WebError::of_status(axum::http::StatusCode::METHOD_NOT_ALLOWED, "PUT is not possible here."),
    ];
    errors.iter().map(|error| view(frame.clone(), error, "0f3a").render().expect("renders")).collect()
}
