//! Which tasks fell significantly since the evaluation of the checkpoint before: a paired test on the items that both answered, between
//! scores of the same settings, corrected over the tasks by Holm's method.

use std::collections::{BTreeMap, BTreeSet};

use sekisho_bench::Record;
use sekisho_bench::compare::{Row, compare};
use sekisho_domain::Sha256;
use sekisho_domain::evaluation::WorkState;
use sekisho_store::{Checkpoint, Evaluation, ScoreRow};
use serde_json::{Value, json};

use crate::service::{checkpoints, evaluations};
use crate::{App, WebError};

/// A curve has many points and each is tested: 0.05 would find one fall in twenty where there is none.
const ALPHA: f64 = 0.01;

/// The finished evaluation on the same suite of the nearest earlier checkpoint of the run.
pub(super) async fn before(
    app: &App,
    checkpoint: &Checkpoint,
    evaluation: &Evaluation,
) -> Result<Option<Evaluation>, WebError> {
    let mut earlier = app.store.checkpoints_of_run(checkpoint.run).await?;
    earlier.retain(|other| other.step < checkpoint.step);
    earlier.sort_by_key(|other| std::cmp::Reverse(other.step));
    for other in earlier {
        let all = app.store.evaluations_of(other.id).await?;
        let same = |one: &Evaluation| one.suite == evaluation.suite && one.state == WorkState::Finished;
        if let Some(found) = all.into_iter().find(same) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// The falls of an evaluation, each as what a message tells of it.
pub(super) async fn of(app: &App, evaluation: &str) -> Result<Vec<Value>, WebError> {
    let evaluation = match evaluations::find(app, evaluation).await {
        Err(error) if error.code == "not-found" => return Ok(Vec::new()),
        found => found?,
    };
    let checkpoint = checkpoints::find(app, &evaluation.checkpoint.to_string()).await?;
    let Some(before) = before(app, &checkpoint, &evaluation).await? else { return Ok(Vec::new()) };
    let (old, new) = (primary(app, &before).await?, primary(app, &evaluation).await?);
    let same: BTreeSet<&(String, String, Sha256)> = old.keys().filter(|key| new.contains_key(*key)).collect();
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for key in same {
        a.extend(records(app, &old[key]).await?);
        b.extend(records(app, &new[key]).await?);
    }
    let catalog = app.catalog.clone();
    let compared =
        tokio::task::spawn_blocking(move || compare(&a, &b, &catalog)).await.map_err(WebError::internal)?;
    // Nothing shared is nothing to say.
    let Ok(compared) = compared else { return Ok(Vec::new()) };
    Ok(compared.rows.iter().filter(|row| fell(row)).map(|row| told(row, &before)).collect())
}

fn fell(row: &Row) -> bool {
    row.primary && row.p_corrected < ALPHA && row.better == Some(sekisho_bench::compare::Side::A)
}

fn told(row: &Row, before: &Evaluation) -> Value {
    json!({
        "profile": row.profile, "task": row.task, "metric": row.metric, "n": row.n, "from": row.a, "to": row.b,
        "p": row.p_corrected, "before": before.id,
    })
}

/// The primary scores of an evaluation by task and settings.
async fn primary(
    app: &App,
    evaluation: &Evaluation,
) -> Result<BTreeMap<(String, String, Sha256), ScoreRow>, WebError> {
    let scores = app.store.scores(evaluation.id).await?;
    let key = |row: &ScoreRow| (row.entry.profile.clone(), row.entry.task.clone(), row.entry.fingerprint);
    Ok(scores.into_iter().filter(|row| row.primary).map(|row| (key(&row), row)).collect())
}

async fn records(app: &App, score: &ScoreRow) -> Result<Vec<Record>, WebError> {
    evaluations::records(app, score.work).await
}
