//! `/runs`: every run, the one that reported last first.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use sekisho_domain::RunId;
use sekisho_store::{CheckpointSummary, Run};

use super::parts::{self, Cell, ScoreCell, When};
use super::scored::Scored;
use crate::service::evaluations;
use crate::web::charts;
use crate::web::format;
use crate::web::frame::Frame;
use crate::web::i18n::Words as _;
use crate::{App, WebError};

/// Runs on the page.
const RUNS: u32 = 100;
/// Runs on the page in an export, which has no other way to them.
pub(super) const EXPORTED: u32 = 5000;

#[derive(Template)]
#[template(path = "runs/runs.html")]
struct RunsPage {
    frame: Frame,
    how: Vec<String>,
    rows: Vec<RunRow>,
    /// Said when there are more.
    cut: Option<String>,
}

/// A run as lists show it.
pub(super) struct RunRow {
    pub(super) href: String,
    pub(super) name: String,
    pub(super) state: &'static str,
    pub(super) tokens: String,
    /// `14.3%` of the plan.
    pub(super) share_text: String,
    pub(super) share: Option<f64>,
    pub(super) step: String,
    pub(super) loss: Cell,
    pub(super) spark: String,
    pub(super) checkpoints: String,
    /// When the checkpoint of the largest step was received.
    pub(super) last_checkpoint: Option<When>,
    /// The mean of the newest checkpoint that has scores.
    pub(super) mean: ScoreCell,
    pub(super) when: When,
}

/// What a row is made from, besides the run.
#[derive(Default)]
pub(super) struct About {
    pub(super) losses: Vec<f64>,
    pub(super) checkpoints: Option<CheckpointSummary>,
    pub(super) newest_scored: Option<Scored>,
}

/// `GET /runs`.
pub(crate) async fn show(State(app): State<App>, frame: Frame) -> Result<Response, WebError> {
    let most = if frame.is_frozen() { EXPORTED } else { RUNS };
    let mut runs = app.store.runs(most + 1).await?;
    let cut = parts::cut(&frame, &mut runs, most);
    let runs = frame.named(&app, runs).await?;
    let rows = rows(&app, &frame, runs).await?;
    parts::page(&page(frame, rows, cut))
}

fn page(frame: Frame, rows: Vec<RunRow>, cut: Option<String>) -> RunsPage {
    RunsPage { frame, how: vec!["sekisho run list".to_owned(), "GET /api/v1/runs".to_owned()], rows, cut }
}

/// Rows for these runs, with their loss and the mean of the newest checkpoint that has scores.
pub(super) async fn rows(app: &App, frame: &Frame, runs: Vec<Run>) -> Result<Vec<RunRow>, WebError> {
    let ids: Vec<RunId> = runs.iter().map(|run| run.id).collect();
    let mut sketches = app.store.loss_sketches(&ids).await?;
    let mut summaries = app.store.checkpoint_summaries(&ids).await?;
    let asked: Vec<_> = runs.iter().map(|run| (run.id, evaluations::suite_of(app, run).to_owned())).collect();
    let newest = app.store.newest_scored(&asked).await?;
    let checkpoints: Vec<_> = newest.values().map(|evaluation| evaluation.checkpoint).collect();
    let checkpoints = app.store.checkpoints_by_id(&checkpoints).await?;
    let pairs = checkpoints.into_iter().map(|checkpoint| {
        let evaluation = newest.get(&checkpoint.run).cloned();
        (checkpoint, evaluation)
    });
    let scored = Scored::of_evaluations(app, pairs.collect()).await?;
    let mut scored: std::collections::HashMap<RunId, Scored> =
        scored.into_iter().map(|scored| (scored.checkpoint.run, scored)).collect();
    let row = |run: &Run| {
        let about = About {
            losses: sketches.remove(&run.id).unwrap_or_default(),
            checkpoints: summaries.remove(&run.id),
            newest_scored: scored.remove(&run.id),
        };
        row(frame, run, &about)
    };
    Ok(runs.iter().map(row).collect())
}

pub(super) fn row(frame: &Frame, run: &Run, about: &About) -> RunRow {
    let lang = frame.lang;
    let loss = run.loss.map(format::loss);
    let share = run
        .planned_tokens
        .filter(|planned| planned.0 > 0)
        .map(|planned| run.tokens.0 as f64 / planned.0 as f64);
    let label = lang.fill("runs.spark", &[("loss", &loss.clone().unwrap_or_default())]);
    let no_score = match about.checkpoints {
        Some(_) => "missing.not_evaluated",
        None => "missing.no_checkpoint",
    };
    RunRow {
        href: format!("/runs/{}", run.name),
        name: run.name.clone(),
        state: run.state.as_str(),
        tokens: match run.planned_tokens {
            Some(planned) => format!("{} / {}", run.tokens.short(), planned.short()),
            None => run.tokens.short(),
        },
        share_text: share.map_or_else(String::new, |share| format::percent(share, 1.0)),
        share,
        step: run.step.to_string(),
        spark: charts::sparkline(&about.losses, &label),
        loss: Cell::of(loss, lang.t("missing.not_reported")),
        checkpoints: format::count(about.checkpoints.as_ref().map_or(0, |summary| summary.number)),
        last_checkpoint: about.checkpoints.as_ref().map(|summary| frame.when(summary.last_received)),
        mean: match &about.newest_scored {
            Some(scored) => ScoreCell {
                note: lang.fill("run.at_step", &[("step", &scored.checkpoint.step)]),
                ..scored.mean_cell(lang)
            },
            None => ScoreCell::missing(lang.t(no_score)),
        },
        when: frame.when(run.updated),
    }
}

#[cfg(test)]
pub(super) fn samples(frame: &Frame) -> Vec<String> {
    use super::fixtures;
    let facts = fixtures::run_facts(5);
    let about = fixtures::about(&facts);
    let full = row(frame, &facts.run, &about);
    let fresh = row(frame, &facts.run, &About::default());
    // The newest checkpoint is not the newest one with scores.
    let (received, scored) = (full.last_checkpoint.clone().expect("one"), full.mean.note.clone());
    let last = about.checkpoints.as_ref().expect("checkpoints").last_received;
    let shown = |at| frame.when(at).render().expect("renders");
    assert_eq!(received.render().expect("renders"), shown(last));
    let of_scored = about.newest_scored.as_ref().expect("scored").checkpoint.created;
    assert_ne!(shown(last), shown(of_scored), "the two can be told apart");
    assert!(scored.contains("50,000"), "{scored}");
    [page(frame.clone(), vec![full, fresh], Some("100".to_owned())), page(frame.clone(), Vec::new(), None)]
        .map(|page| page.render().expect("renders"))
        .to_vec()
}
