use sekisho_domain::run::MetricRow;
use sekisho_domain::wire::{HeldItem, ItemFailure, MetricsBatch};
use sekisho_domain::{CheckpointId, RunId, Sha256, Step, Tokens};

use super::{an_evaluation, append, at, checkpoint, evaluation, id, run, work};
use crate::{QueueHealth, RunFilter, Store};

/// Ten steps after that one whose loss is their number, counted from there, all but the first two.
async fn ten_steps(store: &dyn Store, id: RunId, after: u64) {
    let row = |step: u64| MetricRow {
        step: Step(after + step),
        tokens: Tokens((after + step) * 512),
        loss: (step > 2).then_some(step as f64),
        ..MetricRow::default()
    };
    let batch = MetricsBatch { rows: (1..=10).map(row).collect(), ..MetricsBatch::default() };
    append(store, id, &batch, 2).await;
}

pub(crate) async fn lists_are_read_at_once(store: &dyn Store) {
    // Run 1 has checkpoint 1 (step 100) with evaluation 1 of two items, and checkpoint 3 (step 200) that nobody examined.
    let digest = Sha256::of("a");
    let first = an_evaluation(store, 1, digest, 2).await;
    let second = an_evaluation(store, 2, Sha256::of("b"), 1).await;
    store.add_checkpoint(&checkpoint(3, &run(1), 200)).await.expect("checkpoint");
    let checkpoints: Vec<CheckpointId> = [3, 1].map(id).to_vec();

    let mut found = store.checkpoints_by_id(&checkpoints).await.expect("checkpoints");
    found.sort_by_key(|c| c.step);
    assert_eq!(
        found.iter().map(|c| (c.id, c.run_name.as_str())).collect::<Vec<_>>(),
        [(id(1), "run-1"), (id(3), "run-1")]
    );
    let of_all = store.evaluations_of_all(&[id(1), id(2), id(3)]).await.expect("evaluations");
    assert_eq!(of_all.iter().map(|e| e.id).collect::<Vec<_>>(), [second, first], "newest first");
    let items = store.work_of_all(&[first, second]).await.expect("work");
    assert_eq!(items.iter().map(|w| w.work.position).collect::<Vec<_>>(), [0, 1, 0]);

    let summaries = store.checkpoint_summaries(&[id(1), id(2), id(9)]).await.expect("summaries");
    assert_eq!(summaries.len(), 2);
    let one = &summaries[&id(1)];
    assert_eq!((one.number, one.last_step, one.last_received), (2, Step(200), at(3 - 100)));

    sketches(store).await;
    queue(store).await;
    scored(store).await;
    searched(store, digest).await;
}

async fn sketches(store: &dyn Store) {
    ten_steps(store, id(1), 0).await;
    let sketches = store.loss_sketches(&[id(1), id(2)]).await.expect("sketches");
    assert_eq!(
        sketches[&id(1)],
        [3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0],
        "an update without a loss is left out"
    );
    assert!(!sketches.contains_key(&id(2)));
    // A run that goes on from another one's checkpoint.
    ten_steps(store, id(2), 1_000).await;
    let sketches = store.loss_sketches(&[id(2)]).await.expect("sketches");
    assert_eq!(sketches[&id(2)].len(), 8);
}

async fn queue(store: &dyn Store) {
    let before = store.queue_health(at(10)).await.expect("health");
    assert_eq!((before.ready, before.held, before.last_lease), (3, 0, None));
    let leased = store.claim("w", "", None, 8, 60, at(10)).await.expect("claim");
    let held = |i: usize| HeldItem { id: leased[i].work.id, fence: leased[i].fence };
    let failure = ItemFailure { message: "no".to_owned(), retry: false };
    store.fail(held(0), &failure, at(11)).await.expect("fail");
    let health = store.queue_health(at(20)).await.expect("health");
    let expected =
        QueueHealth { ready: 1, ready_since: Some(at(2 - 100)), held: 1, last_lease: Some(at(70)) };
    assert_eq!(health, expected);
    let lost = store.queue_health(at(71)).await.expect("health");
    assert_eq!((lost.held, lost.last_lease), (0, Some(at(70))), "its worker has not been heard of");

    let open = store.open_work(10).await.expect("work");
    let states: Vec<_> = open.iter().map(|(row, suite)| (row.state.as_str(), suite.as_str())).collect();
    assert_eq!(states, [("failed", "suite"), ("running", "suite"), ("waiting", "suite")]);
    assert_eq!(store.open_work(1).await.expect("work").len(), 1);
    store
        .finish(held(1), &[(super::evaluations::entry("task-1", "acc", 0.5), true)], at(72))
        .await
        .expect("finish");
}

async fn scored(store: &dyn Store) {
    let asked = [(id(1), "suite".to_owned()), (id(2), "suite".to_owned())];
    let newest = store.newest_scored(&asked).await.expect("evaluations");
    assert_eq!(newest.values().map(|e| e.id).collect::<Vec<_>>(), [id(1)], "the other has no score");
    let other = [(id(1), "other".to_owned())];
    assert!(store.newest_scored(&other).await.expect("evaluations").is_empty());
    // A newer checkpoint that is still waiting does not hide the one that has a score.
    let waiting = [work(900, 0, Sha256::of("c"))];
    store.add_evaluation(&evaluation(9, id(3)), &waiting).await.expect("evaluation");
    assert_eq!(store.newest_scored(&asked).await.expect("evaluations")[&id(1)].id, id(1));
}

async fn searched(store: &dyn Store, digest: Sha256) {
    assert_eq!(store.runs_like("UN-1", 10).await.expect("runs").len(), 1);
    assert_eq!(store.runs_like("run", 1).await.expect("runs").len(), 1);
    assert_eq!(store.runs_like("%", 10).await.expect("runs").len(), 0, "a sign is itself");
    let all = store.runs_found(&RunFilter::default(), 10).await.expect("runs");
    assert!(all.len() > 1);
    // One at a time, from behind the one before, is the same list.
    let (mut one_by_one, mut before) = (Vec::new(), None);
    while let Some(run) =
        store.runs_found(&RunFilter { before, ..RunFilter::default() }, 1).await.expect("runs").pop()
    {
        before = Some((run.updated, run.id));
        one_by_one.push(run);
    }
    assert_eq!(one_by_one, all);
    let named = RunFilter { name: "UN-1".to_owned(), state: Some(all[0].state), before: None };
    assert_eq!(store.runs_found(&named, 10).await.expect("runs").len(), 1);
    let found = store.checkpoints_by_digest_prefix(&digest.hex()[..8], 10).await.expect("checkpoints");
    assert_eq!(found.iter().map(|c| c.id).collect::<Vec<_>>(), [id(1)]);
    assert_eq!(store.checkpoints_at(150..=250, 10).await.expect("checkpoints").len(), 1);
    assert_eq!(store.checkpoints_at(100..=100, 10).await.expect("checkpoints").len(), 2);
}
