//! The worker against a service that is away, changes its mind or asks for the impossible.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sekisho_bench::Record;
use sekisho_domain::Sha256;
use sekisho_domain::evaluation::Bos;
use sekisho_domain::wire::{ResultsBatch, SourceFile, WorkItem};
use sekisho_evaluator::{ClientError, Ended, Model, Worker, WorkerError, WorkerOptions};
use sekisho_model::Compute;
use tempfile::TempDir;

use crate::service::{Service, State};
use crate::support::{How, answers, asked, load_model, read, stories};

const TASK: &str = "lm-eval/openbookqa/test";
const ITEMS: usize = 120;

/// A model, the work on it, and what its records should be.
struct Scene {
    item: WorkItem,
    sources: BTreeMap<String, Vec<u8>>,
    expected: BTreeMap<u64, Record>,
    cache: TempDir,
    stop: Arc<AtomicBool>,
}

fn scene(dir: &Path) -> Scene {
    let model: Model = load_model(dir);
    let asked = asked(TASK, ITEMS, None);
    let (expected, _) = answers(&model, &asked, How::default(), &BTreeSet::new()).expect("answered");
    let source = asked.definition.sources_for(&asked.run).expect("one file")[0].clone();
    let bytes = read(&source).expect("there");
    let sha256 = Sha256::of(&bytes);
    let id = |digit: char| format!("01arz3ndektsv4rrffq69g5fa{digit}");
    let item = WorkItem {
        id: id('1').parse().expect("an id"),
        fence: 7,
        lease_seconds: 3,
        evaluation: id('2').parse().expect("an id"),
        checkpoint: id('3').parse().expect("an id"),
        digest: model.digest,
        path: dir.display().to_string(),
        run: asked.run.clone(),
        bos: Bos::Auto,
        definition: asked.definition.toml().to_owned(),
        sources: vec![SourceFile { source: source.source.clone(), file: source.file.clone(), sha256 }],
        finished: Vec::new(),
    };
    Scene {
        item,
        sources: BTreeMap::from([(sha256.hex(), bytes)]),
        expected,
        cache: tempfile::tempdir().expect("a temporary folder"),
        stop: Arc::new(AtomicBool::new(false)),
    }
}

impl Scene {
    fn state(&self, items: impl IntoIterator<Item = WorkItem>) -> State {
        State { queue: items.into_iter().collect(), sources: self.sources.clone(), ..State::default() }
    }

    /// Works until nothing waits.
    fn work(&self, service: &Service) -> Result<Ended, WorkerError> {
        let options = WorkerOptions {
            name: "test".to_owned(),
            pool: "cpu".to_owned(),
            max_idle: Some(Duration::ZERO),
            cache: self.cache.path().join("sources"),
            threads: Some(2),
            compute: Compute::cpu(),
            stop: self.stop.clone(),
        };
        Worker::new(&service.url, Some("secret".to_owned()), options).and_then(Worker::run)
    }
}

/// All records the service has taken, by item.
fn records(state: &State) -> BTreeMap<u64, Record> {
    let mut records = BTreeMap::new();
    for value in state.batches.iter().flat_map(|batch| &batch.records) {
        let record: Record = serde_json::from_value(value.clone()).expect("the contract's format");
        let item = record.item;
        assert!(records.insert(item, record).is_none(), "item {item} came twice");
    }
    records
}

#[test]
fn work_is_done_once_with_the_model_kept_loaded() {
    let Some(dir) = stories() else { return };
    let scene = scene(&dir);
    let mut second = scene.item.clone();
    second.finished = (0..ITEMS as u64 - 3).collect();
    let service = Service::start(scene.state([scene.item.clone(), second]));
    assert_eq!(scene.work(&service).expect("worked"), Ended::Idle);
    let state = service.state();
    let (first, rest): (Vec<_>, Vec<_>) = state
        .batches
        .iter()
        .enumerate()
        .partition(|(i, _)| *i <= state.batches.iter().position(|b| b.done).expect("done"));
    let first = State { batches: first.into_iter().map(|(_, b)| b.clone()).collect(), ..State::default() };
    assert_eq!(records(&first), scene.expected);
    let last = first.batches.last().expect("some");
    assert_eq!((last.fence, last.total), (7, Some(ITEMS as u64)));
    assert_eq!(last.environment["bos"], "on");
    assert!(first.batches.len() >= 3, "a kill would have cost at most 50 records");
    let prompt: u64 = first.batches.iter().map(|b| b.tokens.prompt).sum();
    let prefilled: u64 = first.batches.iter().map(|b| b.tokens.prefilled).sum();
    assert!(prompt > prefilled && prefilled > 0, "work is counted once over all batches");
    let items: Vec<u64> =
        rest.iter().flat_map(|(_, b)| &b.records).filter_map(|r| r["item"].as_u64()).collect();
    assert_eq!(items.iter().collect::<BTreeSet<_>>().len(), 3, "only what was unanswered: {items:?}");
    assert_eq!(state.fetched, 1, "the data file is kept");
    let loaded: Vec<_> = state.claims.iter().map(|claim| claim.loaded).collect();
    assert_eq!(loaded, [None, Some(scene.item.digest), Some(scene.item.digest)]);
    assert!(state.claims.iter().all(|claim| claim.pool == "cpu" && !claim.version.is_empty()));
    assert!(state.tokens.iter().all(|token| token.as_deref() == Some("Bearer secret")));
}

