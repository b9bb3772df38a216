use std::collections::BTreeSet;
use std::sync::Arc;

use sekisho_domain::evaluation::WorkState;
use sekisho_domain::score::TokenCounts;
use sekisho_domain::wire::{HeldItem, ItemFailure};
use sekisho_domain::{EvaluationId, Sha256, WorkItemId};

use super::evaluations::entry;
use super::{a_checkpoint, an_evaluation, at, evaluation, id, work};
use crate::{MAX_ATTEMPTS, NewWork, Progress, RecordChunk, Store, StoreError, Try, WorkRow};

fn held(row: &WorkRow) -> HeldItem {
    HeldItem { id: row.work.id, fence: row.fence }
}

fn numbers(rows: &[WorkRow]) -> Vec<WorkItemId> {
    rows.iter().map(|row| row.work.id).collect()
}

async fn claim(store: &dyn Store, worker: &str, seconds: i64) -> Vec<WorkRow> {
    store.claim(worker, "", None, 10, 30, at(seconds)).await.expect("claim")
}

async fn item(store: &dyn Store, n: u32) -> WorkRow {
    store.work(id(n)).await.expect("lookup").expect("is there")
}

async fn state(store: &dyn Store, evaluation: EvaluationId) -> WorkState {
    store.evaluation(evaluation).await.expect("lookup").expect("is there").state
}

fn failure(retry: bool) -> ItemFailure {
    ItemFailure { message: "the GPU was lost".to_owned(), retry }
}

/// Two tasks from claim to scores, every batch sent twice.
pub(crate) async fn work_is_done(store: &dyn Store) {
    let evaluation = an_evaluation(store, 1, Sha256::of("a"), 2).await;
    assert_eq!(store.queue_counts().await.expect("counts"), (2, 0, 0));
    let leased = claim(store, "w1", 10).await;
    assert_eq!(numbers(&leased), [id(100), id(101)], "in suite order");
    assert_eq!(leased[0], item(store, 100).await);
    assert_eq!((leased[0].attempt, leased[0].fence, leased[0].lease_until), (1, 1, Some(at(40))));
    assert_eq!(leased[1].work, work(101, 1, Sha256::of("a")));
    assert_eq!(
        (state(store, evaluation).await, store.queue_counts().await.expect("counts")),
        (WorkState::Running, (0, 2, 0))
    );

    progress(store, held(&leased[0])).await;

    for seconds in [30, 31] {
        store
            .finish(held(&leased[0]), &[(entry("task-0", "acc", 0.5), true)], at(seconds))
            .await
            .expect("finish");
    }
    assert_eq!(store.scores(evaluation).await.expect("scores").len(), 1, "said twice, done once");
    let more = Progress { total: Some(9), seconds: 1.0, ..Progress::default() };
    let late = store.record_progress(held(&leased[0]), more, at(32)).await;
    assert_eq!(late.expect("the same batch again"), 3);
    assert_eq!(item(store, 100).await.total, Some(3), "nothing changes after the end");

    store.give_back(held(&leased[1]), at(33)).await.expect("give back");
    let back = item(store, 101).await;
    assert_eq!(
        (back.state, back.attempt, back.lease_until),
        (WorkState::Waiting, 0, None),
        "no try is counted"
    );
    let lost = store.finish(held(&leased[1]), &[], at(34)).await.expect_err("given back");
    assert!(matches!(lost, StoreError::LeaseLost(item) if item == id(101)), "{lost}");
    assert_eq!(state(store, evaluation).await, WorkState::Running, "one of two is finished");
    let again = claim(store, "w2", 35).await;
    assert_eq!((again.len(), again[0].fence, again[0].attempt), (1, 2, 1));
    store.finish(held(&again[0]), &[], at(36)).await.expect("finish");
    let tries = store.tries_of(evaluation).await.expect("tries");
    let said = |one: &Try| (one.work, one.worker.clone(), one.first, one.last, one.ended, one.cause.clone());
    assert_eq!(
        tries.iter().map(said).collect::<Vec<_>>(),
        [
            (id(100), "w1".to_owned(), 0, Some(3), Some(at(30)), None),
            (id(101), "w1".to_owned(), 0, Some(0), Some(at(33)), Some(Try::GIVEN_BACK.to_owned())),
            (id(101), "w2".to_owned(), 0, Some(0), Some(at(36)), None),
        ]
    );
    assert_eq!(
        (state(store, evaluation).await, store.queue_counts().await.expect("counts")),
        (WorkState::Finished, (0, 0, 0))
    );
}

