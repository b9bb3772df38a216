//! What more training would bring: a curve through all points but the last, which says how good the curve is.

use serde::{Deserialize, Serialize};

use super::bootstrap::percentiles;
use super::fit::{Curve, Shape};
use super::stratum::Stratum;
use super::{SEED, small};
use crate::python_random::PythonRandom;
use sekisho_domain::score::Interval;

/// Replicates of the intervals.
const REPLICATES: usize = 1_000;

/// A fit of all points but the last, and what it says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scaling {
    /// Parameters of the curve: a and b of a logarithm; e, a and alpha of a power law.
    pub parameters: Vec<f64>,
    /// The curve, with the 95 % interval of its place, at each x that was asked for. None where no replicate has a curve.
    pub at: Vec<Interval>,
    /// The last point, which was not used, as the curve foretells it.
    pub foretold: Interval,
    /// What it is.
    pub held_out: f64,
}

impl Scaling {
    /// Whether the last point lies within the interval of the curve.
    #[must_use]
    pub fn holds(&self) -> bool {
        (self.foretold.low..=self.foretold.high).contains(&self.held_out)
    }
}

/// Scores over the logarithm of tokens. `checkpoints` are pairs of tokens and strata, one for each task, by tokens ascending; the strata of a
/// task have the same items in all of them. Each replicate draws items within each task, the same ones for all checkpoints, and
/// fits anew: what makes a question hard for one checkpoint makes it hard for the next.
///
/// None of fewer than three checkpoints, and where a task has no value.
#[must_use]
pub fn score_scaling(checkpoints: &[(f64, Vec<Stratum<'_>>)], at: &[f64]) -> Option<Scaling> {
    let tokens: Vec<f64> = checkpoints.iter().map(|(tokens, _)| *tokens).collect();
    let means: Vec<f64> =
        checkpoints.iter().map(|(_, tasks)| super::stratum::mean_of(tasks)).collect::<Option<_>>()?;
    let mut random = PythonRandom::new(SEED);
    scaling(Shape::Logarithm, &tokens, &means, at, || drawn_means(checkpoints, &mut random))
}

/// The mean over tasks of every checkpoint with the same items drawn for all.
fn drawn_means(checkpoints: &[(f64, Vec<Stratum<'_>>)], random: &mut PythonRandom) -> Option<Vec<f64>> {
    let tasks = checkpoints.first().map_or(0, |(_, tasks)| tasks.len());
    let mut sums = vec![Some(0.0); checkpoints.len()];
    for task in 0..tasks {
        let before = random.clone();
        for ((_, strata), sum) in checkpoints.iter().zip(&mut sums) {
            *random = before.clone();
            let value = strata.get(task).and_then(|stratum| stratum.resampled(random));
            *sum = sum.zip(value).map(|(sum, value)| sum + value / small(tasks));
        }
    }
    sums.into_iter().collect()
}

/// Losses as a power law. Losses at checkpoints have no items: the interval is that of a bootstrap of residuals, which are taken about
/// their mean and stretched by √(n ÷ (n − 3)) for the three parameters.
///
/// None of fewer than six points.
#[must_use]
pub fn loss_scaling(points: &[(f64, f64)], at: &[f64]) -> Option<Scaling> {
    let (tokens, losses): (Vec<f64>, Vec<f64>) = points.iter().copied().unzip();
    let fitted = points.split_last().map(|(_, fitted)| fitted)?;
    let curve = Shape::Power.fit(fitted)?;
    let residuals: Vec<f64> = fitted.iter().map(|(x, y)| y - curve.at(*x)).collect();
    let (centre, n) = (super::mean(&residuals)?, small(residuals.len()));
    let stretch = (n / (n - 3.0).max(1.0)).sqrt();
    let mut random = PythonRandom::new(SEED);
    scaling(Shape::Power, &tokens, &losses, at, || {
        let drawn = random.choices(residuals.len(), residuals.len());
        let value =
            |(place, (x, _)): (&usize, &(f64, f64))| curve.at(*x) + (residuals[*place] - centre) * stretch;
        // The last one is not fitted.
        Some(drawn.iter().zip(fitted).map(value).chain(losses.last().copied()).collect())
    })
}

fn scaling(
    shape: Shape,
    tokens: &[f64],
    values: &[f64],
    at: &[f64],
    mut replicate: impl FnMut() -> Option<Vec<f64>>,
) -> Option<Scaling> {
    if values.len() < shape.least_points() {
        return None;
    }
    let (last, fitted) = tokens.split_last()?;
    let fit =
        |values: &[f64]| shape.fit(&fitted.iter().copied().zip(values.iter().copied()).collect::<Vec<_>>());
    let curve = fit(values)?;
    let places: Vec<f64> = at.iter().copied().chain([*last]).collect();
    let mut drawn: Vec<Vec<f64>> = vec![Vec::with_capacity(REPLICATES); places.len()];
    for _ in 0..REPLICATES {
        let Some(curve) = replicate().and_then(|values| fit(&values)) else { continue };
        for (values, x) in drawn.iter_mut().zip(&places) {
            values.push(curve.at(*x));
        }
    }
    let interval = |(x, replicates): (&f64, Vec<f64>)| {
        let value = curve.at(*x);
        let (low, high) = if replicates.is_empty() { (value, value) } else { percentiles(replicates) };
        Interval { value, low: low.min(value), high: high.max(value) }
    };
    let mut at: Vec<Interval> = places.iter().zip(drawn).map(interval).collect();
    let parameters = match curve {
        Curve::Logarithm { a, b } => vec![a, b],
        Curve::Power { e, a, alpha } => vec![e, a, alpha],
    };
    Some(Scaling { parameters, foretold: at.pop()?, at, held_out: *values.last()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Items of two tasks at five checkpoints, as `tests/oracle/scaling.py` makes them.
    fn checkpoints() -> Vec<(f64, Vec<Stratum<'static>>)> {
        let right = |checkpoint: u64, task: u64, item: u64| {
            let hard = (item * 37 + task * 11) % 100;
            f64::from(u8::from(hard < 20 + checkpoint * 9 + task * 5))
        };
        let stratum = |checkpoint, task, n| {
            Stratum::mean(&(0..n).map(|item| right(checkpoint, task, item)).collect::<Vec<_>>())
        };
        (0..5_u64)
            .map(|checkpoint| {
                let tokens = 20e9 * f64::from(u32::try_from(checkpoint + 1).expect("few"));
                (tokens, vec![stratum(checkpoint, 0, 60), stratum(checkpoint, 1, 40)])
            })
            .collect()
    }

    fn close(found: &[f64], golden: &[f64], tolerance: f64) {
        assert_eq!(found.len(), golden.len());
        for (found, golden) in found.iter().zip(golden) {
            assert!((found - golden).abs() < tolerance, "{found}, not {golden}");
        }
    }

    fn numbers(interval: Interval) -> [f64; 3] {
        [interval.value, interval.low, interval.high]
    }

    /// `tests/oracle/scaling.py`: the same draws in Python, `numpy.polyfit` and `numpy.percentile`.
    #[test]
    fn scores_and_their_intervals_are_numpys() {
        let found = score_scaling(&checkpoints(), &[120e9]).expect("five checkpoints");
        close(&found.parameters, &GOLDEN_SCORE_PARAMETERS, 1e-9);
        close(&numbers(found.at[0]), &GOLDEN_SCORE_AT, 1e-9);
        close(&numbers(found.foretold), &GOLDEN_SCORE_LAST, 1e-9);
        assert_eq!(found, score_scaling(&checkpoints(), &[120e9]).expect("the same"), "always the same");
    }

    const GOLDEN_SCORE_PARAMETERS: [f64; 2] = [-4.202_280_965_173_124, 0.186_002_426_424_111_9];
    const GOLDEN_SCORE_AT: [f64; 3] =
        [0.542_781_844_573_673_8, 0.428_858_286_367_818_4, 0.655_074_919_146_934_3];
    const GOLDEN_SCORE_LAST: [f64; 3] =
        [0.508_869_592_620_577_3, 0.403_197_587_849_385_36, 0.612_279_712_306_907_3];

    /// `tests/oracle/scaling.py`: `scipy.optimize.least_squares` from many starts.
    #[test]
    fn a_power_law_is_scipys() {
        let losses = [2.91, 2.64, 2.463, 2.322, 2.23, 2.151, 2.1];
        let points: Vec<(f64, f64)> = (0..).zip(losses).map(|(i, loss)| (1e9 * 2f64.powi(i), loss)).collect();
        let found = loss_scaling(&points, &[256e9]).expect("seven points");
        close(&found.parameters[..1], &GOLDEN_LOSS_PARAMETERS[..1], 1e-4);
        close(&found.parameters[2..], &GOLDEN_LOSS_PARAMETERS[2..], 1e-4);
        assert!((found.parameters[1] / GOLDEN_LOSS_PARAMETERS[1] - 1.0).abs() < 1e-2);
        close(&numbers(found.at[0])[..1], &GOLDEN_LOSS_AT, 1e-5);
        assert!(found.at[0].low <= found.at[0].value && found.at[0].value <= found.at[0].high);
        assert!((found.held_out - 2.1).abs() < 1e-12);
    }

    const GOLDEN_LOSS_PARAMETERS: [f64; 3] =
        [1.972_725_916_024_657_7, 16_571.623_637_690_32, 0.472_067_922_961_282_14];
    const GOLDEN_LOSS_AT: [f64; 1] = [2.040_944_219_749_066_6];

    #[test]
    fn too_few_points_have_no_curve() {
        assert_eq!(score_scaling(&checkpoints()[..2], &[1e12]), None);
        assert!(score_scaling(&checkpoints()[..3], &[1e12]).is_some());
        let points: Vec<(f64, f64)> = (1..=6).map(|i| (f64::from(i), 1.0 + 1.0 / f64::from(i))).collect();
        assert_eq!(loss_scaling(&points[..5], &[]), None);
        assert!(loss_scaling(&points, &[]).expect("six points").holds());
    }

    /// Three checkpoints that answer alike: whatever is drawn, the curve is flat, and the interval is that of the mean.
    #[test]
    fn the_same_items_are_drawn_for_all_checkpoints() {
        let values: Vec<f64> = (0..50).map(|i| f64::from(u8::from(i % 3 == 0))).collect();
        let same: Vec<(f64, Vec<Stratum<'_>>)> =
            [1e9, 2e9, 4e9].map(|tokens| (tokens, vec![Stratum::mean(&values)])).into();
        let found = score_scaling(&same, &[1e10]).expect("three checkpoints");
        let mean = super::super::bootstrap(&[Stratum::mean(&values)]).expect("values");
        close(&numbers(found.at[0]), &[mean.value, mean.low, mean.high], 1e-9);
        assert!(found.parameters[1].abs() < 1e-12);
    }
}
