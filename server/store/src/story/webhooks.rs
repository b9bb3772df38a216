use sekisho_domain::evaluation::WorkState;
use sekisho_domain::run::{EventKind, MetricRow, RunEvent};
use sekisho_domain::webhook::{EndpointState, EventType, MessageLanguage, MessageState, PayloadFormat};
use sekisho_domain::wire::MetricsBatch;
use sekisho_domain::{EventId, MessageId, Sha256, Step, Text, Timestamp, Tokens};
use serde_json::json;

use super::{a_checkpoint, an_evaluation, append, at, checkpoint, entry, id, run};
use crate::{Attempt, Circuit, Endpoint, Happening, Message, Outcome, Resend, Store, StoreError};

const CIRCUIT: Circuit = Circuit { failures: 3, seconds: 100 };

fn endpoint(n: u32) -> Endpoint {
    Endpoint {
        id: id(n),
        project: "default".to_owned(),
        name: format!("lab {n}"),
        url: "https://example.org/".to_owned(),
        events: vec!["run.*".to_owned()],
        language: MessageLanguage::Both,
        format: PayloadFormat::Standard,
        every_tokens: Some(Tokens(1000)),
        state: EndpointState::Active,
        generation: 1,
        rotated: None,
        failures: 0,
        failing_since: None,
        not_before: Timestamp::from_unix_ms(0),
        created: at(0),
        updated: at(0),
    }
}

fn message(n: u32, endpoint: u32, seq: u64) -> Message {
    Message {
        id: id(n),
        endpoint: id(endpoint),
        seq: Some(seq),
        kind: EventType::RunStarted,
        subject: "01kc".to_owned(),
        body: "{\"関\":1}".to_owned(),
        state: MessageState::Waiting,
        attempt: 0,
        next_at: at(10),
        created: at(10),
        updated: at(10),
    }
}

fn attempt(status: Option<u16>) -> Attempt {
    let error = status.is_none().then(|| "no answer in time".to_owned());
    Attempt { at: at(11), status, ms: 7, error, answer: "ok".to_owned() }
}

async fn kinds(store: &dyn Store) -> Vec<EventType> {
    store.happenings(100).await.expect("happenings").iter().map(|happening| happening.kind).collect()
}

/// What happens to runs, checkpoints and evaluations is noted with it, once.
pub(crate) async fn what_happens_is_noted(store: &dyn Store) {
    store.add_endpoint(&endpoint(90), &entry("webhook.add")).await.expect("endpoint");
    let first = run(1);
    store.add_run(&first).await.expect("run");
    let row = |step, tokens| MetricRow {
        step: Step(step),
        tokens: Tokens(tokens),
        loss: Some(2.5),
        ..MetricRow::default()
    };
    for (seq, rows) in
        [(0, vec![row(1, 900)]), (1, vec![row(2, 999)]), (2, vec![row(3, 3100)]), (2, vec![row(3, 3100)])]
    {
        let batch = MetricsBatch { seq, writer: "a".to_owned(), rows, ..MetricsBatch::default() };
        append(store, first.id, &batch, 5).await;
    }
    let noted = store.happenings(100).await.expect("happenings");
    assert_eq!(kinds(store).await, [EventType::RunStarted, EventType::RunProgress]);
    assert_eq!(noted[1].detail, json!({ "from": 999, "to": 3100, "step": 3, "loss": 2.5 }));
    let event = |kind, step| RunEvent { kind, step: Step(step), note: "z".to_owned(), at: Some(at(60)) };
    for (n, told) in (70..).zip([
        event(EventKind::Spike, 3),
        event(EventKind::Spike, 3),
        event(EventKind::LearningRate, 3),
        event(EventKind::Resumed, 2),
        event(EventKind::Failed, 4),
    ]) {
        store.add_event(first.id, id(n), &told, "mori", at(65)).await.expect("event");
    }
    assert_eq!(kinds(store).await[2..], [EventType::RunSpike, EventType::RunResumed, EventType::RunFailed]);
    let spike = &store.happened(EventType::RunSpike, at(0), 9).await.expect("spikes")[0];
    assert_eq!(
        (spike.subject.as_str(), &spike.detail),
        (
            &*first.id.to_string(),
            &json!({ "event": id::<EventId>(70), "step": 3, "note": "z", "down": 60.0 })
        )
    );
    assert_eq!(store.happened(EventType::RunSpike, at(66), 9).await.expect("later"), Vec::<Happening>::new());
    told(store).await;

    a_checkpoint(store, 2, Sha256::of("good")).await;
    let bad = store.add_checkpoint(&checkpoint(3, &first, 300)).await.expect("checkpoint");
    let reason = Text { en: "no".to_owned(), ja: "否".to_owned() };
    store.set_refused(bad.id, &reason, at(20)).await.expect("refused");
    store.set_refused(bad.id, &reason, at(21)).await.expect_err("refused before");
    assert_eq!(kinds(store).await, [EventType::CheckpointReady, EventType::CheckpointRefused]);
    told(store).await;
    evaluation(store).await;
}

