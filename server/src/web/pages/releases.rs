//! `/releases`: those that wait for approval first, then the newest; the same as CSV and JSON.

use askama::Template;
use axum::Json;
use axum::extract::State;
use axum::response::Response;
use sekisho_domain::lineage::ReleaseSection;
use sekisho_domain::{ReleaseId, Timestamp};
use sekisho_store::Release;
use serde::Serialize;

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
    revision: Cell,
    visibility: Cell,
    license: Cell,
    when: When,
}

/// A row as programs read it; the columns of the CSV.
#[derive(Serialize)]
struct Record {
    id: ReleaseId,
    name: String,
    state: &'static str,
    verdict: &'static str,
    approvals: usize,
    approvals_needed: u32,
    repo: Option<String>,
    revision: Option<String>,
    visibility: Option<String>,
    gating: Option<String>,
    license: Vec<String>,
    updated: Timestamp,
}

/// A release with the approvals that count and how many it needs.
struct Listed {
    release: Release,
    approvals: usize,
    needed: u32,
}

const COLUMNS: [&str; 12] = [
    "id",
    "name",
    "state",
    "verdict",
    "approvals",
    "approvals_needed",
    "repo",
    "revision",
    "visibility",
    "gating",
    "license",
    "updated",
];

/// `GET /releases`.
pub(crate) async fn show(State(app): State<App>, frame: Frame) -> Result<Response, WebError> {
    let mut all = load(&app, RELEASES + 1).await?;
    let cut = parts::cut(&frame, &mut all, RELEASES);
    let rows = all.iter().map(|listed| row(&frame, listed)).collect();
    parts::page(&page(frame, rows, cut))
}

/// `GET /releases.csv`: the same rows in the same order.
pub(crate) async fn csv(State(app): State<App>, _frame: Frame) -> Result<Response, WebError> {
    let all = load(&app, RELEASES).await?;
    Ok(parts::csv(&COLUMNS, all.iter().map(|listed| fields(record(listed)))))
}

/// `GET /releases.json`: the same rows in the same order.
pub(crate) async fn json(State(app): State<App>, _frame: Frame) -> Result<Json<serde_json::Value>, WebError> {
    let all: Vec<Record> = load(&app, RELEASES).await?.iter().map(record).collect();
    Ok(Json(serde_json::json!({ "items": all })))
}

async fn load(app: &App, most: u32) -> Result<Vec<Listed>, WebError> {
    let all = app.store.releases(most).await?;
    let approvals = releases::valid_approvals_of(app, &all).await?;
    let listed = |release: Release| Listed {
        approvals: approvals.get(&release.id).map_or(0, Vec::len),
        needed: releases::needed(app, &release),
        release,
    };
    Ok(all.into_iter().map(listed).collect())
}

fn page(frame: Frame, rows: Vec<ReleaseRow>, cut: Option<String>) -> ReleasesPage {
    let how = ["sekisho release list", "GET /api/v1/releases"].map(ToOwned::to_owned).to_vec();
    ReleasesPage { frame, how, rows, cut }
}

fn verdict(release: &Release) -> &'static str {
    match release.decision.as_ref().and_then(|decision| decision["verdict"].as_str()) {
        Some("allowed") => "allowed",
        Some(_) => "refused",
        None => "open",
    }
}

fn row(frame: &Frame, listed: &Listed) -> ReleaseRow {
    let (release, target) = (&listed.release, releases::target(&listed.release));
    let cell = |text: &dyn Fn(&ReleaseSection) -> String| {
        Cell::of(target.as_ref().map(text), frame.t("missing.no_target"))
    };
    ReleaseRow {
        href: format!("/releases/{}", release.id),
        name: release.name.clone(),
        state: release.state.as_str(),
        verdict: verdict(release),
        approvals: format!("{} / {}", listed.approvals, listed.needed),
        repo: cell(&|target| target.repo.clone()),
        revision: cell(&|target| target.revision.clone()),
        visibility: cell(&|target| frame.word("visibility", target.visibility).to_owned()),
        license: cell(&|target| target.license.join(", ")),
        when: frame.when(release.updated),
    }
}

fn record(listed: &Listed) -> Record {
    let (release, target) = (&listed.release, releases::target(&listed.release));
    let of = |text: &dyn Fn(&ReleaseSection) -> String| target.as_ref().map(text);
    Record {
        id: release.id,
        name: release.name.clone(),
        state: release.state.as_str(),
        verdict: verdict(release),
        approvals: listed.approvals,
        approvals_needed: listed.needed,
        repo: of(&|target| target.repo.clone()),
        revision: of(&|target| target.revision.clone()),
        visibility: of(&|target| target.visibility.to_string()),
        gating: of(&|target| target.gating.to_string()),
        updated: release.updated,
        license: target.map(|target| target.license).unwrap_or_default(),
    }
}

fn fields(record: Record) -> Vec<String> {
    vec![
        record.id.to_string(),
        record.name,
        record.state.to_owned(),
        record.verdict.to_owned(),
        record.approvals.to_string(),
        record.approvals_needed.to_string(),
        record.repo.unwrap_or_default(),
        record.revision.unwrap_or_default(),
        record.visibility.unwrap_or_default(),
        record.gating.unwrap_or_default(),
        record.license.join(" "),
        record.updated.to_string(),
    ]
}

#[cfg(test)]
pub(super) fn samples(frame: &Frame) -> Vec<String> {
    use super::fixtures;
    let listed = |release| Listed { release, approvals: 1, needed: 2 };
    let rows = [fixtures::release(), fixtures::refused_release()].map(listed);
    let rows = rows.iter().map(|listed| row(frame, listed)).collect();
    [page(frame.clone(), rows, None), page(frame.clone(), Vec::new(), None)]
        .map(|page| page.render().expect("renders"))
        .to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::pages::fixtures;

    #[test]
    fn the_csv_and_the_json_have_the_same_columns() {
        let record = || record(&Listed { release: fixtures::release(), approvals: 1, needed: 3 });
        let json = serde_json::to_value(record()).expect("JSON");
        let fields = fields(record());
        assert_eq!(fields.len(), COLUMNS.len());
        for (column, field) in COLUMNS.iter().zip(fields) {
            let told = match &json[*column] {
                serde_json::Value::String(text) => text.clone(),
                serde_json::Value::Array(words) => words[0].as_str().expect("a licence").to_owned(),
                other => other.to_string(),
            };
            assert_eq!(told, field, "{column}");
        }
        assert_eq!(json["gating"], "manual");
    }
}
