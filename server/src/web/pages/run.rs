//! `/runs/{run}`: where a run stands, its curves, its checkpoints and what happened to it.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use askama::Template;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use sekisho_bench::Catalog;
use sekisho_domain::evaluation::TaskRun;
use sekisho_domain::run::{KeptEvent, MetricRow, Planned, RunState, Segment};
use sekisho_domain::{Step, Tokens};
use sekisho_store::Run;

use super::axis::{Against, Ground};
use super::parts::{self, Cell, Choice, Figure, Readout, ScoreCell, SortHead, When};
use super::run_curves::Curves;
use super::run_events::EventRow;
use super::run_plan::PlanView;
use super::scored::{self, Mean, Scored};
use super::{run_events, run_readouts};
use crate::service::comparisons::{self, Comparison, Primary};
use crate::service::lineage::{self, Fork};
use crate::service::{corpora, evaluations, runs};
use crate::web::format;
use crate::web::frame::Frame;
use crate::web::i18n::Words as _;
use crate::{App, WebError};

#[derive(Template)]
#[template(path = "runs/run.html")]
struct RunPage {
    frame: Frame,
    how: Vec<String>,
    run: RunView,
}

/// The part that is fetched again when something changes.
#[derive(Template)]
#[template(path = "runs/run.html", block = "live")]
struct RunLive {
    frame: Frame,
    run: RunView,
}

/// Everything that the page is made from.
pub(super) struct Facts {
    pub(super) run: Run,
    /// The suite whose scores are shown.
    pub(super) suite: String,
    /// How the newest complete mean differs from the one before it, where both may be compared.
    pub(super) change: Option<Comparison>,
    pub(super) rows: Vec<MetricRow>,
    pub(super) events: Vec<KeptEvent>,
    pub(super) segments: Vec<Segment>,
    /// Newest first.
    pub(super) plans: Vec<Planned>,
    /// The run that it goes on from, with the rows up to there.
    pub(super) fork: Option<(Fork, Vec<MetricRow>)>,
    /// Runs that go on from it.
    pub(super) branches: Vec<Run>,
    /// By step.
    pub(super) scored: Vec<Scored>,
}

struct RunView {
    name: String,
    state: RunState,
    topics: String,
    alarm: Option<String>,
    readouts: Vec<Readout>,
    axes: Vec<Choice>,
    /// This stage alone, or with those before; empty for a run that starts from scratch.
    stages: Vec<Choice>,
    /// Address and words of the fork.
    parent: Option<(String, String)>,
    branches: Vec<(String, String)>,
    loss: Figure,
    mean: Figure,
    small: Vec<Figure>,
    /// `n = 300`, under the head of the means.
    mean_note: String,
    heads: Vec<SortHead>,
    checkpoints: Vec<CheckpointRow>,
    events: Vec<EventRow>,
    plan: PlanView,
    spec: Option<String>,
    spec_digest: Option<String>,
}

struct CheckpointRow {
    href: String,
    id: String,
    step: String,
    tokens: String,
    state: &'static str,
    digest: Cell,
    mean: ScoreCell,
    change: ScoreCell,
    scores: Vec<ScoreCell>,
    when: When,
    refusal: Option<String>,
}

/// `GET /runs/{run}?x=tokens-log|tokens|steps`; with `part=live` only what changes.
pub(crate) async fn show(
    State(app): State<App>,
    frame: Frame,
    Path(key): Path<String>,
) -> Result<Response, WebError> {
    let run = frame.shown(&app, runs::find(&app, &key).await?).await?;
    let mut checkpoints = app.store.checkpoints_of_run(run.id).await?;
    checkpoints.sort_by_key(|c| c.step);
    let suite = evaluations::suite_of(&app, &run).to_owned();
    let scored = Scored::load_all(&app, checkpoints, &suite).await?;
    let change = match last_two(&scored) {
        Some((before, last)) => comparisons::paired(&app, &before, &last).await?,
        None => None,
    };
    let facts = Facts {
        rows: app.store.metrics(run.id).await?,
        events: app.store.events(run.id).await?,
        segments: app.store.segments(run.id).await?,
        plans: app.store.plans(run.id).await?,
        fork: forked(&app, &run).await?,
        branches: frame.named(&app, app.store.branches_of(&run).await?).await?,
        run,
        suite,
        change,
        scored,
    };
    let run = view(&frame, &app.catalog, &facts);
    if frame.param("part") == Some("live") {
        return parts::page(&RunLive { frame, run });
    }
    let how = how(&facts.run);
    parts::page(&RunPage { frame, how, run })
}

/// Where the run leaves another one, and that one's rows up to there.
async fn forked(app: &App, run: &Run) -> Result<Option<(Fork, Vec<MetricRow>)>, WebError> {
    let Some(fork) = lineage::fork(app, run).await? else { return Ok(None) };
    let rows = app.store.metrics_between(fork.parent.id, Step(0), fork.step).await?;
    Ok(Some((fork, rows)))
}

