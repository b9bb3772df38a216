//! Two models on the same items: which is better, by how much, and how sure that is.
//!
//! Items are shared when profile, task, split and line agree and the prompts are the same text. A prompt that is not known
//! (of a result made elsewhere) is the same when the gold answer is.

mod items;
mod pairs;
mod statistic;
mod verdict;

use sekisho_domain::score::Interval;
use serde::{Deserialize, Serialize};

use crate::catalog::Catalog;
use crate::record::Record;
use crate::stats::{self, ALPHA, McNemar, Paired};
use pairs::Task;
use statistic::Compared;

pub use items::{Cell, Judged, Pair, Pairs, pair_items};
pub use pairs::Counts;
pub use verdict::{Verdict, p_value};

/// One of the two models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The first.
    A,
    /// The second.
    B,
}

/// What was compared, and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Comparison {
    /// The answer in one sentence, with its numbers.
    pub verdict: Verdict,
    /// Difference of the mean over the tasks' primary metrics; none of fewer than two tasks.
    pub mean: Option<Mean>,
    /// One row per task and metric, the primary metric of a task first.
    pub rows: Vec<Row>,
    /// Items of all tasks.
    pub counts: Counts,
    /// Items of each task.
    pub tasks: Vec<TaskCounts>,
}

/// The mean over tasks, each with its primary metric (BLEU and chrF ÷ 100); metrics of which less is better do not enter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = ComparisonMean)]
pub struct Mean {
    /// Tasks in the mean.
    pub tasks: usize,
    /// Mean of A.
    pub a: f64,
    /// Mean of B.
    pub b: f64,
    /// B − A, with a 95 % interval that draws items within each task.
    pub difference: Interval,
    /// Two-sided p-value of no difference, by the same bootstrap.
    pub p: f64,
}

/// One metric of one task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = ComparisonRow)]
pub struct Row {
    /// Versioned profile.
    pub profile: String,
    /// The harness's own task id.
    pub task: String,
    /// `dev` or `test`.
    pub split: String,
    /// Metric name.
    pub metric: String,
    /// Whether it is the task's primary metric.
    pub primary: bool,
    /// Shared items.
    pub n: usize,
    /// Score of A over them.
    pub a: f64,
    /// Score of B over them.
    pub b: f64,
    /// B − A with its 95 % interval by paired bootstrap.
    pub difference: Interval,
    /// Two-sided p-value of no difference: McNemar's where items are right or wrong and each stands for itself, else by paired
    /// bootstrap.
    pub p: f64,
    /// p after Holm's correction: of primary metrics over the tasks, of other metrics among themselves.
    pub p_corrected: f64,
    /// Which side is better after correction; none when the difference is not significant.
    pub better: Option<Side>,
    /// Items by who answered them right, where items are right or wrong.
    pub mcnemar: Option<McNemar>,
}

/// The items of one task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = ComparedTask)]
pub struct TaskCounts {
    /// Versioned profile.
    pub profile: String,
    /// The harness's own task id.
    pub task: String,
    /// `dev` or `test`.
    pub split: String,
    /// How many of which kind.
    #[serde(flatten)]
    pub counts: Counts,
}

/// Why two lists of records cannot be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompareError {
    /// Items are in both, but no metric is: they were judged by other rules.
    #[error("the two share items but no metric; evaluate or import both with the same version of the task")]
    NoMetric {
        /// Items of all tasks.
        counts: Counts,
    },
    /// No item is in both.
    #[error(
        "the two share no items: {} only in the first, {} only in the second, {} with another prompt; evaluate both with \
         the same profile, task, split and shots", counts.only_a, counts.only_b, counts.other_prompt
    )]
    NothingShared {
        /// Items of all tasks.
        counts: Counts,
    },
}

