//! Curves through a few points: scores over the logarithm of tokens, losses as a power law.

/// Exponents that are tried, before the best one is refined: from nearly flat to steeper than any training curve.
const EXPONENTS: (f64, f64) = (0.01, 3.0);
const GRID: i32 = 100;
/// Halvings of the interval around the best exponent.
const REFINEMENTS: usize = 60;

/// A curve that was fitted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Curve {
    /// y = a + b·ln x.
    Logarithm {
        /// Where it is at x = 1.
        a: f64,
        /// By how much it rises when x grows e-fold.
        b: f64,
    },
    /// y = e + a·x^−alpha.
    Power {
        /// What it comes down to.
        e: f64,
        /// What it begins with, above that.
        a: f64,
        /// How fast it falls.
        alpha: f64,
    },
}

/// Which curve is fitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// [`Curve::Logarithm`], for scores.
    Logarithm,
    /// [`Curve::Power`], for losses.
    Power,
}

impl Shape {
    /// Points from which on it is fitted and one of them held out.
    #[must_use]
    pub const fn least_points(self) -> usize {
        match self {
            Self::Logarithm => 3,
            Self::Power => 6,
        }
    }

    /// The curve through these points (x above 0). A logarithm by ordinary least squares. A power law by variable projection (Golub and
    /// Pereyra 1973): for an exponent the other two parameters are linear least squares, held at 0 or above, so only the exponent is
    /// searched, on a grid and then by golden section. No start has to be guessed, and the same points give the same curve.
    ///
    /// None where points are fewer than parameters, lie all at one x, or are not finite.
    #[must_use]
    pub fn fit(self, points: &[(f64, f64)]) -> Option<Curve> {
        if points.iter().any(|(x, y)| !(x.is_finite() && *x > 0.0 && y.is_finite())) {
            return None;
        }
        match self {
            Self::Logarithm => {
                let (a, b) = line(points.iter().map(|(x, y)| (x.ln(), *y)))?;
                Some(Curve::Logarithm { a, b })
            }
            Self::Power => power(points),
        }
    }
}

impl Curve {
    /// Its value at x.
    #[must_use]
    pub fn at(&self, x: f64) -> f64 {
        match *self {
            Self::Logarithm { a, b } => a + b * x.ln(),
            Self::Power { e, a, alpha } => e + a * x.powf(-alpha),
        }
    }
}

/// Intercept and slope by ordinary least squares.
fn line(points: impl Iterator<Item = (f64, f64)> + Clone) -> Option<(f64, f64)> {
    let n = super::small(points.clone().count());
    let (x, y) = points.clone().fold((0.0, 0.0), |sum, (x, y)| (sum.0 + x / n, sum.1 + y / n));
    let (xx, xy) =
        points.fold((0.0, 0.0), |sum, (px, py)| (sum.0 + (px - x) * (px - x), sum.1 + (px - x) * (py - y)));
    (n >= 2.0 && xx > 0.0).then(|| (y - xy / xx * x, xy / xx))
}

fn power(points: &[(f64, f64)]) -> Option<Curve> {
    if points.len() < 3 {
        return None;
    }
    // In units of the geometric mean of x: x^−alpha of 10^12 tokens alone is no number to add to another.
    let unit = (points.iter().map(|(x, _)| x.ln()).sum::<f64>() / super::count(points)).exp();
    let scaled: Vec<(f64, f64)> = points.iter().map(|(x, y)| (x / unit, *y)).collect();
    let exponent = |i: i32| {
        let (low, high) = (EXPONENTS.0.ln(), EXPONENTS.1.ln());
        (low + (high - low) * f64::from(i) / f64::from(GRID)).exp()
    };
    let error =
        |alpha: f64| linear(&scaled, alpha).map_or(f64::INFINITY, |(e, a)| squares(&scaled, (e, a, alpha)));
    let best = (0..=GRID).min_by(|i, j| error(exponent(*i)).total_cmp(&error(exponent(*j))))?;
    let alpha = golden_section(&error, exponent((best - 1).max(0)), exponent((best + 1).min(GRID)));
    let (e, a) = linear(&scaled, alpha)?;
    Some(Curve::Power { e, a: a * unit.powf(alpha), alpha })
}

