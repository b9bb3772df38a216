use sekisho_domain::score::Interval;
use serde::Serialize;

use super::bootstrap::{Clusters, percentiles, resampled_means};
use super::{SEED, mean, small};
use crate::python_random::PythonRandom;

/// Replicates of a test. The smallest p-value is 2 ÷ 10,001, so that one test in a family of two hundred can still be
/// significant after correction.
const REPLICATES: usize = 10_000;

/// The difference of two models on the same items.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Paired {
    /// `b − a` with its 95 % interval.
    pub difference: Interval,
    /// Two-sided p-value of no difference.
    pub p: f64,
}

/// Paired bootstrap of the mean difference `b − a`: the same items are drawn for both. None unless both have the same,
/// positive number of items.
///
/// The p-value is twice the smaller share of replicates on one side of zero, each side counted with one extra replicate
/// so that it is never 0.
#[must_use]
pub fn paired_bootstrap(a: &[f64], b: &[f64]) -> Option<Paired> {
    paired_means(&[Clusters::singletons(&differences(a, b)?)])
}

/// [`paired_bootstrap`] over items that come in clusters: whole clusters are drawn. `clusters` names the cluster of each
/// item. None unless all three have the same, positive length.
#[must_use]
pub fn paired_cluster_bootstrap<K: Ord>(a: &[f64], b: &[f64], clusters: &[K]) -> Option<Paired> {
    paired_means(&[Clusters::new(&differences(a, b)?, clusters)?])
}

/// Paired bootstrap of the mean over tasks: of each task the values of `a` and of `b` on the same items, which are drawn
/// within their task. None of no tasks and where a task has no items or lists of different lengths.
#[must_use]
pub fn paired_mean_of_tasks(tasks: &[(Vec<f64>, Vec<f64>)]) -> Option<Paired> {
    let task = |(a, b): &(Vec<f64>, Vec<f64>)| Some(Clusters::singletons(&differences(a, b)?));
    paired_means(&tasks.iter().map(task).collect::<Option<Vec<_>>>()?)
}

/// Paired bootstrap of the difference of any statistic over `n` items. `difference` gets the indices of the drawn items and
/// answers `b − a`; replicates without a value are left out. None of no items and where the items themselves have none.
#[must_use]
pub fn paired_statistic(n: usize, mut difference: impl FnMut(&[usize]) -> Option<f64>) -> Option<Paired> {
    paired_strata(&[n], |_, drawn| difference(drawn))
}

/// Paired bootstrap of the mean over tasks of any differences, each task's items drawn within it. `sizes` are the numbers of
/// items; `difference` gets the place of a task and the indices of its drawn items and answers `b − a`. Replicates in which
/// a task has no value are left out. None of no tasks, and where a task has no items or no value on all of them.
#[must_use]
pub fn paired_strata(
    sizes: &[usize],
    mut difference: impl FnMut(usize, &[usize]) -> Option<f64>,
) -> Option<Paired> {
    if sizes.contains(&0) {
        return None;
    }
    let mut over_tasks = |draw: &mut dyn FnMut(usize) -> Vec<usize>| {
        mean(
            &sizes
                .iter()
                .enumerate()
                .map(|(task, n)| difference(task, &draw(*n)))
                .collect::<Option<Vec<_>>>()?,
        )
    };
    let value = over_tasks(&mut |n| (0..n).collect())?;
    let mut random = PythonRandom::new(SEED);
    let replicates = (0..REPLICATES).filter_map(|_| over_tasks(&mut |n| random.choices(n, n))).collect();
    Some(judged(value, replicates))
}

fn differences(a: &[f64], b: &[f64]) -> Option<Vec<f64>> {
    (a.len() == b.len()).then(|| a.iter().zip(b).map(|(a, b)| b - a).collect())
}

fn paired_means(tasks: &[Clusters]) -> Option<Paired> {
    let value = mean(&tasks.iter().map(Clusters::mean).collect::<Option<Vec<_>>>()?)?;
    Some(judged(value, resampled_means(tasks, REPLICATES)))
}

