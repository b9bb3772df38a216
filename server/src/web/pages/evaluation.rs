//! `/evals/{id}`: one checkpoint on one suite: how far it is, or what came of it.

use std::collections::BTreeMap;

use askama::Template;
use axum::Form;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use sekisho_bench::Catalog;
use sekisho_domain::evaluation::WorkState;
use sekisho_store::{Evaluation, Run, ScoreRow, Try, User};

use super::evaluation_tries::{self, TryRow};
use super::parts::{self, Csrf, Readout};
use super::scored::Scored;
use super::task_rows::{self, Standings, TaskRow};
use crate::service::{checkpoints, contamination, evaluations};
use crate::web::format;
use crate::web::frame::Frame;
use crate::web::i18n::Words as _;
use crate::{App, Viewer, WebError};

#[derive(Template)]
#[template(path = "evaluations/evaluation.html")]
struct EvaluationPage {
    frame: Frame,
    how: Vec<String>,
    suite: String,
    state: &'static str,
    run: String,
    step: String,
    checkpoint_href: String,
    waiting: Option<String>,
    /// What became of the weights since.
    lost: Option<String>,
    readouts: Vec<Readout>,
    rows: Vec<TaskRow>,
    id: String,
    tries: Vec<TryRow>,
    /// Whether a try ended early.
    has_causes: bool,
    can_retry: bool,
    environment: BTreeMap<String, String>,
}

/// `GET /evals/{id}`.
pub(crate) async fn show(
    State(app): State<App>,
    frame: Frame,
    Path(key): Path<String>,
) -> Result<Response, WebError> {
    let evaluation = evaluations::find(&app, &key).await?;
    let checkpoint = checkpoints::find(&app, &evaluation.checkpoint.to_string()).await?;
    let rows = app.store.scores(evaluation.id).await?;
    let scored = Scored::of_evaluation(&app, checkpoint, evaluation.clone()).await?;
    let standings = contamination::standings(&app, &scored.checkpoint, &*scored.found.work).await?;
    let facts = Facts {
        tries: app.store.tries_of(evaluation.id).await?,
        run: app.store.run(scored.checkpoint.run).await?,
        evaluation,
        scored,
        rows,
        standings,
    };
    parts::page(&view(frame, &app.catalog, &facts))
}

/// Everything that the page is made from.
struct Facts {
    evaluation: Evaluation,
    scored: Scored,
    run: Option<Run>,
    rows: Vec<ScoreRow>,
    standings: Standings,
    tries: Vec<Try>,
}

/// `POST /evals/{id}/retry`: the tasks that failed are queued again, with what was answered.
pub(crate) async fn retry(
    State(app): State<App>,
    viewer: Viewer,
    Path(key): Path<String>,
    Form(fields): Form<Csrf>,
) -> Result<Response, WebError> {
    let actor = viewer.form_actor(&fields.csrf)?;
    let evaluation = evaluations::find(&app, &key).await?;
    let checkpoint = checkpoints::find(&app, &evaluation.checkpoint.to_string()).await?;
    evaluations::ask(&app, actor, &checkpoint, &evaluation.suite).await?;
    Ok(Redirect::to(&format!("/evals/{}", evaluation.id)).into_response())
}

