use std::collections::VecDeque;
use std::time::Duration;

/// Updates that the speed is taken over.
const WINDOW: usize = 20;

/// What is shown of a run beside its rows.
#[derive(Default)]
pub(super) struct Pace {
    pub(super) speed: Speed,
    /// Loss of the last update that this process made.
    pub(super) loss: Option<f64>,
}

/// How fast the last few updates were.
#[derive(Default)]
pub(super) struct Speed(VecDeque<(u64, Duration)>);

impl Speed {
    pub(super) fn add(&mut self, tokens: u64, time: Duration) {
        self.0.push_back((tokens, time));
        if self.0.len() > WINDOW {
            self.0.pop_front();
        }
    }

    pub(super) fn tokens_per_second(&self) -> f64 {
        let tokens: u64 = self.0.iter().map(|(tokens, _)| tokens).sum();
        tokens as f64 / self.time().as_secs_f64().max(1e-9)
    }

    /// How long `updates` more will take.
    pub(super) fn remaining(&self, updates: u64) -> Duration {
        self.time().mul_f64(updates as f64 / self.0.len().max(1) as f64)
    }

    fn time(&self) -> Duration {
        self.0.iter().map(|(_, time)| *time).sum()
    }
}