fn judged(value: f64, replicates: Vec<f64>) -> Paired {
    let share = |beyond: &dyn Fn(f64) -> bool| {
        let beyond = replicates.iter().filter(|replicate| beyond(**replicate)).count();
        (small(beyond) + 1.0) / (small(replicates.len()) + 1.0)
    };
    let p = (2.0 * share(&|replicate| replicate <= 0.0).min(share(&|replicate| replicate >= 0.0))).min(1.0);
    let (low, high) = if replicates.is_empty() { (value, value) } else { percentiles(replicates) };
    Paired { difference: Interval { value, low: low.min(value), high: high.max(value) }, p }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        paired_bootstrap, paired_cluster_bootstrap, paired_mean_of_tasks, paired_statistic, paired_strata,
    };
    use crate::stats::{mcnemar, mean, wilson};

    fn zeros_and_ones(ones: usize, n: usize) -> Vec<f64> {
        (0..n).map(|i| f64::from(u8::from(i < ones))).collect()
    }

    #[test]
    fn the_same_answers_differ_by_nothing_and_better_ones_significantly() {
        let a = zeros_and_ones(100, 400);
        let same = paired_bootstrap(&a, &a).expect("values");
        assert!((same.p - 1.0).abs() < 1e-9 && same.difference.high.abs() < 1e-9, "{same:?}");
        let better = paired_bootstrap(&a, &zeros_and_ones(130, 400)).expect("values");
        let difference = better.difference;
        assert!(
            (difference.value - 0.075).abs() < 1e-9 && difference.low > 0.0 && better.p < 0.01,
            "{better:?}"
        );
        // The noise that both share is not counted: the unpaired intervals of the two overlap.
        let (first, second) =
            (wilson(&a).expect("values"), wilson(&zeros_and_ones(130, 400)).expect("values"));
        assert!(first.high > second.low);
        assert_eq!(paired_bootstrap(&[1.0], &[1.0, 0.0]), None);
        assert_eq!(paired_bootstrap(&[], &[]), None);
    }

    /// On zeros and ones the two tests ask the same question.
    #[test]
    fn the_bootstrap_agrees_with_mcnemar() {
        for (only_a, only_b) in [(60, 60), (50, 70), (45, 75), (40, 80)] {
            let a: Vec<f64> = (0..400).map(|i| f64::from(u8::from(i < 100 + only_a))).collect();
            let b: Vec<f64> = (0..400)
                .map(|i| f64::from(u8::from(i < 100 || (100 + only_a..100 + only_a + only_b).contains(&i))))
                .collect();
            let (table, paired) =
                (mcnemar(&a, &b).expect("values"), paired_bootstrap(&a, &b).expect("values"));
            assert_eq!((table.both, table.only_a, table.only_b), (100, only_a as u64, only_b as u64));
            assert!((table.p - paired.p).abs() < 0.02, "{table:?} {paired:?}");
        }
    }

    #[test]
    fn a_task_that_does_not_differ_halves_the_mean_difference() {
        let (a, b) = (zeros_and_ones(20, 100), zeros_and_ones(30, 100));
        let one = paired_bootstrap(&a, &b).expect("values");
        let strata = paired_strata(&[100, 100], |task, drawn| {
            mean(&drawn.iter().map(|i| if task == 0 { b[*i] - a[*i] } else { 0.0 }).collect::<Vec<_>>())
        });
        let two = paired_mean_of_tasks(&[(a.clone(), b.clone()), (a.clone(), a)]).expect("values");
        assert_eq!(strata, Some(two));
        assert!((one.difference.value - 0.1).abs() < 1e-9 && (two.difference.value - 0.05).abs() < 1e-9);
        assert!(two.p < 0.01, "{two:?}");
        assert_eq!((paired_mean_of_tasks(&[]), paired_mean_of_tasks(&[(vec![], vec![])])), (None, None));
    }

    #[test]
    fn what_has_no_value_has_no_test() {
        assert_eq!(paired_statistic(0, |_| Some(0.0)), None);
        assert_eq!(paired_strata(&[3, 0], |_, _| Some(0.0)), None);
        assert_eq!(paired_strata(&[], |_, _| Some(0.0)), None);
        assert_eq!(paired_strata(&[3, 3], |task, _| (task == 0).then_some(0.0)), None);
    }

    #[test]
    fn clusters_make_a_difference_less_certain() {
        // Three passages are answered better in all of their ten questions, one worse.
        let (a, b): (Vec<f64>, Vec<f64>) = (0..100)
            .map(|i| (f64::from(u8::from(i < 10)), f64::from(u8::from((10..40).contains(&i)))))
            .unzip();
        let passages: Vec<usize> = (0..100).map(|i| i / 10).collect();
        let plain = paired_bootstrap(&a, &b).expect("values");
        let clustered = paired_cluster_bootstrap(&a, &b, &passages).expect("values");
        assert!(plain.p < 0.01 && clustered.p > 0.2, "{plain:?} {clustered:?}");
        assert_eq!(plain.difference.value, clustered.difference.value);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn tests_are_symmetric_and_one_rule(
            pairs in proptest::collection::vec((0_u8..=4, 0_u8..=4), 1..40),
        ) {
            let (a, b): (Vec<f64>, Vec<f64>) =
                pairs.iter().map(|(a, b)| (f64::from(*a) / 4.0, f64::from(*b) / 4.0)).unzip();
            let (there, back) =
                (paired_bootstrap(&a, &b).expect("items"), paired_bootstrap(&b, &a).expect("items"));
            prop_assert!(0.0 < there.p && there.p <= 1.0);
            prop_assert_eq!(there.p, back.p);
            prop_assert!((there.difference.low + back.difference.high).abs() < 1e-12);
            prop_assert!(there.difference.low <= there.difference.value);
            prop_assert!(there.difference.value <= there.difference.high);
            let items: Vec<usize> = (0..a.len()).collect();
            prop_assert_eq!(paired_cluster_bootstrap(&a, &b, &items), Some(there));
            let statistic = paired_statistic(a.len(), |drawn| {
                mean(&drawn.iter().map(|i| b[*i] - a[*i]).collect::<Vec<_>>())
            });
            prop_assert_eq!(statistic, Some(there));
        }
    }
}
