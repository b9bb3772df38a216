//! The last lines of a run: what its processes reported, as they reported it.

use sekisho_domain::run::{MetricRow, Segment};

use super::parts::When;
use super::run_load::Facts;
use crate::web::format;
use crate::web::frame::Frame;
use crate::web::i18n::Words as _;

/// Lines that are shown.
const LINES: usize = 100;

/// A process that reported.
pub(super) struct SegmentRow {
    pub(super) number: String,
    pub(super) host: String,
    pub(super) steps: String,
    pub(super) from: When,
    pub(super) to: When,
    /// How long training stood still before it.
    pub(super) lost: String,
}

/// The last rows as lines, the newest last: `step 59,604  tokens 500B  loss 1.832 …`.
pub(super) fn lines(facts: &Facts) -> Vec<String> {
    let rows = &facts.rows[facts.rows.len().saturating_sub(LINES)..];
    rows.iter().map(line).collect()
}

fn line(row: &MetricRow) -> String {
    let own = row.values().into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    let more = row.more.iter().map(|(name, value)| (name.clone(), *value));
    let values = own.chain(more).map(|(name, value)| {
        let small = value != 0.0 && value.abs() < 1e-3;
        let text = if small { format::scientific(value) } else { format!("{value:.4}") };
        format!("{name} {text}")
    });
    let head = [format!("step {}", row.step), format!("tokens {}", row.tokens)];
    head.into_iter().chain(values).collect::<Vec<_>>().join("  ")
}

/// The processes, the newest first.
pub(super) fn segments(frame: &Frame, segments: &[Segment]) -> Vec<SegmentRow> {
    let row = |(i, segment): (usize, &Segment)| {
        let lost = i.checked_sub(1).map(|before| segment.first_at.seconds_since(segments[before].last_at));
        let lost = lost.filter(|lost| *lost >= 1.0).map(|lost| format::duration(frame.lang, lost));
        SegmentRow {
            number: segment.number.to_string(),
            host: if segment.host.is_empty() { segment.writer.clone() } else { segment.host.clone() },
            steps: frame
                .lang
                .fill("run_log.from_to", &[("from", &segment.first_step), ("to", &segment.last_step)]),
            from: frame.when(segment.first_at),
            to: frame.when(segment.last_at),
            lost: lost.unwrap_or_default(),
        }
    };
    segments.iter().enumerate().rev().map(row).collect()
}
