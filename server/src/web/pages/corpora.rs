//! `/corpora`: the registry of subsets, with their levels, licences and what used them.

use std::collections::BTreeMap;

use askama::Template;
use axum::Form;
use axum::extract::State;
use axum::response::{IntoResponse as _, Redirect, Response};
use sekisho_domain::corpus::Subset;
use sekisho_domain::lineage::Level;
use sekisho_domain::run::RunState;
use sekisho_domain::user::Role;
use sekisho_store::{RegisteredSubset, Run};
use serde::Deserialize;

use super::parts::{self, Cell, When};
use crate::service::corpora::{self, Claim, Format};
use crate::web::frame::{Frame, encode};
use crate::web::i18n::Words as _;
use crate::{App, Viewer, WebError};

#[derive(Template)]
#[template(path = "corpora/corpora.html")]
struct CorporaPage {
    frame: Frame,
    how: Vec<String>,
    /// Subsets of running runs that are not registered, or bar publishing.
    alarms: Vec<String>,
    level: String,
    language: String,
    languages: Vec<String>,
    rows: Vec<SubsetRow>,
    /// How many there are without the filter.
    total: usize,
    can_keep: bool,
    notice: Option<String>,
    typed: String,
}

struct SubsetRow {
    href: String,
    subset: Subset,
    level: Cell,
    language: Cell,
    tokens: Cell,
    license: Cell,
    generator: Cell,
    evidence: Cell,
    runs: usize,
    when: When,
}

/// What the import form sends.
#[derive(Deserialize)]
pub(crate) struct Import {
    csrf: String,
    text: String,
    #[serde(default)]
    update: String,
}

/// `GET /corpora?level=…&language=…`.
pub(crate) async fn show(State(app): State<App>, frame: Frame) -> Result<Response, WebError> {
    parts::page(&load(&app, frame, None, String::new()).await?)
}

/// `POST /corpora`: imports TOML, or CSV when the first line is a head line.
pub(crate) async fn import(
    State(app): State<App>,
    frame: Frame,
    viewer: Viewer,
    Form(form): Form<Import>,
) -> Result<Response, WebError> {
    let actor = viewer.form_actor(&form.csrf)?;
    let text = form.text.replace("\r\n", "\n");
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let is_csv = first.split(',').any(|cell| cell.trim() == "id");
    let read = if is_csv {
        corpora::read(Format::Csv, "CSV", &text)
    } else {
        corpora::read(Format::Toml, "TOML", &text)
    };
    let done = match read {
        Ok(subsets) => corpora::import(&app, actor, &subsets, form.update == "on").await.map(drop),
        Err(error) => Err(error),
    };
    match done {
        Ok(()) => Ok(Redirect::to("/corpora").into_response()),
        Err(error) => {
            let frame = Frame { path: "/corpora".to_owned(), ..frame };
            let notice = super::error::told(frame.lang, &error);
            let page = load(&app, frame, Some(notice), form.text).await?;
            Ok((error.status, parts::page(&page)?).into_response())
        }
    }
}

async fn load(
    app: &App,
    frame: Frame,
    notice: Option<String>,
    typed: String,
) -> Result<CorporaPage, WebError> {
    let subsets = app.store.subsets().await?;
    let runs = app.store.runs(10_000).await?;
    Ok(page(frame, &subsets, &runs, notice, typed))
}

/// Which subsets each run's own specification names.
fn claims_of(runs: &[Run]) -> BTreeMap<String, Vec<(&Run, Claim)>> {
    let mut claims: BTreeMap<String, Vec<(&Run, Claim)>> = BTreeMap::new();
    for run in runs {
        for claim in run.spec.iter().flat_map(corpora::claims) {
            claims.entry(claim.subset.clone()).or_default().push((run, claim));
        }
    }
    claims
}

