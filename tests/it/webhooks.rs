//! Webhooks as receivers see them: signed, on schedule, never lost, and nowhere inside.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tests::database::Database;
use tests::http::Api;
use tests::receiver::{Received, Receiver, Reply};
use tests::service::{Options, Service, text};
use tests::wait::until;

/// A service that may speak to this receiver, with a schedule of so many attempts at once.
fn serving(receiver: &Receiver, more: &str) -> Service {
    let config = format!("[webhooks]\nallow = [\"{}\"]\n{more}", receiver.host());
    Service::with(Options { config, ..Options::default() })
}

fn add(service: &Service, receiver: &Receiver, more: &Value) -> Value {
    let mut body = json!({ "name": "lab", "url": receiver.url() });
    for (key, value) in more.as_object().into_iter().flatten() {
        body[key] = value.clone();
    }
    service.api().post("/api/v1/webhooks", &body).has(201).json()
}

fn path(webhook: &Value) -> String {
    format!("/api/v1/webhooks/{}", text(&webhook["id"]))
}

fn start_run(service: &Service, name: &str) {
    let api = service.api();
    let _ = api.post("/api/v1/runs", &json!({ "name": name, "planned_tokens": 1000 })).has(201);
    report(&api, name, 0, 1, 10);
}

fn report(api: &Api, name: &str, seq: u64, step: u64, tokens: u64) {
    let rows = json!({ "seq": seq, "rows": [{ "step": step, "tokens": tokens, "loss": 3.25 }] });
    let _ = api.post(&format!("/api/v1/runs/{name}/metrics"), &rows).has(200);
}

fn deliveries(service: &Service, webhook: &Value) -> Vec<Value> {
    let found = service.api().get(&format!("{}/deliveries", path(webhook))).has(200).json();
    found.as_array().expect("a list").clone()
}

/// Waits until the newest delivery is in that state; answers it with its attempts.
fn in_state(service: &Service, webhook: &Value, state: &str) -> Value {
    until(state, 60, || {
        let newest = deliveries(service, webhook).first()?.clone();
        let one = format!("{}/deliveries/{}", path(webhook), text(&newest["id"]));
        (newest["state"] == state).then(|| service.api().get(&one).has(200).json())
    })
}

#[test]
fn what_happens_is_told_in_the_sentences_of_the_lab() {
    let receiver = Receiver::start();
    let service = serving(&receiver, "");
    let webhook = add(&service, &receiver, &json!({ "every_tokens": 500, "events": ["run.*"] }));
    start_run(&service, "v4");
    let api = service.api();
    report(&api, "v4", 1, 2, 499);
    report(&api, "v4", 2, 3, 510);
    let event = json!({ "kind": "failed", "step": 3, "note": "NaN in the loss" });
    let _ = api.post("/api/v1/runs/v4/events", &event).has(204);
    let received = receiver.wait_for(3);
    let of_kind =
        |kind: &str| received.iter().map(Received::json).find(|one| one["type"] == kind).expect(kind);
    let sentence = |kind: &str, lang: &str| text(&of_kind(kind)["data"]["text"][lang]).to_owned();
    assert_eq!(sentence("run.started", "ja"), "【情報】v4：学習を開始しました（1kトークン）");
    assert_eq!(sentence("run.started", "en"), "[Info] v4: training started (1k tokens)");
    assert_eq!(
        sentence("run.progress", "ja"),
        "【情報】v4：510/1kトークン（51.0%）に到達しました。損失 3.25"
    );
    assert_eq!(sentence("run.progress", "en"), "[Info] v4: 510 of 1k tokens (51.0%). Loss 3.25");
    assert_eq!(sentence("run.failed", "ja"), "【要対応】v4：学習が異常終了しました（NaN in the loss）");
    let message = of_kind("run.progress");
    assert_eq!(message["data"]["tokens"], 510);
    assert_eq!(message["data"]["links"]["page"], format!("{}/runs/v4", service.url()));
    assert_eq!(received.len(), 3, "499 tokens are none of the multiples");
    assert_eq!(in_state(&service, &webhook, "delivered")["tries"][0]["status"], 204);
}

