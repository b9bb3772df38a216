use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::{EventKind, MetricRow};
use crate::Step;

/// Updates that a value is compared with. OLMo-core's `SkipStepOptimizer` has the same.
const WINDOW: usize = 128;
/// Standard deviations above the mean that stand out; the same source.
const SIGMA: f64 = 6.0;
/// Updates after a finding in which the same is not found again: one spike lasts for several.
const REST: u64 = 32;
/// A change of the learning rate that no schedule makes from one update to the next.
const JUMP: f64 = 0.2;
/// What a schedule does change it by, and for how many updates it did so before a jump.
const SMOOTH: f64 = 0.02;
const SMOOTH_STEPS: u32 = 16;

/// What a detector saw.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = DetectorFinding)]
pub struct Finding {
    /// Which metric.
    pub metric: String,
    /// What it usually was: the mean of the window before, or the value before.
    pub from: f64,
    /// What it was then; absent where it was no number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<f64>,
    /// How far out it was, in standard deviations of the window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sigma: Option<f64>,
}

impl Finding {
    /// In words and numbers, as the note of an event.
    #[must_use]
    pub fn note(&self) -> String {
        let to = self.to.map_or_else(|| "NaN".to_owned(), short);
        let sigma = self.sigma.map_or_else(String::new, |sigma| format!(", {sigma:.1} σ"));
        format!("{} {} → {to}{sigma}", self.metric, short(self.from))
    }
}

fn short(value: f64) -> String {
    if value != 0.0 && !(1e-2..1e4).contains(&value.abs()) {
        format!("{value:.3e}")
    } else {
        format!("{value:.3}")
    }
}

/// Watches the rows of one run as they come, whichever trainer sends them: what stands out is proposed as an event, for people to
/// confirm. Its state is kept with the run, so that neither a restart of the service nor a batch that comes twice changes what is found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Detectors {
    /// The last update seen; those that a restart repeats are not looked at again.
    seen: Option<Step>,
    loss: Window,
    grad_norm: Window,
    lr: Rate,
    /// The last update with a value that is no number.
    not_finite: Option<Step>,
}

impl Detectors {
    /// Looks at rows in the order of their updates.
    pub fn feed<'r>(
        &mut self,
        rows: impl IntoIterator<Item = &'r MetricRow>,
    ) -> Vec<(Step, EventKind, Finding)> {
        let mut found = Vec::new();
        for row in rows {
            if self.seen.is_some_and(|seen| row.step <= seen) {
                continue;
            }
            self.seen = Some(row.step);
            let mut add = |kind, finding: Option<Finding>| {
                found.extend(finding.map(|finding| (row.step, kind, finding)));
            };
            add(EventKind::NotFinite, self.no_number(row));
            add(EventKind::Spike, self.loss.judge("loss", row.step, row.loss));
            add(EventKind::Spike, self.grad_norm.judge("grad_norm", row.step, row.grad_norm));
            add(EventKind::LearningRate, self.lr.judge(row.lr));
        }
        found
    }

    /// The first of a row of updates whose loss or gradient norm is no number.
    fn no_number(&mut self, row: &MetricRow) -> Option<Finding> {
        let (metric, window) = if row.loss.is_some_and(|loss| !loss.is_finite()) {
            ("loss", &self.loss)
        } else if row.grad_norm.is_some_and(|norm| !norm.is_finite()) {
            ("grad_norm", &self.grad_norm)
        } else {
            return None;
        };
        let goes_on = self.not_finite.is_some_and(|last| row.step.0 <= last.0 + REST);
        self.not_finite = Some(row.step);
        let finding = Finding {
            metric: metric.to_owned(),
            from: window.last().unwrap_or_default(),
            to: None,
            sigma: None,
        };
        (!goes_on).then_some(finding)
    }
}

/// The last values of a metric.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Window {
    values: VecDeque<f64>,
    /// The last update that stood out.
    found: Option<Step>,
}

impl Window {
    fn last(&self) -> Option<f64> {
        self.values.back().copied()
    }

    /// By OLMo-core's rule: more than six unbiased standard deviations above the mean of the last 128, once half of them are there. The
    /// value enters the window either way.
    fn judge(&mut self, metric: &str, step: Step, value: Option<f64>) -> Option<Finding> {
        let value = value.filter(|value| value.is_finite())?;
        let finding = self.stands_out(metric, value);
        self.values.push_back(value);
        if self.values.len() > WINDOW {
            self.values.pop_front();
        }
        finding.as_ref()?;
        let goes_on = self.found.is_some_and(|last| step.0 <= last.0 + REST);
        self.found = Some(step);
        finding.filter(|_| !goes_on)
    }

