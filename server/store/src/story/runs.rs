use sekisho_domain::run::{EventKind, EventStatus, MetricRow, Plan, Planned, RunEvent, RunState};
use sekisho_domain::wire::MetricsBatch;
use sekisho_domain::{EventId, RunId, Sha256, Step, Tokens};

use super::{at, entry, id, ids, run};
use crate::{Appended, EventDecision, Run, Store, StoreError};

fn row(step: u64, loss: f64) -> MetricRow {
    MetricRow {
        step: Step(step),
        tokens: Tokens(step * 512),
        loss: Some(loss),
        ce: Some(loss - 0.001),
        z_loss: Some(0.001),
        lr: Some(3e-4),
        seconds: Some(0.5),
        ..MetricRow::default()
    }
}

fn batch(writer: &str, seq: u64, rows: &[MetricRow]) -> MetricsBatch {
    MetricsBatch { seq, writer: writer.to_owned(), rows: rows.to_vec(), ..MetricsBatch::default() }
}

/// Appends as the service does.
pub(crate) async fn try_append(
    store: &dyn Store,
    run: RunId,
    batch: &MetricsBatch,
    seconds: i64,
) -> Result<Appended, StoreError> {
    let next = std::sync::atomic::AtomicU32::new(1);
    let ids = || {
        let n = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        // An id is unique over all runs and batches.
        let seed = Sha256::of(format!("{run} {} {} {n}", batch.writer, batch.seq)).hex();
        format!("0{}", &seed[..25]).parse::<EventId>().expect("26 digits")
    };
    store.append_metrics(run, batch, at(seconds), &ids).await
}

pub(crate) async fn append(store: &dyn Store, run: RunId, batch: &MetricsBatch, seconds: i64) -> Appended {
    try_append(store, run, batch, seconds).await.expect("append")
}

async fn shown(store: &dyn Store, id: RunId) -> Run {
    store.run(id).await.expect("run").expect("is there")
}

async fn losses(store: &dyn Store, id: RunId) -> Vec<(u64, Option<f64>)> {
    store.metrics(id).await.expect("rows").into_iter().map(|row| (row.step.0, row.loss)).collect()
}

pub(crate) async fn a_run_reports(store: &dyn Store) {
    let first = run(1);
    assert_eq!(store.run(first.id).await.expect("lookup"), None);
    store.add_run(&first).await.expect("add");
    assert_eq!(shown(store, first.id).await, first);
    assert_eq!(store.run_by_name("run-1").await.expect("lookup"), Some(first.clone()));
    let taken = store.add_run(&Run { id: id(9), ..first.clone() }).await.expect_err("the name is taken");
    assert!(matches!(taken, StoreError::Conflict(_)), "{taken}");

    metrics(store, first.id).await;
    events(store, first.id).await;
    plans(store, first.id).await;

    let child = serde_json::json!({ "parent": { "run": "run-1", "step": 4 } });
    store.add_run(&Run { updated: at(50), spec: Some(child), ..run(2) }).await.expect("add");
    assert_eq!(ids(&store.branches_of(&first).await.expect("branches")), [id(2)]);
    assert_eq!(store.branches_of(&run(2)).await.expect("branches"), []);
    store.set_run_state(first.id, RunState::Finished, at(60)).await.expect("finish");
    assert_eq!(ids(&store.runs(10).await.expect("list")), [first.id, id(2)], "newest report first");
    assert_eq!(ids(&store.runs(1).await.expect("list")), [first.id]);
    assert_eq!(ids(&store.runs_in(RunState::Finished).await.expect("list")), [first.id]);
    assert_eq!(shown(store, first.id).await.state, RunState::Finished);
    let missing = store.set_run_state(id(9), RunState::Failed, at(61)).await.expect_err("no such run");
    assert_eq!(missing.to_string(), "there is no run 00000000000000000000000009");
}

