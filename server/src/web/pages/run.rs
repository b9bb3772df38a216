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
use super::parts::{self, Choice, Figure, Readout, ScoreCell, SortHead};
use super::run_curves::Curves;
use super::scored::{self, Scored};
use crate::service::{evaluations, runs};
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
    digest: String,
    mean: ScoreCell,
    change: String,
    scores: Vec<ScoreCell>,
    at: String,
    ago: String,
    refusal: Option<String>,
}

struct EventRow {
    at: String,
    ago: String,
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
    let scored = Scored::load_all(&app, checkpoints, evaluations::suite_of(&app, &run)).await?;
    let facts = Facts {
        rows: app.store.metrics(run.id).await?,
        events: app.store.events(run.id).await?,
        run,
        scored,
    };
    let run = view(&frame, &app.catalog, &facts);
    if frame.param("part") == Some("live") {
        return parts::page(&RunLive { frame, run });
    }
    let how = how(&facts.run);
    parts::page(&RunPage { frame, how, run })
}

fn how(run: &Run) -> Vec<String> {
    vec![format!("sekisho run show {}", run.name), format!("GET /api/v1/runs/{}", run.name)]
}

fn view(frame: &Frame, catalog: &Catalog, facts: &Facts) -> RunView {
    let against = Against::of(frame.param("x"));
    let curves = Curves { frame, catalog, facts, against };
    let tasks = scored::tasks(facts.scored.iter().rev());
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
        heads: tasks.iter().map(|run| head(frame, catalog, run)).collect(),
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

fn head(frame: &Frame, catalog: &Catalog, run: &TaskRun) -> SortHead {
    SortHead {
        label: run.task.clone(),
        sub: String::new(),
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
    let missing = || "—".to_owned();
    let speed = tokens_per_second(&facts.rows);
    let last = facts.scored.last().map(|s| &s.checkpoint);
    let scored = facts.scored.iter().rev().find_map(Scored::mean);
    let mut readouts = vec![
        progress(frame, run),
        Readout::new(lang.t("run.step"), run.step.to_string(), ""),
        Readout::new(
            lang.t("run.loss"),
            run.loss.map_or_else(missing, format::loss),
            loss_change(frame, &facts.rows),
        ),
        Readout::new(lang.t("run.speed"), speed.map_or_else(missing, |s| format::throughput(lang, s)), ""),
        Readout::new(
            lang.t("run.last_checkpoint"),
            last.map_or_else(missing, |c| frame.ago(&c.created)),
            last.map_or_else(String::new, |c| lang.fill("run.at_step", &[("step", &c.step)])),
        ),
        Readout::new(
            lang.t("run.last_mean"),
            scored.map_or_else(missing, |m| format::score(m.value)),
            scored
                .and_then(|m| m.interval)
                .map_or_else(String::new, |(low, high)| format::interval(low, high)),
        ),
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
    let means: Vec<Option<scored::Mean>> = facts.scored.iter().map(Scored::mean).collect();
    let change = |i: usize| {
        let before = means[..i].iter().rev().flatten().find(|m| m.is_complete())?;
        let own = means[i].filter(scored::Mean::is_complete)?;
        Some(format::difference(own.value - before.value))
    };
    let row = |(i, s): (usize, &Scored)| CheckpointRow {
        href: format!("/checkpoints/{}", s.checkpoint.id),
        step: s.checkpoint.step.to_string(),
        tokens: s.checkpoint.tokens.short(),
        state: s.checkpoint.state.as_str(),
        digest: s.checkpoint.verification.as_ref().map_or_else(String::new, |v| v.digest.short()),
        mean: s.mean_cell(lang),
        change: change(i).unwrap_or_default(),
        scores: tasks.iter().map(|run| task_cell(frame, s, run)).collect(),
        at: frame.stamp(&s.checkpoint.created),
        ago: frame.ago(&s.checkpoint.created),
        refusal: s.checkpoint.refusal.as_ref().map(|refusal| refusal.get(lang).to_owned()),
    };
    facts.scored.iter().enumerate().rev().map(row).collect()
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
        at: event.at.map_or_else(String::new, |at| frame.stamp(&at)),
        ago: event.at.map_or_else(String::new, |at| frame.ago(&at)),
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
