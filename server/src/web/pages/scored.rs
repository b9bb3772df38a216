//! A checkpoint with what one suite found: what curves, boards and checkpoint pages are made of.

use std::collections::HashMap;

use sekisho_bench::Catalog;
use sekisho_domain::evaluation::{TaskRun, WorkState};
use sekisho_domain::{CheckpointId, Language, Sha256};
use sekisho_store::{Checkpoint, Evaluation, ScoreRow};

use super::parts::{ScoreCell, missing_reason};
use crate::service::comparisons::Primary;
use crate::service::evaluations;
use crate::service::found::{self, Found};
use crate::web::format;
use crate::web::i18n::Words as _;
use crate::{App, WebError};

/// A checkpoint and its evaluation on one suite, if there is one.
#[derive(Clone, Debug)]
pub(super) struct Scored {
    pub(super) checkpoint: Checkpoint,
    pub(super) evaluation: Option<Evaluation>,
    pub(super) found: Found,
}

/// A mean over the tasks of a suite, or over those that are done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Mean {
    pub(super) value: f64,
    /// Present when every task is done.
    pub(super) interval: Option<(f64, f64)>,
    /// Tasks with a score. A metric of which less is better counts in neither.
    pub(super) done: usize,
    /// Tasks of the suite.
    pub(super) of: usize,
    /// Items of the tasks with a score.
    pub(super) n: u64,
}

impl Mean {
    /// Whether every task is in it.
    pub(super) fn is_complete(&self) -> bool {
        self.done == self.of
    }
}

impl Scored {
    /// The checkpoint's evaluation on the named suite; on that of its run when none is named.
    pub(super) async fn load(
        app: &App,
        checkpoint: Checkpoint,
        suite: Option<&str>,
    ) -> Result<Self, WebError> {
        let run = app.store.run(checkpoint.run).await?;
        let of_run = run.as_ref().map(|run| evaluations::suite_of(app, run));
        let suite = suite.or(of_run).unwrap_or(&app.config.suite);
        let mut found = Self::load_all(app, vec![checkpoint], suite).await?;
        found.pop().ok_or_else(|| WebError::internal("a checkpoint was loaded and is not there"))
    }

    /// Each of the checkpoints with its evaluation on the suite, in the order given.
    pub(super) async fn load_all(
        app: &App,
        checkpoints: Vec<Checkpoint>,
        suite: &str,
    ) -> Result<Vec<Self>, WebError> {
        let ids: Vec<CheckpointId> = checkpoints.iter().map(|c| c.id).collect();
        let found = app.store.evaluations_of_all(&ids).await?.into_iter().filter(|e| e.suite == suite);
        let mut found: HashMap<CheckpointId, Evaluation> = found.map(|e| (e.checkpoint, e)).collect();
        let pairs = checkpoints.into_iter().map(|checkpoint| {
            let evaluation = found.remove(&checkpoint.id);
            (checkpoint, evaluation)
        });
        Self::of_evaluations(app, pairs.collect()).await
    }

    /// A checkpoint with that evaluation.
    pub(super) async fn of_evaluation(
        app: &App,
        checkpoint: Checkpoint,
        evaluation: Evaluation,
    ) -> Result<Self, WebError> {
        let mut found = Self::of_evaluations(app, vec![(checkpoint, Some(evaluation))]).await?;
        found.pop().ok_or_else(|| WebError::internal("an evaluation was loaded and is not there"))
    }

    /// Checkpoints with these evaluations, in the order given.
    pub(super) async fn of_evaluations(
        app: &App,
        pairs: Vec<(Checkpoint, Option<Evaluation>)>,
    ) -> Result<Vec<Self>, WebError> {
        let evaluated = pairs.iter().filter_map(|(_, evaluation)| evaluation.as_ref());
        let found = found::of_all(app, evaluated).await?;
        let of = |(checkpoint, evaluation): (Checkpoint, Option<Evaluation>)| {
            let found = evaluation.as_ref().and_then(|evaluation| found.get(&evaluation.id));
            let found = found.cloned().unwrap_or_default();
            Self { checkpoint, evaluation, found }
        };
        Ok(pairs.into_iter().map(of).collect())
    }