async fn metrics(store: &dyn Store, id: RunId) {
    let accepted = Appended::Accepted { proposed: 0 };
    assert_eq!(append(store, id, &batch("a", 0, &[row(1, 4.0), row(2, 3.9)]), 10).await, accepted);
    let now = shown(store, id).await;
    assert_eq!((now.state, now.step, now.loss), (RunState::Running, Step(2), Some(3.9)));

    assert_eq!(append(store, id, &batch("a", 0, &[row(1, 4.0), row(2, 3.9)]), 11).await, Appended::Repeated);
    assert_eq!(append(store, id, &batch("a", 0, &[row(1, 9.0)]), 11).await, Appended::OtherRows);
    append(store, id, &batch("a", 2, &[row(4, 3.7), row(3, 3.8)]), 12).await;
    append(store, id, &batch("a", 1, &[]), 13).await;
    assert_eq!(losses(store, id).await, [(1, Some(4.0)), (2, Some(3.9)), (3, Some(3.8)), (4, Some(3.7))]);

    // Another process: not while the first is at work, unless it knows that one to be gone.
    let busy = append(store, id, &batch("b", 0, &[row(3, 3.75)]), 14).await;
    assert!(matches!(&busy, Appended::Busy(segment) if segment.writer == "a"), "{busy:?}");
    assert_eq!(store.segments(id).await.expect("segments").len(), 1, "nothing of it is kept");
    let follows = MetricsBatch { follows: "a".to_owned(), ..batch("b", 0, &[row(3, 3.75)]) };
    assert_eq!(append(store, id, &follows, 14).await, accepted);
    let zombie = append(store, id, &batch("a", 3, &[row(5, 1.0)]), 15).await;
    assert!(matches!(&zombie, Appended::Busy(segment) if segment.writer == "b"), "{zombie:?}");
    assert_eq!(
        losses(store, id).await,
        [(1, Some(4.0)), (2, Some(3.9)), (3, Some(3.75))],
        "the rest was undone"
    );
    let now = shown(store, id).await;
    assert_eq!((now.step, now.tokens, now.loss), (Step(4), Tokens(4 * 512), Some(3.7)), "does not go back");
    assert_eq!(now.updated, at(14));
    segments(store, id).await;

    let missing = try_append(store, super::id(9), &batch("a", 0, &[]), 15).await.expect_err("no such run");
    assert!(matches!(missing, StoreError::Missing { kind: "run", .. }), "{missing}");
    let wrong = MetricRow { tokens: Tokens(u64::MAX), ..row(9_999_999, 0.0) };
    let wrong = batch("c", 900, &[row(1, 7.0), wrong]);
    let error = try_append(store, id, &wrong, 140).await.expect_err("too large");
    assert!(matches!(error, StoreError::TooLarge(u64::MAX)), "{error}");
    assert_eq!(store.metrics(id).await.expect("rows")[0].loss, Some(4.0), "written whole or not at all");
}

/// What a trainer tells of a return belongs to the segment that begins with it, whichever of the two comes first.
async fn returned(store: &dyn Store, id: RunId) {
    let told = |step, note: &str| RunEvent {
        kind: EventKind::Rollback,
        step: Step(step),
        note: note.to_owned(),
        at: None,
    };
    let went_back = |step, seconds, seq| {
        let rows = batch("c", seq, &[row(step, 3.2)]);
        async move { append(store, id, &rows, seconds).await }
    };
    went_back(400, 140, 1000).await;
    store.add_event(id, super::id(71), &told(399, "once"), "trainer", at(141)).await.expect("event");
    store.add_event(id, super::id(72), &told(399, "twice"), "trainer", at(150)).await.expect("event");
    went_back(400, 160, 1001).await;
    let events = store.events(id).await.expect("events");
    let mut returns: Vec<_> = events
        .iter()
        .filter(|event| event.kind == EventKind::Rollback)
        .map(|event| (event.note.as_str(), event.lost_seconds))
        .collect();
    returns.sort_by_key(|(note, _)| *note);
    assert_eq!(returns, [("once", Some(6.0)), ("twice", Some(20.0))]);
    assert_eq!(events.iter().filter(|event| event.kind == EventKind::Resumed).count(), 3);
}

async fn segments(store: &dyn Store, id: RunId) {
    // The same process goes back, as a loop without a name of its own does; then one comes after a long silence.
    append(store, id, &batch("b", 1, &[row(4, 3.6), row(5, 3.5)]), 20).await;
    append(store, id, &batch("b", 2, &[row(5, 3.55), row(6, 3.4)]), 30).await;
    let late = MetricsBatch { host: "node-7".to_owned(), ..batch("c", 0, &[row(7, 3.3)]) };
    append(store, id, &late, 30 + 100).await;
    let all = store.segments(id).await.expect("segments");
    let told: Vec<_> =
        all.iter().map(|s| (s.number, s.writer.as_str(), s.first_step.0, s.last_step.0)).collect();
    assert_eq!(told, [(1, "a", 1, 4), (2, "b", 3, 5), (3, "b", 5, 6), (4, "c", 7, 7)]);
    assert_eq!((all[3].host.as_str(), all[2].last_at), ("node-7", at(30)));
    let of_all = store.segments_of(&[id, super::id(9)]).await.expect("segments");
    assert_eq!((of_all.len(), &of_all[&id]), (1, &all));
    let shown = losses(store, id).await;
    assert_eq!(
        shown[2..],
        [(3, Some(3.75)), (4, Some(3.6)), (5, Some(3.55)), (6, Some(3.4)), (7, Some(3.3))]
    );
    let between = store.metrics_between(id, Step(4), Step(6)).await.expect("rows");
    assert_eq!(between.iter().map(|row| row.step.0).collect::<Vec<_>>(), [4, 5, 6]);
    let resumed: Vec<_> =
        store.events(id).await.expect("events").into_iter().map(|e| (e.step.0, e.lost_seconds)).collect();
    assert_eq!(
        resumed,
        [(3, Some(2.0)), (5, Some(10.0)), (7, Some(100.0))],
        "restarts with the time that they lost"
    );
    many(store, id).await;
    returned(store, id).await;
}

