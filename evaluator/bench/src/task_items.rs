use sekisho_domain::score::Interval;

use crate::metric::Metric;
use crate::record::Record;
use crate::statistic::{self, Statistic};
use crate::stats::{self, Paired, Stratum};

/// The items of one task under one metric, as they enter an interval, a mean over tasks or a comparison.
pub struct TaskItems {
    items: Vec<u64>,
    statistic: Statistic,
    /// Per item what it shares with others, where items that share something are drawn together. An item of which this is not
    /// known (another program's record) stands for itself.
    clusters: Option<Vec<Result<String, u64>>>,
    metric: Option<Metric>,
}

impl TaskItems {
    /// Of the records that have the metric; a metric that is not ours is the mean of what the records say. `clustered` says
    /// that items of one group are drawn together ([`TaskDefinition::cluster`](crate::TaskDefinition::cluster)).
    pub fn new<'r>(metric: &str, clustered: bool, records: impl IntoIterator<Item = &'r Record>) -> Self {
        let records: Vec<&Record> =
            records.into_iter().filter(|record| Statistic::has(metric, record)).collect();
        let groups = || records.iter().map(|record| record.group.clone().ok_or(record.item)).collect();
        Self {
            items: records.iter().map(|record| record.item).collect(),
            statistic: Statistic::new(metric, &records),
            clusters: clustered.then(groups),
            metric: statistic::metric(metric),
        }
    }

    /// Whether the metric enters means over tasks: one of which less is better does not.
    #[must_use]
    pub fn enters_means(&self) -> bool {
        self.metric.is_none_or(Metric::higher_is_better)
    }

    /// Items.
    pub(crate) const fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether an item is among them, which stand in their order.
    pub(crate) fn has_item(&self, item: u64) -> bool {
        self.items.binary_search(&item).is_ok()
    }

    /// Each item judged by itself, more being better.
    pub(crate) fn values(&self) -> Vec<f64> {
        self.statistic.each(self.enters_means())
    }

    /// The metric over these items.
    pub(crate) const fn statistic(&self) -> &Statistic {
        &self.statistic
    }

    /// The score over all items. llm-jp-eval counts a correlation that is not defined as 0.
    #[must_use]
    pub fn score(&self) -> Option<f64> {
        let score = self.statistic.over(&(0..self.len()).collect::<Vec<_>>());
        score.or_else(|| (self.is_correlation() && self.len() > 0).then_some(0.0))
    }

    /// The score of drawn items; of a correlation that is not defined on all of them 0 for every draw.
    fn drawn(&self) -> impl Fn(&[usize]) -> Option<f64> {
        let all: Vec<usize> = (0..self.len()).collect();
        let constant = self.is_correlation() && self.statistic.over(&all).is_none();
        move |drawn| if constant { Some(0.0) } else { self.statistic.over(drawn) }
    }

    const fn is_correlation(&self) -> bool {
        matches!(self.statistic, Statistic::Correlation(..))
    }

    /// What a value is divided by where it enters a mean over tasks.
    pub(crate) fn scale(&self) -> f64 {
        self.metric.map_or(1.0, Metric::scale)
    }

    /// The score with its 95 % interval: Wilson's of a proportion, else bootstrap, of clusters where items share something.
    pub(crate) fn interval(&self) -> Option<Interval> {
        match (&self.statistic, &self.clusters) {
            (Statistic::Mean(values), None) if self.metric.is_some_and(Metric::is_proportion) => {
                stats::wilson(values)
            }
            _ => stats::bootstrap(&[self.stratum(1.0)?]),
        }
    }

    fn stratum(&self, scale: f64) -> Option<Stratum<'_>> {
        match &self.statistic {
            Statistic::Mean(values) => self.mean(&values.iter().map(|v| v / scale).collect::<Vec<_>>()),
            _ => {
                let score = self.drawn();
                Some(Stratum::statistic(self.len(), move |drawn| Some(score(drawn)? / scale)))
            }
        }
    }

    /// What `other` has more than this; none unless both have the same items.
    pub(crate) fn difference<'a>(&'a self, other: &'a Self, scale: f64) -> Option<Stratum<'a>> {
        if self.items != other.items {
            return None;
        }
        let knows = |side: &&Self| side.clusters.iter().flatten().all(Result::is_ok);
        let grouped = if knows(&self) { self } else { other };
        match self.statistic.means().zip(other.statistic.means()) {
            Some((a, b)) => grouped.mean(&a.iter().zip(b).map(|(a, b)| (b - a) / scale).collect::<Vec<_>>()),
            None => {
                let (a, b) = (self.drawn(), other.drawn());
                Some(Stratum::statistic(self.len(), move |drawn| Some((b(drawn)? - a(drawn)?) / scale)))
            }
        }
    }

    fn mean(&self, values: &[f64]) -> Option<Stratum<'static>> {
        match &self.clusters {
            Some(clusters) => Stratum::clustered_mean(values, clusters),
            None => Some(Stratum::mean(values)),
        }
    }

    /// Whether items are drawn in clusters.
    pub(crate) const fn is_clustered(&self) -> bool {
        self.clusters.is_some()
    }
}

/// A score as it enters a mean over tasks: BLEU and chrF divided by 100. None of a metric of which less is better, which does
/// not enter.
#[must_use]
pub fn share_of_mean(metric: &str, value: f64) -> Option<f64> {
    let metric = statistic::metric(metric);
    metric.is_none_or(Metric::higher_is_better).then(|| value / metric.map_or(1.0, Metric::scale))
}

/// The unweighted mean over tasks with its 95 % interval; BLEU and chrF enter divided by 100. None of no tasks, and where one
/// has no items or no score.
#[must_use]
pub fn mean_over_tasks(tasks: &[TaskItems]) -> Option<Interval> {
    stats::bootstrap(&tasks.iter().map(|task| task.stratum(task.scale())).collect::<Option<Vec<_>>>()?)
}

/// The paired bootstrap of the mean over tasks, `b − a`. None unless both have the same items of the same number of tasks.
#[must_use]
pub fn difference_over_tasks(a: &[TaskItems], b: &[TaskItems]) -> Option<Paired> {
    if a.len() != b.len() {
        return None;
    }
    stats::paired(&a.iter().zip(b).map(|(a, b)| a.difference(b, a.scale())).collect::<Option<Vec<_>>>()?)
}

/// Scores over the logarithm of tokens: [`stats::score_scaling`] of the means over tasks. `checkpoints` by tokens ascending, each with
/// its tasks in the same order. None unless all have the same items of each task.
#[must_use]
pub fn scaling_over_tasks(checkpoints: &[(f64, Vec<TaskItems>)], at: &[f64]) -> Option<stats::Scaling> {
    let (_, first) = checkpoints.first()?;
    let same = |tasks: &Vec<TaskItems>| {
        tasks.len() == first.len() && tasks.iter().zip(first).all(|(task, first)| task.items == first.items)
    };
    if !checkpoints.iter().all(|(_, tasks)| same(tasks)) {
        return None;
    }
    let strata: Vec<(f64, Vec<Stratum<'_>>)> = checkpoints
        .iter()
        .map(|(tokens, tasks)| {
            let strata = tasks.iter().map(|task| task.stratum(task.scale()));
            Some((*tokens, strata.collect::<Option<Vec<_>>>()?))
        })
        .collect::<Option<_>>()?;
    stats::score_scaling(&strata, at)
}