    /// What its scores were made under: each task with the fingerprint of its score. Means under different settings are neither
    /// compared nor joined by a line.
    pub(super) fn settings(&self) -> Vec<(&TaskRun, Option<Sha256>)> {
        let fingerprint = |score: &Option<ScoreRow>| score.as_ref().map(|row| row.entry.fingerprint);
        self.found
            .work
            .iter()
            .zip(&self.found.scores.tasks)
            .map(|(w, s)| (&w.work.run, fingerprint(s)))
            .collect()
    }

    /// The primary scores, if every task has one.
    pub(super) fn primary(&self) -> Option<Primary> {
        self.found.complete()
    }

    /// The mean, or what there is of it.
    pub(super) fn mean(&self) -> Option<Mean> {
        let there = || self.found.primary();
        let done: Vec<f64> = there().filter_map(share).collect();
        if done.is_empty() {
            return None;
        }
        let plain = done.iter().sum::<f64>() / done.len() as f64;
        let exact = self.found.scores.mean.as_ref();
        Some(Mean {
            value: exact.map_or(plain, |mean| mean.value),
            interval: exact.map(|mean| (mean.low, mean.high)),
            done: done.len(),
            of: self.found.work.len() - (there().count() - done.len()),
            n: there().filter(|row| share(row).is_some()).map(|row| row.entry.n).sum(),
        })
    }

    /// The score of a task, or how far its work is.
    pub(super) fn score(&self, run: &TaskRun) -> Result<&ScoreRow, Option<WorkState>> {
        let Some(i) = self.found.work.iter().position(|w| w.work.run == *run) else { return Err(None) };
        let score = self.found.scores.tasks.get(i).and_then(Option::as_ref);
        score.ok_or(Some(self.found.work[i].state))
    }

    /// Cell with the mean: value and interval, `3/4` where tasks are missing, or why there is none.
    pub(super) fn mean_cell(&self, lang: Language) -> ScoreCell {
        let href = self.evaluation.as_ref().map(|e| format!("/evals/{}", e.id));
        let Some(mean) = self.mean() else {
            let state = self.evaluation.as_ref().map(|e| e.state);
            return ScoreCell::missing(missing_reason(lang, state));
        };
        ScoreCell {
            value: format::score(mean.value),
            interval: match mean.interval {
                Some((low, high)) => format::interval(low, high),
                None => lang.fill("score.tasks_done", &[("done", &mean.done), ("of", &mean.of)]),
            },
            href,
            ..ScoreCell::default()
        }
    }
}

/// A score as it enters the mean over tasks; none where its metric does not.
pub(super) fn share(row: &ScoreRow) -> Option<f64> {
    sekisho_bench::share_of_mean(&row.entry.metric, row.entry.value)
}

/// The tasks of several evaluations, in the order of the newest suite first.
pub(super) fn tasks<'a>(scored: impl IntoIterator<Item = &'a Scored>) -> Vec<TaskRun> {
    let mut runs: Vec<TaskRun> = Vec::new();
    for row in scored.into_iter().flat_map(|s| &*s.found.work) {
        if !runs.contains(&row.work.run) {
            runs.push(row.work.run.clone());
        }
    }
    runs
}

/// A task's title in the language of the page; its id where the catalogue does not know it.
pub(super) fn title(lang: Language, catalog: &Catalog, run: &TaskRun) -> String {
    match (catalog.find(&run.profile, &run.task), lang) {
        (Ok(definition), Language::Ja) => definition.title_ja.clone(),
        (Ok(definition), Language::En) => definition.title_en.clone(),
        (Err(_), _) => run.task.clone(),
    }
}

/// The score of guessing.
pub(super) fn chance(catalog: &Catalog, run: &TaskRun) -> Option<f64> {
    catalog.find(&run.profile, &run.task).ok()?.chance
}
