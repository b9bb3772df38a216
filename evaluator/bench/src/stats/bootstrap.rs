use std::collections::BTreeMap;

use sekisho_domain::score::Interval;

use super::{SEED, count, mean, small};
use crate::python_random::PythonRandom;

/// Replicates of an interval.
const REPLICATES: usize = 1_000;

/// 95 % percentile bootstrap interval of a mean; none of no values.
#[must_use]
pub fn bootstrap_mean(values: &[f64]) -> Option<Interval> {
    mean_of_tasks(&[values.to_vec()])
}

/// Unweighted mean of the tasks' means, with a 95 % bootstrap interval that resamples items within each task; none of no
/// tasks or of a task without items.
#[must_use]
pub fn mean_of_tasks(tasks: &[Vec<f64>]) -> Option<Interval> {
    let tasks: Vec<Clusters> = tasks.iter().map(|values| Clusters::singletons(values)).collect();
    mean_of_clustered(&tasks)
}

/// 95 % bootstrap interval of a mean over items that come in clusters, such as the questions about one passage: whole
/// clusters are drawn. `clusters` names the cluster of each value; where every item is its own cluster this is
/// [`bootstrap_mean`]. None of no values and of lists of different lengths.
#[must_use]
pub fn cluster_bootstrap<K: Ord>(values: &[f64], clusters: &[K]) -> Option<Interval> {
    mean_of_clustered(&[Clusters::new(values, clusters)?])
}

fn mean_of_clustered(tasks: &[Clusters]) -> Option<Interval> {
    let value = mean(&tasks.iter().map(Clusters::mean).collect::<Option<Vec<_>>>()?)?;
    let (low, high) = percentiles(resampled_means(tasks, REPLICATES));
    Some(Interval { value, low, high })
}

/// 95 % percentile bootstrap interval of any statistic of `n` items.
///
/// `statistic` gets the indices of the drawn items, the first time each once in order. Replicates of which it has no value
/// (a correlation of what does not vary) are left out, and the interval is widened where bias leaves the value outside.
/// None of no items and where the items themselves have no value.
#[must_use]
pub fn bootstrap_statistic(n: usize, mut statistic: impl FnMut(&[usize]) -> Option<f64>) -> Option<Interval> {
    if n == 0 {
        return None;
    }
    let value = statistic(&(0..n).collect::<Vec<_>>())?;
    let mut random = PythonRandom::new(SEED);
    let replicates: Vec<f64> = (0..REPLICATES).filter_map(|_| statistic(&random.choices(n, n))).collect();
    let (low, high) = if replicates.is_empty() { (value, value) } else { percentiles(replicates) };
    Some(Interval { value, low: low.min(value), high: high.max(value) })
}

/// Means over tasks, each task's clusters drawn with replacement.
pub(super) fn resampled_means(tasks: &[Clusters], replicates: usize) -> Vec<f64> {
    let mut random = PythonRandom::new(SEED);
    (0..replicates)
        .map(|_| tasks.iter().map(|task| task.resampled_mean(&mut random)).sum::<f64>() / count(tasks))
        .collect()
}

/// The items of a task by cluster: sum and number, in the order in which the clusters first appear.
pub(super) struct Clusters(Vec<(f64, f64)>);

impl Clusters {
    pub(super) fn singletons(values: &[f64]) -> Self {
        Self(values.iter().map(|value| (*value, 1.0)).collect())
    }

    /// None where a value has no cluster or a cluster no value.
    pub(super) fn new<K: Ord>(values: &[f64], clusters: &[K]) -> Option<Self> {
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
        Some(Self(sums))
    }

    pub(super) fn mean(&self) -> Option<f64> {
        let (sum, items) = self.0.iter().fold((0.0, 0.0), |(sum, items), (s, n)| (sum + s, items + n));
        (items > 0.0).then_some(sum / items)
    }

    /// Sum and number of each cluster.
    pub(super) fn sums(&self) -> &[(f64, f64)] {
        &self.0
    }

    fn resampled_mean(&self, random: &mut PythonRandom) -> f64 {
        let (mut sum, mut items) = (0.0, 0.0);
        for _ in 0..self.0.len() {
            let (s, n) = self.0[random.choice(self.0.len())];
            sum += s;
            items += n;
        }
        sum / items
    }
}

