//! What the training of a checkpoint took, as its run's log and events tell.

use std::collections::BTreeMap;

use sekisho_domain::Step;
use sekisho_domain::run::{Devices, EventKind, KeptEvent, MetricRow};
use sekisho_store::Checkpoint;

use crate::{App, WebError};

/// Wall time on the same devices.
#[derive(Clone, Debug, PartialEq)]
pub struct Spent {
    /// What computed.
    pub devices: Devices,
    /// Wall seconds of the updates that it made.
    pub seconds: f64,
}

/// What the stage of a checkpoint took up to it, one entry for each kind and number of devices, in the order of use. Empty where that is
/// not known in full: part of a sum would be a wrong number.
///
/// # Errors
/// When the store fails.
pub async fn of_checkpoint(app: &App, checkpoint: &Checkpoint) -> Result<Vec<Spent>, WebError> {
    let run = app.store.run(checkpoint.run).await?;
    let spec = run.and_then(|run| run.spec).unwrap_or_default();
    let parent = &spec["parent"];
    // A child counts on from its parent's update unless it says otherwise.
    let before = match parent["reset_steps"].as_bool() {
        Some(true) => 0,
        _ => parent["step"].as_u64().unwrap_or(0),
    };
    let (rows, events) = (app.store.metrics(checkpoint.run).await?, app.store.events(checkpoint.run).await?);
    Ok(spent(&rows, &events, before + 1..=checkpoint.step.0).unwrap_or_default())
}

/// None unless every one of the updates has a row with its seconds and it is known what computed it.
fn spent(
    rows: &[MetricRow],
    events: &[KeptEvent],
    updates: std::ops::RangeInclusive<u64>,
) -> Option<Vec<Spent>> {
    let devices = devices(events)?;
    let by_step: BTreeMap<u64, f64> =
        rows.iter().filter_map(|row| Some((row.step.0, row.seconds?))).collect();
    let mut all: Vec<Spent> = Vec::new();
    for update in updates {
        let seconds =
            by_step.get(&update).copied().filter(|seconds| seconds.is_finite() && *seconds >= 0.0)?;
        // An update is made again after a resumption before it, so what was said last of all before it counts.
        let before = devices.iter().filter(|(event, _)| event.step < Step(update));
        let (_, computes) = before.max_by_key(|(event, _)| event.at)?;
        match all.iter_mut().find(|known| known.devices == *computes) {
            Some(known) => known.seconds += seconds,
            None => all.push(Spent { devices: computes.clone(), seconds }),
        }
    }
    Some(all)
}

/// What computed from which update on. None where two events of one update contradict each other: an event that is said twice is kept
/// once, so that which of them held last is not known.
fn devices(events: &[KeptEvent]) -> Option<Vec<(&KeptEvent, Devices)>> {
    let of_kind = events.iter().filter(|event| event.kind == EventKind::Devices);
    let read = of_kind.filter_map(|event| Some((event, event.note.parse().ok()?)));
    let read: Vec<(&KeptEvent, Devices)> = read.collect();
    let agree =
        |(a, left): &(&KeptEvent, Devices)| read.iter().all(|(b, right)| a.step != b.step || left == right);
    read.iter().all(agree).then_some(read)
}

#[cfg(test)]
mod tests {
    use sekisho_domain::Timestamp;

    use super::*;
    use crate::web::pages::fixtures;

    fn row(step: u64, seconds: Option<f64>) -> MetricRow {
        MetricRow { step: Step(step), seconds, ..MetricRow::default() }
    }

    fn event(step: u64, note: &str, at: i64) -> KeptEvent {
        let at = Timestamp::from_unix_ms(at);
        KeptEvent { kind: EventKind::Devices, at, ..fixtures::event(step, note) }
    }

    fn said(rows: &[MetricRow], events: &[KeptEvent], last: u64) -> Option<Vec<String>> {
        let all = spent(rows, events, 1..=last)?;
        Some(all.iter().map(|spent| format!("{} {}", spent.devices, spent.seconds)).collect())
    }

    #[test]
    fn seconds_are_those_of_the_devices_that_made_the_update_in_the_end() {
        let rows: Vec<MetricRow> = (1..=10).map(|step| row(step, Some(2.0))).collect();
        let one = [event(0, "8 × H200", 1)];
        assert_eq!(said(&rows, &one, 10), Some(vec!["8 × H200 20".to_owned()]));
        assert_eq!(said(&rows, &one, 3), Some(vec!["8 × H200 6".to_owned()]), "up to the checkpoint");
        // Update 7 came from a resumption at 6 that a later one at 4 has undone.
        let moved = [event(0, "8 × H200", 1), event(6, "4 × B200", 2), event(4, "2 × CPU thread", 3)];
        let expected = Some(vec!["8 × H200 8".to_owned(), "2 × CPU thread 12".to_owned()]);
        assert_eq!(said(&rows, &moved, 10), expected);
    }

    #[test]
    fn part_of_a_sum_is_not_said() {
        let rows: Vec<MetricRow> = (1..=4).map(|step| row(step, Some(2.0))).collect();
        let one = [event(0, "8 × H200", 1)];
        assert_eq!(said(&rows, &one, 5), None, "an update without a row");
        assert_eq!(said(&rows, &[event(2, "8 × H200", 1)], 4), None, "nothing is known of the first updates");
        assert_eq!(said(&rows, &[], 4), None);
        assert_eq!(
            said(&rows, &[one[0].clone(), event(0, "4 × H200", 2)], 4),
            None,
            "two words for one update"
        );
        for seconds in [None, Some(f64::NAN), Some(-1.0)] {
            let mut odd = rows.clone();
            odd[1] = row(2, seconds);
            assert_eq!(said(&odd, &one, 4), None, "{seconds:?}");
        }
    }
}
