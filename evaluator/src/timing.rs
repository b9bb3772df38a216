//! Where the time of an evaluation goes.

use std::time::{Duration, Instant};

use serde::Serialize;

/// A part of an evaluation, as [`Timing`] describes it.
#[derive(Clone, Copy)]
pub(crate) enum Phase {
    Encode,
    Plan,
    Prefill,
    Logits,
    Decode,
    Records,
}

/// Wall time of each part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Timing {
    /// Rendering and tokenising the prompts, or finding them in the cache; seconds, as all of them.
    pub encode: f64,
    /// Building the trie.
    pub plan: f64,
    /// Running its edges.
    pub prefill: f64,
    /// Logits and log-likelihoods at the positions that are read.
    pub logits: f64,
    /// Generating, stop strings included.
    pub decode: f64,
    /// Scoring and keeping records.
    pub records: f64,
}

impl Timing {
    /// Adds the time since `begun`.
    pub(crate) fn add(&mut self, phase: Phase, begun: Instant) {
        *self.of(phase) += begun.elapsed().as_secs_f64();
    }

    /// The parts with their names, in order.
    pub fn parts(&self) -> [(&'static str, Duration); 6] {
        [
            ("encode", self.encode),
            ("plan", self.plan),
            ("prefill", self.prefill),
            ("logits", self.logits),
            ("decode", self.decode),
            ("records", self.records),
        ]
        .map(|(name, seconds)| (name, Duration::from_secs_f64(seconds)))
    }

    fn of(&mut self, phase: Phase) -> &mut f64 {
        match phase {
            Phase::Encode => &mut self.encode,
            Phase::Plan => &mut self.plan,
            Phase::Prefill => &mut self.prefill,
            Phase::Logits => &mut self.logits,
            Phase::Decode => &mut self.decode,
            Phase::Records => &mut self.records,
        }
    }
}
