//! Where the time of an evaluation goes.

use std::time::{Duration, Instant};

use serde::Serialize;

/// A part of an evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Rendering and tokenising the prompts, or finding them in the cache.
    Encode,
    /// Building the trie.
    Plan,
    /// Running its edges.
    Prefill,
    /// Logits and log-likelihoods at the positions that are read.
    Logits,
    /// Generating, stop strings included.
    Decode,
    /// Scoring and keeping records.
    Records,
}

/// Wall time of each part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Timing {
    /// [`Phase::Encode`], in seconds.
    pub encode: f64,
    /// [`Phase::Plan`], in seconds.
    pub plan: f64,
    /// [`Phase::Prefill`], in seconds.
    pub prefill: f64,
    /// [`Phase::Logits`], in seconds.
    pub logits: f64,
    /// [`Phase::Decode`], in seconds.
    pub decode: f64,
    /// [`Phase::Records`], in seconds.
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
