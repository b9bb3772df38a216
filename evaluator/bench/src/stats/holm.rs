/// p-values corrected for having made several tests (Holm 1979), in the order given: the k-th smallest of m times m − k + 1,
/// never smaller than a smaller one's and at most 1. A family of hypotheses whose corrected p is below α holds a false
/// rejection with probability α at most, however the tests depend on each other.
#[must_use]
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|a, b| p[*a].total_cmp(&p[*b]));
    let (mut corrected, mut largest) = (vec![0.0; p.len()], 0.0_f64);
    for (rank, index) in order.into_iter().enumerate() {
        largest = largest.max(p[index] * super::small(p.len() - rank)).min(1.0);
        corrected[index] = largest;
    }
    corrected
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::holm;

    /// Values of statsmodels 0.14 (`multipletests`, method `holm`).
    #[test]
    fn corrections_are_statsmodels() {
        for (p, golden) in [
            (&[0.01, 0.04, 0.03, 0.005, 0.5][..], &[0.04, 0.09, 0.09, 0.025, 0.5][..]),
            (&[0.04, 0.04], &[0.08, 0.08]),
            (&[0.9, 0.6, 0.001], &[1.0, 1.0, 0.003]),
            (&[], &[]),
        ] {
            let corrected = holm(p);
            assert_eq!(corrected.len(), golden.len());
            for (value, golden) in corrected.iter().zip(golden) {
                assert!((value - golden).abs() < 1e-15, "{corrected:?}, statsmodels says {golden}");
            }
        }
    }

    proptest! {
        #[test]
        fn corrected_values_lie_between_the_plain_and_bonferronis(
            p in proptest::collection::vec(0.0_f64..=1.0, 1..20),
        ) {
            let corrected = holm(&p);
            for (corrected, plain) in corrected.iter().zip(&p) {
                prop_assert!(plain <= corrected && *corrected <= 1.0);
                prop_assert!(*corrected <= (plain * p.len() as f64).max(*plain) + 1e-15);
            }
            let smallest = corrected.iter().copied().fold(f64::INFINITY, f64::min);
            let bonferroni = p.iter().copied().fold(f64::INFINITY, f64::min) * p.len() as f64;
            prop_assert!((smallest - bonferroni.min(1.0)).abs() < 1e-15);
        }
    }
}
