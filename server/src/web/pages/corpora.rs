//! `/corpora`: the registry of subsets, with their levels, licences and what used them; the mixes that runs made of them; and what of
//! it a model wrote.

use std::collections::BTreeMap;

use askama::Template;
use axum::Form;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Redirect, Response};
use sekisho_domain::corpus::Subset;
use sekisho_domain::lineage::Level;
use sekisho_domain::run::RunState;
use sekisho_domain::user::Role;
use sekisho_store::{RegisteredSubset, Run};
use serde::Deserialize;

use super::corpora_mix::{self, MixView};
use super::parts::quoted;
use super::parts::{self, Cell, Choice, Evidence, When};
use crate::service::corpora::{self, Claim, Format};
use crate::service::releases;
use crate::web::frame::{Frame, encode};
use crate::web::i18n::Words as _;
use crate::{App, Viewer, WebError};

/// Runs that are looked through for what uses a subset.
const RUNS: u32 = 10_000;

#[derive(Template)]
#[template(path = "corpora/corpora.html")]
struct CorporaPage {
    frame: Frame,
    how: Vec<String>,
    /// Subsets of running runs that are not registered, or bar publishing.
    alarms: Vec<String>,
    tabs: Vec<Choice>,
    list: Option<ListView>,
    mix: Option<MixView>,
    can_keep: bool,
    notice: Option<String>,
    typed: String,
}

/// The list of subsets, all or those that a model wrote.
struct ListView {
    is_synthetic: bool,
    level: String,
    language: String,
    languages: Vec<String>,
    license: String,
    licenses: Vec<String>,
    rows: Vec<SubsetRow>,
    /// How many there are without the filter.
    total: usize,
    /// Where the filter is taken away.
    all: &'static str,
    csv: String,
    json: String,
}

struct SubsetRow {
    href: String,
    subset: Subset,
    level: Cell,
    language: Cell,
    tokens: Cell,
    license: Cell,
    generator: Cell,
    generator_license: Cell,
    evidence: Evidence,
    runs: usize,
    models: usize,
    when: When,
}

/// What the list is made from.
#[derive(Default)]
struct Facts {
    subsets: Vec<RegisteredSubset>,
    runs: Vec<Run>,
    /// How many models that are out descend from each subset.
    models: BTreeMap<String, usize>,
}

/// The tabs, as the URL names them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tab {
    List,
    Mix,
    Synthetic,
}

impl Tab {
    const ALL: [Self; 3] = [Self::List, Self::Mix, Self::Synthetic];

    fn of(frame: &Frame) -> Self {
        let named = |tab: &Self| !tab.code().is_empty() && frame.param("tab") == Some(tab.code());
        Self::ALL.into_iter().find(named).unwrap_or(Self::List)
    }

    const fn code(self) -> &'static str {
        match self {
            Self::List => "",
            Self::Mix => "mix",
            Self::Synthetic => "synthetic",
        }
    }

    const fn label(self) -> &'static str {
        match self {
            Self::List => "corpora.tab_list",
            Self::Mix => "corpora.tab_mix",
            Self::Synthetic => "corpora.tab_synthetic",
        }
    }

    /// Its address, without the filters of another.
    const fn href(self) -> &'static str {
        match self {
            Self::List => "/corpora",
            Self::Mix => "/corpora?tab=mix",
            Self::Synthetic => "/corpora?tab=synthetic",
        }
    }
}

/// What the import form sends.
#[derive(Deserialize)]
pub(crate) struct Import {
    csrf: String,
    text: String,
    #[serde(default)]
    update: String,
}

/// `GET /corpora?level=…&language=…&license=…`, `?tab=synthetic`, `?tab=mix&runs=a,b`.
pub(crate) async fn show(State(app): State<App>, frame: Frame) -> Result<Response, WebError> {
    parts::page(&load(&app, frame, None, String::new()).await?)
}

/// `GET /corpora.csv`: what the tab shows; the list in the columns that are imported.
pub(crate) async fn csv(State(app): State<App>, frame: Frame) -> Result<Response, WebError> {
    let text = match Tab::of(&frame) {
        Tab::Mix => corpora_mix::csv(&corpora_mix::load(&app, &frame).await?),
        _ => list_csv(&filtered(&frame, &app.store.subsets().await?)),
    };
    Ok(([(header::CONTENT_TYPE, "text/csv; charset=utf-8")], text).into_response())
}

