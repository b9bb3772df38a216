//! Which updates are skipped: those whose loss or gradient norm stands out from a window of the last ones. And how often that is.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::SpikeScore;
use crate::spec::Stability;

/// The last losses and gradient norms. Part of every checkpoint, so that a resumed run skips the same updates; in f32,
/// which a JSON number carries exactly.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Window {
    losses: VecDeque<f32>,
    grad_norms: VecDeque<f32>,
}

impl Window {
    /// Judges an update, by OLMo-core's rule (`SkipStepOptimizer`): it is skipped when loss or gradient norm is more than
    /// `skip_sigma` standard deviations above the mean of the window before it, once that is half full. Its values enter
    /// the window either way.
    pub(crate) fn skips(&mut self, settings: &Stability, loss: f64, grad_norm: f64) -> bool {
        let Some(sigma) = settings.skip_sigma else { return false };
        let full_enough = self.losses.len() >= (settings.window / 2).max(2);
        let skips = full_enough
            && (stands_out(&self.losses, loss, sigma) || stands_out(&self.grad_norms, grad_norm, sigma));
        for (window, value) in [(&mut self.losses, loss), (&mut self.grad_norms, grad_norm)] {
            window.push_back(kept(value));
            while window.len() > settings.window {
                window.pop_front();
            }
        }
        skips
    }
}

/// How many of the last updates stood out, of the losses and of the gradient norms, by OLMo-core's rule (`StabilityMonitor`): more than
/// six standard deviations above the mean of the 128 updates before. It watches whether updates are skipped or not, is part of every
/// checkpoint, and so is the same after a restart.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Spikes {
    loss: Watch,
    grad_norm: Watch,
}

impl Spikes {
    /// Updates between two rows of the log that carry the score.
    const LOGGED_EVERY: u64 = 10;

    pub(crate) fn add(&mut self, loss: f64, grad_norm: f64) {
        self.loss.add(loss);
        self.grad_norm.add(grad_norm);
    }

    /// None before the first update.
    pub(crate) fn score(&self) -> Option<SpikeScore> {
        Some(SpikeScore { loss: self.loss.share()?, grad_norm: self.grad_norm.share()? })
    }

    /// What the log's row of an update says of it.
    pub(crate) fn logged(&self, step: u64) -> BTreeMap<String, f64> {
        let score = self.score().filter(|_| step.is_multiple_of(Self::LOGGED_EVERY));
        let named = |score: SpikeScore| {
            [("spike_score", score.loss), ("grad_norm_spike_score", score.grad_norm)]
                .map(|(name, value)| (name.to_owned(), value))
        };
        score.map(named).into_iter().flatten().collect()
    }
}

/// One of the two series.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Watch {
    /// The last values; in f32 as in [`Window`].
    last: VecDeque<f32>,
    /// Values so far.
    seen: u64,
    /// Which of the last [`Watch::SPAN`] values stood out, by their number.
    out: VecDeque<u64>,
}

impl Watch {
    /// Values that one is compared with.
    const WINDOW: usize = 128;
    /// Standard deviations above their mean.
    const SIGMA: f64 = 6.0;
    /// Values that the share is of.
    const SPAN: u64 = 10_000;

    fn add(&mut self, value: f64) {
        if self.last.len() >= Self::WINDOW / 2 && stands_out(&self.last, value, Self::SIGMA) {
            self.out.push_back(self.seen);
        }
        self.seen += 1;
        while self.out.front().is_some_and(|first| first + Self::SPAN < self.seen) {
            self.out.pop_front();
        }
        self.last.push_back(kept(value));
        if self.last.len() > Self::WINDOW {
            self.last.pop_front();
        }
    }

    fn share(&self) -> Option<f64> {
        (self.seen > 0).then(|| self.out.len() as f64 / self.seen.min(Self::SPAN) as f64)
    }
}

/// The mean loss of the updates since the checkpoint before that was due: what `keep = ["best:N"]` goes by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct MeanLoss {
    sum: f64,
    updates: u64,
}

impl MeanLoss {
    /// Adds an update's loss; `begins` says that a checkpoint was due just before it.
    pub(crate) fn add(&mut self, loss: f64, begins: bool) {
        if begins {
            *self = Self::default();
        }
        self.sum += loss;
        self.updates += 1;
    }

    /// None before the first update.
    pub(crate) fn mean(self) -> Option<f64> {
        (self.updates > 0).then(|| self.sum / self.updates as f64)
    }
}

