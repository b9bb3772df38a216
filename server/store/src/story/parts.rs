use sekisho_domain::run::{EventKind, MetricRow, RunEvent};
use sekisho_domain::wire::MetricsBatch;
use sekisho_domain::{CheckpointId, EventId, RunId, Step, Tokens};

use super::{append, at, checkpoint, id, run};
use crate::Store;

pub(crate) async fn long_lists_are_read_in_parts(store: &dyn Store) {
    for n in 1..=5 {
        store.add_run(&run(n)).await.expect("a run");
    }
    let first: Vec<RunId> = store.runs_part(None, 2).await.expect("runs").iter().map(|run| run.id).collect();
    assert_eq!(first, [id(5), id(4)], "the one registered last comes first");
    store.add_run(&run(6)).await.expect("a run");
    let rest = store.runs_part(Some(id(4)), 10).await.expect("runs");
    assert_eq!(rest.iter().map(|run| run.id).collect::<Vec<RunId>>(), [id(3), id(2), id(1)], "none moves");

    for (n, step) in [(1, 100), (3, 300), (2, 200)] {
        store.add_checkpoint(&checkpoint(n, &run(1), step)).await.expect("a checkpoint");
    }
    store.add_checkpoint(&checkpoint(9, &run(2), 100)).await.expect("a checkpoint");
    let ids = async |after: Option<(Step, CheckpointId)>| {
        let part = store.checkpoints_part(id(1), after, 2).await.expect("checkpoints");
        part.iter().map(|checkpoint| checkpoint.id).collect::<Vec<CheckpointId>>()
    };
    assert_eq!(ids(None).await, [id(1), id(2)]);
    assert_eq!(ids(Some((Step(200), id(2)))).await, [id(3)]);

    for n in 1..=3 {
        let note = format!("{n}");
        let event = RunEvent { kind: EventKind::Note, step: Step(7), note, at: None };
        store.add_event(id(1), id(n), &event, "somebody", at(1)).await.expect("an event");
    }
    let ids = async |after: Option<(Step, EventId)>| {
        let part = store.events_part(id(1), after, 2).await.expect("events");
        part.iter().map(|event| event.id).collect::<Vec<EventId>>()
    };
    assert_eq!(ids(None).await, [id(1), id(2)], "of one step by id");
    assert_eq!(ids(Some((Step(7), id(2)))).await, [id(3)]);
    rows(store).await;
}

/// Two processes, the second of which went back: what the first said of the steps that both reported is not shown.
async fn rows(store: &dyn Store) {
    for (writer, steps, seconds) in [("a", 1..=40_u64, 2), ("b", 11..=60, 2000)] {
        for (seq, step) in steps.enumerate() {
            let step = Step(step);
            let row = MetricRow { step, tokens: Tokens(step.0), loss: Some(1.0), ..MetricRow::default() };
            let writer = writer.to_owned();
            let batch = MetricsBatch { seq: seq as u64, writer, rows: vec![row], ..MetricsBatch::default() };
            append(store, id(1), &batch, seconds).await;
        }
    }
    let mut read = Vec::new();
    let mut from = Step(0);
    loop {
        let part = store.metrics_part(id(1), from, Step(55), 7).await.expect("rows");
        let Some(last) = part.last() else { break };
        assert!(part.len() == 7 || last.step == Step(55), "no part is short but the last");
        from = Step(last.step.0 + 1);
        read.extend(part);
    }
    let whole = store.metrics_between(id(1), Step(0), Step(55)).await.expect("rows");
    assert_eq!(read.len(), 55);
    assert_eq!(read, whole);
}