/// Compares `a` and `b` task by task and in the mean over tasks. The difference is always B − A.
///
/// Which metrics judge a task, and which of them is primary, the catalog says; a task that it does not know is compared by
/// the metrics in its records, the first by name being primary. Of records of the same item the last one counts.
///
/// # Errors
/// [`CompareError::NothingShared`] when no item is in both, [`CompareError::NoMetric`] when those that are have no metric in
/// common.
pub fn compare(a: &[Record], b: &[Record], catalog: &Catalog) -> Result<Comparison, CompareError> {
    let tasks = pairs::tasks(a, b);
    let counts: Counts = tasks.iter().map(|task| task.counts).sum();
    let compared: Vec<(&Task<'_>, Vec<Compared>)> = tasks
        .iter()
        .map(|task| {
            let names = metrics_of(task, catalog);
            let clustered =
                catalog.find(task.profile, task.task).is_ok_and(|definition| definition.cluster.is_some());
            let metric = |(place, metric): (usize, &String)| {
                Compared::new(metric, place == 0, clustered, &task.a, &task.b)
            };
            (task, names.iter().enumerate().filter_map(metric).collect())
        })
        .collect();
    let mut rows: Vec<Row> = compared.iter().flat_map(|(task, metrics)| rows(task, metrics)).collect();
    if rows.is_empty() {
        let shared = counts.shared > 0;
        return Err(if shared {
            CompareError::NoMetric { counts }
        } else {
            CompareError::NothingShared { counts }
        });
    }
    correct(&mut rows);
    let primaries: Vec<&Compared> =
        compared.iter().flat_map(|(_, metrics)| metrics).filter(|compared| compared.primary).collect();
    let mean = Mean::of(&primaries);
    Ok(Comparison {
        verdict: Verdict::new(mean.as_ref(), &rows),
        mean,
        rows,
        counts,
        tasks: tasks.iter().map(Task::counted).collect(),
    })
}

/// The rows of a task, the primary metric first.
fn rows(task: &Task<'_>, metrics: &[Compared]) -> Vec<Row> {
    metrics.iter().filter_map(|compared| row_of(task, compared)).collect()
}

/// One metric of a task by itself: its p-value is not corrected yet.
fn row_of(task: &Task<'_>, compared: &Compared) -> Option<Row> {
    let paired = compared.paired()?;
    let p = compared.p(&paired);
    Some(Row {
        profile: task.profile.to_owned(),
        task: task.task.to_owned(),
        split: task.split.to_owned(),
        metric: compared.metric.clone(),
        primary: compared.primary,
        n: compared.n,
        a: compared.a_score,
        b: compared.b_score,
        difference: paired.difference,
        p,
        p_corrected: p,
        better: better(&compared.metric, paired.difference.value, p),
        mcnemar: compared.mcnemar(),
    })
}

/// The metrics of a task, the primary one first.
fn metrics_of(task: &Task<'_>, catalog: &Catalog) -> Vec<String> {
    let mut metrics: Vec<String> = Vec::new();
    if let Ok(definition) = catalog.find(task.profile, task.task) {
        metrics.push(definition.primary.to_string());
        metrics.extend(definition.reported().iter().map(ToString::to_string));
    }
    metrics.extend(task.a.iter().flat_map(|record| record.score.keys().cloned()));
    let mut seen = std::collections::BTreeSet::new();
    metrics.retain(|metric| seen.insert(metric.clone()));
    metrics
}

/// Fills in the corrected p-values and what they say.
fn correct(rows: &mut [Row]) {
    for primary in [true, false] {
        let mut family: Vec<&mut Row> = rows.iter_mut().filter(|row| row.primary == primary).collect();
        let p: Vec<f64> = family.iter().map(|row| row.p).collect();
        for (row, corrected) in family.iter_mut().zip(stats::holm(&p)) {
            row.p_corrected = corrected;
            row.better = better(&row.metric, row.difference.value, corrected);
        }
    }
}

fn better(metric: &str, difference: f64, p: f64) -> Option<Side> {
    let b_has_more = difference > 0.0;
    let side = if b_has_more == statistic::lower_is_better(metric) { Side::A } else { Side::B };
    (p < ALPHA && difference != 0.0).then_some(side)
}

impl Mean {
    fn of(primaries: &[&Compared]) -> Option<Self> {
        let primaries: Vec<&&Compared> =
            primaries.iter().filter(|primary| !statistic::lower_is_better(&primary.metric)).collect();
        if primaries.len() < 2 {
            return None;
        }
        let side = |score: &dyn Fn(&Compared) -> f64| {
            stats::mean(
                &primaries.iter().map(|primary| score(primary) / primary.a.scale()).collect::<Vec<_>>(),
            )
        };
        let difference = primaries.iter().map(|primary| primary.a.difference(&primary.b, primary.a.scale()));
        let Paired { difference, p } = stats::paired(&difference.collect::<Option<Vec<_>>>()?)?;
        let (a, b) = (side(&|primary| primary.a_score)?, side(&|primary| primary.b_score)?);
        Some(Self { tasks: primaries.len(), a, b, difference, p })
    }
}