/// The primary scores of the two newest complete evaluations, if they were made under the same settings.
fn last_two(scored: &[Scored]) -> Option<(Primary, Primary)> {
    let mut complete = scored.iter().rev().filter_map(|s| Some((s, s.primary()?)));
    let ((last, last_scores), (before, before_scores)) = (complete.next()?, complete.next()?);
    (last.settings() == before.settings()).then_some((before_scores, last_scores))
}

fn how(run: &Run) -> Vec<String> {
    vec![format!("sekisho run show {}", run.name), format!("GET /api/v1/runs/{}", run.name)]
}

fn view(frame: &Frame, catalog: &Catalog, facts: &Facts) -> RunView {
    let against = Against::of(frame.param("x"));
    let is_whole = frame.param("stage") == Some("all");
    let mut ground = Ground::of(&facts.rows, &facts.segments, parameters(facts));
    if let Some((fork, _)) = facts.fork.as_ref().filter(|_| is_whole) {
        ground = ground.after(Tokens(fork.before.0 + fork.tokens.0), steps_before(facts));
    }
    let offered = Against::ALL.into_iter().filter(|axis| ground.offers(*axis));
    let axes = offered.map(|axis| axis_choice(frame, axis, against)).collect();
    let against = if ground.offers(against) { against } else { Against::default() };
    let curves = Curves { frame, catalog, facts, against, ground, is_whole };
    let tasks = scored::tasks(facts.scored.iter().rev());
    let newest_mean = facts.scored.iter().rev().filter_map(Scored::mean).find(Mean::is_complete);
    RunView {
        name: facts.run.name.clone(),
        state: facts.run.state,
        topics: format!("run:{}", facts.run.id),
        alarm: run_readouts::alarm(frame, facts),
        readouts: run_readouts::readouts(frame, facts),
        axes,
        stages: stages(frame, facts, is_whole),
        parent: facts.fork.as_ref().map(|(fork, _)| parent(frame, fork)),
        branches: facts
            .branches
            .iter()
            .map(|run| (format!("/runs/{}", run.name), run.name.clone()))
            .collect(),
        loss: curves.loss(),
        mean: curves.mean(),
        small: curves.tasks(&tasks).into_iter().chain(curves.metrics()).collect(),
        mean_note: newest_mean.map_or_else(String::new, |mean| format!("n = {}", format::count(mean.n))),
        heads: tasks.iter().map(|run| head(frame, catalog, facts, run)).collect(),
        checkpoints: checkpoint_rows(frame, facts, &tasks),
        events: run_events::rows(frame, &facts.run.name, &facts.events),
        plan: PlanView::of(frame, facts),
        spec: facts.run.spec.as_ref().and_then(|spec| serde_json::to_string_pretty(spec).ok()),
        spec_digest: facts.run.spec_digest.map(|d| d.to_string()),
    }
}

/// Updates before the first of this stage: a child counts on from its parent's unless it says otherwise, and then they are in its own.
fn steps_before(facts: &Facts) -> Step {
    let resets = facts.run.spec.as_ref().is_some_and(|spec| spec["parent"]["reset_steps"] == true);
    facts.fork.as_ref().filter(|_| resets).map_or(Step(0), |(fork, _)| fork.step)
}

fn stages(frame: &Frame, facts: &Facts, is_whole: bool) -> Vec<Choice> {
    if facts.fork.is_none() {
        return Vec::new();
    }
    let choice = |key, value: &str, current| Choice {
        label: frame.t(key).to_owned(),
        href: frame.with("stage", value),
        current,
    };
    vec![choice("run.this_stage", "", !is_whole), choice("run.all_stages", "all", is_whole)]
}

fn parent(frame: &Frame, fork: &Fork) -> (String, String) {
    let values: [(&str, &dyn std::fmt::Display); 3] =
        [("run", &fork.parent.name), ("step", &fork.step), ("tokens", &fork.tokens.short())];
    (format!("/runs/{}", fork.parent.name), frame.lang.fill("run.leaves", &values))
}

/// Parameters of the model, as its newest examined checkpoint has them.
fn parameters(facts: &Facts) -> Option<u64> {
    facts.scored.iter().rev().find_map(|scored| Some(scored.checkpoint.verification.as_ref()?.parameters))
}

fn axis_choice(frame: &Frame, axis: Against, current: Against) -> Choice {
    let value = if axis == Against::default() { "" } else { axis.code() };
    Choice {
        label: axis.label(frame.lang).to_owned(),
        href: frame.with("x", value),
        current: axis == current,
    }
}

fn head(frame: &Frame, catalog: &Catalog, facts: &Facts, run: &TaskRun) -> SortHead {
    let newest = facts.scored.iter().rev().find_map(|s| s.score(run).ok());
    SortHead {
        label: run.task.clone(),
        sub: newest.map_or_else(String::new, |row| parts::head_note(&row.entry)),
        title: format!("{} ({})", scored::title(frame.lang, catalog, run), parts::run_note(frame.lang, run)),
        href: String::new(),
        sorted: "",
    }
}