#[test]
fn a_service_that_is_away_costs_no_record() {
    let Some(dir) = stories() else { return };
    let scene = scene(&dir);
    let service = Service::start(State { away: 3, ..scene.state([scene.item.clone()]) });
    scene.work(&service).expect("worked");
    let state = service.state();
    assert_eq!(state.away, 0);
    assert_eq!(records(&state), scene.expected);
    assert!(state.batches.last().is_some_and(|batch| batch.done));
}

#[test]
fn an_item_that_cannot_be_done_is_reported_and_the_next_one_is_done() {
    let Some(dir) = stories() else { return };
    let scene = scene(&dir);
    let good = scene.item.clone();
    let other_digest = WorkItem { digest: Sha256::of("other"), ..good.clone() };
    let gone = WorkItem { path: "/nowhere/at/all".to_owned(), digest: Sha256::of("gone"), ..good.clone() };
    let malformed = WorkItem { definition: "profile = 1".to_owned(), ..good.clone() };
    let no_file = WorkItem { sources: Vec::new(), ..good.clone() };
    let service = Service::start(scene.state([other_digest, gone, malformed, no_file, good]));
    scene.work(&service).expect("worked");
    let state = service.state();
    let failures: Vec<_> = state.batches.iter().filter_map(|batch| batch.failure.clone()).collect();
    let expected = [
        ("announce it again", false),
        ("cannot be read", true),
        ("the definition of openbookqa", false),
        ("no such file", false),
    ];
    assert_eq!(failures.len(), expected.len(), "{failures:#?}");
    for (failure, (words, retry)) in failures.iter().zip(expected) {
        assert!(failure.message.contains(words), "{failure:?}");
        assert_eq!(failure.retry, retry, "{failure:?}");
    }
    assert_eq!(records(&state), scene.expected);
}

#[test]
fn an_item_whose_lease_passed_on_is_dropped() {
    let Some(dir) = stories() else { return };
    let scene = scene(&dir);
    let service = Service::start(State { lost_after: Some(2), ..scene.state([scene.item.clone()]) });
    assert_eq!(scene.work(&service).expect("worked"), Ended::Idle);
    let state = service.state();
    assert_eq!(state.batches.len(), 2, "nothing is sent under an old fence, no failure either");
    assert!(state.batches.iter().all(|batch| !batch.done && batch.failure.is_none()));
}

#[test]
fn a_worker_that_is_asked_to_stop_hands_over_what_it_has() {
    let Some(dir) = stories() else { return };
    let scene = scene(&dir);
    let stop = scene.stop.clone();
    let on_batch = move |batch: &ResultsBatch| {
        if !batch.records.is_empty() {
            stop.store(true, Ordering::Relaxed);
        }
    };
    let service =
        Service::start(State { on_batch: Some(Box::new(on_batch)), ..scene.state([scene.item.clone()]) });
    assert_eq!(scene.work(&service).expect("drained"), Ended::Drained);
    let state = service.state();
    let last = state.batches.last().expect("some");
    assert!(last.give_back && !last.done && last.failure.is_none());
    let kept = records(&state);
    assert!((50..ITEMS).contains(&kept.len()), "{} records", kept.len());
    assert!(kept.iter().all(|(item, record)| record == &scene.expected[item]));
}

#[test]
fn a_worker_that_is_refused_says_so_and_ends() {
    let Some(dir) = stories() else { return };
    let scene = scene(&dir);
    let service = Service::start(State { unauthorised: true, ..State::default() });
    let error = scene.work(&service).expect_err("refused");
    assert!(
        matches!(&error, WorkerError::Client(ClientError::Refused(problem)) if problem.code == "unauthorised")
    );
    assert_eq!(error.to_string(), "refused: unauthorised");
}

/// Keeps the first batch waiting for longer than a third of the lease of three seconds.
fn slow_first_batch(batch: &ResultsBatch) {
    if batch.records.is_empty() && !batch.done {
        std::thread::sleep(Duration::from_millis(1500));
    }
}

#[test]
fn the_lease_is_kept_alive_while_the_worker_waits() {
    let Some(dir) = stories() else { return };
    let scene = scene(&dir);
    let state = scene.state([scene.item.clone()]);
    let service = Service::start(State { on_batch: Some(Box::new(slow_first_batch)), ..state });
    scene.work(&service).expect("worked");
    let state = service.state();
    assert!(state.heartbeats > 0);
    assert_eq!(records(&state), scene.expected);
}

#[test]
fn a_heartbeat_that_finds_the_lease_gone_ends_the_item() {
    let Some(dir) = stories() else { return };
    let scene = scene(&dir);
    let state = scene.state([scene.item.clone()]);
    let service = Service::start(State { on_batch: Some(Box::new(slow_first_batch)), lost: true, ..state });
    assert_eq!(scene.work(&service).expect("worked"), Ended::Idle);
    let state = service.state();
    assert!(state.batches.iter().all(|batch| !batch.done && !batch.give_back && batch.failure.is_none()));
}