async fn evaluation(store: &dyn Store) {
    let evaluation = an_evaluation(store, 4, Sha256::of("more"), 1).await;
    let claimed = store.claim("w", "", None, 9, 60, at(30)).await.expect("claim");
    let held = sekisho_domain::wire::HeldItem { id: claimed[0].work.id, fence: claimed[0].fence };
    let failure = sekisho_domain::wire::ItemFailure { message: "NaN".to_owned(), retry: false };
    store.fail(held, &failure, at(31)).await.expect("fail");
    store.retry(evaluation, at(32)).await.expect("retry");
    let claimed = store.claim("w", "", None, 9, 60, at(33)).await.expect("claim");
    let held = sekisho_domain::wire::HeldItem { id: claimed[0].work.id, fence: claimed[0].fence };
    store.finish(held, &[], at(34)).await.expect("finish");
    store.finish(held, &[], at(35)).await.expect("again");
    let state = store.evaluation(evaluation).await.expect("lookup").expect("is there").state;
    assert_eq!(state, WorkState::Finished);
    assert_eq!(
        kinds(store).await,
        [EventType::CheckpointReady, EventType::EvaluationFailed, EventType::EvaluationFinished],
        "each once"
    );
}

/// Everything so far is told.
async fn told(store: &dyn Store) {
    let last = store.happenings(100).await.expect("happenings").last().expect("some").seq;
    store.fan_out(last, &[], &[], at(70)).await.expect("told");
    assert_eq!(kinds(store).await, [] as [EventType; 0]);
}

/// Messages are sent until they are taken or given up.
pub(crate) async fn messages_are_sent(store: &dyn Store) {
    for n in [1, 2] {
        store.add_endpoint(&endpoint(n), &entry("webhook.add")).await.expect("endpoint");
    }
    let taken = Endpoint { id: id(9), ..endpoint(1) };
    let error = store.add_endpoint(&taken, &entry("webhook.add")).await.expect_err("the name is taken");
    assert!(matches!(error, StoreError::Conflict(_)), "{error}");
    assert_eq!(store.endpoints().await.expect("list"), [endpoint(1), endpoint(2)]);

    let follows = [(EventType::EvaluationRegressed, "e".to_owned(), json!({ "task": "t" }))];
    let all: Vec<Message> = (1..=5).map(|n| message(n, 1, u64::from(n))).chain([message(6, 2, 1)]).collect();
    store.add_run(&run(1)).await.expect("run");
    for step in [1, 2] {
        let new = id(80 + u32::try_from(step).expect("small"));
        let event = RunEvent { kind: EventKind::Spike, step: Step(step), note: String::new(), at: None };
        store.add_event(id(1), new, &event, "mori", at(5)).await.expect("event");
    }
    let last = store.happenings(9).await.expect("happenings").last().expect("some").seq;
    store.fan_out(last, &all, &follows, at(10)).await.expect("fan out");
    store.fan_out(last, &all, &follows, at(10)).await.expect("the same again changes nothing");
    assert_eq!(kinds(store).await, [EventType::EvaluationRegressed], "what follows is told next");
    assert_eq!(store.messages(id(1), 9).await.expect("list").len(), 5);

    assert_eq!(store.claim_messages(2, 60, at(9)).await.expect("claim"), [], "not due");
    let mut claimed = store.claim_messages(2, 60, at(10)).await.expect("claim");
    claimed.sort_by_key(|message| message.id);
    let ids: Vec<MessageId> = claimed.iter().map(|message| message.id).collect();
    assert_eq!(ids, [id(1), id(2), id(6)], "two at a time for each endpoint");
    assert_eq!(claimed[0].body, "{\"関\":1}");
    assert_eq!(store.claim_messages(2, 60, at(11)).await.expect("claim"), [], "they are held");
    settle(store, 1, Outcome::Delivered, at(12)).await;
    let next = Outcome::Failed { next: Some(at(20)), not_before: Some(at(18)) };
    settle(store, 2, next, at(12)).await;
    assert_eq!(
        store.claim_messages(2, 60, at(17)).await.expect("claim"),
        [],
        "the endpoint has asked for a pause"
    );
    assert_eq!(store.claim_messages(9, 60, at(20)).await.expect("claim").len(), 4);
    assert_eq!(store.attempts(id(2)).await.expect("attempts"), [attempt(None)]);
    store.free_messages(at(21)).await.expect("free");
    assert_eq!(store.claim_messages(1, 60, at(21)).await.expect("claim").len(), 2, "a new process goes on");
    circuit(store).await;
}

