//! `/corpora?tab=mix`: runs on the same number of tokens in other proportions, side by side with what came of them.

mod best;
mod data;
mod view;

use std::collections::BTreeMap;

use sekisho_domain::evaluation::WorkState;
use sekisho_domain::score::Interval;
use sekisho_domain::{RunId, Step, Tokens};
use sekisho_store::{Checkpoint, Run};

use super::scored::{self, Scored};
use crate::service::comparisons::{self, Primary};
use crate::service::corpora::{self, Portion};
use crate::service::{evaluations, runs};
use crate::web::frame::Frame;
use crate::{App, WebError};

pub(super) use best::Standing;
pub(super) use data::{csv, json};
pub(super) use view::{MixView, view};

/// Runs side by side.
const MOST: usize = 12;
/// Runs that are looked through for sets.
const RUNS: u32 = 10_000;
/// Sets that are offered.
const SETS: usize = 12;
/// Languages whose means are shown: the level of the first is to be kept.
pub(super) const LANGUAGES: [&str; 2] = ["ja", "en"];

/// What the tab is made from.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    /// Sets that can be looked at, that of the run which reported last first.
    pub(super) sets: Vec<Set>,
    /// The runs that are shown.
    pub(super) columns: Vec<Column>,
    /// How each stands, in the same order.
    pub(super) standings: Vec<Standing>,
    /// Names in the URL that are no run's.
    pub(super) unknown: Vec<String>,
    /// Languages of the registered subsets, and their sizes.
    pub(super) languages: BTreeMap<String, String>,
    pub(super) sizes: BTreeMap<String, Tokens>,
}

/// Runs of one project on the same number of tokens.
#[derive(Clone, Debug)]
pub(super) struct Set {
    pub(super) project: String,
    pub(super) total: Tokens,
    pub(super) runs: Vec<String>,
}

/// One run.
#[derive(Clone, Debug)]
pub(super) struct Column {
    pub(super) run: Run,
    pub(super) total: Tokens,
    pub(super) portions: Vec<Portion>,
    /// The last one that is verified, which the scores are of.
    pub(super) checkpoint: Option<Checkpoint>,
    /// Its loss there; without a checkpoint the last one that was reported.
    pub(super) loss: Option<f64>,
    /// Scores by language, in the order of [`LANGUAGES`].
    pub(super) scores: [LanguageScores; 2],
}

/// The scores of a checkpoint on the tasks of one language.
#[derive(Clone, Debug, Default)]
pub(super) struct LanguageScores {
    /// How far the evaluation is, if there is one.
    pub(super) state: Option<WorkState>,
    /// Primary scores that are there, by task.
    pub(super) rows: Primary,
    /// Tasks of the suite in this language.
    pub(super) of: usize,
    /// Mean of the tasks, once all have a score.
    pub(super) mean: Option<Interval>,
}

impl Column {
    /// The mean over the tasks of a language, by its place in [`LANGUAGES`].
    pub(super) fn mean(&self, language: usize) -> Option<Interval> {
        self.scores[language].mean
    }
}

/// Gathers the runs that the URL names (`?runs=a,b`), or those of the first set.
///
/// # Errors
/// When store or blobs fail.
pub(super) async fn load(app: &App, frame: &Frame) -> Result<Facts, WebError> {
    let all = app.store.runs(RUNS).await?;
    let sets = corpora::sets(&all, MOST);
    let named = frame.param("runs").filter(|names| !names.trim().is_empty());
    let (chosen, unknown) = match named {
        Some(names) => by_names(app, names).await?,
        None => (sets.first().into_iter().flatten().map(|run| (*run).clone()).collect(), Vec::new()),
    };
    let subsets = app.store.subsets().await?;
    let sizes = corpora::sizes(&subsets);
    let mut columns = Vec::with_capacity(chosen.len());
    for run in chosen {
        columns.push(column(app, run, &sizes).await?);
    }
    let order = best::comparable(&columns);
    let rows: Vec<Primary> = order.iter().map(|i| columns[*i].scores[0].rows.clone()).collect();
    let compared = comparisons::against_first(app, &rows).await?;
    let set = |runs: &Vec<&Run>| {
        let first = runs.first()?;
        let names = runs.iter().map(|run| run.name.clone()).collect();
        Some(Set { project: first.project.clone(), total: corpora::total(first), runs: names })
    };
    Ok(Facts {
        sets: sets.iter().filter_map(set).take(SETS).collect(),
        standings: best::standings(&columns, &order, &compared),
        columns,
        unknown,
        languages: subsets
            .iter()
            .filter_map(|s| Some((s.subset.id.clone(), s.subset.language.clone()?)))
            .collect(),
        sizes,
    })
}

