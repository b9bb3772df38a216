use sekisho_domain::score::Interval;
use serde::Serialize;

use super::bootstrap::percentiles;
use super::small;
use super::stratum::{Stratum, mean_of, resampled_means};

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

/// Paired bootstrap of the mean over tasks of what two models differ by, `b − a`: each stratum holds the differences of a
/// task on the items of both, which are drawn for both alike. Replicates in which a task has no value are left out. None of
/// no tasks and where a task has no items or no value.
///
/// The p-value is twice the smaller share of replicates on one side of zero, each side counted with one extra replicate
/// so that it is never 0.
#[must_use]
pub fn paired(differences: &[Stratum<'_>]) -> Option<Paired> {
    Some(judged(mean_of(differences)?, resampled_means(differences, REPLICATES)))
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

    use super::{Paired, Stratum, paired};
    use crate::stats::{mcnemar, mean, wilson};

    fn differences(a: &[f64], b: &[f64]) -> Vec<f64> {
        a.iter().zip(b).map(|(a, b)| b - a).collect()
    }

    fn of_items(a: &[f64], b: &[f64]) -> Option<Paired> {
        paired(&[Stratum::mean(&differences(a, b))])
    }

    fn of_clusters(a: &[f64], b: &[f64], clusters: &[usize]) -> Option<Paired> {
        paired(&[Stratum::clustered_mean(&differences(a, b), clusters)?])
    }

    fn zeros_and_ones(ones: usize, n: usize) -> Vec<f64> {
        (0..n).map(|i| f64::from(u8::from(i < ones))).collect()
    }

    #[test]
    fn the_same_answers_differ_by_nothing_and_better_ones_significantly() {
        let a = zeros_and_ones(100, 400);
        let same = of_items(&a, &a).expect("values");
        assert!((same.p - 1.0).abs() < 1e-9 && same.difference.high.abs() < 1e-9, "{same:?}");
        let better = of_items(&a, &zeros_and_ones(130, 400)).expect("values");
        let difference = better.difference;
        assert!(
            (difference.value - 0.075).abs() < 1e-9 && difference.low > 0.0 && better.p < 0.01,
            "{better:?}"
        );
        // The noise that both share is not counted: the unpaired intervals of the two overlap.
        let (first, second) =
            (wilson(&a).expect("values"), wilson(&zeros_and_ones(130, 400)).expect("values"));
        assert!(first.high > second.low);
    }

    /// On zeros and ones the two tests ask the same question.
    #[test]
    fn the_bootstrap_agrees_with_mcnemar() {
        for (only_a, only_b) in [(60, 60), (50, 70), (45, 75), (40, 80)] {
            let a: Vec<f64> = (0..400).map(|i| f64::from(u8::from(i < 100 + only_a))).collect();
            let b: Vec<f64> = (0..400)
                .map(|i| f64::from(u8::from(i < 100 || (100 + only_a..100 + only_a + only_b).contains(&i))))
                .collect();
            let (table, paired) = (mcnemar(&a, &b).expect("values"), of_items(&a, &b).expect("values"));
            assert_eq!((table.both, table.only_a, table.only_b), (100, only_a as u64, only_b as u64));
            assert!((table.p - paired.p).abs() < 0.02, "{table:?} {paired:?}");
        }
    }

    #[test]
    fn a_task_that_does_not_differ_halves_the_mean_difference() {
        let (a, b) = (zeros_and_ones(20, 100), zeros_and_ones(30, 100));
        let one = of_items(&a, &b).expect("values");
        let nothing = || Stratum::mean(&[0.0; 100]);
        let two = paired(&[Stratum::mean(&differences(&a, &b)), nothing()]).expect("values");
        let difference = |drawn: &[usize]| mean(&drawn.iter().map(|i| b[*i] - a[*i]).collect::<Vec<_>>());
        assert_eq!(paired(&[Stratum::statistic(100, difference), nothing()]), Some(two));
        assert!((one.difference.value - 0.1).abs() < 1e-9 && (two.difference.value - 0.05).abs() < 1e-9);
        assert!(two.p < 0.01, "{two:?}");
    }

    #[test]
    fn what_has_no_value_has_no_test() {
        let some = || Stratum::statistic(3, |_| Some(0.0));
        assert_eq!(paired(&[]), None);
        assert_eq!(paired(&[Stratum::mean(&[])]), None);
        assert_eq!(paired(&[some(), Stratum::statistic(0, |_| Some(0.0))]), None);
        assert_eq!(paired(&[some(), Stratum::statistic(3, |_| None)]), None);
    }

    #[test]
    fn clusters_make_a_difference_less_certain() {
        // Three passages are answered better in all of their ten questions, one worse.
        let (a, b): (Vec<f64>, Vec<f64>) = (0..100)
            .map(|i| (f64::from(u8::from(i < 10)), f64::from(u8::from((10..40).contains(&i)))))
            .unzip();
        let passages: Vec<usize> = (0..100).map(|i| i / 10).collect();
        let plain = of_items(&a, &b).expect("values");
        let clustered = of_clusters(&a, &b, &passages).expect("values");
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
                (of_items(&a, &b).expect("items"), of_items(&b, &a).expect("items"));
            prop_assert!(0.0 < there.p && there.p <= 1.0);
            prop_assert_eq!(there.p, back.p);
            prop_assert!((there.difference.low + back.difference.high).abs() < 1e-12);
            prop_assert!(there.difference.low <= there.difference.value);
            prop_assert!(there.difference.value <= there.difference.high);
            let items: Vec<usize> = (0..a.len()).collect();
            prop_assert_eq!(of_clusters(&a, &b, &items), Some(there));
            let of = |drawn: &[usize]| mean(&drawn.iter().map(|i| b[*i] - a[*i]).collect::<Vec<_>>());
            prop_assert_eq!(paired(&[Stratum::statistic(a.len(), of)]), Some(there));
        }
    }
}
