use std::collections::BTreeMap;

use sekisho_domain::evaluation::{TaskRun, WorkState};
use sekisho_domain::score::ResultEntry;
use sekisho_domain::webhook::{EndpointState, EventType, MessageLanguage, PayloadFormat};
use sekisho_domain::wire::{HeldItem, RegisterRun};
use sekisho_domain::{CheckpointId, EndpointId, EvaluationId, Sha256, Step, Tokens, WorkItemId};
use sekisho_store::{Endpoint, Evaluation, NewWork, Progress, RecordChunk, Run, Verification};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::service::{checkpoints, people, runs};
use crate::{Config, serve};

/// Items of each task.
const ITEMS: u64 = 200;

/// An application with an endpoint that hears of evaluations, and a run.
async fn app(folder: &TempDir) -> (App, EndpointId, Run) {
    let config = Config::defaults(folder.path()).expect("a configuration");
    let app = serve::open_app(config).await.expect("an application").0;
    let endpoint = Endpoint {
        id: EndpointId::new(&*app.clock, &*app.entropy),
        project: "default".to_owned(),
        name: "lab".to_owned(),
        url: "https://example.org/".to_owned(),
        events: vec!["evaluation.*".to_owned()],
        language: MessageLanguage::Ja,
        format: PayloadFormat::Standard,
        every_tokens: None,
        state: EndpointState::Active,
        generation: 1,
        rotated: None,
        failures: 0,
        failing_since: None,
        not_before: Timestamp::from_unix_ms(0),
        created: app.now(),
        updated: app.now(),
    };
    let audit = people::system_entry(&app, "webhook.add", "lab", "done", Value::Null);
    app.store.add_endpoint(&endpoint, &audit).await.expect("an endpoint");
    let request = RegisterRun { name: "v4".to_owned(), ..RegisterRun::default() };
    let (run, _) = runs::register(&app, &request, "mori").await.expect("a run");
    (app, endpoint.id, run)
}

/// A checkpoint at a step whose evaluation answers so many items of each task right, under these settings.
async fn examined(app: &App, run: &Run, step: u64, right: &[(&str, u64)], settings: &str) {
    let folder = app.config.dir.clone();
    let (at, tokens) = (Step(step), Tokens(step * 10));
    let checkpoint = checkpoints::add(app, run, at, tokens, &folder, false).await.expect("added");
    let digest = Sha256::of(step.to_string());
    app.store
        .set_verified(checkpoint.id, &checkpoint.path, false, &verification(digest), app.now())
        .await
        .expect("verified");
    let evaluation = add(app, checkpoint.id, digest, right).await;
    for work in app.store.claim("w", "", None, 100, 60, app.now()).await.expect("claimed") {
        let held = HeldItem { id: work.work.id, fence: work.fence };
        let (task, right) = right[work.work.position as usize];
        let records: Vec<Value> = (0..ITEMS).map(|item| record(task, item, item < right)).collect();
        let blob = app.blobs.put_records(work.work.id, 0, &records).await.expect("kept");
        let chunk = RecordChunk { work: work.work.id, blob, items: (0..ITEMS).collect() };
        let progress = Progress { chunk: Some(&chunk), total: Some(ITEMS), ..Progress::default() };
        app.store.record_progress(held, progress, app.now()).await.expect("taken");
        app.store.finish(held, &[(score(task, right, settings), true)], app.now()).await.expect("finished");
    }
    let state = app.store.evaluation(evaluation).await.expect("lookup").expect("is there").state;
    assert_eq!(state, WorkState::Finished);
}

async fn add(app: &App, checkpoint: CheckpointId, digest: Sha256, tasks: &[(&str, u64)]) -> EvaluationId {
    let evaluation = Evaluation {
        id: EvaluationId::new(&*app.clock, &*app.entropy),
        checkpoint,
        suite: "monitor".to_owned(),
        state: WorkState::Waiting,
        environment: BTreeMap::new(),
        created: app.now(),
        updated: app.now(),
    };
    let run = |task: &str| TaskRun {
        profile: "mine@1".to_owned(),
        task: task.to_owned(),
        split: "test".to_owned(),
        limit: None,
        shots: None,
    };
    let item = |(position, (task, _)): (u32, &(&str, u64))| NewWork {
        id: WorkItemId::new(&*app.clock, &*app.entropy),
        run: run(task),
        digest,
        position,
        priority: 0,
        pool: String::new(),
    };
    let work: Vec<NewWork> = (0..).zip(tasks).map(item).collect();
    app.store.add_evaluation(&evaluation, &work).await.expect("added").id
}