async fn progress(store: &dyn Store, held: HeldItem) {
    let tokens = TokenCounts { prompt: 100, prefilled: 40, generated: 5 };
    let chunk = |blob: &str, items: &[u64]| RecordChunk {
        work: held.id,
        blob: blob.to_owned(),
        items: items.to_vec(),
    };
    let send = async |chunk: &RecordChunk| {
        let progress = Progress { chunk: Some(chunk), total: Some(3), seconds: 0.5, tokens, batch: 0 };
        store.record_progress(held, progress, at(20)).await
    };
    assert_eq!(send(&chunk("one", &[4, 2])).await.expect("new"), 2);
    assert_eq!(send(&chunk("one again", &[4, 2])).await.expect("repeated"), 2);
    let mixed = send(&chunk("mixed", &[2, 7])).await.expect_err("half of it is there");
    assert!(matches!(mixed, StoreError::Conflict(_)), "{mixed}");
    let twice = send(&chunk("twice", &[7, 7])).await.expect_err("one item twice");
    assert!(matches!(twice, StoreError::Conflict(_)), "{twice}");
    assert_eq!(send(&chunk("two", &[7])).await.expect("new"), 3);
    assert_eq!(store.chunks(held.id).await.expect("chunks"), [chunk("one", &[4, 2]), chunk("two", &[7])]);
    let row = store.work(held.id).await.expect("lookup").expect("is there");
    assert_eq!((row.finished, row.total, row.seconds), (3, Some(3), 1.0), "a repetition costs nothing");
    assert_eq!(row.tokens, TokenCounts { prompt: 200, prefilled: 80, generated: 10 });

    let timed = Progress { batch: 1, seconds: 2.0, tokens, ..Progress::default() };
    for _ in 0..2 {
        assert_eq!(store.record_progress(held, timed, at(21)).await.expect("taken"), 3);
    }
    let row = store.work(held.id).await.expect("lookup").expect("is there");
    assert_eq!((row.seconds, row.tokens.prompt), (3.0, 300), "a numbered batch counts once");
}

/// A worker dies; another takes over; the dead one comes back.
pub(crate) async fn a_dead_worker_loses_its_lease(store: &dyn Store) {
    let evaluation = an_evaluation(store, 1, Sha256::of("a"), 2).await;
    let dead = claim(store, "dead", 0).await;
    let chunk = RecordChunk { work: id(100), blob: "kept".to_owned(), items: vec![0, 1] };
    let answered = Progress { chunk: Some(&chunk), batch: 1, ..Progress::default() };
    store.record_progress(held(&dead[0]), answered, at(5)).await.expect("progress");
    let lost = store.heartbeat("dead", &[held(&dead[1])], 30, at(20)).await.expect("heartbeat");
    assert_eq!(lost, [], "the second item is held until 50");
    assert_eq!(claim(store, "alive", 29).await, [], "nothing is free while the leases run");

    let taken = claim(store, "alive", 30).await;
    assert_eq!(numbers(&taken), [id(100)]);
    assert_eq!((taken[0].fence, taken[0].attempt, taken[0].worker.as_deref()), (2, 2, Some("alive")));
    assert_eq!(taken[0].error.as_deref(), Some("dead stopped answering"));
    assert_eq!(taken[0].finished, 2, "what was answered is not asked again");
    let tries = store.tries_of(evaluation).await.expect("tries");
    let of_first: Vec<_> = tries.iter().filter(|one| one.work == id(100)).collect();
    assert_eq!((of_first[0].last, of_first[0].cause.as_deref()), (Some(2), Some(Try::SILENT)));
    assert_eq!((of_first[1].worker.as_str(), of_first[1].first, of_first[1].ended), ("alive", 2, None));

    let stale = held(&dead[0]);
    let other = RecordChunk { work: id(100), blob: "late".to_owned(), items: vec![2] };
    let late = Progress { chunk: Some(&other), batch: 2, ..Progress::default() };
    let refused = store.record_progress(stale, late, at(31)).await.expect_err("an old fence");
    assert_eq!(
        refused.to_string(),
        "the lease on work item 00000000000000000000000100 has passed to another worker; its results are not taken"
    );
    for result in [
        store.finish(stale, &[(entry("task-0", "acc", 0.0), true)], at(31)).await,
        store.fail(stale, &failure(false), at(31)).await,
        store.give_back(stale, at(31)).await,
        store.finish(HeldItem { fence: u64::MAX, ..stale }, &[], at(31)).await,
        store.finish(HeldItem { id: id(999), fence: 1 }, &[], at(31)).await,
    ] {
        assert!(matches!(result, Err(StoreError::LeaseLost(_))), "{result:?}");
    }
    let held_by_dead = [
        stale,
        held(&dead[1]),
        HeldItem { id: id(100), fence: 2 },
        HeldItem { id: id(101), fence: u64::MAX },
    ];
    let lost = store.heartbeat("dead", &held_by_dead, 30, at(31)).await.expect("heartbeat");
    assert_eq!(lost, [id(100), id(100), id(101)], "an old fence, another's lease, no fence at all");
    assert_eq!(item(store, 100).await, taken[0], "nothing of it took effect");
    assert_eq!(store.chunks(id(100)).await.expect("chunks"), [chunk]);

    // Late, but nobody else has begun: the work counts.
    store.finish(held(&dead[1]), &[], at(500)).await.expect("the fence is the newest");
    store.finish(held(&taken[0]), &[], at(500)).await.expect("finish");
    assert_eq!(state(store, evaluation).await, WorkState::Finished);
}

