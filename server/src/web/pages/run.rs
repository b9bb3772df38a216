//! `/runs/{run}`: where a run stands, its curves, its checkpoints and what happened to it.

use std::fmt::Write as _;

use askama::Template;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use sekisho_bench::Catalog;
use sekisho_domain::evaluation::TaskRun;
use sekisho_domain::run::{MetricRow, RunEvent, RunState};
use sekisho_store::Run;

use super::axis::Against;
use super::parts::{self, Cell, Choice, Figure, Readout, ScoreCell, SortHead, When};
use super::run_curves::Curves;
use super::scored::{self, Mean, Scored};
use crate::service::comparisons::{self, Comparison, Primary};
use crate::service::{corpora, evaluations, runs};
use crate::web::format;
use crate::web::frame::Frame;
use crate::web::i18n::Words as _;
use crate::{App, WebError};

/// Rows that speed is measured over.
const SPEED_ROWS: usize = 50;
/// A run that has not reported for three usual steps, and at least for ten minutes, has stalled.
const STALL_SECONDS: f64 = 600.0;

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
    pub(super) events: Vec<RunEvent>,
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
    loss: Figure,
    mean: Figure,
    small: Vec<Figure>,
    /// `n = 300`, under the head of the means.
    mean_note: String,
    heads: Vec<SortHead>,
    checkpoints: Vec<CheckpointRow>,
    events: Vec<EventRow>,
    spec: Option<String>,
    spec_digest: Option<String>,
}

