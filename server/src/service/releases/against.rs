use sekisho_bench::stats::holm;
use sekisho_bench::{TaskItems, difference_over_tasks};
use sekisho_domain::Sha256;
use sekisho_domain::release::ReleaseState;
use sekisho_policy::Regression;
use sekisho_store::{Checkpoint, Release, ScoreRow};
use serde::{Deserialize, Serialize};

use super::{settings, target};
use crate::service::{checkpoints, evaluations, found};
use crate::{App, WebError};

/// A release beside the one that is out.
#[derive(Clone, Debug)]
pub struct AgainstPublished {
    /// What is out.
    pub current: Release,
    /// Its tasks that both answered under the same settings.
    pub tasks: Vec<TaskDifference>,
}

/// One task: this release minus the published one, paired on the items that both answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskDifference {
    /// Versioned profile.
    pub profile: String,
    /// Task id.
    pub task: String,
    /// Metric.
    pub metric: String,
    /// Settings, the same of both.
    pub fingerprint: Sha256,
    /// Of the published model.
    pub theirs: f64,
    /// Lower end of its 95 % interval.
    pub theirs_low: f64,
    /// Upper end.
    pub theirs_high: f64,
    /// Of this one.
    pub ours: f64,
    /// Difference of the means.
    pub delta: f64,
    /// Lower end of its 95 % interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Two-sided p-value, corrected over the tasks (Holm).
    pub p: f64,
}

/// Compares a release with the one that it would take the place of; nothing when nothing is out there.
///
/// # Errors
/// When store or blobs fail.
pub async fn against_published(
    app: &App,
    release: &Release,
    checkpoint: &Checkpoint,
) -> Result<Option<AgainstPublished>, WebError> {
    let Some(current) = current(app, release).await? else { return Ok(None) };
    let theirs = checkpoints::find(app, &current.checkpoint.to_string()).await?;
    let tasks = paired(app, &theirs, checkpoint).await?;
    Ok(Some(AgainstPublished { current, tasks }))
}

/// Two checkpoints on the tasks that both answered under the same settings, `ours` minus `theirs`; nothing of a checkpoint beside itself.
/// Computed once and then kept: it needs every record.
///
/// # Errors
/// When store or blobs fail.
pub(super) async fn paired(
    app: &App,
    theirs: &Checkpoint,
    ours: &Checkpoint,
) -> Result<Vec<TaskDifference>, WebError> {
    if theirs.id == ours.id {
        return Ok(Vec::new());
    }
    let (a, b) = (primary(app, theirs).await?, primary(app, ours).await?);
    let pairs = pairs(&a, &b);
    let identities = (identity(pairs.iter().map(|(a, _)| *a)), identity(pairs.iter().map(|(_, b)| *b)));
    let key = format!("differences/{}-{}.json", identities.0, identities.1);
    if let Some(kept) = app.blobs.get(&key).await?.and_then(|bytes| serde_json::from_slice(&bytes).ok()) {
        return Ok(kept);
    }
    let mut jobs = Vec::new();
    for (a, b) in pairs {
        let (a, b) = (a.clone(), b.clone());
        let items = (evaluations::items_of(app, &a).await?, evaluations::items_of(app, &b).await?);
        jobs.push(tokio::task::spawn_blocking(move || difference(&a, &b, items)));
    }
    let mut tasks = Vec::new();
    for job in jobs {
        tasks.extend(job.await.map_err(WebError::internal)?);
    }
    correct(&mut tasks);
    app.blobs.put(&key, serde_json::to_vec(&tasks).map_err(WebError::internal)?).await?;
    Ok(tasks)
}

/// As the policy's gates see it.
pub(super) fn regressions(against: Option<AgainstPublished>) -> Vec<Regression> {
    let Some(AgainstPublished { current, tasks }) = against else { return Vec::new() };
    let regression = |task: TaskDifference| Regression {
        current: current.name.clone(),
        task: task.task,
        delta: task.delta,
        p: task.p,
    };
    tasks.into_iter().map(regression).collect()
}

/// What is out on the branch that the release goes to; else the newest that is out in its repository.
async fn current(app: &App, release: &Release) -> Result<Option<Release>, WebError> {
    let Some(section) = target(release) else { return Ok(None) };
    let out = settings::published(app, release, &section.repo).await?;
    let mut out: Vec<_> = out.into_iter().filter(|(r, _)| r.state == ReleaseState::Published).collect();
    out.sort_by_key(|(other, theirs)| (theirs.revision == section.revision, other.updated));
    Ok(out.pop().map(|(other, _)| other))
}

/// The primary scores of all evaluations of a checkpoint; the newest where a task was run twice under the same settings.
async fn primary(app: &App, checkpoint: &Checkpoint) -> Result<Vec<ScoreRow>, WebError> {
    let mut rows: Vec<ScoreRow> = Vec::new();
    for evaluation in app.store.evaluations_of(checkpoint.id).await? {
        for row in found::of(app, &evaluation).await?.primary() {
            if !rows.iter().any(|known| known.entry.fingerprint == row.entry.fingerprint) {
                rows.push(row.clone());
            }
        }
    }
    rows.sort_by(|a, b| (&a.entry.profile, &a.entry.task).cmp(&(&b.entry.profile, &b.entry.task)));
    Ok(rows)
}

fn pairs<'s>(theirs: &'s [ScoreRow], ours: &'s [ScoreRow]) -> Vec<(&'s ScoreRow, &'s ScoreRow)> {
    let same = |a: &'s ScoreRow| {
        let is_same =
            |b: &&ScoreRow| b.entry.fingerprint == a.entry.fingerprint && b.entry.metric == a.entry.metric;
        Some((a, ours.iter().find(is_same)?))
    };
    theirs.iter().filter_map(same).collect()
}

fn identity<'s>(rows: impl Iterator<Item = &'s ScoreRow>) -> String {
    evaluations::identity(&rows.cloned().collect::<Vec<_>>())
}

/// None where the two did not answer the same items, or where more is not better.
fn difference(a: &ScoreRow, b: &ScoreRow, items: (TaskItems, TaskItems)) -> Option<TaskDifference> {
    if !items.0.enters_means() {
        return None;
    }
    let found = difference_over_tasks(&[items.0], &[items.1])?;
    Some(TaskDifference {
        profile: a.entry.profile.clone(),
        task: a.entry.task.clone(),
        metric: a.entry.metric.clone(),
        fingerprint: a.entry.fingerprint,
        theirs: a.entry.value,
        theirs_low: a.entry.low,
        theirs_high: a.entry.high,
        ours: b.entry.value,
        delta: found.difference.value,
        low: found.difference.low,
        high: found.difference.high,
        p: found.p,
    })
}

fn correct(tasks: &mut [TaskDifference]) {
    let corrected = holm(&tasks.iter().map(|task| task.p).collect::<Vec<_>>());
    for (task, p) in tasks.iter_mut().zip(corrected) {
        task.p = p;
    }
}
