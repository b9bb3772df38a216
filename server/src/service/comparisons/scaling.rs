//! Scores and losses of a run over its checkpoints, and the curve through them.

use std::sync::Arc;

use sekisho_bench::stats::{Scaling, loss_scaling};
use sekisho_bench::{TaskItems, scaling_over_tasks};
use sekisho_domain::Sha256;
use sekisho_domain::run::MetricRow;
use sekisho_store::Checkpoint;

use super::Primary;
use crate::service::evaluations;
use crate::{App, WebError};

/// Most checkpoints that are read; of more, so many are taken evenly, the last one always.
pub const MOST: usize = 40;

/// The curve of a run's means; none of too few checkpoints, or where they did not answer the same items. `points` are checkpoints with their
/// primary scores under the same settings, by tokens; `at` are numbers of tokens. Computed once for the same points and places, and then
/// kept.
///
/// # Errors
/// When store or blobs fail.
pub async fn of_scores(
    app: &App,
    points: &[(&Checkpoint, Primary)],
    at: &[f64],
) -> Result<Option<Scaling>, WebError> {
    let identity: Vec<String> = points
        .iter()
        .map(|(point, scores)| format!("{} {}", point.tokens.0, evaluations::identity(scores)))
        .collect();
    let key = format!("scaling/{}.json", Sha256::of(format!("{}\n{at:?}", identity.join("\n"))).hex());
    let kept = app.blobs.get(&key).await?;
    if let Some(known) = kept.and_then(|bytes| serde_json::from_slice(&bytes).ok()) {
        return Ok(known);
    }
    // One page at a time reads every record of a run.
    let _one = app.comparing.lock().await;
    let mut read: Vec<(f64, Vec<TaskItems>)> = Vec::with_capacity(points.len());
    for (point, scores) in points {
        let mut tasks = Vec::with_capacity(scores.len());
        for score in scores {
            tasks.push(evaluations::items_of(app, score).await?);
        }
        tasks.retain(TaskItems::enters_means);
        read.push((point.tokens.0 as f64, tasks));
    }
    let at: Arc<[f64]> = at.into();
    let job = tokio::task::spawn_blocking(move || scaling_over_tasks(&read, &at));
    let found = job.await.map_err(WebError::internal)?;
    app.blobs.put(&key, serde_json::to_vec(&found).map_err(WebError::internal)?).await?;
    Ok(found)
}

/// The training loss at each checkpoint: the mean over the reports of the hundredth of the training before it, at least its own.
#[must_use]
pub fn losses(rows: &[MetricRow], checkpoints: &[&Checkpoint]) -> Vec<(f64, f64)> {
    let at = |checkpoint: &&Checkpoint| {
        let from = checkpoint.tokens.0 - checkpoint.tokens.0 / 100;
        let near = rows.iter().filter(|row| row.step <= checkpoint.step && row.tokens.0 >= from);
        let values: Vec<f64> = near.filter_map(|row| row.loss).filter(|loss| loss.is_finite()).collect();
        let mean = sekisho_bench::stats::mean(&values)?;
        Some((checkpoint.tokens.0 as f64, mean))
    };
    checkpoints.iter().filter_map(at).collect()
}

/// The curve of a run's losses.
#[must_use]
pub fn of_losses(points: &[(f64, f64)], at: &[f64]) -> Option<Scaling> {
    loss_scaling(points, at)
}

/// Evenly spread, at most so many, the last one always.
#[must_use]
pub fn thinned<T: Clone>(all: &[T], most: usize) -> Vec<T> {
    let every = all.len().div_ceil(most.max(1)).max(1);
    let kept = all.iter().rev().step_by(every).cloned();
    let mut kept: Vec<T> = kept.collect();
    kept.reverse();
    kept
}

#[cfg(test)]
mod tests {
    use sekisho_domain::{Step, Tokens};

    use super::*;
    use crate::web::pages::fixtures;

    #[test]
    fn the_loss_at_a_checkpoint_is_of_the_reports_before_it() {
        let row = |step: u64, loss: f64| MetricRow {
            step: Step(step),
            tokens: Tokens(step * 100),
            loss: Some(loss),
            ..MetricRow::default()
        };
        let rows: Vec<MetricRow> =
            (1..=2000).map(|step| row(step, if step > 1000 { 1.0 } else { 3.0 })).collect();
        let checkpoint = |step: u64| Checkpoint {
            step: Step(step),
            tokens: Tokens(step * 100),
            ..fixtures::verified_checkpoint()
        };
        let (early, late, beyond) = (checkpoint(1000), checkpoint(1500), checkpoint(9000));
        let found = losses(&rows, &[&early, &late, &beyond]);
        assert_eq!(found, [(100_000.0, 3.0), (150_000.0, 1.0)], "where nothing was reported is no point");
    }

    #[test]
    fn the_last_point_is_never_left_out() {
        let all: Vec<usize> = (0..95).collect();
        let kept = thinned(&all, 40);
        assert!(
            kept.len() <= 40 && kept.last() == Some(&94) && kept.windows(2).all(|w| w[1] - w[0] == 3),
            "{kept:?}"
        );
        assert_eq!(thinned(&all, 200), all);
    }
}
