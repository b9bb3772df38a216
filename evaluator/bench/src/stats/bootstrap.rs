use sekisho_domain::score::Interval;

use super::stratum::{Stratum, mean_of, resampled_means};
use super::{count, small};

/// Replicates of an interval.
const REPLICATES: usize = 1_000;

/// Unweighted mean of the tasks' scores, with a 95 % percentile bootstrap interval that draws items within each task.
///
/// Replicates in which a task has no value (a correlation of what does not vary) are left out, and the interval is widened
/// where bias leaves the value outside. A task whose items are all wrong, or all right, does not vary under resampling but is
/// not certain for that: it enters with Wilson's interval, joined as independent errors are (MOVER: Zou and Donner,
/// *Statistics in Medicine* 27, 2008). None of no tasks and where a task has no items or no value.
#[must_use]
pub fn bootstrap(tasks: &[Stratum<'_>]) -> Option<Interval> {
    let value = mean_of(tasks)?;
    let replicates = resampled_means(tasks, REPLICATES);
    let (low, high) = if replicates.is_empty() { (value, value) } else { percentiles(replicates) };
    let drawn = Interval { value, low: low.min(value), high: high.max(value) };
    let ends: Vec<Interval> = tasks.iter().filter_map(Stratum::at_an_end).collect();
    Some(if ends.is_empty() { drawn } else { joined(drawn, &ends, count(tasks)) })
}

fn joined(drawn: Interval, ends: &[Interval], tasks: f64) -> Interval {
    let half = |half: f64, of: fn(&Interval) -> f64| {
        ends.iter().fold(half.powi(2), |sum, end| sum + (of(end) / tasks).powi(2)).sqrt()
    };
    Interval {
        value: drawn.value,
        low: drawn.value - half(drawn.value - drawn.low, |end| end.value - end.low),
        high: drawn.value + half(drawn.high - drawn.value, |end| end.high - end.value),
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
    use sekisho_domain::score::Interval;

    use super::{Stratum, bootstrap, percentiles};
    use crate::correlation::pearson;
    use crate::stats::{mean, wilson};

    fn zeros_and_ones(ones: usize, n: usize) -> Vec<f64> {
        (0..n).map(|i| f64::from(u8::from(i < ones))).collect()
    }

    fn at(values: &[f64], indices: &[usize]) -> Vec<f64> {
        indices.iter().map(|index| values[*index]).collect()
    }

    fn mean_interval(values: &[f64]) -> Option<Interval> {
        bootstrap(&[Stratum::mean(values)])
    }

    fn clustered(values: &[f64], clusters: &[usize]) -> Option<Interval> {
        bootstrap(&[Stratum::clustered_mean(values, clusters)?])
    }

    #[test]
    fn nothing_has_no_interval() {
        assert_eq!((mean_interval(&[]), bootstrap(&[]), clustered(&[], &[])), (None, None, None));
        assert_eq!(bootstrap(&[Stratum::mean(&[1.0]), Stratum::mean(&[])]), None);
        assert_eq!(clustered(&[1.0], &[1, 2]), None);
        assert_eq!(bootstrap(&[Stratum::statistic(0, |_| Some(0.0))]), None);
        assert_eq!(bootstrap(&[Stratum::statistic(3, |_| None)]), None);
    }

    #[test]
    fn a_mean_of_tasks_weighs_tasks_alike() {
        let both = [Stratum::mean(&zeros_and_ones(50, 100)), Stratum::statistic(3, |_| Some(1.0))];
        let interval = bootstrap(&both).expect("values");
        assert!((interval.value - 0.75).abs() < 1e-9);
        // The second task does not vary, so the half-width is half of that of the first.
        let alone = mean_interval(&zeros_and_ones(50, 100)).expect("values");
        let difference = interval.high - interval.low - (alone.high - alone.low) / 2.0;
        assert!(difference.abs() < 0.03, "{interval:?} {alone:?}");
    }

    /// Nobody is certain of a model that answers six questions wrong.
    #[test]
    fn a_task_at_an_end_is_not_certain() {
        let six = wilson(&[0.0; 6]).expect("values");
        assert_eq!(mean_interval(&[0.0; 6]), Some(six));
        let two = bootstrap(&[Stratum::mean(&[0.0; 6]), Stratum::mean(&[0.0; 6])]).expect("values");
        assert_eq!((two.value, two.low), (0.0, 0.0));
        assert!((two.high - six.high / 2.0_f64.sqrt()).abs() < 1e-12, "{two:?}");
        let mixed = bootstrap(&[Stratum::mean(&[1.0; 6]), Stratum::mean(&zeros_and_ones(50, 100))]);
        let (mixed, varies) =
            (mixed.expect("values"), mean_interval(&zeros_and_ones(50, 100)).expect("values"));
        assert!(mixed.value - mixed.low > (varies.value - varies.low) / 2.0 + 0.1, "{mixed:?} {varies:?}");
        assert!((mixed.high - mixed.value - (varies.high - varies.value) / 2.0).abs() < 0.03, "{mixed:?}");
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
        let grouped = clustered(&values, &passages).expect("values");
        let passage =
            mean_interval(&at(&values, &(0..10).map(|i| i * 10).collect::<Vec<_>>())).expect("values");
        assert_eq!(grouped, passage);
        let plain = mean_interval(&values).expect("values");
        assert!(grouped.high - grouped.low > 2.5 * (plain.high - plain.low), "{grouped:?} {plain:?}");
    }

    #[test]
    fn a_statistic_without_value_on_a_replicate_is_left_out() {
        let (x, y) = ([0.0, 0.0, 1.0], [1.0, 3.0, 2.0]);
        let interval = bootstrap(&[Stratum::statistic(3, |drawn| pearson(&at(&x, drawn), &at(&y, drawn)))]);
        let interval = interval.expect("the items vary");
        assert!(interval.low >= -1.0 && interval.high <= 1.0 && interval.low < interval.high, "{interval:?}");
    }

    proptest! {
        #[test]
        fn intervals_contain_the_value_and_stay_in_range(ones in 0_usize..=60, more in 0_usize..60) {
            let values = zeros_and_ones(ones, ones + more + 1);
            let clusters: Vec<usize> = (0..values.len()).map(|i| i * i % 7).collect();
            let intervals = [wilson(&values), mean_interval(&values), clustered(&values, &clusters)];
            for interval in intervals.into_iter().flatten() {
                prop_assert!(0.0 <= interval.low && interval.low <= interval.value, "{interval:?}");
                prop_assert!(interval.value <= interval.high && interval.high <= 1.0, "{interval:?}");
            }
        }

        #[test]
        fn items_that_are_their_own_clusters_are_just_items(
            values in proptest::collection::vec(-5.0_f64..5.0, 1..40),
        ) {
            let plain = mean_interval(&values);
            let names: Vec<usize> = (0..values.len()).map(|i| 1_000 - i).collect();
            prop_assert_eq!(clustered(&values, &names), plain);
            prop_assert_eq!(
                bootstrap(&[Stratum::statistic(values.len(), |drawn| mean(&at(&values, drawn)))]),
                plain
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]

        /// For zeros and ones the two kinds of interval agree when there are many items.
        #[test]
        fn the_bootstrap_agrees_with_wilson(ones in 100_usize..900) {
            let values = zeros_and_ones(ones, 1_000);
            let (wilson, bootstrap) = (wilson(&values).expect("values"), mean_interval(&values).expect("values"));
            prop_assert!((wilson.low - bootstrap.low).abs() < 0.008, "{wilson:?} {bootstrap:?}");
            prop_assert!((wilson.high - bootstrap.high).abs() < 0.008, "{wilson:?} {bootstrap:?}");
        }
    }
}