fn verification(digest: Sha256) -> Verification {
    Verification {
        digest,
        weights: digest,
        tokenizer: None,
        parameters: 1,
        embedding_parameters: 1,
        tensors: 1,
        dtype: "bf16".to_owned(),
        vocab_size: 1,
        files: Vec::new(),
        largest: None,
        config: json!({}),
    }
}

fn record(task: &str, item: u64, right: bool) -> Value {
    json!({
        "profile": "mine@1", "task": task, "split": "test", "item": item, "prompt_sha256": format!("{task} {item}"),
        "prompt_tokens": 3, "truncated": 0, "output": "x", "stop": null, "prediction": "x", "gold": "y",
        "score": { "exact_match": u8::from(right) },
    })
}

#[expect(clippy::cast_precision_loss, reason = "a few hundred items")]
fn score(task: &str, right: u64, settings: &str) -> ResultEntry {
    let value = right as f64 / ITEMS as f64;
    ResultEntry {
        profile: "mine@1".to_owned(),
        task: task.to_owned(),
        split: "test".to_owned(),
        metric: "exact_match".to_owned(),
        value,
        stderr: None,
        low: value - 0.05,
        high: value + 0.05,
        n: ITEMS,
        shots: 0,
        truncated: 0,
        fingerprint: Sha256::of(format!("{task} {settings}")),
        seconds: 1.0,
        tokens: sekisho_domain::score::TokenCounts::default(),
    }
}

/// What was told since, oldest first: kind and sentence.
async fn told(app: &App, endpoint: EndpointId, seen: usize) -> Vec<(EventType, String)> {
    fan_out::all(app, &mut Stuck::default()).await.expect("told");
    let mut messages = app.store.messages(endpoint, 100).await.expect("messages");
    messages.sort_by_key(|message| message.seq);
    let sentence = |body: &str| {
        let body: Value = serde_json::from_str(body).expect("JSON");
        body["data"]["text"]["ja"].as_str().expect("a sentence").to_owned()
    };
    messages.iter().skip(seen).map(|message| (message.kind, sentence(&message.body))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_fell_is_told_and_noise_and_other_settings_are_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let (app, endpoint, run) = app(&folder).await;
    examined(&app, &run, 100, &[("a", 120), ("b", 100)], "one").await;
    let first = told(&app, endpoint, 0).await;
    assert_eq!(first.len(), 1, "{first:?}");
    assert!(first[0].1.starts_with("【情報】v4：ステップ100の評価が完了しました。平均 0.550 ["), "{first:?}");
    assert!(!first[0].1.contains("前回比"), "there is none before");

    examined(&app, &run, 200, &[("a", 60), ("b", 98)], "one").await;
    let second = told(&app, endpoint, 1).await;
    assert_eq!(second.len(), 2, "a fell and b did not: {second:?}");
    assert!(second[0].1.ends_with("、前回比 −0.155（有意）"), "{second:?}");
    assert_eq!(
        second[1],
        (
            EventType::EvaluationRegressed,
            "【注意】v4：a が有意に低下しました（0.600 → 0.300、p < 0.001）".to_owned()
        )
    );

    examined(&app, &run, 300, &[("a", 10), ("b", 98)], "two").await;
    let third = told(&app, endpoint, 3).await;
    assert_eq!(third.len(), 1, "other settings are not compared: {third:?}");
    assert!(!third[0].1.contains("前回比"), "{third:?}");
    examined(&app, &run, 400, &[("a", 60), ("b", 98)], "two").await;
    let fourth = told(&app, endpoint, 4).await;
    assert_eq!(fourth.len(), 1, "what rose did not fall: {fourth:?}");
}