async fn settle(store: &dyn Store, n: u32, outcome: Outcome, now: Timestamp) {
    let made = attempt((outcome == Outcome::Delivered).then_some(200));
    store.settle_message(id(n), &made, outcome, CIRCUIT, now).await.expect("settle");
}

async fn state(store: &dyn Store, n: u32) -> (EndpointState, u32) {
    let found = store.endpoint(id(n)).await.expect("lookup").expect("is there");
    (found.state, found.failures)
}

async fn circuit(store: &dyn Store) {
    let failed = Outcome::Failed { next: Some(at(40)), not_before: None };
    settle(store, 2, failed, at(30)).await;
    assert_eq!(state(store, 1).await, (EndpointState::Active, 2));
    settle(store, 3, failed, at(30)).await;
    assert_eq!(state(store, 1).await, (EndpointState::Disabled, 3));
    let all = store.messages(id(1), 9).await.expect("list");
    assert_eq!(all.iter().filter(|message| message.state == MessageState::Dead).count(), 4);
    let told = store.happened(EventType::EndpointDisabled, at(0), 9).await.expect("happened");
    assert_eq!(told[0].detail, json!({ "failures": 3, "undelivered": 4, "gone": false }));
    settle(store, 6, Outcome::Gone, at(31)).await;
    assert_eq!(state(store, 2).await.0, EndpointState::Disabled);

    let resumed = Endpoint { state: EndpointState::Active, updated: at(50), ..endpoint(1) };
    store.update_endpoint(&resumed, &entry("webhook.resume")).await.expect("resume");
    assert_eq!(state(store, 1).await, (EndpointState::Active, 0));
    let again = store.resend(id(1), Resend::DeadSince(at(10)), &entry("webhook.resend"), at(50)).await;
    assert_eq!(again.expect("resend"), 4);
    assert_eq!(
        store.resend(id(1), Resend::One(id(1)), &entry("webhook.resend"), at(50)).await.expect("one"),
        1
    );
    assert_eq!(store.claim_messages(9, 60, at(50)).await.expect("claim").len(), 5);
    // Five days in which nothing came through are enough, however few attempts that was.
    settle(store, 2, failed, at(60)).await;
    settle(store, 3, failed, at(160)).await;
    assert_eq!(state(store, 1).await, (EndpointState::Disabled, 2));
    settle(store, 5, failed, at(161)).await;
    let late = store.message(id(5)).await.expect("lookup").expect("is there");
    assert_eq!(late.state, MessageState::Dead, "what was on its way then is not tried again");

    store.prune_messages(at(1000)).await.expect("prune");
    assert_eq!(store.happenings(9).await.expect("happenings").len(), 4, "what is not told yet stays");
    assert!(
        store.messages(id(1), 9).await.expect("list").iter().all(|left| left.state == MessageState::Sending)
    );
    store.delete_endpoint(id(1), &entry("webhook.delete")).await.expect("delete");
    settle(store, 4, Outcome::Delivered, at(200)).await;
    assert_eq!(store.message(id(4)).await.expect("lookup"), None);
    let missing = store.delete_endpoint(id(1), &entry("webhook.delete")).await.expect_err("gone");
    assert!(matches!(missing, StoreError::Missing { kind: "webhook endpoint", .. }), "{missing}");
}
