//! An error in the frame of a page: the thing, the rule, the way on, and the request's id.

use askama::Template;
use axum::response::{Html, IntoResponse as _, Response};
use sekisho_domain::{Language, StateError};

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

/// `run "x"` → 「実験「x」は見つかりません。」
pub(crate) fn missing_ja(what: &str) -> String {
    let ja = Language::Ja;
    let (noun, name) = match what.split_once(' ') {
        Some(("run", name)) => (ja.t("missing_thing.run"), name),
        Some(("checkpoint", name)) => (ja.t("missing_thing.checkpoint"), name),
        Some(("evaluation", name)) => (ja.t("missing_thing.evaluation"), name),
        Some(("release", name)) => (ja.t("missing_thing.release"), name),
        Some(("suite", name)) => (ja.t("missing_thing.suite"), name),
        Some(("account", name)) => (ja.t("missing_thing.account"), name),
        Some(("page", name)) => (ja.t("missing_thing.page"), name),
        Some(("file", name)) => (ja.t("missing_thing.file"), name),
        _ => (ja.t("missing_thing.other"), what),
    };
    ja.fill("error.missing", &[("noun", &noun), ("name", &name.split('"').nth(1).unwrap_or(name))])
}

/// Why a state does not allow an action, with the names that pages give to states.
pub(crate) fn wrong_state_ja(error: &StateError) -> String {
    let ja = Language::Ja;
    let word = |state: &str| {
        let section = if error.kind == "release" { "release_state" } else { "checkpoint_state" };
        ja.find(&format!("{section}.{}", state.trim())).unwrap_or(state).trim().to_owned()
    };
    let allowed: Vec<String> = error.allowed.split(',').map(word).collect();
    ja.fill("error.wrong_state", &[("state", &word(error.state)), ("allowed", &allowed.join("、"))])
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
    let errors = [
        WebError::not_found("run \"x\""),
        WebError::unauthorized(),
        WebError::bad_request("odd", "Odd."),
        WebError::of_status(axum::http::StatusCode::METHOD_NOT_ALLOWED, "PUT is not possible here."),
    ];
    errors.iter().map(|error| view(frame.clone(), error, "0f3a").render().expect("renders")).collect()
}