/// Failures are tried again after a pause, but not for ever; some are not tried again at all.
pub(crate) async fn failed_tries_end(store: &dyn Store) {
    let evaluation = an_evaluation(store, 1, Sha256::of("a"), 3).await;
    let mut now = 0;
    for attempt in 1..=MAX_ATTEMPTS {
        let leased = store.claim("w", "", None, 1, 30, at(now)).await.expect("claim");
        assert_eq!((numbers(&leased), leased[0].attempt), (vec![id(100)], attempt));
        store.fail(held(&leased[0]), &failure(true), at(now)).await.expect("fail");
        now += 5 << (attempt - 1);
        let others = store.claim("w", "", None, 3, 30, at(now - 1)).await.expect("claim");
        assert_eq!(numbers(&others), [id(101), id(102)], "the pause of the first is not over");
        for row in &others {
            store.give_back(held(row), at(now - 1)).await.expect("give back");
        }
        let first = item(store, 100).await;
        let expected = if attempt < MAX_ATTEMPTS { WorkState::Waiting } else { WorkState::Failed };
        let says = if attempt < MAX_ATTEMPTS { "the GPU was lost" } else { LOST };
        assert_eq!((first.state, first.error.as_deref()), (expected, Some(says)));
    }
    assert_eq!(
        (state(store, evaluation).await, store.queue_counts().await.expect("counts")),
        (WorkState::Failed, (2, 0, 1))
    );

    let leased = store.claim("w", "", None, 1, 30, at(now)).await.expect("claim");
    store.fail(held(&leased[0]), &failure(false), at(now)).await.expect("fail");
    assert_eq!(item(store, 101).await.state, WorkState::Failed, "a missing file is not tried again");

    // The last item kills every worker that takes it.
    for attempt in 1..=MAX_ATTEMPTS {
        let leased = claim(store, "w", now).await;
        assert_eq!((numbers(&leased), leased[0].attempt), (vec![id(102)], attempt));
        now += 30;
    }
    assert_eq!(claim(store, "w", now).await, []);
    let last = item(store, 102).await;
    assert_eq!(
        (last.state, last.error.as_deref()),
        (
            WorkState::Failed,
            Some(
                "gave up after 5 tries: w stopped answering. When that is mended, ask again: \
                 `sekisho checkpoint evaluate 00000000000000000000000001 --suite suite`."
            )
        )
    );
    assert_eq!(store.queue_counts().await.expect("counts"), (0, 0, 3));
    asked_again(store, evaluation, now).await;
}

const LOST: &str = "the GPU was lost. When that is mended, ask again: `sekisho checkpoint evaluate 00000000000000000000000001 --suite suite`.";