/// The runs of these names or ids, each once, and the names that are no run's.
async fn by_names(app: &App, names: &str) -> Result<(Vec<Run>, Vec<String>), WebError> {
    let (mut found, mut unknown): (Vec<Run>, Vec<String>) = (Vec::new(), Vec::new());
    for name in names.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        match runs::find(app, name).await {
            Ok(run) if found.iter().any(|other| other.id == run.id) || found.len() == MOST => {}
            Ok(run) => found.push(run),
            Err(error) if error.status == axum::http::StatusCode::NOT_FOUND => unknown.push(name.to_owned()),
            Err(error) => return Err(error),
        }
    }
    Ok((found, unknown))
}

async fn column(app: &App, run: Run, sizes: &BTreeMap<String, Tokens>) -> Result<Column, WebError> {
    let total = corpora::total(&run);
    let verified = app.store.checkpoints_of_run(run.id).await?.into_iter();
    let last = verified.filter(|c| c.state.was_verified()).max_by_key(|c| c.step);
    let scored = match last {
        Some(checkpoint) => Some(Scored::load(app, checkpoint, None).await?),
        None => None,
    };
    let mut scores: [LanguageScores; 2] = Default::default();
    for (language, scores) in LANGUAGES.iter().zip(&mut scores) {
        if let Some(scored) = &scored {
            *scores = scores_in(app, scored, language).await?;
        }
    }
    let loss = match &scored {
        Some(scored) if scored.checkpoint.step != run.step => {
            loss_at(app, run.id, scored.checkpoint.step).await?
        }
        _ => run.loss,
    };
    let portions = run.spec.as_ref().map(|spec| corpora::portions(spec, total, sizes)).unwrap_or_default();
    Ok(Column { total, portions, checkpoint: scored.map(|scored| scored.checkpoint), loss, scores, run })
}

async fn scores_in(app: &App, scored: &Scored, language: &str) -> Result<LanguageScores, WebError> {
    let in_language = |run: &sekisho_domain::evaluation::TaskRun| {
        app.catalog.find(&run.profile, &run.task).is_ok_and(|definition| definition.language == language)
    };
    let tasks = scored
        .found
        .work
        .iter()
        .zip(&scored.found.scores.tasks)
        .filter(|(work, _)| in_language(&work.work.run));
    let (mut rows, mut of) = (Primary::new(), 0);
    for (_, score) in tasks {
        // A metric of which less is better enters no mean.
        of += usize::from(score.as_ref().is_none_or(|row| scored::share(row).is_some()));
        rows.extend(score.iter().filter(|row| scored::share(row).is_some()).cloned());
    }
    // One order for all suites: comparisons go task by task.
    rows.sort_by(|a, b| best::task(a).cmp(&best::task(b)));
    let mean = if of > 0 && rows.len() == of { evaluations::mean(app, &rows).await? } else { None };
    Ok(LanguageScores { state: scored.evaluation.as_ref().map(|found| found.state), rows, of, mean })
}

async fn loss_at(app: &App, run: RunId, step: Step) -> Result<Option<f64>, WebError> {
    let rows = app.store.metrics(run).await?;
    Ok(rows.iter().rev().find(|row| row.step <= step).and_then(|row| row.loss))
}