/// `GET /corpora.json`: what the tab shows.
pub(crate) async fn json(State(app): State<App>, frame: Frame) -> Result<Response, WebError> {
    let items = match Tab::of(&frame) {
        Tab::Mix => serde_json::to_value(corpora_mix::json(&corpora_mix::load(&app, &frame).await?)),
        _ => {
            let subsets = app.store.subsets().await?;
            let shown: Vec<&Subset> =
                filtered(&frame, &subsets).into_iter().map(|found| &found.subset).collect();
            serde_json::to_value(shown)
        }
    };
    Ok(axum::Json(serde_json::json!({ "items": items.map_err(WebError::internal)? })).into_response())
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
    let runs = app.store.runs(RUNS).await?;
    let (models, mix) = match Tab::of(&frame) {
        Tab::Mix => (BTreeMap::new(), Some(corpora_mix::load(app, &frame).await?)),
        _ => (releases::models_out_of(app).await?, None),
    };
    let facts = Facts { subsets, runs, models };
    let mut page = page(frame, &facts, mix.as_ref());
    (page.notice, page.typed) = (notice, typed);
    Ok(page)
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

fn page(frame: Frame, facts: &Facts, mix: Option<&corpora_mix::Facts>) -> CorporaPage {
    let used = claims_of(&facts.runs);
    let mix = mix.map(|mix| corpora_mix::view(&frame, mix));
    let list = mix.is_none().then(|| list(&frame, facts, &used));
    let current = Tab::of(&frame);
    let tab = |tab: Tab| Choice {
        label: frame.t(tab.label()).to_owned(),
        href: tab.href().to_owned(),
        current: tab == current,
    };
    let how = match (&mix, &list) {
        (Some(mix), _) => vec![format!("GET {}", mix.json)],
        (None, _) => ["sekisho corpus list", "GET /api/v1/corpora"].map(ToOwned::to_owned).to_vec(),
    };
    CorporaPage {
        how,
        alarms: alarms(&frame, &facts.subsets, &used),
        can_keep: frame
            .user
            .as_ref()
            .is_some_and(|user| user.has(Role::Admin) || corpora::KEEPERS.iter().any(|role| user.has(*role))),
        tabs: Tab::ALL.into_iter().map(tab).collect(),
        list,
        mix,
        notice: None,
        typed: String::new(),
        frame,
    }
}

/// The subsets that tab and filter ask for, the last changed first.
fn filtered<'s>(frame: &Frame, subsets: &'s [RegisteredSubset]) -> Vec<&'s RegisteredSubset> {
    let is = |name: &str, value: Option<&str>| {
        frame.param(name).is_none_or(|wanted| wanted.is_empty() || wanted == value.unwrap_or("none"))
    };
    let is_synthetic = Tab::of(frame) == Tab::Synthetic;
    let wanted = |found: &&RegisteredSubset| {
        let subset = &found.subset;
        (!is_synthetic || subset.generator.is_some())
            && is("level", subset.level.map(Level::as_str))
            && is("language", subset.language.as_deref())
            && is("license", subset.license.as_deref())
    };
    let mut found: Vec<&RegisteredSubset> = subsets.iter().filter(wanted).collect();
    found.sort_by_key(|found| std::cmp::Reverse(found.updated));
    found
}

