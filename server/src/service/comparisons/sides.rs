//! The two sides of a comparison item by item: evaluations, or checkpoints with a task.

use sekisho_domain::{CheckpointId, EvaluationId};
use sekisho_store::{Checkpoint, Evaluation, WorkRow};

use crate::service::{checkpoints, evaluations};
use crate::{App, Noun, WebError};

/// A checkpoint with everything that it was asked.
#[derive(Clone, Debug)]
pub struct Side {
    /// The checkpoint.
    pub checkpoint: Checkpoint,
    /// Work items with their evaluations, the newest evaluation first, each in suite order.
    pub work: Vec<(Evaluation, WorkRow)>,
}

/// One task of both.
#[derive(Clone, Debug)]
pub struct TaskOfBoth {
    /// Positions in the work of A and of B.
    pub places: [usize; 2],
    /// `task`, or `profile/task/split` where the task's name alone means several.
    pub code: String,
}

/// By the id of an evaluation, or of a checkpoint: then all of its evaluations.
///
/// # Errors
/// 404 for an id that is neither.
pub async fn side(app: &App, key: &str) -> Result<Side, WebError> {
    let evaluation = match key.parse::<EvaluationId>() {
        Ok(id) => app.store.evaluation(id).await?,
        Err(_) => None,
    };
    let (checkpoint, found) = match evaluation {
        Some(evaluation) => {
            let checkpoint = checkpoints::find(app, &evaluation.checkpoint.to_string()).await?;
            (checkpoint, vec![evaluation])
        }
        None => {
            let id: CheckpointId = key.parse().map_err(|_| WebError::not_found(Noun::Evaluation, key))?;
            let checkpoint = app.store.checkpoint(id).await?;
            let checkpoint = checkpoint.ok_or_else(|| WebError::not_found(Noun::Evaluation, key))?;
            (checkpoint, app.store.evaluations_of(id).await?)
        }
    };
    let ids: Vec<EvaluationId> = found.iter().map(|evaluation| evaluation.id).collect();
    let mut rows = app.store.work_of_all(&ids).await?;
    let mut work = Vec::new();
    for evaluation in found {
        let (own, others): (Vec<WorkRow>, Vec<WorkRow>) =
            rows.into_iter().partition(|row| row.evaluation == evaluation.id);
        rows = others;
        work.extend(own.into_iter().map(|row| (evaluation.clone(), row)));
    }
    Ok(Side { checkpoint, work })
}

/// The tasks that both were asked, in the order of A: of the same profile and split, and run alike where there is a choice.
#[must_use]
pub fn tasks_of_both(a: &Side, b: &Side) -> Vec<TaskOfBoth> {
    let mut found: Vec<TaskOfBoth> = Vec::new();
    for (at, (_, ours)) in a.work.iter().enumerate() {
        let same = |(_, (_, theirs)): &(usize, &(Evaluation, WorkRow))| {
            let (ours, theirs) = (&ours.work.run, &theirs.work.run);
            (&ours.profile, &ours.task, &ours.split) == (&theirs.profile, &theirs.task, &theirs.split)
        };
        let partners: Vec<_> = b.work.iter().enumerate().filter(same).collect();
        let alike = partners.iter().find(|(_, (_, theirs))| theirs.work.run == ours.work.run);
        let Some((there, _)) = alike.or(partners.first()).copied() else { continue };
        let is_known = |known: &TaskOfBoth| a.work[known.places[0]].1.work.run == ours.work.run;
        if !found.iter().any(is_known) {
            found.push(TaskOfBoth { places: [at, there], code: ours.work.run.task.clone() });
        }
    }
    let names: Vec<String> = found.iter().map(|task| task.code.clone()).collect();
    for task in &mut found {
        if names.iter().filter(|name| **name == task.code).count() > 1 {
            let run = &a.work[task.places[0]].1.work.run;
            let limit = run.limit.map_or_else(String::new, |limit| format!("/{limit}"));
            task.code = format!("{}/{}/{}{limit}", run.profile, run.task, run.split);
        }
    }
    found
}

/// The records of both under one task.
///
/// # Errors
/// When store or blobs fail.
pub async fn records(app: &App, rows: [&WorkRow; 2]) -> Result<[Vec<sekisho_bench::Record>; 2], WebError> {
    let [a, b] = rows;
    Ok([evaluations::records(app, a.work.id).await?, evaluations::records(app, b.work.id).await?])
}