#[test]
fn an_attempt_that_fails_is_repeated_with_the_same_id_until_none_is_left() {
    let receiver = Receiver::start();
    let service = serving(&receiver, "schedule = [0, 0, 1]\n");
    let webhook = add(&service, &receiver, &json!({}));
    receiver.reply([
        Reply::status(500),
        Reply::with(302, "location: http://169.254.169.254/"),
        Reply::status(200),
    ]);
    start_run(&service, "a");
    let received = receiver.wait_for(3);
    let first = &received[0];
    assert!(received.iter().all(|one| one.id() == first.id() && one.body == first.body), "{received:?}");
    assert_eq!(in_state(&service, &webhook, "delivered")["tries"].as_array().map(Vec::len), Some(3));

    receiver.reply([Reply::status(500), Reply::status(404), Reply::status(503)]);
    start_run(&service, "b");
    let dead = in_state(&service, &webhook, "dead");
    let statuses: Vec<&Value> =
        dead["tries"].as_array().expect("tries").iter().map(|one| &one["status"]).collect();
    assert_eq!(statuses, [500, 404, 503]);
    let again = json!({ "message": dead["id"] });
    let _ = service.api().post(&format!("{}/resend", path(&webhook)), &again).has(200);
    assert_eq!(in_state(&service, &webhook, "delivered")["id"], dead["id"]);
    assert_eq!(
        receiver.received().last().map(|one| one.id().to_owned()),
        dead["id"].as_str().map(str::to_owned)
    );
}

#[test]
fn a_receiver_that_hangs_trickles_or_never_ends_holds_nothing_up() {
    let receiver = Receiver::start();
    let service = serving(&receiver, "schedule = [0, 0, 0, 0]\ntimeout = 1\n");
    let webhook = add(&service, &receiver, &json!({}));
    receiver.reply([Reply::Hang, Reply::Trickle, Reply::Endless]);
    start_run(&service, "a");
    let delivered = in_state(&service, &webhook, "delivered");
    let tries = delivered["tries"].as_array().expect("tries");
    assert_eq!(tries.len(), 3, "{tries:?}");
    for slow in &tries[..2] {
        assert_eq!((&slow["status"], &slow["error"]), (&Value::Null, &json!("no answer in time")));
    }
    let answer = text(&tries[2]["answer"]);
    assert_eq!(
        (&tries[2]["status"], answer.len()),
        (&json!(200), 4096),
        "what is kept of an answer has an end"
    );
}

#[test]
fn a_receiver_that_is_gone_is_left_alone_and_a_busy_one_gets_its_pause() {
    let receiver = Receiver::start();
    let service = serving(&receiver, "schedule = [0, 0]\n");
    let busy = add(&service, &receiver, &json!({}));
    receiver.reply([Reply::with(429, "retry-after: 3")]);
    start_run(&service, "a");
    let delivered = in_state(&service, &busy, "delivered");
    let at =
        |place: usize| text(&delivered["tries"][place]["at"]).parse::<jiff::Timestamp>().expect("a time");
    let waited = at(1).duration_since(at(0)).as_secs_f64();
    assert!((3.0..20.0).contains(&waited), "{waited}");

    receiver.reply([Reply::status(410)]);
    start_run(&service, "b");
    until("the endpoint to be disabled", 30, || {
        (service.api().get(&path(&busy)).json()["state"] == "disabled").then_some(())
    });
    start_run(&service, "c");
    until("the third message", 30, || (deliveries(&service, &busy).len() == 3).then_some(()));
    assert_eq!(in_state(&service, &busy, "dead")["tries"], json!([]), "kept and not sent");
    let since = json!({ "since": "2020-01-01T00:00:00Z" });
    service.api().post(&format!("{}/resend", path(&busy)), &since).is_problem(409, "webhook-disabled");
    let _ = service.api().post(&format!("{}/resume", path(&busy)), &json!({})).has(200);
    let resent = service.api().post(&format!("{}/resend", path(&busy)), &since).has(200).json();
    assert_eq!(resent["resent"], 2);
    in_state(&service, &busy, "delivered");
    assert_eq!(receiver.wait_for(5).len(), 5);
}