/// A failed evaluation starts afresh, apart from what was answered.
async fn asked_again(store: &dyn Store, evaluation: EvaluationId, now: i64) {
    store.retry(evaluation, at(now)).await.expect("retry");
    assert_eq!(state(store, evaluation).await, WorkState::Waiting);
    let leased = store.claim("w", "", None, 3, 30, at(now)).await.expect("claim");
    assert_eq!(numbers(&leased), [id(100), id(101), id(102)]);
    assert!(leased.iter().all(|row| row.attempt == 1 && row.error.is_none()), "{leased:?}");
    store.free("another", at(now)).await.expect("release");
    assert_eq!(state(store, evaluation).await, WorkState::Running);
    store.free("w", at(now)).await.expect("free");
    assert_eq!(state(store, evaluation).await, WorkState::Waiting);
    let late = store.finish(held(&leased[0]), &[], at(now)).await;
    assert!(matches!(late, Err(StoreError::LeaseLost(_))), "{late:?}");
    let leased = store.claim("w", "", None, 3, 30, at(now)).await.expect("claim");
    assert!(leased.iter().all(|row| row.attempt == 1), "no try was counted: {leased:?}");
    for row in &leased {
        store.finish(held(row), &[], at(now)).await.expect("finish");
    }
    store.retry(evaluation, at(now)).await.expect("retry");
    assert_eq!(state(store, evaluation).await, WorkState::Finished, "what is finished stays so");
}

/// One checkpoint at a time; priority, then the loaded model, then age; only what the pool may take.
pub(crate) async fn what_is_claimed_first(store: &dyn Store) {
    let digests = ["a", "b", "c"].map(Sha256::of);
    let items = |n: u32, change: &dyn Fn(&mut NewWork)| -> Vec<NewWork> {
        let digest = digests[n as usize - 1];
        (0..2)
            .map(|i| {
                let mut item = work(100 * n + i, i, digest);
                change(&mut item);
                item
            })
            .collect()
    };
    for (n, change) in [
        (1, &(|_: &mut NewWork| ()) as &dyn Fn(&mut NewWork)),
        (2, &|_| ()),
        (3, &|item| {
            item.priority = i32::from(item.position == 1);
            item.pool = "gpu".to_owned();
        }),
    ] {
        let checkpoint = a_checkpoint(store, n, digests[n as usize - 1]).await;
        store.add_evaluation(&evaluation(n, checkpoint), &items(n, change)).await.expect("evaluation");
    }
    let claim = async |pool: &str, loaded, max| {
        numbers(&store.claim("w", pool, loaded, max, 30, at(50)).await.expect("claim"))
    };
    let next = async |pool: &str| store.next_checkpoint(pool, at(50)).await.expect("lookup");
    assert_eq!((next("").await, next("gpu").await), (Some(id(1)), Some(id(3))));
    assert_eq!(claim("", Some(digests[1]), 1).await, [id(200)], "the loaded model before the oldest");
    assert_eq!(claim("gpu", Some(digests[1]), 1).await, [id(301)], "priority before the loaded model");
    assert_eq!(
        claim("cpu", None, 9).await,
        [id(100), id(101)],
        "the oldest, and nothing of another checkpoint or pool"
    );
    assert_eq!(claim("cpu", Some(digests[2]), 9).await, [id(201)], "not what belongs to another pool");
    assert_eq!(claim("cpu", None, 9).await, []);
    assert_eq!((next("cpu").await, next("gpu").await), (None, Some(id(3))));
    assert_eq!(claim("gpu", None, 9).await, [id(300)]);
}

/// Many claimants at once, through one connection or several.
pub(crate) async fn claimants_never_share_an_item(stores: &[Arc<dyn Store>]) {
    const ITEMS: u32 = 20;
    for n in 1..=3 {
        an_evaluation(&*stores[0], n, Sha256::of([u8::try_from(n).expect("small")]), ITEMS).await;
    }
    let claimants = (0..8).map(|n| {
        let store = Arc::clone(&stores[n % stores.len()]);
        tokio::spawn(async move {
            let mut mine = Vec::new();
            loop {
                let leased = store.claim(&format!("w{n}"), "", None, 3, 600, at(10)).await.expect("claim");
                if leased.is_empty() {
                    return mine;
                }
                assert!(
                    leased.iter().all(|row| row.checkpoint == leased[0].checkpoint),
                    "one checkpoint a claim"
                );
                mine.extend(numbers(&leased));
            }
        })
    });
    let all: Vec<_> = futures::future::try_join_all(claimants).await.expect("join").concat();
    assert_eq!(all.len(), 3 * ITEMS as usize);
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "no item twice");
}