struct CheckpointRow {
    href: String,
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

struct EventRow {
    when: Option<When>,
    step: String,
    kind: &'static str,
    note: String,
}

/// `GET /runs/{run}?x=tokens-log|tokens|steps`; with `part=live` only what changes.
pub(crate) async fn show(
    State(app): State<App>,
    frame: Frame,
    Path(key): Path<String>,
) -> Result<Response, WebError> {
    let run = runs::find(&app, &key).await?;
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
    let curves = Curves { frame, catalog, facts, against };
    let tasks = scored::tasks(facts.scored.iter().rev());
    let newest_mean = facts.scored.iter().rev().filter_map(Scored::mean).find(Mean::is_complete);
    RunView {
        name: facts.run.name.clone(),
        state: facts.run.state,
        topics: format!("run:{}", facts.run.id),
        alarm: alarm(frame, facts),
        readouts: readouts(frame, facts),
        axes: Against::ALL.into_iter().map(|a| axis_choice(frame, a, against)).collect(),
        loss: curves.loss(),
        mean: curves.mean(),
        small: curves.tasks(&tasks).into_iter().chain(curves.metrics()).collect(),
        mean_note: newest_mean.map_or_else(String::new, |mean| format!("n = {}", format::count(mean.n))),
        heads: tasks.iter().map(|run| head(frame, catalog, facts, run)).collect(),
        checkpoints: checkpoint_rows(frame, facts, &tasks),
        events: event_rows(frame, facts),
        spec: facts.run.spec.as_ref().and_then(|spec| serde_json::to_string_pretty(spec).ok()),
        spec_digest: facts.run.spec_digest.map(|d| d.to_string()),
    }
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

fn alarm(frame: &Frame, facts: &Facts) -> Option<String> {
    let silent = frame.now.seconds_since(facts.run.updated);
    let usual = seconds_per_step(&facts.rows).unwrap_or(0.0);
    let stalled = facts.run.state == RunState::Running && silent > STALL_SECONDS.max(3.0 * usual);
    stalled.then(|| {
        let silent = format::duration(frame.lang, silent);
        frame.lang.fill("run.stalled", &[("duration", &silent), ("step", &facts.run.step)])
    })
}

fn readouts(frame: &Frame, facts: &Facts) -> Vec<Readout> {
    let (lang, run) = (frame.lang, &facts.run);
    let plain = |value: String| (value, String::new());
    let speed = tokens_per_second(&facts.rows);
    let last = facts.scored.last().map(|s| &s.checkpoint);
    let received = last.map(|c| (frame.ago(&c.created), lang.fill("run.at_step", &[("step", &c.step)])));
    let mean = facts.scored.iter().rev().find_map(Scored::mean).map(|mean| {
        let interval = mean.interval.map(|(low, high)| format::interval(low, high));
        let tasks = || lang.fill("score.tasks_done", &[("done", &mean.done), ("of", &mean.of)]);
        (format::score(mean.value), interval.unwrap_or_else(tasks))
    });
    let loss = run.loss.map(|loss| (format::loss(loss), loss_change(frame, &facts.rows)));
    let mut readouts = vec![
        progress(frame, run),
        Readout::new(lang.t("run.step"), run.step.to_string(), ""),
        Readout::of(lang.t("run.loss"), loss, lang.t("missing.not_reported")),
        Readout::of(
            lang.t("run.speed"),
            speed.map(|s| plain(format::throughput(lang, s))),
            lang.t("missing.few_reports"),
        ),
        Readout::of(lang.t("run.last_checkpoint"), received, lang.t("missing.no_checkpoint")),
        Readout::of(lang.t("run.last_mean"), mean, lang.t("missing.not_evaluated")),
    ];
    if let (RunState::Running, Some(planned), Some(speed)) = (run.state, run.planned_tokens, speed) {
        let seconds = planned.0.saturating_sub(run.tokens.0) as f64 / speed;
        let end = run.updated.plus_seconds(seconds as i64);
        readouts.push(Readout::new(lang.t("run.forecast"), frame.stamp(&end), ""));
    }
    readouts
}

/// `500B / 3.5T（14.3%）`.
fn progress(frame: &Frame, run: &Run) -> Readout {
    let done = run.tokens.short();
    match run.planned_tokens {
        None => Readout::new(frame.t("run.tokens"), done, ""),
        Some(planned) => Readout {
            share: Some(run.tokens.0 as f64 / planned.0.max(1) as f64),
            ..Readout::new(
                frame.t("run.tokens"),
                format!("{done} / {}", planned.short()),
                format::percent(run.tokens.0 as f64, planned.0 as f64),
            )
        },
    }
}

/// Usual wall time of an update, over the last rows that carry times. A trainer may report only every so many updates, each row
/// with the time of its own update.
fn seconds_per_step(rows: &[MetricRow]) -> Option<f64> {
    let last = &rows[rows.len().saturating_sub(SPEED_ROWS)..];
    let times: Vec<f64> = last.iter().filter_map(|row| row.seconds).filter(|s| *s > 0.0).collect();
    (!times.is_empty()).then(|| times.iter().sum::<f64>() / times.len() as f64)
}

/// Training targets per second over the last rows.
fn tokens_per_second(rows: &[MetricRow]) -> Option<f64> {
    let last = &rows[rows.len().saturating_sub(SPEED_ROWS)..];
    let (first, latest) = (last.first()?, last.last()?);
    let steps = latest.step.0.checked_sub(first.step.0).filter(|steps| *steps > 0)?;
    let tokens = latest.tokens.0.saturating_sub(first.tokens.0);
    Some(tokens as f64 / steps as f64 / seconds_per_step(rows)?).filter(|speed| *speed > 0.0)
}

/// How the loss has changed over a day of training; nothing before a day has passed.
fn loss_change(frame: &Frame, rows: &[MetricRow]) -> String {
    let change = || {
        let (last, usual) = (rows.last()?, seconds_per_step(rows)?);
        let age = |row: &MetricRow| last.step.0.saturating_sub(row.step.0) as f64 * usual;
        let day_ago = rows.iter().rev().find(|row| age(row) >= 86_400.0)?;
        Some(last.loss? - day_ago.loss?)
    };
    change().map_or_else(String::new, |change| {
        frame.fill("run.loss_change", "change", format::difference(change))
    })
}

/// Newest first, each with its difference to the one before it.
fn checkpoint_rows(frame: &Frame, facts: &Facts, tasks: &[TaskRun]) -> Vec<CheckpointRow> {
    let lang = frame.lang;
    let row = |(i, s): (usize, &Scored)| CheckpointRow {
        href: format!("/checkpoints/{}", s.checkpoint.id),
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

/// Newest first.
fn event_rows(frame: &Frame, facts: &Facts) -> Vec<EventRow> {
    let row = |event: &RunEvent| EventRow {
        when: event.at.map(|at| frame.when(at)),
        step: event.step.to_string(),
        kind: frame.t(&format!("event_kind.{}", event.kind)),
        note: event.note.clone(),
    };
    facts.events.iter().rev().map(row).collect()
}

/// `GET /runs/{run}/metrics.csv`: every row.
pub(crate) async fn metrics_csv(
    State(app): State<App>,
    _frame: Frame,
    Path(key): Path<String>,
) -> Result<Response, WebError> {
    let run = runs::find(&app, &key).await?;
    let rows = app.store.metrics(run.id).await?;
    corpora::may_use(&app, run).await?;
    Ok(([(header::CONTENT_TYPE, "text/csv; charset=utf-8")], csv(&rows)).into_response())
}

/// Every metric row as CSV; an absent value is an empty field.
fn csv(rows: &[MetricRow]) -> String {
    let mut out = "step,tokens,loss,ce,z_loss,lr,grad_norm,seconds\n".to_owned();
    for row in rows {
        let values = [row.loss, row.ce, row.z_loss, row.lr, row.grad_norm, row.seconds];
        let fields: Vec<String> =
            values.iter().map(|v| v.map_or_else(String::new, |v| v.to_string())).collect();
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
    let live = RunLive { frame: frame.clone(), run: view(frame, &catalog, &fixtures::run_facts(5)) };
    let fragment = live.render().expect("renders");
    assert!(fragment.trim_start().starts_with("<div id=\"live\""), "{}", &fragment[..200]);
    vec![page(&fixtures::run_facts(5)), page(&fresh)]
}

#[cfg(test)]
mod tests {
    use sekisho_domain::{Step, Tokens};

    use super::*;

    fn row(step: u64, seconds: f64, loss: f64) -> MetricRow {
        MetricRow {
            step: Step(step),
            tokens: Tokens(step * 1000),
            loss: Some(loss),
            ce: None,
            z_loss: None,
            lr: None,
            grad_norm: None,
            seconds: Some(seconds),
        }
    }

    #[test]
    fn speed_is_measured_over_the_last_rows() {
        let slow_then_fast: Vec<_> =
            (1..=200).map(|i| row(i, if i < 140 { 10.0 } else { 0.5 }, 1.0)).collect();
        assert_eq!(tokens_per_second(&slow_then_fast), Some(2000.0));
        let every_tenth: Vec<_> =
            slow_then_fast.iter().step_by(10).filter(|r| r.step.0 > 140).cloned().collect();
        assert_eq!(tokens_per_second(&every_tenth), Some(2000.0));
        assert_eq!(tokens_per_second(&slow_then_fast[..1]), None);
    }
}
