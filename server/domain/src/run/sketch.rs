use serde::{Deserialize, Serialize};

use super::MetricRow;
use crate::Step;

/// Parts that a sketch has at most.
const PARTS: usize = 64;

/// The loss of a run in a few dozen means over equal stretches of updates, for lists: it grows with the run in no more room, two parts
/// becoming one when there are too many.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sketch {
    first: Option<Step>,
    /// The last update; those that a restart repeats are in it already.
    last: Option<Step>,
    /// Updates of a part.
    width: u64,
    /// Sum and number of the losses of each part.
    parts: Vec<(f64, u64)>,
}

impl Default for Sketch {
    fn default() -> Self {
        Self { first: None, last: None, width: 1, parts: Vec::new() }
    }
}

impl Sketch {
    /// Takes rows in the order of their updates.
    pub fn feed<'r>(&mut self, rows: impl IntoIterator<Item = &'r MetricRow>) {
        for row in rows {
            let first = *self.first.get_or_insert(row.step);
            if row.step < first || self.last.is_some_and(|last| row.step <= last) {
                continue;
            }
            self.last = Some(row.step);
            let Some(loss) = row.loss.filter(|loss| loss.is_finite()) else { continue };
            while (row.step.0 - first.0) / self.width >= PARTS as u64 {
                self.halve();
            }
            #[expect(clippy::cast_possible_truncation, reason = "below the number of parts")]
            let part = ((row.step.0 - first.0) / self.width) as usize;
            if self.parts.len() <= part {
                self.parts.resize(part + 1, (0.0, 0));
            }
            self.parts[part].0 += loss;
            self.parts[part].1 += 1;
        }
    }

    fn halve(&mut self) {
        self.width *= 2;
        let pair =
            |two: &[(f64, u64)]| two.iter().fold((0.0, 0), |sum, part| (sum.0 + part.0, sum.1 + part.1));
        self.parts = self.parts.chunks(2).map(pair).collect();
    }

    /// The means, in order; parts without a loss are left out.
    #[must_use]
    pub fn means(&self) -> Vec<f64> {
        #[expect(clippy::cast_precision_loss, reason = "updates of a run")]
        let mean = |(sum, n): &(f64, u64)| (*n > 0).then(|| sum / *n as f64);
        self.parts.iter().filter_map(mean).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(step: u64, loss: Option<f64>) -> MetricRow {
        MetricRow { step: Step(step), loss, ..MetricRow::default() }
    }

    #[test]
    fn a_sketch_stays_small_and_says_the_means() {
        let mut sketch = Sketch::default();
        sketch.feed(&[
            row(1001, Some(4.0)),
            row(1002, None),
            row(1003, Some(f64::NAN)),
            row(1004, Some(3.0)),
        ]);
        assert_eq!(sketch.means(), [4.0, 3.0]);
        sketch.feed(&(1005..=1000 + 100_000).map(|step| row(step, Some(2.0))).collect::<Vec<_>>());
        let means = sketch.means();
        assert!((33..=64).contains(&means.len()), "{}", means.len());
        assert!((means[0] - 2.0).abs() < 0.01 && means[0] > 2.0, "the first two are in it");
        assert!(means[1..].iter().all(|mean| (mean - 2.0).abs() < 1e-12));
        let before = sketch.clone();
        sketch.feed(&[row(2000, Some(9.0)), row(5, Some(9.0))]);
        assert_eq!(sketch, before, "what is repeated is in it already");
    }
}