/// As it enters a window. A finite value stays finite, which is what JSON can say of it.
fn kept(value: f64) -> f32 {
    (value as f32).clamp(f32::MIN, f32::MAX)
}

/// Whether `value` is more than `sigma` unbiased standard deviations above the window's mean.
fn stands_out(window: &VecDeque<f32>, value: f64, sigma: f64) -> bool {
    let n = window.len() as f64;
    let values = || window.iter().map(|x| f64::from(*x));
    let mean = values().sum::<f64>() / n;
    let variance = values().map(|x| (x - mean) * (x - mean)).sum::<f64>() / (n - 1.0);
    value - mean > sigma * variance.sqrt()
}

#[cfg(test)]
mod tests {
    use super::{MeanLoss, Spikes, Window};
    use crate::spec::Stability;

    #[test]
    fn a_spike_is_skipped_once_the_window_is_half_full() {
        let settings = Stability { skip_sigma: Some(6.0), window: 8, ..Stability::default() };
        let mut window = Window::default();
        assert!(!window.skips(&settings, 90.0, 1.0), "nothing is known yet");
        let mut window = Window::default();
        for i in 0..4 {
            assert!(!window.skips(&settings, 3.0 + 0.01 * f64::from(i), 1.0));
        }
        assert!(!window.skips(&settings, 3.05, 1.0));
        assert!(window.skips(&settings, 4.0, 1.0), "the loss stands out");
        let mut window = Window::default();
        for i in 0..6 {
            window.skips(&settings, 3.0, 1.0 + 0.01 * f64::from(i));
        }
        assert!(window.skips(&settings, 3.0, 2.0), "the gradient stands out");
        assert!(!window.skips(&settings, 3.0, 0.1), "small values are no spikes");
    }

    #[test]
    fn a_huge_value_can_be_saved_and_read_back() {
        let settings = Stability { skip_sigma: Some(6.0), ..Stability::default() };
        let (mut window, mut spikes) = (Window::default(), Spikes::default());
        window.skips(&settings, 3.0, 1e300);
        spikes.add(3.0, 1e300);
        let text = serde_json::to_string(&(&window, &spikes)).expect("written");
        let read: (Window, Spikes) = serde_json::from_str(&text).expect("read back");
        assert_eq!(read, (window, spikes));
    }

    #[test]
    fn without_a_threshold_nothing_is_skipped() {
        let mut window = Window::default();
        for _ in 0..10 {
            assert!(!window.skips(&Stability::default(), 1e9, 1e9));
        }
    }

    #[test]
    fn the_score_is_the_share_that_stood_out_of_the_last_ten_thousand() {
        let mut spikes = Spikes::default();
        assert_eq!(spikes.score(), None);
        // The 64th value is the first that is judged, and a spike stands among the 128 that later ones are compared with.
        let usual = |i: u64| 3.0 + 0.01 * (i % 7) as f64;
        for i in 0..10_000 {
            let spike = [40, 200, 400].contains(&i);
            spikes.add(if spike { 5.0 } else { usual(i) }, usual(i));
        }
        let score = spikes.score().expect("a score");
        assert!((score.loss - 2e-4).abs() < 1e-12 && score.grad_norm == 0.0, "{score:?}");
        assert_eq!(spikes.logged(10_000)["spike_score"].to_bits(), score.loss.to_bits());
        assert!(spikes.logged(10_001).is_empty());
        let kept = serde_json::to_string(&spikes).expect("JSON");
        let mut restored: Spikes = serde_json::from_str(&kept).expect("what was written");
        assert_eq!(restored, spikes);
        for i in 10_000..10_300 {
            spikes.add(usual(i), 9.0);
            restored.add(usual(i), 9.0);
        }
        assert_eq!(restored, spikes);
        let score = spikes.score().expect("a score");
        assert!((score.loss - 1e-4).abs() < 1e-12, "the first spike has left: {score:?}");
        assert!(score.grad_norm >= 1e-4, "{score:?}");
    }

    #[test]
    fn a_mean_begins_anew_after_a_checkpoint() {
        let mut mean = MeanLoss::default();
        assert_eq!(mean.mean(), None);
        [4.0, 3.0].into_iter().for_each(|loss| mean.add(loss, false));
        assert_eq!(mean.mean(), Some(3.5));
        mean.add(2.0, true);
        assert_eq!(mean.mean(), Some(2.0));
    }
}
