//! A training run: registered once, reported to as it goes.

mod changeable;
mod detect;
mod devices;
mod metric;
mod plan;
mod segment;
mod sketch;

use serde::{Deserialize, Serialize};

use crate::state::named;
use crate::{EventId, Step, Timestamp};

pub use changeable::remove_changeable;
pub use detect::{Detectors, Finding};
pub use devices::Devices;
pub use metric::{MOST_NAMES, MetricRow, MetricValue, NotFinite, is_metric_name, quote_bare_numbers};
pub use plan::{Plan, Planned};
pub use segment::{LEAST_PATIENCE, Segment, segment_of};
pub use sketch::Sketch;

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
        /// Training went back to a checkpoint by itself and left out the data since.
        Rollback = "rollback",
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
        /// A reported value is not a number, or infinite.
        NotFinite = "not_finite",
        /// Nothing was reported for longer than usual.
        Stalled = "stalled",
        /// Anything else, in words.
        Note = "note",
    }
}

named! {
    /// How sure it is that something happened.
    EventStatus {
        /// The trainer or a person said so.
        Reported = "reported",
        /// A detector thinks so; nobody has looked yet.
        Proposed = "proposed",
        /// A person has looked and agrees.
        Confirmed = "confirmed",
        /// A person has looked and disagrees; it is not drawn.
        Dismissed = "dismissed",
    }
}

/// Something that happened to a run, as it is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
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

/// The same as it is kept: with who said so, and what people made of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct KeptEvent {
    /// Its id.
    pub id: EventId,
    /// What happened.
    pub kind: EventKind,
    /// At which update.
    pub step: Step,
    /// In a sentence.
    pub note: String,
    /// When.
    pub at: Timestamp,
    /// How sure it is.
    pub status: EventStatus,
    /// Who said so: a user's name, or `detector`.
    pub by: String,
    /// What the detector saw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Finding>,
    /// How long training stood still, where that is what happened [s].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost_seconds: Option<f64>,
    /// Who confirmed or dismissed it, or wrote the note.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<String>,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_at: Option<Timestamp>,
    /// Why, or what it was.
    #[serde(default)]
    pub remark: String,
    /// Grows with every change.
    pub version: u64,
}

/// Who proposes events, and tells of what nobody reported.
pub const DETECTOR: &str = "detector";

impl KeptEvent {
    /// Something that the service noticed by itself, as a fact.
    #[must_use]
    pub fn noticed(id: EventId, kind: EventKind, step: Step, at: Timestamp) -> Self {
        Self::new(id, kind, step, at, DETECTOR)
    }

    /// Something that `by` reports, with nothing said about it yet.
    #[must_use]
    pub fn new(id: EventId, kind: EventKind, step: Step, at: Timestamp, by: &str) -> Self {
        Self {
            id,
            kind,
            step,
            note: String::new(),
            at,
            status: EventStatus::Reported,
            by: by.to_owned(),
            seen: None,
            lost_seconds: None,
            decided_by: None,
            decided_at: None,
            remark: String::new(),
            version: 1,
        }
    }

    /// Whether it is drawn on curves and counts as an alert.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.status != EventStatus::Dismissed
    }
}
