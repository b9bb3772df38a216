//! Correlation of predicted with gold values, as SciPy computes it.

/// Pearson's r of two lists of the same length, −1 to 1. None of fewer than two pairs, of lists of different lengths, where
/// one side is constant, and where a value is not finite or so large that the sum is not.
#[must_use]
pub fn pearson(x: &[f64], y: &[f64]) -> Option<f64> {
    if x.len() != y.len() {
        return None;
    }
    let (x, y) = (unit(x)?, unit(y)?);
    let r: f64 = x.iter().zip(&y).map(|(x, y)| x * y).sum();
    r.is_finite().then(|| r.clamp(-1.0, 1.0))
}

/// Spearman's ρ: Pearson's r of the ranks, equal values sharing the mean of their ranks. None where [`pearson`] is.
#[must_use]
pub fn spearman(x: &[f64], y: &[f64]) -> Option<f64> {
    if x.iter().chain(y).any(|value| !value.is_finite()) {
        return None;
    }
    pearson(&ranks(x), &ranks(y))
}

/// The deviations from the mean, scaled to length 1. Scaled before they are multiplied, so that large values do not
/// overflow.
fn unit(values: &[f64]) -> Option<Vec<f64>> {
    let first = values.first()?;
    if values.iter().all(|value| value == first) || values.iter().any(|value| !value.is_finite()) {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "numbers of items are far below 2^53")]
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let largest = values.iter().map(|value| (value - mean).abs()).fold(0.0, f64::max);
    let scaled: Vec<f64> = values.iter().map(|value| (value - mean) / largest).collect();
    let length = scaled.iter().map(|value| value * value).sum::<f64>().sqrt();
    Some(scaled.into_iter().map(|value| value / length).collect())
}

/// Ranks from 1; equal values have the mean of the ranks they take up.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut before = 0;
    for equal in order.chunk_by(|a, b| values[*a] == values[*b]) {
        #[expect(clippy::cast_precision_loss, reason = "numbers of items are far below 2^53")]
        let rank = before as f64 + (equal.len() + 1) as f64 / 2.0;
        for index in equal {
            ranks[*index] = rank;
        }
        before += equal.len();
    }
    ranks
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{pearson, ranks, spearman};

    fn close(value: Option<f64>, golden: f64) -> bool {
        value.is_some_and(|value| (value - golden).abs() < 1e-12)
    }

    /// Values of SciPy 1.17.1 (`pearsonr`, `spearmanr`).
    #[test]
    fn correlations_are_scipys() {
        for (x, y, r, rho) in [
            (
                &[2.2, 3.2, 3.6, 0.0, 4.4, -2.0, 3.2][..],
                &[2.0, 3.0, 4.2, 0.2, 5.0, 1.4, 2.8][..],
                0.826046241268344,
                0.9549937104572924,
            ),
            (
                &[0.0, 0.0, 1.0, 1.0, 2.0, 5.0, 5.0, 5.0],
                &[1.0, 0.0, 1.0, 2.0, 2.0, 4.0, 5.0, 3.0],
                0.9168504075818272,
                0.931541152109662,
            ),
            (&[1e200, 2e200, 4e200], &[3.0, 1.0, 2.0], -0.3273268353539885, -0.5),
            (&[1.0, 2.0], &[5.0, 3.0], -1.0, -1.0),
        ] {
            assert!(close(pearson(x, y), r), "{:?}, SciPy says {r}", pearson(x, y));
            assert!(close(spearman(x, y), rho), "{:?}, SciPy says {rho}", spearman(x, y));
        }
    }

    #[test]
    fn what_does_not_vary_correlates_with_nothing() {
        for (x, y) in [
            (&[][..], &[][..]),
            (&[1.0], &[1.0]),
            (&[0.1, 0.1, 0.1], &[1.0, 2.0, 3.0]),
            (&[1.0, 2.0], &[4.0, 4.0]),
            (&[1.0, 2.0], &[1.0]),
            (&[1.0, f64::NAN], &[1.0, 2.0]),
            (&[1.0, 2.0], &[f64::INFINITY, 2.0]),
        ] {
            assert_eq!((pearson(x, y), spearman(x, y)), (None, None), "{x:?} {y:?}");
        }
    }

    #[test]
    fn equal_values_share_their_ranks() {
        assert_eq!(ranks(&[3.0, 1.0, 3.0, 0.0, -0.0, 3.0]), [5.0, 3.0, 5.0, 1.5, 1.5, 5.0]);
    }

    proptest! {
        #[test]
        fn order_and_direction(pairs in proptest::collection::vec((-50_i32..50, -50_i32..50), 2..30)) {
            let (x, y): (Vec<f64>, Vec<f64>) = pairs.iter().map(|(x, y)| (f64::from(*x), f64::from(*y))).unzip();
            let (flipped, cubed): (Vec<f64>, Vec<f64>) = y.iter().map(|y| (-y, y.powi(3))).unzip();
            for correlation in [pearson, spearman] {
                let Some(r) = correlation(&x, &y) else { continue };
                prop_assert!((-1.0..=1.0).contains(&r), "{r}");
                prop_assert!(close(correlation(&y, &x), r) && close(correlation(&x, &flipped), -r), "{r}");
            }
            if let Some(rho) = spearman(&x, &y) {
                prop_assert!(close(spearman(&x, &cubed), rho), "a monotone map leaves {rho}");
            }
        }
    }
}
