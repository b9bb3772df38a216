//! The first page of an export: what it is, and its runs.

use askama::Template;
use axum::response::Response;

use super::parts;
use super::runs::{self, RunRow};
use crate::web::frame::Frame;
use crate::{App, WebError};

#[derive(Template)]
#[template(path = "site/site.html")]
struct SitePage {
    frame: Frame,
    rows: Vec<RunRow>,
}

/// `GET /?site=…`.
pub(super) async fn show(app: &App, frame: Frame) -> Result<Response, WebError> {
    let runs = frame.named(app, app.store.runs(runs::EXPORTED).await?).await?;
    let rows = runs::rows(app, &frame, runs).await?;
    parts::page(&SitePage { frame, rows })
}

#[cfg(test)]
pub(super) fn samples(frame: &Frame) -> Vec<String> {
    use super::fixtures;
    let frozen = Frame { site: Some(crate::web::site::Site::of("*")), ..frame.clone() };
    let facts = fixtures::run_facts(5);
    let rows = vec![runs::row(&frozen, &facts.run, &fixtures::about(&facts))];
    let page = SitePage { frame: frozen, rows }.render().expect("renders");
    for gone in ["<form", "<input", "class=\"how\"", "/login", "live.js"] {
        assert!(!page.contains(gone), "{gone} needs a service");
    }
    vec![page]
}