fn page(
    frame: Frame,
    subsets: &[RegisteredSubset],
    runs: &[Run],
    notice: Option<String>,
    typed: String,
) -> CorporaPage {
    let used = claims_of(runs);
    let level = frame.param("level").unwrap_or_default().to_owned();
    let language = frame.param("language").unwrap_or_default().to_owned();
    let mut languages: Vec<String> = subsets.iter().filter_map(|s| s.subset.language.clone()).collect();
    languages.sort();
    languages.dedup();
    let wanted = |found: &&RegisteredSubset| {
        let of = found.subset.level.map_or("none", |level| level.as_str());
        (level.is_empty() || level == of)
            && (language.is_empty() || found.subset.language.as_deref() == Some(&language))
    };
    let runs_of = |id: &str| used.get(id).map_or(0, Vec::len);
    let rows: Vec<SubsetRow> =
        subsets.iter().filter(wanted).map(|found| row(&frame, found, runs_of(&found.subset.id))).collect();
    CorporaPage {
        how: ["sekisho corpus list", "GET /api/v1/corpora"].map(ToOwned::to_owned).to_vec(),
        alarms: alarms(&frame, subsets, &used),
        can_keep: frame
            .user
            .as_ref()
            .is_some_and(|user| user.has(Role::Admin) || corpora::KEEPERS.iter().any(|role| user.has(*role))),
        total: subsets.len(),
        level,
        language,
        languages,
        rows,
        notice,
        typed,
        frame,
    }
}

/// What somebody must look at: running runs on text that is not registered, or that bars publishing.
fn alarms(
    frame: &Frame,
    subsets: &[RegisteredSubset],
    used: &BTreeMap<String, Vec<(&Run, Claim)>>,
) -> Vec<String> {
    let mut alarms = Vec::new();
    for (subset, uses) in used {
        let running: Vec<&str> = uses
            .iter()
            .filter(|(run, _)| matches!(run.state, RunState::Running | RunState::Registered))
            .map(|(run, _)| run.name.as_str())
            .collect();
        if running.is_empty() {
            continue;
        }
        let level = subsets.iter().find(|s| s.subset.id == *subset).map(|s| s.subset.level);
        let key = match level {
            None => "corpora.alarm_unregistered",
            Some(None) => "corpora.alarm_no_level",
            Some(Some(Level::LX | Level::LZ)) => "corpora.alarm_barred",
            Some(Some(_)) => continue,
        };
        let level = level.flatten().map_or("", |level| level.as_str());
        let runs = running.join(", ");
        alarms.push(frame.lang.fill(key, &[("subset", subset), ("runs", &runs), ("level", &level)]));
    }
    alarms
}

fn row(frame: &Frame, found: &RegisteredSubset, runs: usize) -> SubsetRow {
    let subset = found.subset.clone();
    let counted = |tokens: String| match &subset.tokenizer {
        Some(tokenizer) => {
            frame.lang.fill("corpora.counted", &[("tokens", &tokens), ("tokenizer", tokenizer)])
        }
        None => tokens,
    };
    SubsetRow {
        href: format!("/corpora/{}", encode(&subset.id)),
        level: Cell::of(subset.level.map(Level::as_str), frame.t("corpora.no_level")),
        language: Cell::of(subset.language.clone(), frame.t("corpora.not_given")),
        tokens: Cell::of(subset.tokens.map(|tokens| counted(tokens.short())), frame.t("corpora.not_given")),
        license: Cell::of(subset.license.clone(), frame.t("corpora.no_license")),
        generator: Cell::of(subset.generator.clone(), frame.t("corpora.not_synthetic")),
        evidence: Cell::of(subset.evidence.clone(), frame.t("corpora.no_evidence")),
        when: frame.when(found.updated),
        runs,
        subset,
    }
}

#[cfg(test)]
pub(super) fn samples(frame: &Frame) -> Vec<String> {
    use super::fixtures;
    let runs = [fixtures::run_facts(5).run];
    let subsets = fixtures::subsets();
    let keeper = fixtures::user("ikeda", fixtures::id("ikeda"), &[Role::Contributor]);
    let signed_in = Frame { user: Some(keeper), csrf: "csrf_x".to_owned(), ..frame.clone() };
    [
        page(signed_in, &subsets, &runs, Some("no < yes".to_owned()), "<text>".to_owned()),
        page(frame.clone(), &[], &[], None, String::new()),
    ]
    .map(|page| page.render().expect("renders"))
    .to_vec()
}