/// The 2.5 % and 97.5 % quantiles, interpolated linearly between order statistics (NumPy's default).
pub(super) fn percentiles(mut values: Vec<f64>) -> (f64, f64) {
    values.sort_by(f64::total_cmp);
    let quantile = |q: f64| {
        let place = q * (small(values.len()) - 1.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index of the list")]
        let below = place as usize;
        let above = (below + 1).min(values.len() - 1);
        values[below] + (values[above] - values[below]) * place.fract()
    };
    (quantile(0.025), quantile(0.975))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{bootstrap_mean, bootstrap_statistic, cluster_bootstrap, mean_of_tasks, percentiles};
    use crate::correlation::pearson;
    use crate::stats::{mean, wilson};

    fn zeros_and_ones(ones: usize, n: usize) -> Vec<f64> {
        (0..n).map(|i| f64::from(u8::from(i < ones))).collect()
    }

    fn at(values: &[f64], indices: &[usize]) -> Vec<f64> {
        indices.iter().map(|index| values[*index]).collect()
    }

    #[test]
    fn nothing_has_no_interval() {
        assert_eq!(
            (bootstrap_mean(&[]), mean_of_tasks(&[]), cluster_bootstrap::<u8>(&[], &[])),
            (None, None, None)
        );
        assert_eq!(mean_of_tasks(&[vec![1.0], vec![]]), None);
        assert_eq!(cluster_bootstrap(&[1.0], &[1, 2]), None);
        assert_eq!(bootstrap_statistic(0, |_| Some(0.0)), None);
        assert_eq!(bootstrap_statistic(3, |_| None), None);
    }

    #[test]
    fn a_mean_of_tasks_weighs_tasks_alike() {
        let interval = mean_of_tasks(&[zeros_and_ones(50, 100), vec![1.0; 3]]).expect("values");
        assert!((interval.value - 0.75).abs() < 1e-9);
        // The second task does not vary, so the half-width is half of that of the first.
        let alone = bootstrap_mean(&zeros_and_ones(50, 100)).expect("values");
        let difference = interval.high - interval.low - (alone.high - alone.low) / 2.0;
        assert!(difference.abs() < 0.03, "{interval:?} {alone:?}");
    }

    /// numpy.percentile of the same numbers.
    #[test]
    fn quantiles_are_numpys() {
        assert_eq!(percentiles(vec![5.0, 1.0, 4.0, 2.0, 3.0]), (1.1, 4.9));
        assert_eq!(percentiles(vec![7.0]), (7.0, 7.0));
    }

    /// Ten passages with ten questions each, answered alike within a passage, tell no more than ten items.
    #[test]
    fn clusters_widen_the_interval() {
        let values: Vec<f64> = (0..100).map(|i| f64::from(u8::from(i / 10 % 2 == 0))).collect();
        let passages: Vec<usize> = (0..100).map(|i| i / 10).collect();
        let clustered = cluster_bootstrap(&values, &passages).expect("values");
        let passage =
            bootstrap_mean(&at(&values, &(0..10).map(|i| i * 10).collect::<Vec<_>>())).expect("values");
        assert_eq!(clustered, passage);
        let plain = bootstrap_mean(&values).expect("values");
        assert!(clustered.high - clustered.low > 2.5 * (plain.high - plain.low), "{clustered:?} {plain:?}");
    }

    #[test]
    fn a_statistic_without_value_on_a_replicate_is_left_out() {
        let (x, y) = ([0.0, 0.0, 1.0], [1.0, 3.0, 2.0]);
        let interval = bootstrap_statistic(3, |drawn| pearson(&at(&x, drawn), &at(&y, drawn)));
        let interval = interval.expect("the items vary");
        assert!(interval.low >= -1.0 && interval.high <= 1.0 && interval.low < interval.high, "{interval:?}");
    }

    proptest! {
        #[test]
        fn intervals_contain_the_value_and_stay_in_range(ones in 0_usize..=60, more in 0_usize..60) {
            let values = zeros_and_ones(ones, ones + more + 1);
            let clusters: Vec<usize> = (0..values.len()).map(|i| i * i % 7).collect();
            let intervals = [wilson(&values), bootstrap_mean(&values), cluster_bootstrap(&values, &clusters)];
            for interval in intervals.into_iter().flatten() {
                prop_assert!(0.0 <= interval.low && interval.low <= interval.value, "{interval:?}");
                prop_assert!(interval.value <= interval.high && interval.high <= 1.0, "{interval:?}");
            }
        }

        #[test]
        fn items_that_are_their_own_clusters_are_just_items(
            values in proptest::collection::vec(-5.0_f64..5.0, 1..40),
        ) {
            let plain = bootstrap_mean(&values);
            let names: Vec<String> = (0..values.len()).map(|i| format!("{}", 1_000 - i)).collect();
            prop_assert_eq!(cluster_bootstrap(&values, &names), plain);
            let statistic = bootstrap_statistic(values.len(), |drawn| mean(&at(&values, drawn))).expect("items");
            let plain = plain.expect("items");
            prop_assert_eq!(statistic.value, plain.value);
            prop_assert_eq!(statistic.low, plain.low.min(plain.value));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]

        /// For zeros and ones the two kinds of interval agree when there are many items.
        #[test]
        fn the_bootstrap_agrees_with_wilson(ones in 100_usize..900) {
            let values = zeros_and_ones(ones, 1_000);
            let (wilson, bootstrap) = (wilson(&values).expect("values"), bootstrap_mean(&values).expect("values"));
            prop_assert!((wilson.low - bootstrap.low).abs() < 0.008, "{wilson:?} {bootstrap:?}");
            prop_assert!((wilson.high - bootstrap.high).abs() < 0.008, "{wilson:?} {bootstrap:?}");
        }
    }
}