    fn stands_out(&self, metric: &str, value: f64) -> Option<Finding> {
        let n = self.values.len();
        if n < WINDOW / 2 {
            return None;
        }
        let mean = self.values.iter().sum::<f64>() / n as f64;
        let variance = self.values.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / (n - 1) as f64;
        let deviation = variance.sqrt();
        let out = value - mean > SIGMA * deviation && value - mean > 1e-3 * mean.abs();
        out.then(|| Finding {
            metric: metric.to_owned(),
            from: mean,
            to: Some(value),
            sigma: (deviation > 0.0).then(|| (value - mean) / deviation),
        })
    }
}

/// The learning rate, which changes smoothly unless somebody changes it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Rate {
    last: Option<f64>,
    smooth: u32,
}

impl Rate {
    fn judge(&mut self, value: Option<f64>) -> Option<Finding> {
        // A skipped update has no learning rate.
        let value = value.filter(|value| value.is_finite() && *value > 0.0)?;
        let before = self.last.replace(value)?;
        let change = (value / before - 1.0).abs();
        let was_smooth = self.smooth >= SMOOTH_STEPS;
        self.smooth = if change <= SMOOTH { self.smooth.saturating_add(1) } else { 0 };
        let jumped = was_smooth && change > JUMP;
        jumped.then(|| Finding { metric: "lr".to_owned(), from: before, to: Some(value), sigma: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(step: u64, loss: f64, lr: f64) -> MetricRow {
        MetricRow { step: Step(step), loss: Some(loss), lr: Some(lr), ..MetricRow::default() }
    }

    /// A loss that wavers by a hundredth.
    fn usual(step: u64) -> MetricRow {
        row(step, 3.0 + 0.01 * (step % 7) as f64, 3e-4)
    }

    #[test]
    fn a_spike_is_found_once_and_what_is_repeated_is_not_looked_at_again() {
        let mut detectors = Detectors::default();
        assert!(detectors.feed(&(1..=63).map(usual).collect::<Vec<_>>()).is_empty());
        assert!(detectors.clone().feed(&[row(64, 9.0, 3e-4)]).is_empty(), "the window is not half full");
        detectors.feed(&[usual(64)]);
        let spike: Vec<MetricRow> =
            (65..70).map(|step| row(step, 4.5 + 10.0 * (step - 65) as f64, 3e-4)).collect();
        let found = detectors.feed(&spike);
        assert_eq!(found.len(), 1, "one spike: {found:?}");
        let (step, kind, finding) = &found[0];
        assert_eq!((*step, *kind, finding.metric.as_str()), (Step(65), EventKind::Spike, "loss"));
        assert!(
            (finding.from - 3.03).abs() < 0.01 && finding.sigma.is_some_and(|sigma| sigma > 50.0),
            "{finding:?}"
        );
        assert!(finding.note().starts_with("loss 3.03"), "{}", finding.note());
        assert!(detectors.feed(&spike).is_empty(), "a restart repeats them");
    }

    #[test]
    fn a_jump_of_the_learning_rate_is_no_schedule() {
        let mut detectors = Detectors::default();
        let warm_up = (1..=50).map(|step| row(step, 3.0, 3e-4 * step as f64 / 50.0));
        let decay = (51..=400).map(|step| row(step, 3.0, 3e-4 * 0.99_f64.powf(step as f64 - 50.0)));
        let mut rows: Vec<MetricRow> = warm_up.collect();
        rows.extend(decay);
        let found = detectors.feed(&rows);
        assert!(found.is_empty(), "warm-up and decay are smooth: {found:?}");
        let last = rows.last().and_then(|row| row.lr).expect("a rate");
        assert!(detectors.feed(&[row(401, 3.0, 0.0)]).is_empty(), "a skipped update");
        let found = detectors.feed(&[row(402, 3.0, last / 2.0)]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].1, EventKind::LearningRate);
    }

    #[test]
    fn no_number_is_said_once_for_as_long_as_it_goes_on() {
        let mut detectors = Detectors::default();
        detectors.feed(&[row(1, 2.5, 1e-4)]);
        let found = detectors.feed(&(2..40).map(|step| row(step, f64::NAN, 1e-4)).collect::<Vec<_>>());
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].0, found[0].1, found[0].2.note().as_str()),
            (Step(2), EventKind::NotFinite, "loss 2.500 → NaN")
        );
    }

    #[test]
    fn its_state_comes_back_from_where_it_is_kept() {
        let mut detectors = Detectors::default();
        detectors.feed(&(1..=90).map(usual).collect::<Vec<_>>());
        let text = serde_json::to_string(&detectors).expect("text");
        let mut again: Detectors = serde_json::from_str(&text).expect("state");
        assert_eq!(again, detectors);
        assert_eq!(again.feed(&[row(91, 9.0, 3e-4)]), detectors.feed(&[row(91, 9.0, 3e-4)]));
    }
}
