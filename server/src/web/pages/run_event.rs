//! `/runs/{run}/events/{event}`: what happened, drawn close up, for somebody to say what it was. Messages about spikes lead here.

use askama::Template;
use axum::Form;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use sekisho_domain::checkpoint::CheckpointState;
use sekisho_domain::run::{EventKind, EventStatus, Finding, KeptEvent, MetricRow};
use sekisho_domain::user::Role;
use sekisho_domain::{Step, Timestamp};
use sekisho_store::{Checkpoint, Run};
use serde::Deserialize;

use super::parts::{self, Cell, Figure, When};
use super::run_events;
use crate::service::{reports, runs};
use crate::web::charts::{Axis, Chart, Flag, Look, Numbers, Scale, Series, Size, thinned};
use crate::web::format;
use crate::web::frame::Frame;
use crate::web::i18n::Words as _;
use crate::{App, Noun, Viewer, WebError};

/// Updates on either side that are drawn.
const AROUND: u64 = 2000;
/// Points of a line; the whole stretch has not many more.
const POINTS: usize = 2000;

#[derive(Template)]
#[template(path = "runs/event.html")]
struct EventPage {
    frame: Frame,
    how: Vec<String>,
    run: String,
    path: String,
    kind: &'static str,
    step: String,
    state: &'static str,
    facts: Vec<(&'static str, Cell)>,
    when: When,
    remark: String,
    decided: Option<(String, When)>,
    figures: Vec<Figure>,
    can_decide: bool,
    is_open: bool,
    confirm: &'static str,
    why_not: Option<&'static str>,
    notice: Option<String>,
    version: u64,
}

/// What the page is made from.
struct Facts {
    run: Run,
    event: KeptEvent,
    /// The rows around it.
    rows: Vec<MetricRow>,
    /// The newest good checkpoint before it.
    last_good: Option<Checkpoint>,
}

/// What its form sends.
#[derive(Deserialize)]
pub(crate) struct Fields {
    csrf: String,
    #[serde(default)]
    version: u64,
    #[serde(default)]
    remark: String,
}

/// `GET /runs/{run}/events/{event}`.
pub(crate) async fn show(
    State(app): State<App>,
    frame: Frame,
    Path((run, event)): Path<(String, String)>,
) -> Result<Response, WebError> {
    parts::page(&page(frame, &load(&app, &run, &event).await?, None, None))
}

/// `POST /runs/{run}/events/{event}/confirm`, `…/dismiss` and `…/note`.
pub(crate) async fn decide(
    State(app): State<App>,
    frame: Frame,
    viewer: Viewer,
    Path((run, event, action)): Path<(String, String, String)>,
    Form(fields): Form<Fields>,
) -> Result<Response, WebError> {
    let actor = viewer.form_actor(&fields.csrf)?;
    let facts = load(&app, &run, &event).await?;
    let status = match action.as_str() {
        "confirm" => EventStatus::Confirmed,
        "dismiss" => EventStatus::Dismissed,
        "note" => facts.event.status,
        other => return Err(WebError::not_found(Noun::Action, other)),
    };
    match reports::decide(&app, actor, (&run, &event), fields.version, status, &fields.remark).await {
        Ok(_) => Ok(Redirect::to(&format!("/runs/{run}/events/{event}")).into_response()),
        Err(error) => {
            let notice = super::error::told(frame.lang, &error);
            let frame = Frame { path: format!("/runs/{run}/events/{event}"), ..frame };
            let page = page(frame, &load(&app, &run, &event).await?, Some(notice), Some(fields.remark));
            Ok((error.status, parts::page(&page)?).into_response())
        }
    }
}

async fn load(app: &App, run: &str, event: &str) -> Result<Facts, WebError> {
    let run = runs::find(app, run).await?;
    let event = reports::find_event(app, &run, event).await?;
    let first = Step(event.step.0.saturating_sub(AROUND));
    let rows = app.store.metrics_between(run.id, first, Step(event.step.0 + AROUND)).await?;
    let good = |checkpoint: &Checkpoint| {
        checkpoint.state == CheckpointState::Verified && checkpoint.step < event.step
    };
    let checkpoints = app.store.checkpoints_of_run(run.id).await?;
    let last_good = checkpoints.into_iter().filter(good).max_by_key(|checkpoint| checkpoint.step);
    Ok(Facts { run, event, rows, last_good })
}

fn page(frame: Frame, facts: &Facts, notice: Option<String>, typed: Option<String>) -> EventPage {
    let (event, name) = (&facts.event, &facts.run.name);
    let user = frame.user.as_ref();
    let may = user.is_some_and(|user| {
        user.has_in(&facts.run.project, Role::Contributor) || user.has_in(&facts.run.project, Role::Evaluator)
    });
    let path = format!("/runs/{name}/events/{}", event.id);
    EventPage {
        how: vec![format!("sekisho run events {name}"), format!("GET /api/v1/runs/{name}/events")],
        run: name.clone(),
        path,
        kind: frame.t(&format!("event_kind.{}", event.kind)),
        step: event.step.to_string(),
        state: event.status.as_str(),
        facts: list(&frame, facts),
        when: frame.when(event.at),
        remark: typed.unwrap_or_else(|| event.remark.clone()),
        decided: event
            .decided_by
            .clone()
            .zip(event.decided_at)
            .map(|(who, at): (String, Timestamp)| (who, frame.when(at))),
        figures: figures(&frame, facts),
        can_decide: may,
        is_open: event.status == EventStatus::Proposed,
        confirm: frame.t(if event.kind == EventKind::Spike {
            "event.confirm_spike"
        } else {
            "event.confirm"
        }),
        why_not: (!may)
            .then(|| frame.t(if user.is_none() { "action.sign_in" } else { "event.needs_contributor" })),
        notice,
        version: event.version,
        frame,
    }
}

fn list(frame: &Frame, facts: &Facts) -> Vec<(&'static str, Cell)> {
    let event = &facts.event;
    let mut list = vec![
        (
            frame.t("run.event_note"),
            Cell::of(
                Some(run_events::note(frame, event)).filter(|note| !note.is_empty()),
                frame.t("event.nothing_said"),
            ),
        ),
        (
            frame.t("event.told_by"),
            Cell::from(run_events::who(frame, &KeptEvent { decided_by: None, ..event.clone() })),
        ),
    ];
    if let Some(Finding { metric, from, to, sigma }) = &event.seen {
        let to = to.map_or_else(|| "NaN".to_owned(), format::loss);
        list.push((frame.t("event.metric"), Cell::from(metric.clone())));
        let values: [(&str, &dyn std::fmt::Display); 2] = [("from", &format::loss(*from)), ("to", &to)];
        list.push((frame.t("event.values"), Cell::from(frame.lang.fill("event.from_to", &values))));
        if let Some(sigma) = sigma {
            list.push((frame.t("event.z_score"), Cell::from(format!("{sigma:.1} σ"))));
        }
    }
    let good = facts.last_good.as_ref().map(|good| frame.fill("run.at_step", "step", good.step));
    list.push((frame.t("event.last_good"), Cell::of(good, frame.t("missing.no_checkpoint"))));
    if let Some(samples) = samples_of(facts) {
        list.push((frame.t("event.samples"), Cell::from(samples)));
    }
    list
}

/// The samples of the update, counted from nought in the order of the run's data: what a skip leaves out.
fn samples_of(facts: &Facts) -> Option<String> {
    let sequences = facts.run.spec.as_ref()?["batch"]["sequences"].as_u64()?;
    let last = facts.event.step.0.checked_mul(sequences)?;
    Some(format!("{}–{}", format::count(last.checked_sub(sequences)?), format::count(last - 1)))
}

/// Loss, gradient norm and learning rate one below the other, on the same updates.
fn figures(frame: &Frame, facts: &Facts) -> Vec<Figure> {
    let lang = frame.lang;
    let panels: [(&str, &str, &str, Numbers, fn(&MetricRow) -> Option<f64>); 3] = [
        ("loss", "run.loss_title", "axis.loss", Numbers::Plain, |row| row.loss),
        ("gradient-norm", "run.gradient_norm", "axis.gradient_norm", Numbers::Plain, |row| row.grad_norm),
        ("learning-rate", "run.learning_rate", "axis.learning_rate", Numbers::Scientific, |row| row.lr),
    ];
    let at = facts.event.step.0;
    let range = Some((at.saturating_sub(AROUND) as f64, (at + AROUND) as f64));
    let drawn =
        |(id, title, axis, numbers, value): (&str, &str, &str, Numbers, fn(&MetricRow) -> Option<f64>)| {
            let point = |row: &MetricRow| Some((row.step.0 as f64, value(row).filter(|v| v.is_finite())?));
            let points: Vec<(f64, f64)> = facts.rows.iter().filter_map(point).collect();
            let write: fn(f64) -> String =
                if numbers == Numbers::Scientific { format::scientific } else { format::loss };
            let near = points.iter().find(|(step, _)| *step == at as f64).map(|(_, value)| write(*value));
            let summary = near.map_or_else(
                || frame.t("event.no_value").to_owned(),
                |value| lang.fill("run.metric_summary", &[("step", &facts.event.step), ("value", &value)]),
            );
            let shown = thinned(&points, Scale::Linear, POINTS);
            let chart = Chart {
                label: format!("{}. {summary}", lang.t(title)),
                x: Axis {
                    title: lang.t("axis.steps").to_owned(),
                    scale: Scale::Linear,
                    numbers: Numbers::Short,
                    range,
                },
                y: Axis { title: lang.t(axis).to_owned(), scale: Scale::Linear, numbers, range: None },
                series: vec![Series {
                    name: String::new(),
                    look: Look::Line,
                    palette: 0,
                    points: shown.into_iter().map(Into::into).collect(),
                }],
                references: Vec::new(),
                flags: vec![Flag { x: at as f64, note: run_events::words(frame, &facts.event) }],
            };
            let close = points.iter().filter(|(step, _)| (step - at as f64).abs() <= 10.0);
            Figure {
                id: id.to_owned(),
                title: lang.t(title).to_owned(),
                summary,
                empty: points.is_empty(),
                wide: chart.svg(Size::Wide),
                narrow: chart.svg(Size::Narrow),
                heads: vec![lang.t("run.step").to_owned(), lang.t(axis).to_owned()],
                rows: close
                    .map(|(step, value)| vec![Cell::from(format::count(*step as u64)), write(*value).into()])
                    .collect(),
                note: lang.t("event.close").to_owned(),
                ..Figure::new(lang)
            }
        };
    panels.into_iter().map(drawn).collect()
}

#[cfg(test)]
pub(super) fn samples(frame: &Frame) -> Vec<String> {
    tests::samples(frame)
}

#[cfg(test)]
mod tests {
    use super::super::fixtures;
    use super::*;

