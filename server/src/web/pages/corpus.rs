//! `/corpora/{subset}`: one subset, its history, what used it, and what a change of level would mean.

use askama::Template;
use axum::Form;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use sekisho_domain::Tokens;
use sekisho_domain::corpus::Subset;
use sekisho_domain::lineage::Level;
use sekisho_domain::user::Role;
use sekisho_store::{RegisteredSubset, Release, SubsetChange};
use serde::Deserialize;

use super::compare_figures::stage;
use super::parts::{self, Cell, Evidence, When};
use crate::service::corpora::{self, Effects, ReleaseEffect, RunUse};
use crate::service::releases;
use crate::web::format;
use crate::web::frame::{Frame, encode};
use crate::web::i18n::Words as _;
use crate::{App, Viewer, WebError};

#[derive(Template)]
#[template(path = "corpora/corpus.html")]
struct CorpusPage {
    frame: Frame,
    how: Vec<String>,
    id: String,
    path: String,
    level: String,
    /// What the level permits, in one sentence.
    permits: &'static str,
    facts: Vec<(&'static str, Cell)>,
    evidence: Evidence,
    history: Vec<HistoryRow>,
    runs: Vec<RunRow>,
    /// Releases that are out.
    models: Vec<ModelRow>,
    can_keep: bool,
    version: u64,
    /// What would come of another level.
    preview: Option<Preview>,
    notice: Option<String>,
    reason: String,
}

struct HistoryRow {
    when: When,
    who: String,
    what: String,
    evidence: Evidence,
    reason: String,
}

struct RunRow {
    name: String,
    state: &'static str,
    /// What the run is: pre-training, a branch, training from weights that were there.
    stage: &'static str,
    through: Cell,
    tokens: Cell,
    repeats: Cell,
    claimed: Cell,
}

struct ModelRow {
    href: String,
    name: String,
    state: &'static str,
    when: When,
}

struct Preview {
    level: Level,
    permits: &'static str,
    summary: String,
    releases: Vec<ReleaseRow>,
}

struct ReleaseRow {
    href: String,
    name: String,
    state: &'static str,
    tokens: Cell,
    now: &'static str,
    then: &'static str,
    /// What becomes of it.
    what: &'static str,
}

/// What the form sends.
#[derive(Deserialize)]
pub(crate) struct Change {
    csrf: String,
    version: u64,
    level: Level,
    #[serde(default)]
    reason: String,
}

/// `GET /corpora/{subset}?level=LX`: with a level, what changing to it would mean.
pub(crate) async fn show(
    State(app): State<App>,
    frame: Frame,
    Path(id): Path<String>,
) -> Result<Response, WebError> {
    parts::page(&load(&app, frame, &id, None, String::new()).await?)
}

/// `POST /corpora/{subset}/level`.
pub(crate) async fn change_level(
    State(app): State<App>,
    frame: Frame,
    viewer: Viewer,
    Path(id): Path<String>,
    Form(form): Form<Change>,
) -> Result<Response, WebError> {
    let actor = viewer.form_actor(&form.csrf)?;
    let changed = corpora::change_level(&app, actor, &id, form.version, form.level, &form.reason).await;
    let path = format!("/corpora/{}", encode(&id));
    match changed {
        Ok(_) => Ok(Redirect::to(&path).into_response()),
        Err(error) => {
            let query = vec![("level".to_owned(), form.level.to_string())];
            let frame = Frame { path, query, ..frame };
            let notice = super::error::told(frame.lang, &error);
            let page = load(&app, frame, &id, Some(notice), form.reason).await?;
            Ok((error.status, parts::page(&page)?).into_response())
        }
    }
}

async fn load(
    app: &App,
    frame: Frame,
    id: &str,
    notice: Option<String>,
    reason: String,
) -> Result<CorpusPage, WebError> {
    let found = corpora::find(app, id).await?;
    let history = app.store.subset_changes(id).await?;
    let wanted = frame.param("level").and_then(|level| level.parse::<Level>().ok());
    let (runs, effects) = match wanted.filter(|level| Some(*level) != found.subset.level) {
        Some(level) => {
            let effects = corpora::effects(app, &found, level).await?;
            (effects.runs.clone(), Some((level, effects)))
        }
        None => (corpora::runs_that_used(app, id).await?, None),
    };
    let models = releases::out_of(app, id).await?;
    let mut page = page(frame, &found, &history, runs, effects);
    page.models = models.iter().map(|release| model_row(&page.frame, release)).collect();
    (page.notice, page.reason) = (notice, reason);
    Ok(page)
}

fn page(
    frame: Frame,
    found: &RegisteredSubset,
    history: &[SubsetChange],
    runs: Vec<RunUse>,
    effects: Option<(Level, Effects)>,
) -> CorpusPage {
    let subset = &found.subset;
    let level = subset.level.map_or("none", |level| level.as_str());
    CorpusPage {
        how: vec![
            format!("sekisho corpus show {}", subset.id),
            format!("GET /api/v1/corpora/{}", encode(&subset.id)),
        ],
        id: subset.id.clone(),
        path: format!("/corpora/{}", encode(&subset.id)),
        level: level.to_owned(),
        permits: frame.word("level_permits", level),
        facts: facts(&frame, found),
        evidence: Evidence::of(&frame, subset),
        history: history_rows(&frame, subset, history),
        models: Vec::new(),
        runs: runs.into_iter().map(|used| run_row(&frame, used)).collect(),
        can_keep: frame
            .user
            .as_ref()
            .is_some_and(|user| user.has(Role::Admin) || corpora::KEEPERS.iter().any(|role| user.has(*role))),
        version: found.version,
        preview: effects.map(|(level, effects)| preview(&frame, level, effects)),
        notice: None,
        reason: String::new(),
        frame,
    }
}

fn facts(frame: &Frame, found: &RegisteredSubset) -> Vec<(&'static str, Cell)> {
    let subset = &found.subset;
    let given = |value: &Option<String>, missing: &str| Cell::of(value.clone(), frame.t(missing));
    let tokens = subset.tokens.map(|tokens| format!("{tokens} ({})", tokens.short()));
    let unlicensed = if subset.generator.is_some() { "corpora.no_license" } else { "corpora.not_synthetic" };
    let digest = subset.evidence_sha256.map(|sha256| sha256.to_string());
    vec![
        (frame.t("corpora.corpus"), Cell::from(subset.corpus.clone())),
        (frame.t("corpora.language"), given(&subset.language, "corpora.not_given")),
        (frame.t("corpora.tokens"), Cell::of(tokens, frame.t("corpora.not_given"))),
        (frame.t("corpora.tokenizer"), given(&subset.tokenizer, "corpora.not_given")),
        (frame.t("release.license"), given(&subset.license, "corpora.no_license")),
        (frame.t("corpora.generator"), given(&subset.generator, "corpora.not_synthetic")),
        (frame.t("corpora.generator_license"), given(&subset.generator_license, unlicensed)),
        (frame.t("corpora.evidence_sha256"), Cell::of(digest, frame.t("corpora.no_evidence"))),
    ]
}

/// The last change first.
fn history_rows(frame: &Frame, subset: &Subset, history: &[SubsetChange]) -> Vec<HistoryRow> {
    // What a change made of the subset is what the next one found.
    let after = history.iter().skip(1).map(|next| next.before.as_ref()).chain([Some(subset)]);
    let row = |(change, after): (&SubsetChange, Option<&Subset>)| {
        history_row(frame, change, after.unwrap_or(subset))
    };
    let mut rows: Vec<HistoryRow> = history.iter().zip(after).map(row).collect();
    rows.reverse();
    rows
}

fn history_row(frame: &Frame, change: &SubsetChange, after: &Subset) -> HistoryRow {
    let of = |level: Option<Level>| level.map_or(frame.t("corpora.no_level"), |level| level.as_str());
    let before = change.before.as_ref();
    HistoryRow {
        when: frame.when(change.at),
        who: change.user_name.clone(),
        what: match before {
            None => frame.lang.fill("corpora.registered", &[("level", &of(change.level))]),
            Some(before) if before.level == after.level => changed(frame, before, after),
            Some(before) => format!("{} → {}", of(before.level), of(after.level)),
        },
        evidence: Evidence::of(frame, after),
        reason: if change.reason == "import" {
            frame.t("corpora.by_import").to_owned()
        } else {
            change.reason.clone()
        },
    }
}

/// `license: CC0-1.0 → CC-BY-4.0`: which fields an import replaced.
fn changed(frame: &Frame, before: &Subset, after: &Subset) -> String {
    let or_none = |text: String| if text.is_empty() { frame.t("corpora.nothing").to_owned() } else { text };
    let fields: Vec<String> = before
        .differences(after)
        .into_iter()
        .map(|(field, from, to)| format!("{field}: {} → {}", or_none(from), or_none(to)))
        .collect();
    if fields.is_empty() {
        frame.t("corpora.changed").to_owned()
    } else {
        fields.join(frame.t("common.comma"))
    }
}

fn model_row(frame: &Frame, release: &Release) -> ModelRow {
    ModelRow {
        href: format!("/releases/{}", release.id),
        name: release.name.clone(),
        state: release.state.as_str(),
        when: frame.when(release.updated),
    }
}

fn run_row(frame: &Frame, used: RunUse) -> RunRow {
    RunRow {
        state: used.run.state.as_str(),
        stage: frame.t(stage(&used.run)),
        through: Cell::of(used.through, frame.t("corpora.directly")),
        tokens: Cell::of(used.tokens.map(Tokens::short), frame.t("corpora.not_counted")),
        repeats: Cell::of(used.repeats.map(|times| format!("×{times:.2}")), frame.t("mix.no_size")),
        claimed: Cell::of(used.claimed, frame.t("corpora.not_claimed")),
        name: used.run.name,
    }
}

fn preview(frame: &Frame, level: Level, effects: Effects) -> Preview {
    let (runs, checkpoints) = (effects.runs.len(), effects.checkpoints);
    let (open, published) = (effects.open.len(), effects.published.len());
    let count = |n: usize| format::count(n as u64);
    let summary = frame.lang.fill(
        "corpora.effects",
        &[
            ("runs", &count(runs)),
            ("checkpoints", &count(checkpoints)),
            ("open", &count(open)),
            ("published", &count(published)),
        ],
    );
    let open = effects.open.into_iter().map(|effect| release_row(frame, effect, false));
    let published = effects.published.into_iter().map(|effect| release_row(frame, effect, true));
    Preview {
        permits: frame.word("level_permits", level),
        releases: open.chain(published).collect(),
        level,
        summary,
    }
}

fn release_row(frame: &Frame, effect: ReleaseEffect, is_out: bool) -> ReleaseRow {
    let verdict = |allowed: bool| if allowed { "allowed" } else { "refused" };
    let what = match (effect.allowed_now == effect.allowed_then, is_out) {
        (true, _) => "corpora.stays",
        (false, true) => "corpora.stays_out",
        (false, false) => "corpora.judged_again",
    };
    ReleaseRow {
        href: format!("/releases/{}", effect.release.id),
        name: effect.release.name,
        state: effect.release.state.as_str(),
        tokens: Cell::of(effect.tokens.map(Tokens::short), frame.t("corpora.not_in_lineage")),
        now: verdict(effect.allowed_now),
        then: verdict(effect.allowed_then),
        what: frame.t(what),
    }
}

#[cfg(test)]
pub(super) fn samples(frame: &Frame) -> Vec<String> {
    use super::fixtures;
    let found = &fixtures::subsets()[0];
    let bare = &fixtures::subsets()[1];
    let change = |before: Option<&RegisteredSubset>, reason: &str| SubsetChange {
        user_name: "ikeda".to_owned(),
        level: found.subset.level,
        before: before.map(|found| found.subset.clone()),
        reason: reason.to_owned(),
        at: frame.now,
    };
    let history = [change(None, "import"), change(Some(bare), "<asked>"), change(Some(found), "import")];
    let run = fixtures::run_facts(5).run;
    let used = |through: Option<&str>| RunUse {
        run: run.clone(),
        through: through.map(ToOwned::to_owned),
        claimed: None,
        tokens: None,
        repeats: through.map(|_| 0.25),
    };
    let effect = |allowed_now| ReleaseEffect {
        release: fixtures::release(),
        tokens: Some(Tokens(90_000_000_000)),
        allowed_now,
        allowed_then: false,
    };
    let effects = Effects {
        runs: vec![used(None)],
        checkpoints: 12,
        open: vec![effect(true)],
        published: vec![effect(true), effect(false)],
    };
    let keeper = fixtures::user("ikeda", fixtures::id("ikeda"), &[Role::Contributor]);
    let signed_in = Frame { user: Some(keeper), csrf: "csrf_x".to_owned(), ..frame.clone() };
    let mut out = page(frame.clone(), bare, &history[..1], Vec::new(), None);
    out.models = vec![model_row(frame, &fixtures::release())];
    [
        out,
        page(signed_in, found, &history, vec![used(None), used(Some("v3"))], Some((Level::LX, effects))),
        page(frame.clone(), bare, &history[..1], Vec::new(), None),
    ]
    .map(|page| page.render().expect("renders"))
    .to_vec()
}

#[cfg(test)]
mod tests {
    use sekisho_domain::Language;