fn list(frame: &Frame, facts: &Facts, used: &BTreeMap<String, Vec<(&Run, Claim)>>) -> ListView {
    let tab = Tab::of(frame);
    let all = facts.subsets.iter().filter(|found| tab == Tab::List || found.subset.generator.is_some());
    let values = |of: fn(&Subset) -> Option<&String>| {
        let mut values: Vec<String> = all.clone().filter_map(|found| of(&found.subset).cloned()).collect();
        values.sort();
        values.dedup();
        values
    };
    let chosen = |name: &str| frame.param(name).unwrap_or_default().to_owned();
    let data = |kind: &str| Frame { path: format!("/corpora.{kind}"), ..frame.clone() }.with("", "");
    let row = |found: &RegisteredSubset| {
        let runs = used.get(&found.subset.id).map_or(0, Vec::len);
        row(frame, found, runs, facts.models.get(&found.subset.id).copied().unwrap_or_default())
    };
    ListView {
        is_synthetic: tab == Tab::Synthetic,
        level: chosen("level"),
        language: chosen("language"),
        languages: values(|subset| subset.language.as_ref()),
        license: chosen("license"),
        licenses: values(|subset| subset.license.as_ref()),
        rows: filtered(frame, &facts.subsets).into_iter().map(row).collect(),
        total: all.clone().count(),
        all: tab.href(),
        csv: data("csv"),
        json: data("json"),
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

fn row(frame: &Frame, found: &RegisteredSubset, runs: usize, models: usize) -> SubsetRow {
    let subset = found.subset.clone();
    let counted = |tokens: String| match &subset.tokenizer {
        Some(tokenizer) => {
            frame.lang.fill("corpora.counted", &[("tokens", &tokens), ("tokenizer", tokenizer)])
        }
        None => tokens,
    };
    let unlicensed = if subset.generator.is_some() { "corpora.no_license" } else { "corpora.not_synthetic" };
    SubsetRow {
        href: format!("/corpora/{}", encode(&subset.id)),
        level: Cell::of(subset.level.map(Level::as_str), frame.t("corpora.no_level")),
        language: Cell::of(subset.language.clone(), frame.t("corpora.not_given")),
        tokens: Cell::of(subset.tokens.map(|tokens| counted(tokens.short())), frame.t("corpora.not_given")),
        license: Cell::of(subset.license.clone(), frame.t("corpora.no_license")),
        generator: Cell::of(subset.generator.clone(), frame.t("corpora.not_synthetic")),
        generator_license: Cell::of(subset.generator_license.clone(), frame.t(unlicensed)),
        evidence: Evidence::of(frame, &subset),
        when: frame.when(found.updated),
        runs,
        models,
        subset,
    }
}

/// The list in the columns that are imported.
fn list_csv(subsets: &[&RegisteredSubset]) -> String {
    let head = "id,corpus,language,tokens,tokenizer,level,license,evidence,evidence_sha256,generator,generator_license";
    let text = |value: &Option<String>| quoted(value.as_deref().unwrap_or_default());
    let line = |found: &&RegisteredSubset| {
        let subset = &found.subset;
        let fields = [
            quoted(&subset.id),
            quoted(&subset.corpus),
            text(&subset.language),
            subset.tokens.map_or_else(String::new, |tokens| tokens.0.to_string()),
            text(&subset.tokenizer),
            subset.level.map_or_else(String::new, |level| level.to_string()),
            text(&subset.license),
            text(&subset.evidence),
            subset.evidence_sha256.map_or_else(String::new, |sha256| sha256.to_string()),
            text(&subset.generator),
            text(&subset.generator_license),
        ];
        fields.join(",")
    };
    let lines: Vec<String> = std::iter::once(head.to_owned()).chain(subsets.iter().map(line)).collect();
    lines.join("\n") + "\n"
}

#[cfg(test)]
pub(super) fn samples(frame: &Frame) -> Vec<String> {
    use super::fixtures;
    let facts = Facts {
        subsets: fixtures::subsets(),
        runs: vec![fixtures::run_facts(5).run],
        models: [("web-ja".to_owned(), 2)].into(),
    };
    let keeper = fixtures::user("ikeda", fixtures::id("ikeda"), &[Role::Contributor]);
    let signed_in = Frame { user: Some(keeper), csrf: "csrf_x".to_owned(), ..frame.clone() };
    let on = |query: &[(&str, &str)]| {
        let query = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Frame { path: "/corpora".to_owned(), query, ..frame.clone() }
    };
    let mut imported = page(signed_in, &facts, None);
    (imported.notice, imported.typed) = (Some("no < yes".to_owned()), "<text>".to_owned());
    let (mix, nothing) = (fixtures::mixes(), corpora_mix::Facts::default());
    [
        imported,
        page(frame.clone(), &Facts::default(), None),
        page(on(&[("tab", "synthetic")]), &facts, None),
        page(on(&[("tab", "synthetic"), ("license", "other")]), &facts, None),
        page(on(&[("tab", "synthetic")]), &Facts::default(), None),
        page(on(&[("tab", "mix")]), &facts, Some(&mix)),
        page(on(&[("tab", "mix")]), &facts, Some(&nothing)),
    ]
    .map(|page| page.render().expect("renders"))
    .to_vec()
}

#[cfg(test)]
mod tests {
    use sekisho_domain::Language;

    use super::super::fixtures;
    use super::*;

    fn on(query: &[(&str, &str)]) -> Frame {
        let query = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Frame { query, ..fixtures::frame(Language::En, "/corpora") }
    }

    #[test]
    fn tab_and_filter_choose_the_subsets_and_the_last_changed_stands_first() {
        let mut subsets = fixtures::subsets();
        subsets[1].updated = subsets[0].updated.plus_seconds(60);
        let ids = |query: &[(&str, &str)]| -> Vec<&str> {
            filtered(&on(query), &subsets).iter().map(|found| found.subset.id.as_str()).collect()
        };
        assert_eq!(ids(&[]), ["new <ja>", "web-ja"]);
        assert_eq!(ids(&[("level", ""), ("license", "")]), ["new <ja>", "web-ja"], "an empty filter is none");
        assert_eq!(ids(&[("tab", "synthetic")]), ["web-ja"], "what a model wrote");
        assert_eq!(ids(&[("license", "LicenseRef-crawl")]), ["web-ja"]);
        assert_eq!(ids(&[("level", "none")]), ["new <ja>"]);
        assert_eq!(ids(&[("tab", "nonsense")]).len(), 2);
    }

    #[test]
    fn the_csv_is_what_an_import_takes() {
        let subsets = fixtures::subsets();
        let text = list_csv(&filtered(&on(&[]), &subsets));
        let read = corpora::read(Format::Csv, "list.csv", &text).expect("what was written is read");
        let mut kept: Vec<Subset> = subsets.into_iter().map(|found| found.subset).collect();
        kept.sort_by(|a, b| a.id.cmp(&b.id));
        let mut read = read;
        read.sort_by(|a, b| a.id.cmp(&b.id));
        assert_eq!(read, kept);
    }
}