    fn facts() -> Facts {
        let run = fixtures::run_facts(3);
        let seen = Finding { metric: "loss".to_owned(), from: 1.95, to: Some(4.2), sigma: Some(7.1) };
        Facts {
            event: KeptEvent {
                status: EventStatus::Proposed,
                by: "detector".to_owned(),
                seen: Some(seen),
                ..fixtures::event(12_300, "loss 1.950 → 4.200, 7.1 σ")
            },
            rows: run.rows[100..140].to_vec(),
            last_good: Some(fixtures::checkpoint("v4-8b-exp2", 10_000, CheckpointState::Verified)),
            run: Run { spec: Some(serde_json::json!({ "batch": { "sequences": 1024 } })), ..run.run },
        }
    }

    pub(super) fn samples(frame: &Frame) -> Vec<String> {
        let member = fixtures::user("mori", fixtures::id("mori"), &[Role::Contributor]);
        let signed_in = Frame { user: Some(member), csrf: "csrf_x".to_owned(), ..frame.clone() };
        let mut restart = facts();
        restart.event = KeptEvent {
            kind: EventKind::Resumed,
            lost_seconds: Some(6120.0),
            decided_by: Some("mori".to_owned()),
            decided_at: Some(fixtures::now()),
            remark: "ノード障害 <node-7>".to_owned(),
            ..fixtures::event(31_000, "")
        };
        restart.rows.clear();
        restart.last_good = None;
        [
            page(signed_in, &facts(), Some("no < yes".to_owned()), None),
            page(frame.clone(), &restart, None, None),
        ]
        .map(|page| page.render().expect("renders"))
        .to_vec()
    }

    #[test]
    fn a_skip_names_the_samples_of_the_update() {
        let facts = facts();
        assert_eq!(samples_of(&facts).as_deref(), Some("12,594,176–12,595,199"));
        let foreign = Facts { run: Run { spec: None, ..facts.run.clone() }, ..self::facts() };
        assert_eq!(samples_of(&foreign), None);
    }
}