/// Newest first, each with its difference to the one before it.
fn checkpoint_rows(frame: &Frame, facts: &Facts, tasks: &[TaskRun]) -> Vec<CheckpointRow> {
    let lang = frame.lang;
    let row = |(i, s): (usize, &Scored)| CheckpointRow {
        href: format!("/checkpoints/{}", s.checkpoint.id),
        id: s.checkpoint.id.to_string(),
        step: s.checkpoint.step.to_string(),
        tokens: s.checkpoint.tokens.short(),
        state: s.checkpoint.state.as_str(),
        digest: Cell::of(
            s.checkpoint.verification.as_ref().map(|v| v.digest.short()),
            lang.t("missing.unverified"),
        ),
        mean: s.mean_cell(lang),
        change: change(frame, &facts.scored[..i], s),
        scores: tasks.iter().map(|run| task_cell(frame, s, run)).collect(),
        when: frame.when(s.checkpoint.created),
        refusal: s.checkpoint.refusal.as_ref().map(|refusal| refusal.get(lang).to_owned()),
    };
    facts.scored.iter().enumerate().rev().map(row).collect()
}

/// The difference of a complete mean to the last complete one before it, unless that was made under other settings.
fn change(frame: &Frame, before: &[Scored], scored: &Scored) -> ScoreCell {
    let complete = |s: &Scored| s.mean().filter(Mean::is_complete);
    let Some(own) = complete(scored) else {
        return ScoreCell::missing(frame.t("missing.incomplete"));
    };
    match before.iter().rev().find_map(|s| Some((s, complete(s)?))) {
        None => ScoreCell::missing(frame.t("missing.first")),
        Some((last, _)) if last.settings() != scored.settings() => {
            ScoreCell::missing(frame.t("missing.other_settings"))
        }
        Some((_, mean)) => ScoreCell::plain(format::difference(own.value - mean.value)),
    }
}

fn task_cell(frame: &Frame, scored: &Scored, run: &TaskRun) -> ScoreCell {
    match scored.score(run) {
        Ok(row) => ScoreCell {
            href: Some(format!("/evals/{}/samples?work={}", row.evaluation, row.work)),
            ..ScoreCell::of(frame.lang, &row.entry)
        },
        Err(state) => ScoreCell::missing(parts::missing_reason(frame.lang, state)),
    }
}

/// `GET /runs/{run}/metrics.csv`: every row.
pub(crate) async fn metrics_csv(
    State(app): State<App>,
    frame: Frame,
    Path(key): Path<String>,
) -> Result<Response, WebError> {
    let run = frame.shown(&app, runs::find(&app, &key).await?).await?;
    let rows = app.store.metrics(run.id).await?;
    corpora::may_use(&app, run).await?;
    Ok(([(header::CONTENT_TYPE, "text/csv; charset=utf-8")], csv(&rows)).into_response())
}

/// Every metric row as CSV; an absent value is an empty field. The names that the trainer gave follow ours.
fn csv(rows: &[MetricRow]) -> String {
    let more: BTreeSet<&String> = rows.iter().flat_map(|row| row.more.keys()).collect();
    let own = ["loss", "ce", "z_loss", "lr", "grad_norm", "seconds"];
    let names: Vec<&str> = own.into_iter().chain(more.into_iter().map(String::as_str)).collect();
    let mut out = format!("step,tokens,{}\n", names.join(","));
    for row in rows {
        let field = |name: &&str| row.get(name).map_or_else(String::new, |value| value.to_string());
        let fields: Vec<String> = names.iter().map(field).collect();
        let _ = writeln!(out, "{},{},{}", row.step.0, row.tokens.0, fields.join(","));
    }
    out
}

#[cfg(test)]
pub(super) fn samples(frame: &Frame) -> Vec<String> {
    use super::fixtures;
    let catalog = Catalog::builtin();
    let page = |facts: &Facts| {
        let page = RunPage { frame: frame.clone(), how: how(&facts.run), run: view(frame, &catalog, facts) };
        page.render().expect("renders")
    };
    let mut fresh = fixtures::run_facts(0);
    fresh.rows.clear();
    fresh.events.clear();
    fresh.segments.clear();
    fresh.plans.clear();
    let live = RunLive { frame: frame.clone(), run: view(frame, &catalog, &fixtures::run_facts(5)) };
    let fragment = live.render().expect("renders");
    assert!(fragment.trim_start().starts_with("<div id=\"live\""), "{}", &fragment[..200]);
    let mut child = fixtures::run_facts(3);
    let fork = Fork {
        parent: Run { name: "v4-8b-base".to_owned(), ..child.run.clone() },
        step: Step(30_000),
        tokens: Tokens(251_658_240_000),
        before: Tokens(0),
    };
    child.fork = Some((fork, child.rows[..300].to_vec()));
    child.branches = vec![Run { name: "v4-8b-decay <1>".to_owned(), ..child.run.clone() }];
    let whole = Frame { query: vec![("stage".to_owned(), "all".to_owned())], ..frame.clone() };
    let child = RunPage { how: how(&child.run), run: view(&whole, &catalog, &child), frame: whole };
    let child = child.render().expect("renders");
    assert!(child.contains("v4-8b-base"), "the curve hangs off its parent's");
    vec![page(&fixtures::run_facts(5)), page(&fresh), child]
}
