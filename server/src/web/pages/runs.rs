//! `/runs`: every run, the one that reported last first.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use sekisho_domain::run::RunState;
use sekisho_domain::{RunId, Timestamp};
use sekisho_store::{CheckpointSummary, Run, RunFilter};

use super::parts::{self, Cell, Choice, ScoreCell, When};
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
    asked: Asked,
    notices: Vec<String>,
    /// The runs behind these.
    next: Option<String>,
}

/// Which runs are asked for.
#[derive(Default)]
struct Asked {
    name: String,
    states: Vec<Choice>,
    is_narrowed: bool,
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

/// `GET /runs?name=&state=&before=`.
pub(crate) async fn show(State(app): State<App>, frame: Frame) -> Result<Response, WebError> {
    let most = if frame.is_frozen() { EXPORTED } else { RUNS };
    let (filter, ignored) = filter(&frame);
    let mut runs = app.store.runs_found(&filter, most + 1).await?;
    let goes_on = runs.len() > most as usize;
    runs.truncate(most as usize);
    let next = runs.last().filter(|_| goes_on).map(|last| frame.with("before", &place(last)));
    let runs = frame.named(&app, runs).await?;
    let rows = rows(&app, &frame, runs).await?;
    parts::page(&page(frame, rows, &filter, &ignored, next))
}

/// What the address asks for, and what of it cannot be understood.
fn filter(frame: &Frame) -> (RunFilter, Vec<(&'static str, String)>) {
    let mut ignored = Vec::new();
    let read =
        |name: &'static str| frame.param(name).filter(|value| !value.is_empty()).map(|value| (name, value));
    let (name, state, before) = (read("name"), read("state"), read("before"));
    let known = state.map(|(_, code)| code.parse::<RunState>().ok());
    let behind = before.map(|(_, code)| behind(code));
    ignored.extend(state.filter(|_| known == Some(None)).map(|(name, value)| (name, value.to_owned())));
    ignored.extend(before.filter(|_| behind == Some(None)).map(|(name, value)| (name, value.to_owned())));
    let filter = RunFilter {
        name: name.map_or_else(String::new, |(_, text)| text.chars().take(200).collect()),
        state: known.flatten(),
        before: behind.flatten(),
    };
    (filter, ignored)
}

/// `1795237380000-01KC…`: where a run is in the list.
fn place(run: &Run) -> String {
    format!("{}-{}", run.updated.unix_ms(), run.id)
}

fn behind(code: &str) -> Option<(Timestamp, RunId)> {
    let (updated, id) = code.split_once('-')?;
    Some((Timestamp::from_unix_ms(updated.parse().ok()?), id.parse().ok()?))
}

fn page(
    frame: Frame,
    rows: Vec<RunRow>,
    filter: &RunFilter,
    ignored: &[(&'static str, String)],
    next: Option<String>,
) -> RunsPage {
    let first = Frame {
        query: frame.query.iter().filter(|(name, _)| name != "before").cloned().collect(),
        ..frame.clone()
    };
    let choice = |label: &str, value: &str, current| Choice {
        label: label.to_owned(),
        href: first.with("state", value),
        current,
    };
    let mut states = vec![choice(frame.t("runs.any_state"), "", filter.state.is_none())];
    states.extend(
        RunState::ALL.iter().map(|state| {
            choice(frame.word("run_state", *state), state.as_str(), filter.state == Some(*state))
        }),
    );
    let told = |(name, value): &(&'static str, String)| {
        frame.lang.fill("board.ignored", &[("name", name), ("value", value)])
    };
    RunsPage {
        how: vec!["sekisho run list".to_owned(), "GET /api/v1/runs".to_owned()],
        rows,
        asked: Asked { name: filter.name.clone(), states, is_narrowed: *filter != RunFilter::default() },
        notices: ignored.iter().map(told).collect(),
        next,
        frame,
    }
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
    let mut asked = frame.clone();
    let query = [("name", "v4<"), ("state", "flying"), ("before", &place(&facts.run))];
    asked.query = query.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let (narrowed, ignored) = filter(&asked);
    assert_eq!((narrowed.name.as_str(), narrowed.state), ("v4<", None));
    assert_eq!(narrowed.before, Some((facts.run.updated, facts.run.id)));
    assert_eq!(ignored, [("state", "flying".to_owned())]);
    let none = RunFilter::default();
    let next = Some(asked.with("before", &place(&facts.run)));
    [
        page(frame.clone(), vec![full, fresh], &none, &[], next),
        page(asked, Vec::new(), &narrowed, &ignored, None),
        page(frame.clone(), Vec::new(), &none, &[], None),
    ]
    .map(|page| page.render().expect("renders"))
    .to_vec()
}