#[test]
fn failures_in_a_row_open_the_circuit_and_the_others_hear_of_it() {
    let (broken, whole) = (Receiver::start(), Receiver::start());
    let config = format!(
        "[webhooks]\nallow = [\"{}\", \"{}\"]\nschedule = [0, 0, 0, 0, 0]\nfailures = 3\n",
        broken.host(),
        whole.host()
    );
    let service = Service::with(Options { config, ..Options::default() });
    let webhook = add(&service, &broken, &json!({ "name": "broken" }));
    let _ = add(&service, &whole, &json!({ "events": ["endpoint.*"] }));
    broken.reply(std::iter::repeat_n(Reply::status(500), 10));
    start_run(&service, "a");
    let told = &whole.wait_for(1)[0];
    assert_eq!(
        told.json()["data"]["text"]["ja"],
        "【注意】Webhook broken への配信を停止しました（連続失敗 3回）。未配信 1件は再送できます"
    );
    assert_eq!(broken.received().len(), 3);
    let ping = service.api().post(&format!("{}/ping", path(&webhook)), &json!({})).has(200).json();
    assert_eq!(ping["type"], "webhook.ping");
    let sent = broken.wait_for(4);
    assert_eq!(sent[3].json()["type"], "webhook.ping", "a test goes out whatever the state");
}

#[test]
fn a_kill_between_the_change_and_its_message_loses_nothing_and_changes_no_id() {
    let receiver = Receiver::start();
    let mut service = serving(&receiver, "schedule = [0, 3600]\n");
    let webhook = add(&service, &receiver, &json!({}));
    // As a kill leaves it that comes after the change and before the message: the change is told by the next process.
    let _ = service.api().post(&format!("{}/pause", path(&webhook)), &json!({})).has(200);
    for n in 0..20 {
        start_run(&service, &format!("run-{n}"));
    }
    service.kill9();
    service.restart();
    let waiting = until("every message", 30, || {
        let all = deliveries(&service, &webhook);
        (all.len() == 20).then_some(all)
    });
    // And as one leaves it that comes while messages are on their way.
    receiver.reply(std::iter::repeat_n(Reply::Hang, 2));
    let _ = service.api().post(&format!("{}/resume", path(&webhook)), &json!({})).has(200);
    let hanging = receiver.wait_for(2);
    service.kill9();
    service.restart();
    let received = receiver.wait_for(22);
    let mut ids: Vec<&str> = received.iter().map(Received::id).collect();
    assert!(
        ids[2..].contains(&hanging[0].id()) && ids[2..].contains(&hanging[1].id()),
        "sent again as they were"
    );
    ids.sort_unstable();
    ids.dedup();
    let mut expected: Vec<&str> = waiting.iter().map(|one| text(&one["id"])).collect();
    expected.sort_unstable();
    assert_eq!(ids, expected, "each once more than the two that were cut off, none lost, no id changed");
}

#[test]
fn nothing_inside_is_spoken_to() {
    let receiver = Receiver::start();
    let service = serving(&receiver, "");
    let port = receiver.host().rsplit(':').next().expect("a port").to_owned();
    for url in [
        "https://127.0.0.1/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://[::ffff:169.254.169.254]/latest/",
        "https://169.254.169.254/",
        "https://10.0.0.1:8443/",
        "http://example.org/",
        "https://user:x@example.org/",
        "https://example.org:22/",
        &format!("http://localhost:{port}/"),
    ] {
        let answer = service.api().post("/api/v1/webhooks", &json!({ "name": url, "url": url }));
        answer.is_problem(422, "webhook-url");
    }
    // What its text does not tell is looked at when it is spoken to: this name resolves to the machine itself.
    let webhook = json!({ "name": "name", "url": "https://localhost/" });
    let webhook = service.api().post("/api/v1/webhooks", &webhook).has(201).json();
    let _ = service.api().post(&format!("{}/ping", path(&webhook)), &json!({})).has(200);
    let dead = in_state(&service, &webhook, "dead");
    let error = text(&dead["tries"][0]["error"]);
    assert!(
        error.starts_with("localhost is ") && error.contains("this machine")
            || error.contains("not within 2000::/3"),
        "{error}"
    );
    assert!(receiver.received().is_empty());
}