fn squares(points: &[(f64, f64)], (e, a, alpha): (f64, f64, f64)) -> f64 {
    points.iter().map(|(x, y)| (e + a * x.powf(-alpha) - y).powi(2)).sum()
}

/// The best e and a for an exponent, neither below 0.
fn linear(points: &[(f64, f64)], alpha: f64) -> Option<(f64, f64)> {
    let of_x = |x: f64| x.powf(-alpha);
    let (e, a) = line(points.iter().map(|(x, y)| (of_x(*x), *y)))?;
    if a < 0.0 {
        // A constant: losses that rise have no power law.
        return Some((points.iter().map(|p| p.1).sum::<f64>() / super::count(points), 0.0));
    }
    if e >= 0.0 {
        return Some((e, a));
    }
    let (xy, xx) =
        points.iter().fold((0.0, 0.0), |sum, (x, y)| (sum.0 + of_x(*x) * y, sum.1 + of_x(*x) * of_x(*x)));
    Some((0.0, xy / xx))
}

fn golden_section(error: &impl Fn(f64) -> f64, mut low: f64, mut high: f64) -> f64 {
    let ratio = (5.0_f64.sqrt() - 1.0) / 2.0;
    for _ in 0..REFINEMENTS {
        let (left, right) = (high - ratio * (high - low), low + ratio * (high - low));
        if error(left) <= error(right) {
            high = right;
        } else {
            low = left;
        }
    }
    f64::midpoint(low, high)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Curve, Shape};

    fn close(found: f64, golden: f64, tolerance: f64) {
        assert!((found - golden).abs() <= tolerance * golden.abs().max(1.0), "{found}, not {golden}");
    }

    /// `tests/oracle/scaling.py`: `numpy.polyfit` over ln x.
    #[test]
    fn a_logarithm_is_numpys() {
        let points = [(20e9, 0.41), (40e9, 0.447), (60e9, 0.455), (80e9, 0.472)];
        let Some(Curve::Logarithm { a, b }) = Shape::Logarithm.fit(&points) else { panic!("a curve") };
        close(a, -0.608_157_620_448_327_6, 1e-10);
        close(b, 0.043_003_125_746_401_42, 1e-10);
    }

    #[test]
    fn what_cannot_be_fitted_has_no_curve() {
        assert_eq!(Shape::Logarithm.fit(&[(1.0, 1.0)]), None);
        assert_eq!(Shape::Logarithm.fit(&[(2.0, 1.0), (2.0, 3.0)]), None);
        assert_eq!(Shape::Logarithm.fit(&[(0.0, 1.0), (2.0, 3.0)]), None);
        assert_eq!(Shape::Power.fit(&[(1.0, 1.0), (2.0, 0.5)]), None);
        assert_eq!(Shape::Power.fit(&[(1.0, 1.0), (2.0, f64::NAN), (3.0, 0.3)]), None);
        assert_eq!(Shape::Power.fit(&[(2.0, 1.0), (2.0, 2.0), (2.0, 3.0)]), None);
    }

    #[test]
    fn losses_that_rise_are_a_constant() {
        let curve = Shape::Power.fit(&[(1.0, 1.0), (2.0, 2.0), (3.0, 3.0), (4.0, 4.0)]).expect("a curve");
        assert!((curve.at(10.0) - 2.5).abs() < 1e-9, "{curve:?}");
    }

    proptest! {
        #[test]
        fn a_power_law_is_found_in_what_it_made(e in 0.5_f64..3.0, a in 1.0_f64..1e4, alpha in 0.05_f64..0.9) {
            let law = Curve::Power { e, a: a * 1e9_f64.powf(alpha) / 1e3, alpha };
            let points: Vec<(f64, f64)> = (1..=8).map(|i| { let x = 1e9 * 2f64.powi(i); (x, law.at(x)) }).collect();
            let found = Shape::Power.fit(&points).expect("a curve");
            let (there, here) = (law.at(1e12), found.at(1e12));
            prop_assert!((there / here - 1.0).abs() < 1e-3, "{found:?} of {law:?}: {here}, not {there}");
        }
    }
}
