//! `/releases`: those that wait for approval first, then the newest.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use sekisho_domain::lineage::ReleaseSection;
use sekisho_store::Release;

use super::parts::{self, Cell, When};
use crate::service::releases;
use crate::web::frame::Frame;
use crate::{App, WebError};

/// Releases on the page.
const RELEASES: u32 = 200;

#[derive(Template)]
#[template(path = "releases/releases.html")]
struct ReleasesPage {
    frame: Frame,
    how: Vec<String>,
    rows: Vec<ReleaseRow>,
    /// Said when there are more.
    cut: Option<String>,
}

struct ReleaseRow {
    href: String,
    name: String,
    state: &'static str,
    verdict: &'static str,
    approvals: String,
    repo: Cell,
    revision: String,
    visibility: Cell,
    when: When,
}

/// `GET /releases`.
pub(crate) async fn show(State(app): State<App>, frame: Frame) -> Result<Response, WebError> {
    let mut all = app.store.releases(RELEASES + 1).await?;
    let cut = parts::cut(&frame, &mut all, RELEASES);
    let approvals = releases::valid_approvals_of(&app, &all).await?;
    let of_it = |release: &Release| approvals.get(&release.id).map_or(0, Vec::len);
    let shown = |release: &Release| row(&frame, release, releases::target(release).as_ref(), of_it(release));
    let rows = all.iter().map(shown).collect();
    parts::page(&page(frame, rows, cut))
}

fn page(frame: Frame, rows: Vec<ReleaseRow>, cut: Option<String>) -> ReleasesPage {
    let how = ["sekisho release list", "GET /api/v1/releases"].map(ToOwned::to_owned).to_vec();
    ReleasesPage { frame, how, rows, cut }
}

fn row(frame: &Frame, release: &Release, target: Option<&ReleaseSection>, approvals: usize) -> ReleaseRow {
    ReleaseRow {
        href: format!("/releases/{}", release.id),
        name: release.name.clone(),
        state: release.state.as_str(),
        verdict: match release.decision.as_ref().and_then(|d| d["verdict"].as_str()) {
            Some("allowed") => "allowed",
            Some(_) => "refused",
            None => "open",
        },
        approvals: format!("{approvals} / {}", release.approvals_needed),
        repo: Cell::of(target.map(|t| t.repo.clone()), frame.t("missing.no_target")),
        revision: target.map_or_else(String::new, |t| t.revision.clone()),
        visibility: Cell::of(
            target.map(|t| frame.t(&format!("visibility.{}", t.visibility))),
            frame.t("missing.no_target"),
        ),
        when: frame.when(release.updated),
    }
}

#[cfg(test)]
pub(super) fn samples(frame: &Frame) -> Vec<String> {
    use super::fixtures;
    let rows = [fixtures::release(), fixtures::refused_release()]
        .iter()
        .map(|release| row(frame, release, releases::target(release).as_ref(), 1))
        .collect();
    [page(frame.clone(), rows, None), page(frame.clone(), Vec::new(), None)]
        .map(|page| page.render().expect("renders"))
        .to_vec()
}
