use sekisho_domain::score::Interval;

use super::{count, mean};

/// 97.5 % quantile of the normal distribution.
const Z: f64 = 1.959_963_984_540_054;

/// 95 % interval of a proportion of zeros and ones (Wilson 1927); none of no values.
#[must_use]
pub fn wilson(values: &[f64]) -> Option<Interval> {
    let (p, n) = (mean(values)?, count(values));
    let centre = p + Z * Z / (2.0 * n);
    let half = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + Z * Z / n;
    // At 0 and 1 the closed form touches the end but for rounding.
    Some(Interval {
        value: p,
        low: ((centre - half) / scale).clamp(0.0, p),
        high: ((centre + half) / scale).clamp(p, 1.0),
    })
}

#[cfg(test)]
mod tests {
    use super::wilson;

    /// The ends solve (p − x)² = z² x (1 − x) / n; roots computed with the quadratic formula in Python.
    #[test]
    fn wilson_intervals() {
        for (ones, n, low, high) in [
            (0, 10, 0.0, 0.2775327998628892),
            (1, 1, 0.20654931437723742, 1.0),
            (25, 200, 0.0861197447571265, 0.17801425002582338),
            (102, 200, 0.4411858767845862, 0.5784372166878684),
            (400, 400, 0.990487705665731, 1.0),
        ] {
            let values: Vec<f64> = (0..n).map(|i| f64::from(u8::from(i < ones))).collect();
            let interval = wilson(&values).expect("values");
            let close = (interval.low - low).abs() < 1e-9 && (interval.high - high).abs() < 1e-9;
            assert!(close, "{ones}/{n}: {interval:?}");
        }
        assert_eq!(wilson(&[]), None);
    }
}
