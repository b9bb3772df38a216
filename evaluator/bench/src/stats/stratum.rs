use std::collections::BTreeMap;

use sekisho_domain::score::Interval;

use super::{SEED, mean, small, wilson};
use crate::python_random::PythonRandom;

/// One task in a mean over tasks: its items are drawn within it.
pub enum Stratum<'a> {
    /// The task's score is the mean of its items' values. Items come in clusters, such as the questions about one passage,
    /// and whole clusters are drawn: the sum and number of each, in the order in which they first appear.
    Mean(Vec<(f64, f64)>),
    /// The score is any statistic of the items.
    Statistic {
        /// Items.
        items: usize,
        /// The statistic of the items at these places, the first time each once in order; none where it has no value.
        of: Box<dyn Fn(&[usize]) -> Option<f64> + 'a>,
    },
}

impl<'a> Stratum<'a> {
    /// A mean of values, each a cluster of its own.
    #[must_use]
    pub fn mean(values: &[f64]) -> Self {
        Self::Mean(values.iter().map(|value| (*value, 1.0)).collect())
    }

    /// A mean of values in clusters; `clusters` names the cluster of each value. None of lists of different lengths.
    #[must_use]
    pub fn clustered_mean<K: Ord>(values: &[f64], clusters: &[K]) -> Option<Self> {
        if values.len() != clusters.len() {
            return None;
        }
        let mut places: BTreeMap<&K, usize> = BTreeMap::new();
        let mut sums: Vec<(f64, f64)> = Vec::new();
        for (value, cluster) in values.iter().zip(clusters) {
            let place = *places.entry(cluster).or_insert(sums.len());
            if place == sums.len() {
                sums.push((0.0, 0.0));
            }
            sums[place].0 += value;
            sums[place].1 += 1.0;
        }
        Some(Self::Mean(sums))
    }

    /// Any statistic of a number of items.
    #[must_use]
    pub fn statistic(items: usize, of: impl Fn(&[usize]) -> Option<f64> + 'a) -> Self {
        Self::Statistic { items, of: Box::new(of) }
    }

    fn value(&self) -> Option<f64> {
        match self {
            Self::Mean(clusters) => {
                let add = |(sum, items): (f64, f64), (s, n): &(f64, f64)| (sum + s, items + n);
                let (sum, items) = clusters.iter().fold((0.0, 0.0), add);
                (items > 0.0).then_some(sum / items)
            }
            Self::Statistic { items: 0, .. } => None,
            Self::Statistic { items, of } => of(&(0..*items).collect::<Vec<_>>()),
        }
    }

    pub(super) fn resampled(&self, random: &mut PythonRandom) -> Option<f64> {
        match self {
            Self::Mean(clusters) => {
                let (mut sum, mut items) = (0.0, 0.0);
                for _ in 0..clusters.len() {
                    let (s, n) = clusters[random.choice(clusters.len())];
                    sum += s;
                    items += n;
                }
                Some(sum / items)
            }
            Self::Statistic { items, of } => of(&random.choices(*items, *items)),
        }
    }

    /// Wilson's interval of a mean of which every item is 0 or every item is 1, over its clusters.
    pub(super) fn at_an_end(&self) -> Option<Interval> {
        let Self::Mean(clusters) = self else { return None };
        let all = |end: f64| clusters.iter().all(|(sum, items)| *sum == end * items).then_some(end);
        wilson(&vec![all(0.0).or_else(|| all(1.0))?; clusters.len()])
    }
}

/// The mean of the tasks' scores; none of no tasks and where one has no items or no value.
pub(super) fn mean_of(tasks: &[Stratum<'_>]) -> Option<f64> {
    mean(&tasks.iter().map(Stratum::value).collect::<Option<Vec<_>>>()?)
}

/// Means over tasks with each task's items drawn with replacement, without those in which a task has no value.
pub(super) fn resampled_means(tasks: &[Stratum<'_>], replicates: usize) -> Vec<f64> {
    let mut random = PythonRandom::new(SEED);
    let mut replicate = || {
        // Every task draws, whether or not the one before it has a value: the stream does not hang on values.
        let scores: Vec<Option<f64>> = tasks.iter().map(|task| task.resampled(&mut random)).collect();
        Some(scores.into_iter().collect::<Option<Vec<_>>>()?.iter().sum::<f64>() / small(tasks.len()))
    };
    (0..replicates).filter_map(|_| replicate()).collect()
}