fn view(frame: Frame, catalog: &Catalog, facts: &Facts) -> EvaluationPage {
    let Facts { evaluation, scored, run, rows, standings, tries } = facts;
    let may_ask = |run: &Run| {
        let has = |user: &User| evaluations::ASKERS.iter().any(|role| user.has_in(&run.project, *role));
        frame.user.as_ref().is_some_and(has)
    };
    let waiting = (evaluation.state == WorkState::Waiting).then(|| frame.t("evaluation.waiting").to_owned());
    EvaluationPage {
        how: vec![
            format!("GET /api/v1/evals/{}", evaluation.id),
            format!("GET /api/v1/evals/{}/records", evaluation.id),
        ],
        suite: evaluation.suite.clone(),
        state: evaluation.state.as_str(),
        run: scored.checkpoint.run_name.clone(),
        step: scored.checkpoint.step.to_string(),
        checkpoint_href: format!("/checkpoints/{}", scored.checkpoint.id),
        waiting,
        lost: scored.checkpoint.refusal.as_ref().map(|text| text.get(frame.lang).to_owned()),
        readouts: readouts(&frame, evaluation, scored),
        rows: task_rows::rows(&frame, catalog, &scored.found.work, rows, standings),
        id: evaluation.id.to_string(),
        tries: evaluation_tries::rows(&frame, catalog, &scored.found.work, tries),
        has_causes: tries.iter().any(|one| one.cause.is_some()),
        can_retry: evaluation.state == WorkState::Failed && run.as_ref().is_some_and(may_ask),
        environment: evaluation.environment.clone(),
        frame,
    }
}

fn readouts(frame: &Frame, evaluation: &Evaluation, scored: &Scored) -> Vec<Readout> {
    let lang = frame.lang;
    let done: u64 = scored.found.work.iter().map(|row| row.finished).sum();
    let total: Option<u64> = scored.found.work.iter().map(|row| row.total).sum();
    let items = match total {
        Some(total) => Readout {
            share: Some(done as f64 / total.max(1) as f64),
            ..Readout::new(
                lang.t("evaluation.items"),
                format!("{} / {}", format::count(done), format::count(total)),
                format::percent(done as f64, total as f64),
            )
        },
        None => Readout::new(lang.t("evaluation.items"), format::count(done), ""),
    };
    let mean = scored.mean().map_or_else(
        || Readout::missing(lang.t("run.mean_short"), parts::missing_reason(lang, Some(evaluation.state))),
        |mean| {
            let sub = mean.interval.map_or_else(
                || lang.fill("score.tasks_done", &[("done", &mean.done), ("of", &mean.of)]),
                |(low, high)| format::interval(low, high),
            );
            Readout::new(lang.t("run.mean_short"), format::score(mean.value), sub)
        },
    );
    let seconds: f64 = scored.found.work.iter().map(|row| row.seconds).sum();
    let prompt: u64 = scored.found.work.iter().map(|row| row.tokens.prompt).sum();
    let prefilled: u64 = scored.found.work.iter().map(|row| row.tokens.prefilled).sum();
    let saved = lang.fill(
        "evaluation.saved",
        &[("share", &format::percent(prompt.saturating_sub(prefilled) as f64, prompt as f64))],
    );
    vec![
        items,
        mean,
        Readout::new(lang.t("evaluation.seconds"), format::duration(lang, seconds), ""),
        Readout::new(
            lang.t("evaluation.prefilled"),
            format::short(prefilled),
            if prompt > 0 { saved } else { String::new() },
        ),
        Readout::new(
            lang.t("common.created"),
            frame.ago(&evaluation.created),
            frame.stamp(&evaluation.created),
        ),
    ]
}

#[cfg(test)]
pub(super) fn samples(frame: &Frame) -> Vec<String> {
    use super::fixtures;
    let catalog = Catalog::builtin();
    let page = |scored: &Scored| {
        let facts = Facts {
            evaluation: scored.evaluation.clone().expect("evaluated"),
            rows: scored.found.scores.tasks.iter().flatten().cloned().collect(),
            standings: fixtures::standings(&scored.found.work),
            tries: fixtures::tries(&scored.found.work),
            run: Some(fixtures::run()),
            scored: scored.clone(),
        };
        view(frame.clone(), &catalog, &facts).render().expect("renders")
    };
    let done = fixtures::run_facts(5).scored.pop().expect("a checkpoint");
    let half = fixtures::half_done();
    let done = page(&done);
    assert!(done.contains(frame.t("try_end.silent")) && done.contains("1–40"), "{done}");
    assert!(done.contains("3 / 98") && done.contains(frame.t("missing.not_looked_for")));
    vec![done, page(&half)]
}
