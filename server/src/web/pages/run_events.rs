//! What happened to a run, as rows of its page.

use sekisho_domain::run::{EventKind, EventStatus, KeptEvent};

use super::parts::When;
use crate::web::format;
use crate::web::frame::Frame;

/// A row of the table of events.
pub(super) struct EventRow {
    pub(super) href: String,
    pub(super) when: When,
    pub(super) step: String,
    pub(super) kind: &'static str,
    pub(super) state: &'static str,
    /// Who told, and who decided.
    pub(super) who: String,
    pub(super) note: String,
}

/// Newest first.
pub(super) fn rows(frame: &Frame, run: &str, events: &[KeptEvent]) -> Vec<EventRow> {
    let row = |event: &KeptEvent| EventRow {
        href: format!("/runs/{run}/events/{}", event.id),
        when: frame.when(event.at),
        step: event.step.to_string(),
        kind: frame.t(&format!("event_kind.{}", event.kind)),
        state: event.status.as_str(),
        who: who(frame, event),
        note: note(frame, event),
    };
    events.iter().rev().map(row).collect()
}

/// Who told of it, or who decided, which says more.
pub(super) fn who(frame: &Frame, event: &KeptEvent) -> String {
    match &event.decided_by {
        Some(name) => name.clone(),
        None if event.by == "detector" => frame.t("run.detector").to_owned(),
        None => event.by.clone(),
    }
}

/// What happened, with the time that it cost and what people wrote.
pub(super) fn note(frame: &Frame, event: &KeptEvent) -> String {
    // A stall's note is the report that it began after.
    let told = if event.kind == EventKind::Stalled { "" } else { event.note.as_str() };
    // A history that is brought in loses no time that anybody waited for.
    let lost = event
        .lost_seconds
        .filter(|seconds| *seconds >= 1.0)
        .map(|seconds| frame.fill("run.lost_time", "duration", format::duration(frame.lang, seconds)));
    let parts = [told, lost.as_deref().unwrap_or_default(), event.remark.as_str()];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" · ")
}

/// Everything on one line, for the flag on a curve: kind, step, what, how sure, who.
pub(super) fn words(frame: &Frame, event: &KeptEvent) -> String {
    let kind = frame.t(&format!("event_kind.{}", event.kind));
    let mut words = format!("{kind} {}: {}", event.step, note(frame, event));
    if event.status != EventStatus::Reported {
        let status = frame.t(&format!("event_status.{}", event.status));
        words = format!("{words} ({status}, {})", who(frame, event));
    }
    words
}
