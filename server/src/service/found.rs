//! What evaluations found: their work items, primary scores and mean. Finished work never changes, so that those of late are in memory:
//! a page asks for dozens of evaluations with dozens of rows each.

use std::collections::HashMap;
use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;
use sekisho_domain::evaluation::WorkState;
use sekisho_domain::score::Interval;
use sekisho_domain::{EvaluationId, WorkItemId};
use sekisho_store::{Evaluation, ScoreRow, WorkRow};

use super::evaluations;
use crate::{App, WebError};

/// Work items that are in memory at most; one has about a kilobyte.
const MOST: u64 = 40_000;

/// The primary scores of one checkpoint on one suite, and their mean when every task of the suite has one.
#[derive(Clone, Debug, PartialEq)]
pub struct SuiteScores {
    /// Primary metric of each task, in suite order; `None` where it is missing.
    pub tasks: Vec<Option<ScoreRow>>,
    /// Mean of the primary metrics with a stratified bootstrap over items; `None` while a task is missing.
    pub mean: Option<Interval>,
}

/// What one evaluation found.
#[derive(Clone, Debug)]
pub struct Found {
    /// Work items in suite order.
    pub work: Arc<Vec<WorkRow>>,
    /// Primary scores in the same order, and their mean.
    pub scores: Arc<SuiteScores>,
}

impl Found {
    /// The primary scores that are there.
    pub fn primary(&self) -> impl Iterator<Item = &ScoreRow> {
        self.scores.tasks.iter().flatten()
    }

    /// The primary scores, if every task has one.
    #[must_use]
    pub fn complete(&self) -> Option<Vec<ScoreRow>> {
        let scores: Vec<ScoreRow> = self.scores.tasks.iter().cloned().collect::<Option<_>>()?;
        (!scores.is_empty()).then_some(scores)
    }
}

impl Default for Found {
    fn default() -> Self {
        Self { work: Arc::default(), scores: Arc::new(SuiteScores { tasks: Vec::new(), mean: None }) }
    }
}

/// What finished evaluations found, those that were asked for of late.
#[derive(Debug)]
pub struct Finished(Cache<EvaluationId, Found, Tasks>);

/// An evaluation weighs as much as its suite has tasks.
#[derive(Clone, Debug)]
struct Tasks;

impl Weighter<EvaluationId, Found> for Tasks {
    fn weight(&self, _: &EvaluationId, found: &Found) -> u64 {
        found.work.len().max(1) as u64
    }
}

impl Default for Finished {
    fn default() -> Self {
        const TASKS_OF_ONE: u64 = 16;
        let expected = usize::try_from(MOST / TASKS_OF_ONE).unwrap_or(usize::MAX);
        Self(Cache::with_weighter(expected, MOST, Tasks))
    }
}

/// What each of the evaluations found, by id.
///
/// # Errors
/// When store or blobs fail.
pub async fn of_all(
    app: &App,
    evaluations: impl IntoIterator<Item = &Evaluation>,
) -> Result<HashMap<EvaluationId, Found>, WebError> {
    let (mut found, mut unread) = (HashMap::new(), Vec::new());
    for evaluation in evaluations {
        match app.finished.0.get(&evaluation.id) {
            Some(known) => drop(found.insert(evaluation.id, known)),
            None => unread.push(evaluation),
        }
    }
    if unread.is_empty() {
        return Ok(found);
    }
    let ids: Vec<EvaluationId> = unread.iter().map(|evaluation| evaluation.id).collect();
    let mut work: HashMap<EvaluationId, Vec<WorkRow>> = HashMap::new();
    for row in app.store.work_of_all(&ids).await? {
        work.entry(row.evaluation).or_default().push(row);
    }
    let mut scores: HashMap<WorkItemId, ScoreRow> =
        app.store.primary_scores_of(&ids).await?.into_iter().map(|row| (row.work, row)).collect();
    for evaluation in unread {
        let work = work.remove(&evaluation.id).unwrap_or_default();
        let tasks = work.iter().map(|row| scores.remove(&row.work.id)).collect();
        let read = with_mean(app, work, tasks).await?;
        if evaluation.state == WorkState::Finished {
            app.finished.0.insert(evaluation.id, read.clone());
        }
        found.insert(evaluation.id, read);
    }
    Ok(found)
}

/// What one evaluation found.
///
/// # Errors
/// When store or blobs fail.
pub async fn of(app: &App, evaluation: &Evaluation) -> Result<Found, WebError> {
    Ok(of_all(app, [evaluation]).await?.remove(&evaluation.id).unwrap_or_default())
}

/// Has the mean of an evaluation ready where all of its tasks are done.
///
/// # Errors
/// When store or blobs fail.
pub async fn prepare(app: &App, id: EvaluationId) -> Result<(), WebError> {
    let found = app.store.evaluation(id).await?;
    if let Some(evaluation) = found.filter(|evaluation| evaluation.state == WorkState::Finished) {
        of(app, &evaluation).await?;
    }
    Ok(())
}

/// With the mean over the tasks where each has a score.
async fn with_mean(app: &App, work: Vec<WorkRow>, tasks: Vec<Option<ScoreRow>>) -> Result<Found, WebError> {
    let found = Found { work: Arc::new(work), scores: Arc::new(SuiteScores { tasks, mean: None }) };
    let Some(complete) = found.complete() else { return Ok(found) };
    let scores = SuiteScores { mean: evaluations::mean(app, &complete).await?, ..(*found.scores).clone() };
    Ok(Found { scores: Arc::new(scores), ..found })
}
