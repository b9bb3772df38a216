//! A training run: registered once, reported to as it goes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::state::named;
use crate::{Step, Timestamp, Tokens};

named! {
    /// Where a run stands.
    RunState {
        /// Known by name, nothing received yet.
        Registered = "registered",
        /// Metrics arrive.
        Running = "running",
        /// The trainer said it has finished.
        Finished = "finished",
        /// The trainer said it stopped on an error.
        Failed = "failed",
    }
}

named! {
    /// What can happen to a run, drawn as a mark on its curves.
    EventKind {
        /// Training began.
        Started = "started",
        /// Training went on from a checkpoint after a stop.
        Resumed = "resumed",
        /// A loss spike.
        Spike = "spike",
        /// The learning rate was changed by hand.
        LearningRate = "learning_rate",
        /// The data changed: another mixture, the next epoch.
        DataStage = "data_stage",
        /// A node failed.
        NodeFailure = "node_failure",
        /// Training finished as specified.
        Finished = "finished",
        /// Training stopped on an error.
        Failed = "failed",
        /// What computes from here on; the note is a [`Devices`].
        Devices = "devices",
        /// Anything else, in words.
        Note = "note",
    }
}

/// One line of `log.jsonl`, and one row of a metrics batch. All values are of this update.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricRow {
    /// Update number, from 1.
    pub step: Step,
    /// Training targets seen up to and including this update.
    pub tokens: Tokens,
    /// `ce + z_loss`, nats per target.
    #[serde(default)]
    pub loss: Option<f64>,
    /// Cross-entropy, nats per target.
    #[serde(default)]
    pub ce: Option<f64>,
    /// Weighted z-loss.
    #[serde(default)]
    pub z_loss: Option<f64>,
    /// Learning rate applied in this update.
    #[serde(default)]
    pub lr: Option<f64>,
    /// Global L2 norm of the gradient before clipping.
    #[serde(default)]
    pub grad_norm: Option<f64>,
    /// Wall time of this update.
    #[serde(default)]
    pub seconds: Option<f64>,
}

/// Something that happened to a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunEvent {
    /// What happened.
    pub kind: EventKind,
    /// At which update.
    pub step: Step,
    /// In a sentence.
    #[serde(default)]
    pub note: String,
    /// When; the server's time of receipt when the sender gives none.
    #[serde(default)]
    pub at: Option<Timestamp>,
}

/// What computes, as the note of [`EventKind::Devices`] writes it: `64 × NVIDIA H200`, `2 × CPU thread`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Devices {
    /// How many.
    pub count: u64,
    /// Name of one of them.
    pub name: String,
}

impl Devices {
    /// The name of a device that is no accelerator.
    pub const CPU_THREAD: &'static str = "CPU thread";

    /// Whether the processor of the machine computes.
    #[must_use]
    pub fn is_cpu(&self) -> bool {
        self.name == Self::CPU_THREAD
    }
}

impl fmt::Display for Devices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} × {}", self.count, self.name)
    }
}

impl FromStr for Devices {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once(" × ").and_then(|(count, name)| Some((count.parse().ok()?, name.trim())));
        let parts = parts.filter(|(count, name)| *count > 0_u64 && !name.is_empty());
        let (count, name) = parts.ok_or_else(|| {
            format!("\"{text}\" does not say what computes: write a number, × and a name, as in \"64 × NVIDIA H200\" or \"2 × CPU thread\"")
        })?;
        Ok(Self { count, name: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::Devices;

    #[test]
    fn what_computes_is_read_as_it_is_written() {
        for text in ["64 × NVIDIA H200", "2 × CPU thread", "1 × a × b"] {
            let devices: Devices = text.parse().expect(text);
            assert_eq!((devices.to_string(), devices.is_cpu()), (text.to_owned(), text.contains("CPU")));
        }
        for bad in ["", "H200", "64 x H200", "0 × H200", "-1 × H200", "64 × ", "many × H200"] {
            let error = bad.parse::<Devices>().expect_err(bad);
            assert!(error.contains("64 × NVIDIA H200"), "{error}");
        }
    }
}
