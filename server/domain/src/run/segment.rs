use serde::{Deserialize, Serialize};

use crate::{Step, Timestamp};

/// How long a writer may be silent before another one may go on without naming it [s].
pub const LEAST_PATIENCE: f64 = 60.0;

/// A stretch of a run that one process reported without going back: a restart begins another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Segment {
    /// From 1.
    pub number: u32,
    /// The process that wrote it, as it named itself.
    pub writer: String,
    /// The machine that it ran on, where it said so.
    pub host: String,
    /// First update reported.
    pub first_step: Step,
    /// Last update reported.
    pub last_step: Step,
    /// Its first report.
    pub first_at: Timestamp,
    /// Its last report.
    pub last_at: Timestamp,
    /// Batches received.
    pub batches: u64,
    /// Number of its last batch.
    pub last_seq: u64,
}

impl Segment {
    /// How long its silence means that it lives [s]: three of its usual pauses between reports, a minute at least, an hour at most.
    #[must_use]
    pub fn patience(&self) -> f64 {
        let pauses = self.batches.saturating_sub(1).max(1) as f64;
        let usual = self.last_at.seconds_since(self.first_at) / pauses;
        (3.0 * usual).clamp(LEAST_PATIENCE, 3600.0)
    }

    /// Whether its process is taken to be at work still.
    #[must_use]
    pub fn is_alive(&self, now: Timestamp) -> bool {
        now.seconds_since(self.last_at) < self.patience()
    }
}

/// The segment that an update is shown of: the last one that reported it or went back before it. None before the first report.
#[must_use]
pub fn segment_of(segments: &[Segment], step: Step) -> Option<&Segment> {
    segments.iter().rev().find(|segment| segment.first_step <= step)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(number: u32, first: u64, last: u64) -> Segment {
        Segment {
            number,
            writer: format!("w{number}"),
            host: String::new(),
            first_step: Step(first),
            last_step: Step(last),
            first_at: Timestamp::from_unix_ms(0),
            last_at: Timestamp::from_unix_ms(600_000),
            batches: 11,
            last_seq: 10,
        }
    }

    #[test]
    fn a_writer_is_waited_for_three_of_its_pauses() {
        let slow = segment(1, 1, 10);
        assert!((slow.patience() - 180.0).abs() < 1e-9, "a report a minute");
        assert!(
            slow.is_alive(Timestamp::from_unix_ms(779_000))
                && !slow.is_alive(Timestamp::from_unix_ms(781_000))
        );
        let quick = Segment { batches: 6001, ..slow.clone() };
        assert!((quick.patience() - 60.0).abs() < 1e-9);
        let single = Segment { batches: 1, last_at: Timestamp::from_unix_ms(0), ..slow };
        assert!((single.patience() - 60.0).abs() < 1e-9);
    }

    #[test]
    fn repeated_updates_belong_to_who_repeated_them() {
        let all = [segment(1, 1, 100), segment(2, 81, 90), segment(3, 71, 120)];
        let of = |step| segment_of(&all, Step(step)).map(|segment| segment.number);
        assert_eq!(
            [of(0), of(1), of(70), of(71), of(85), of(120)],
            [None, Some(1), Some(1), Some(3), Some(3), Some(3)]
        );
    }
}