/// Chunks are folded as they gather, which no reader sees; what stands out is proposed.
async fn many(store: &dyn Store, id: RunId) {
    for seq in 1..=200_u64 {
        let step = 6 + 2 * seq;
        let rows = [row(step, 3.0 + 0.01 * (seq % 7) as f64), row(step + 1, 3.0)];
        append(store, id, &batch("c", seq, &rows), 130 + 1).await;
    }
    let rows = store.metrics(id).await.expect("rows");
    let steps: Vec<u64> = rows.iter().map(|row| row.step.0).collect();
    assert_eq!(steps, (1..=407).collect::<Vec<_>>());
    // A batch that was overtaken is no restart.
    append(store, id, &batch("c", 202, &[row(409, 3.0)]), 133).await;
    append(store, id, &batch("c", 201, &[row(408, 3.0)]), 133).await;
    assert_eq!(store.segments(id).await.expect("segments").len(), 4);
    assert_eq!(store.metrics(id).await.expect("rows").len(), 409);

    let spike = append(store, id, &batch("c", 203, &[row(410, 30.0), row(411, 40.0)]), 134).await;
    assert_eq!(spike, Appended::Accepted { proposed: 1 });
    let proposed = store.proposed_events(10).await.expect("events");
    let [(of, event)] = proposed.as_slice() else { panic!("{proposed:?}") };
    assert_eq!((*of, event.kind, event.step), (id, EventKind::Spike, Step(410)));
    assert!(event.seen.as_ref().is_some_and(|seen| seen.to == Some(30.0)), "{event:?}");
    let decision = EventDecision {
        status: EventStatus::Confirmed,
        remark: "学習率を下げて再開".to_owned(),
        by: "mori".to_owned(),
        at: at(140),
    };
    store.decide_event(id, event.id, event.version, &decision).await.expect("decided");
    let stale = store.decide_event(id, event.id, event.version, &decision).await.expect_err("stale");
    assert!(matches!(stale, StoreError::Stale), "{stale}");
    let kept = store.event(id, event.id).await.expect("event").expect("is there");
    assert_eq!(
        (kept.status, kept.decided_by.as_deref(), kept.version),
        (EventStatus::Confirmed, Some("mori"), 2)
    );
    assert_eq!(kept.remark, decision.remark);
    assert_eq!(store.proposed_events(10).await.expect("events"), []);
    assert_eq!(store.event(super::id(9), event.id).await.expect("event"), None, "of another run");
}

async fn events(store: &dyn Store, id: RunId) {
    let before = store.events(id).await.expect("events").len();
    let event =
        |kind, step, note: &str, time| RunEvent { kind, step: Step(step), note: note.to_owned(), at: time };
    let resumed = event(EventKind::NodeFailure, 2, "", Some(at(3)));
    let told = [
        event(EventKind::Spike, 4, "損失", None),
        resumed.clone(),
        resumed.clone(),
        event(EventKind::Spike, 4, "again", None),
    ];
    let mut new = Vec::new();
    for (n, told) in (50..).zip(&told) {
        new.push(store.add_event(id, super::id(n), told, "trainer", at(20)).await.expect("event"));
    }
    assert_eq!(new, [true, true, false, true], "the same event twice is one");
    let events = store.events(id).await.expect("events");
    assert_eq!(events.len(), before + 3);
    assert_eq!(
        (events[0].kind, events[0].at, events[0].by.as_str()),
        (EventKind::NodeFailure, at(3), "trainer")
    );
    let of_kind = store.events_of(&[id, super::id(9)], EventKind::NodeFailure).await.expect("events");
    assert_eq!(of_kind, [(id, events[..1].to_vec())].into());
    let spike = events.iter().find(|event| event.note == "損失").expect("is there");
    assert_eq!(spike.at, at(20), "the time of receipt when the sender gives none");
    let missing =
        store.add_event(super::id(9), super::id(60), &resumed, "", at(20)).await.expect_err("no such run");
    assert!(matches!(missing, StoreError::Missing { kind: "run", .. }), "{missing}");
}

async fn plans(store: &dyn Store, id: RunId) {
    assert_eq!(store.plans(id).await.expect("plans"), []);
    let planned = |gpus, seconds| Planned {
        plan: Plan {
            end: Some("2026-12-31".parse().expect("a day")),
            gpus: Some(gpus),
            budget_gpu_days: Some(4480.0),
            ..Plan::default()
        },
        reason: "ノード追加".to_owned(),
        by: "mori".to_owned(),
        at: at(seconds),
    };
    for (gpus, seconds) in [(64, 20), (128, 21)] {
        store.add_plan(id, &planned(gpus, seconds), &entry("run.plan")).await.expect("plan");
    }
    assert_eq!(store.plans(id).await.expect("plans"), [planned(128, 21), planned(64, 20)]);
    let in_force = store.plans_in_force().await.expect("plans");
    assert_eq!(in_force.get(&id), Some(&planned(128, 21)));
}

pub(crate) async fn a_run_falls_behind_each_plan_once(store: &dyn Store) {
    let first = run(31);
    store.add_run(&first).await.expect("add");
    let note =
        async |planned, days| store.note_behind(first.id, at(planned), days, at(900)).await.expect("noted");
    assert!(note(100, 2).await);
    assert!(!note(100, 3).await, "the same plan");
    assert!(note(200, 1).await, "another plan");
}