    use super::super::fixtures;
    use super::*;

    #[test]
    fn the_history_says_what_each_change_made_of_the_subset() {
        let frame = fixtures::frame(Language::En, "/corpora/web-ja");
        let now = fixtures::subsets().remove(0).subset;
        let first = Subset { level: Some(Level::L1), license: None, evidence: None, ..now.clone() };
        let second = Subset { level: Some(Level::L1), ..now.clone() };
        let change = |before: Option<&Subset>, level, reason: &str| SubsetChange {
            user_name: "ikeda".to_owned(),
            level,
            before: before.cloned(),
            reason: reason.to_owned(),
            at: frame.now,
        };
        let history = [
            change(None, first.level, "import"),
            change(Some(&first), second.level, "import"),
            change(Some(&second), now.level, "asked"),
        ];
        let rows = history_rows(&frame, &now, &history);
        let what: Vec<&str> = rows.iter().map(|row| row.what.as_str()).collect();
        assert_eq!(
            what,
            [
                "L1 → L3",
                "license: nothing → LicenseRef-crawl, evidence: nothing → letter <1>.pdf",
                "registered (L1)"
            ]
        );
        assert_eq!(
            rows.iter().map(|row| row.reason.as_str()).collect::<Vec<_>>(),
            ["asked", "import", "import"]
        );
        let none = Evidence::of(&frame, &first);
        assert!(rows[2].evidence == none && rows[1].evidence != none, "the evidence of its time");
    }
}