#[test]
fn no_secret_is_told_twice_or_kept() {
    let receiver = Receiver::start();
    let service = serving(&receiver, "");
    let chat = format!("{}/services/T000/canary-of-a-chat", receiver.url());
    let made = add(&service, &receiver, &json!({ "format": "slack", "url": chat }));
    let secret = text(&made["secret"]).trim_start_matches("whsec_").to_owned();
    let rotated = service.api().post(&format!("{}/rotate", path(&made)), &json!({})).has(200).json();
    let newer = text(&rotated["secret"]).trim_start_matches("whsec_").to_owned();
    assert_ne!(secret, newer);
    service.api().post(&format!("{}/rotate", path(&made)), &json!({})).is_problem(409, "webhook-rotated");
    start_run(&service, "a");
    let sent = receiver.wait_for(1);
    assert_eq!(sent[0].headers["webhook-signature"].split(' ').count(), 2, "both sign for a day");
    assert_eq!(sent[0].path, "/hook/services/T000/canary-of-a-chat");
    in_state(&service, &made, "delivered");

    let key = fs_err::read_to_string(service.dir().join("webhook-key")).expect("a key");
    let session = service.session("admin");
    let page = format!("/webhooks/{}", text(&made["id"]));
    let mut told: Vec<String> =
        ["/webhooks", &page, "/audit"].iter().map(|page| session.get(page).has(200).text).collect();
    told.push(service.api().get("/api/v1/webhooks").text);
    told.push(service.api().get(&format!("{}/deliveries", path(&made))).text);
    told.push(
        fs_err::read_to_string(service.dir().parent().expect("a folder").join("serve.log")).expect("a log"),
    );
    let audit = Database::open(&service.dir()).audit();
    assert!(audit.iter().any(|entry| entry.action == "webhook.add"));
    told.push(json!(audit.iter().map(|entry| &entry.detail).collect::<Vec<_>>()).to_string());
    for (place, text) in told.iter().enumerate() {
        for canary in [&secret, &newer, key.trim(), "canary-of-a-chat"] {
            assert!(!text.contains(canary), "{place}: {text}");
        }
    }
    let database = fs_err::read(service.dir().join("sekisho.db")).expect("a database");
    let log = fs_err::read(service.dir().join("sekisho.db-wal")).unwrap_or_default();
    for canary in [&secret, &newer, key.trim()] {
        let is_in = |bytes: &[u8]| bytes.windows(canary.len()).any(|window| window == canary.as_bytes());
        assert!(!is_in(&database) && !is_in(&log), "secrets are derived and not kept");
    }
}

#[test]
fn strangers_and_readers_set_nothing_up() {
    let receiver = Receiver::start();
    let service = serving(&receiver, "");
    let webhook = add(&service, &receiver, &json!({}));
    service.add_user("reader", &["viewer"]);
    let (reader, _) = service.token_of("reader", &["read", "release"]);
    let body = json!({ "name": "other", "url": receiver.url() });
    reader.post("/api/v1/webhooks", &body).is_problem(403, "role-missing");
    for action in ["ping", "pause", "rotate", "resend"] {
        let body = if action == "resend" { json!({ "since": "2020-01-01T00:00:00Z" }) } else { json!({}) };
        reader.post(&format!("{}/{action}", path(&webhook)), &body).is_problem(403, "role-missing");
    }
    let _ = reader.get(&path(&webhook)).has(200);
    assert_eq!(service.visitor().get("/api/v1/webhooks").status, 401);
    assert_eq!(service.visitor().get(&path(&webhook)).status, 401);
    let _ = service.visitor().get("/api/v1/webhooks/events").has(200);
    let page = service.visitor().get("/webhooks").has(200).text;
    assert!(!page.contains(&receiver.host()));
    for wrong in [
        json!({ "name": "", "url": receiver.url() }),
        json!({ "name": "x", "url": receiver.url(), "events": ["releases.*"] }),
        json!({ "name": "x", "url": receiver.url(), "events": [] }),
        json!({ "name": "x", "url": receiver.url(), "every_tokens": 0 }),
    ] {
        assert_eq!(service.api().post("/api/v1/webhooks", &wrong).status, 422, "{wrong}");
    }
    service
        .api()
        .post("/api/v1/webhooks", &json!({ "name": "lab", "url": receiver.url() }))
        .is_problem(409, "conflict");
}

#[test]
fn the_commands_do_what_the_pages_do() {
    let receiver = Receiver::start();
    let service = serving(&receiver, "");
    let url = receiver.url();
    let run = |arguments: &[&str]| tests::cli::run(&mut service.command(arguments)).exits(0);
    let made = run(&["webhook", "add", "lab", &url, "--events", "run.*,release.*", "--json"]).json();
    let id = text(&made["id"]).to_owned();
    assert!(text(&made["secret"]).starts_with("whsec_"));
    assert_eq!(run(&["webhook", "set", &id, "--language", "ja", "--json"]).json()["language"], "ja");
    let sent = run(&["webhook", "ping", &id]).stdout;
    assert_eq!(receiver.wait_for(1)[0].id(), sent.trim());
    let shown = run(&["webhook", "show", &id, "--message", sent.trim()]).stdout;
    assert!(shown.contains("テスト送信です"), "{shown}");
    assert!(run(&["webhook", "list"]).stdout.contains("active"));
    run(&["webhook", "pause", &id]);
    assert!(run(&["webhook", "list"]).stdout.contains("paused"));
    run(&["webhook", "resume", &id]);
    assert_eq!(run(&["webhook", "resend", &id, "--message", sent.trim()]).stdout, "1\n");
    assert!(run(&["webhook", "events"]).stdout.contains("evaluation.regressed"));
    run(&["webhook", "rotate", &id]);
    run(&["webhook", "delete", &id]);
    tests::cli::run(&mut service.command(&["webhook", "show", &id])).exits(3);
}

/// The interpreter with the reference library; nothing, and a line that says so, where it is missing.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn python() -> Option<String> {
    let python = std::env::var("SEKISHO_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let import = Command::new(&python).args(["-c", "import standardwebhooks"]).stderr(Stdio::null()).status();
    if import.is_ok_and(|status| status.success()) {
        return Some(python);
    }
    let installed = std::env::var("SEKISHO_TOOLS_INSTALLED").is_ok_and(|said| said == "1");
    assert!(!installed, "{python} has no standardwebhooks although tests/run.sh has installed it");
    eprintln!("skipped: {python} has no standardwebhooks; tests/run.sh installs it");
    None
}

#[test]
fn the_receiver_of_the_documentation_takes_what_is_signed_and_nothing_else() {
    let Some(python) = python() else { return };
    let page = fs_err::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/webhooks.md"))
        .expect("the page");
    let script =
        page.split("```python\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a script");
    assert!(script.lines().count() <= 12, "short enough to be read");
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = free.local_addr().expect("an address").port().to_string();
    drop(free);
    // The interpreter takes its time to start.
    let schedule = vec!["1"; 60].join(", ");
    let config = format!("[webhooks]\nallow = [\"127.0.0.1:{port}\"]\nschedule = [0, {schedule}]\n");
    let service = Service::with(Options { config, ..Options::default() });
    let body = json!({ "name": "python", "url": format!("http://127.0.0.1:{port}/") });
    let webhook = service.api().post("/api/v1/webhooks", &body).has(201).json();
    let mut receiver = Command::new(python);
    receiver
        .args(["-c", script, &port])
        .env("SECRET", text(&webhook["secret"]))
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut receiver = receiver.spawn().expect("the interpreter runs");
    let mut lines = BufReader::new(receiver.stdout.take().expect("a pipe")).lines();
    start_run(&service, "a");
    let first = lines.next().expect("a line").expect("text");
    let delivered = in_state(&service, &webhook, "delivered");
    assert_eq!(first, format!("run.started {}", text(&delivered["id"])));
    // For a day after a rotation the old secret, which this receiver has, is good still.
    let _ = service.api().post(&format!("{}/rotate", path(&webhook)), &json!({})).has(200);
    start_run(&service, "b");
    assert!(lines.next().expect("a line").expect("text").starts_with("run.started msg_"));
    let forged = reqwest::blocking::Client::new()
        .post(format!("http://127.0.0.1:{port}/"))
        .header("webhook-id", "msg_1")
        .header("webhook-timestamp", "1614265330")
        .header("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
        .body("{\"test\": 2432232314}")
        .send()
        .expect("an answer");
    assert_eq!(forged.status().as_u16(), 401);
    receiver.kill().expect("ended");
    let _ = receiver.wait();
}
