//! What runs report: one process at a time, exactly once, nothing of the future; what is noticed and what people make of it.

use serde_json::{Value, json};
use tests::cli;
use tests::database::Database;
use tests::http::Api;
use tests::receiver::Receiver;
use tests::service::{Options, Service, text};
use tests::wait::until;

const METRICS: &str = "/api/v1/runs/v4-8b/metrics";

/// A service with a run.
fn registered() -> (Service, Api) {
    let service = Service::start();
    let api = service.api();
    let run = json!({ "name": "v4-8b", "planned_tokens": 1_000_000 });
    let _ = api.post("/api/v1/runs", &run).has(201);
    (service, api)
}

/// A batch of steps with a loss that wavers by a hundredth.
fn batch(writer: &str, seq: u64, steps: std::ops::Range<u64>) -> Value {
    let row = |step: u64| {
        json!({ "step": step, "tokens": step * 512, "loss": 3.0 + 0.01 * (step % 7) as f64, "lr": 3e-4,
            "grad_norm": 0.5 + 0.01 * (step % 5) as f64, "seconds": 2.0, "tflops": 434.5 })
    };
    json!({ "writer": writer, "host": format!("host-of-{writer}"), "seq": seq, "rows": steps.map(row).collect::<Vec<_>>() })
}

fn events(api: &Api) -> Vec<Value> {
    api.get("/api/v1/runs/v4-8b/events").has(200).items().as_array().expect("a list").clone()
}

#[test]
fn a_second_trainer_is_refused_with_the_segment_until_the_first_is_gone() {
    let (service, api) = registered();
    let _ = api.post(METRICS, &batch("a", 0, 1..11)).has(200);
    let refused = api.post(METRICS, &batch("b", 0, 5..8));
    refused.is_problem(409, "run-busy");
    let detail = refused.json()["detail"].to_string();
    for words in ["host-of-a", "segment 1", "register it as a branch", "follows"] {
        assert!(detail.contains(words), "{words}: {detail}");
    }
    let rows = api.get(METRICS).has(200).items();
    assert_eq!(rows.as_array().map(Vec::len), Some(10), "nothing of the second is kept");

    // Started again in the same folder, it knows who wrote before.
    let mut follows = batch("b", 0, 8..10);
    follows["follows"] = json!("a");
    let _ = api.post(METRICS, &follows).has(200);
    api.post(METRICS, &batch("a", 1, 11..12)).is_problem(409, "run-busy");
    let segments = api.get("/api/v1/runs/v4-8b/segments").has(200).items();
    assert_eq!((segments[0]["last_step"].as_u64(), segments[1]["first_step"].as_u64()), (Some(10), Some(8)));
    let rows = api.get(METRICS).has(200).items();
    let steps: Vec<u64> =
        rows.as_array().expect("rows").iter().filter_map(|row| row["step"].as_u64()).collect();
    assert_eq!(steps, (1..=9).collect::<Vec<_>>(), "repeated steps once, what was undone not at all");
    assert_eq!(rows[8]["tflops"], 434.5, "names of the trainer's own");

    // A second one that knows nothing comes in once the first has been silent.
    Database::open(&service.dir())
        .execute("UPDATE run_segments SET last_at = last_at - 120000, first_at = first_at - 120000");
    let _ = api.post(METRICS, &batch("c", 0, 10..12)).has(200);
    let table = cli::run(&mut service.command(&["run", "segments", "v4-8b"])).exits(0);
    assert!(table.stdout.contains("host-of-c"), "{}", table.stdout);
    let lost: Vec<f64> = events(&api).iter().filter_map(|event| event["lost_seconds"].as_f64()).collect();
    assert!(lost.len() == 2 && (119.0..180.0).contains(&lost[1]), "{lost:?}");
    let page = service.visitor().get("/runs/v4-8b?lang=ja").has(200).text;
    assert!(page.contains("停止時間 2分"), "{page}");
}

#[test]
fn a_batch_counts_once_and_another_one_of_its_number_is_refused() {
    let (_service, api) = registered();
    let first = batch("a", 0, 1..4);
    assert_eq!(api.post(METRICS, &first).has(200).json(), json!({ "accepted": 3, "repeated": false }));
    assert_eq!(api.post(METRICS, &first).has(200).json(), json!({ "accepted": 0, "repeated": true }));
    api.post(METRICS, &batch("a", 0, 4..6)).is_problem(409, "batch-differs");
    // Out of order: the later one overtook the earlier one.
    let _ = api.post(METRICS, &batch("a", 2, 7..10)).has(200);
    let _ = api.post(METRICS, &batch("a", 1, 4..7)).has(200);
    let rows = api.get(METRICS).has(200).items();
    assert_eq!(rows.as_array().map(Vec::len), Some(9));
    let between = api.get(&format!("{METRICS}?from=3&to=5")).has(200).items();
    assert_eq!(between.as_array().map(Vec::len), Some(3));
    assert_eq!(api.get("/api/v1/runs/v4-8b/segments").has(200).items().as_array().map(Vec::len), Some(1));
}

#[test]
fn what_cannot_be_is_refused_whole_and_named() {
    let (_service, api) = registered();
    let with = |change: Value| {
        let mut body = batch("a", 0, 1..3);
        for (name, value) in change.as_object().expect("fields") {
            body["rows"][1][name] = value.clone();
        }
        api.post(METRICS, &body)
    };
    with(json!({ "step": 2_000_000_000_u64 })).is_problem(422, "metrics-future");
    with(json!({ "tokens": 2_000_000_000_000_000_u64 })).is_problem(422, "metrics-future");
    with(json!({ "a b": 1.0 })).is_problem(400, "metric-name");
    with(json!({ "loss": "low" })).is_problem(400, "body");
    with(json!({ "step": -1 })).is_problem(400, "body");
    let many: serde_json::Map<String, Value> = (0..201).map(|n| (format!("m{n}"), json!(1.0))).collect();
    with(Value::Object(many)).is_problem(400, "metric-names");
    let event = json!({ "kind": "note", "step": 1, "at": "2099-01-01T00:00:00Z" });
    api.post("/api/v1/runs/v4-8b/events", &event).is_problem(422, "event-future");
    assert_eq!(api.get(METRICS).has(200).items(), json!([]), "nothing of it was kept");
    assert_eq!(events(&api), Vec::<Value>::new());
}

/// Python writes NaN as a bare word, which JSON does not have; the report of a run that diverges must not be lost for that.
#[test]
fn a_loss_that_is_no_number_is_kept_and_noticed() {
    let (service, api) = registered();
    let program = "import json, os, sys, urllib.request\n\
        rows = [{'step': s, 'tokens': s * 512, 'loss': float('nan') if s > 3 else 2.5, 'grad_norm': float('inf') if s > 3 else 1.0} for s in range(1, 6)]\n\
        body = json.dumps({'seq': 0, 'rows': rows}).encode()\n\
        headers = {'Authorization': 'Bearer ' + os.environ['SEKISHO_TOKEN'], 'Content-Type': 'application/json'}\n\
        urllib.request.urlopen(urllib.request.Request(sys.argv[1], body, headers))\n";
    let mut python = std::process::Command::new("python3");
    let python = python.args(["-c", program]).arg(format!("{}{METRICS}", service.url()));
    let output = python.env("SEKISHO_TOKEN", service.token()).output().expect("python3");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let rows = api.get(METRICS).has(200).items();
    assert_eq!(
        json!([rows[2]["loss"], rows[3]["loss"], rows[3]["grad_norm"]]),
        json!([2.5, "NaN", "Infinity"])
    );
    let told = events(&api);
    let seen: Vec<_> = told.iter().map(|event| (text(&event["kind"]), event["step"].as_u64())).collect();
    assert_eq!(seen, [("not_finite", Some(4))], "once, with the step");
    let page = service.visitor().get("/runs/v4-8b?lang=ja").has(200).text;
    assert!(page.contains("NaN・Inf") && page.contains("loss 2.500 → NaN"), "{page}");
}

#[test]
fn a_spike_of_any_trainer_is_proposed_and_people_say_what_it_was() {
    let (service, api) = registered();
    let _ = api.post(METRICS, &batch("a", 0, 1..101)).has(200);
    assert_eq!(events(&api), Vec::<Value>::new());
    let spike = json!({ "writer": "a", "seq": 1, "rows": [{ "step": 101, "tokens": 51_712, "loss": 9.5 }] });
    let _ = api.post(METRICS, &spike).has(200);
    let found = events(&api);
    let event = &found[0];
    assert_eq!(
        json!([event["kind"], event["step"], event["status"], event["by"]]),
        json!(["spike", 101, "proposed", "detector"])
    );
    assert!(event["seen"]["sigma"].as_f64() > Some(6.0), "{event}");

    service.add_user("mori", &["contributor"]);
    service.add_user("nagai", &["viewer"]);
    let mori = service.session("mori");
    let path = format!("/runs/v4-8b/events/{}", text(&event["id"]));
    let overview = mori.get("/?lang=ja").has(200).text;
    assert!(
        overview.contains(&path) && overview.contains("検出されたイベントを確認してください"),
        "{overview}"
    );
    let close_up = mori.get(&format!("{path}?lang=ja")).has(200).text;
    for words in ["損失スパイクとして確定", "誤検知", "9.500", "zスコア"] {
        assert!(close_up.contains(words), "{words}");
    }
    let viewer = service.session("nagai").get(&path).has(200).text;
    assert!(!viewer.contains("formaction"), "a viewer decides nothing");

    let decide = format!("/api/v1/runs/v4-8b/events/{}", text(&event["id"]));
    let body = json!({ "status": "confirmed", "remark": "学習率を下げて再開" });
    api.post(&decide, &body).is_problem(428, "version-missing");
    api.post_seen(&decide, "\"7\"", &body).is_problem(412, "stale");
    let decided = api.post_seen(&decide, "\"1\"", &body).has(200).json();
    assert_eq!(json!([decided["status"], decided["version"]]), json!(["confirmed", 2]));
    assert!(!mori.get("/").has(200).text.contains(&path), "it waits for nobody any more");
    let (reader, _) = service.token_of("nagai", &["read"]);
    assert_eq!(reader.post_seen(&decide, "\"2\"", &body).status, 403);

    let told = cli::run(&mut service.command(&["run", "events", "v4-8b"])).exits(0).stdout;
    assert!(told.contains("confirmed") && told.contains("学習率を下げて再開"), "{told}");
    let id = text(&event["id"]);
    let _ = cli::run(&mut service.command(&["run", "decide", "v4-8b", id, "dismissed", "-m", "no"])).exits(0);
    let page = service.visitor().get("/runs/v4-8b").has(200).text;
    assert!(!page.contains("class=\"flag\""), "what was no spike is not drawn");
}

#[test]
fn a_run_that_falls_silent_is_noticed_once() {
    let (service, api) = registered();
    let _ = api.post(METRICS, &batch("a", 0, 1..11)).has(200);
    let database = Database::open(&service.dir());
    database.execute("UPDATE runs SET updated = updated - 600000");
    database.execute("UPDATE run_segments SET last_at = last_at - 600000, first_at = first_at - 600000");
    let stalled = || events(&api).into_iter().filter(|event| event["kind"] == "stalled").count();
    until("the stall to be noticed", 60, || (stalled() == 1).then_some(()));
    let page = service.visitor().get("/runs/v4-8b?lang=ja").has(200).text;
    assert!(
        page.contains("停滞：10分")
            && page.contains("のあいだ進捗がありません（最終ステップ 10、host-of-a）"),
        "{page}"
    );
    std::thread::sleep(std::time::Duration::from_secs(17));
    assert_eq!(stalled(), 1, "one stall is one event");
    let _ = api.post(METRICS, &batch("a", 1, 11..13)).has(200);
    let page = service.visitor().get("/runs/v4-8b?lang=ja").has(200).text;
    assert!(!page.contains("停滞："), "it reports again");
}

#[test]
fn a_plan_changes_with_its_history_and_the_forecast_is_held_against_it() {
    let (service, api) = registered();
    let _ = api.post(METRICS, &batch("a", 0, 1..101)).has(200);
    let plan = "/api/v1/runs/v4-8b/plan";
    let empty = api.get(plan).has(200).json();
    assert_eq!(json!([empty["plan"], empty["history"]]), json!([null, []]));
    let _ = api.post(plan, &json!({ "end": "2020-01-31", "gpus": 64, "reason": "v1" })).has(200);
    let changed = ["run", "plan", "v4-8b", "--gpus", "128", "--budget", "4480", "-m", "ノード追加", "--json"];
    let stands = cli::run(&mut service.command(&changed)).exits(0).json();
    assert_eq!(
        json!([stands["plan"]["end"], stands["plan"]["gpus"]]),
        json!(["2020-01-31", 128]),
        "the rest stays"
    );
    assert_eq!(stands["history"].as_array().map(Vec::len), Some(2));
    assert!(stands["outlook"]["delay_days"].as_f64() > Some(365.0), "{stands}");
    api.post(plan, &json!({ "gpus": 0 })).is_problem(422, "run-plan");
    api.post(plan, &json!({ "gpu": 1 })).is_problem(400, "body");
    service.add_user("nagai", &["viewer"]);
    let (reader, _) = service.token_of("nagai", &["read"]);
    assert_eq!(reader.post(plan, &json!({ "gpus": 1 })).status, 403);

    let visitor = service.visitor();
    let page = visitor.get("/runs/v4-8b?lang=ja").has(200).text;
    assert!(page.contains("予定比 +") && page.contains("ノード追加"), "{page}");
    let schedule = visitor.get("/?tab=schedule&lang=ja").has(200).text;
    for words in ["工程表", "class=\"planned\"", "class=\"done\"", "class=\"today\"", "2020-01-31"] {
        assert!(schedule.contains(words), "{words}");
    }
    let audit = service.api().get("/api/v1/audit").has(200).text;
    assert!(audit.contains("ノード追加"), "{audit}");
}

#[test]
fn a_run_is_registered_by_command_and_its_trainer_may_say_more_of_the_same() {
    let service = Service::start();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("spec.toml");
    let spec = "name = \"mini\"\n[model]\nhidden_size = 256\n[data]\nsequence_length = 512\n[[data.mix]]\nname = \"aozora\"\npath = \"aozora.jsonl\"\n\
        [batch]\nsequences = 32\n[optimizer]\nlr = 3e-4\neps = 1e-5\n[schedule]\nkind = \"constant\"\n[stop]\nsteps = 1000\n";
    fs_err::write(&file, spec).expect("written");
    let path = file.display().to_string();
    let check =
        cli::run(&mut service.command(&["run", "register", &path, "--check", "--lang", "ja"])).exits(0);
    assert!(
        check.stderr.contains("adam-epsilon") && check.stderr.contains("LLM-jp-3 172B"),
        "{}",
        check.stderr
    );
    assert!(check.stderr.contains("level-unknown: aozora"), "{}", check.stderr);
    service.visitor().get("/api/v1/runs/mini").is_problem(404, "not-found");
    let issue = "https://git.example.org/lab/experiments/issues/12";
    for nonsense in ["javascript:alert(1)", "https://", "git.example.org/12", "https://a b"] {
        let asked = ["run", "register", &path, "--issue", nonsense];
        cli::run(&mut service.command(&asked)).exits(1).says(&["https://"]);
    }
    let asked = ["run", "register", &path, "--issue", issue, "--json"];
    let answer = cli::run(&mut service.command(&asked)).exits(0).json();
    let run = &answer["run"];
    assert_eq!(
        json!([run["state"], run["planned_tokens"], run["owner"], run["issue"]]),
        json!(["registered", 16_384_000, "admin", issue])
    );
    let page = service.visitor().get("/runs/mini?lang=en").has(200).text;
    assert!(page.contains("Registered by") && page.contains(&format!("href=\"{issue}\"")), "{page}");
    // What the trainer resolved: defaults filled in, paths absolute.
    let mut resolved = answer["spec"].clone();
    resolved["stability"] = json!({ "on_nan": "stop", "window": 128 });
    resolved["data"]["mix"][0]["path"] = json!("/data/aozora.jsonl");
    let api = service.api();
    let again = api.post("/api/v1/runs", &json!({ "name": "mini", "spec": resolved })).has(200).json();
    assert_eq!(again["id"], answer["run"]["id"]);
    resolved["optimizer"]["eps"] = json!(1e-8);
    api.post("/api/v1/runs", &json!({ "name": "mini", "spec": resolved })).is_problem(409, "run-registered");
    api.post("/api/v1/runs", &json!({ "name": "new" })).is_problem(400, "run-name");
    cli::run(&mut service.command(&["run", "register", &path, "--name", "x", "--from", "torchtitan"]))
        .exits(0);
}

#[test]
fn every_part_of_a_page_is_there_and_says_why_it_is_empty() {
    let (service, api) = registered();
    let visitor = service.visitor();
    for tab in ["curves", "metrics", "checkpoints", "events", "settings", "data", "log", "nonsense"] {
        let page = visitor.get(&format!("/runs/v4-8b?tab={tab}&lang=ja")).has(200).text;
        assert!(page.contains("class=\"empty\"") || page.contains("sekisho train"), "{tab}: {page}");
    }
    let _ = api.post(METRICS, &batch("a", 0, 1..101)).has(200);
    let log = visitor.get("/runs/v4-8b?tab=log&lang=ja").has(200).text;
    assert!(log.contains("step 100  tokens") && log.contains("host-of-a"), "{log}");
    for file in ["loss.svg", "loss.csv", "loss.json", "grad-norm.svg", "loss.pdf", "nothing.svg"] {
        let known = file.starts_with("loss.") && !file.ends_with("pdf");
        let _ = visitor.get(&format!("/runs/v4-8b/{file}")).has(if known { 200 } else { 404 });
    }
}

#[test]
fn a_run_that_falls_behind_its_plan_is_told_of_once_for_each_plan() {
    let receiver = Receiver::start();
    let config = format!("[webhooks]\nallow = [\"{}\"]\n", receiver.host());
    let service = Service::with(Options { config, ..Options::default() });
    let api = service.api();
    let webhook = json!({ "name": "lab", "url": receiver.url(), "events": ["run.behind"] });
    let _ = api.post("/api/v1/webhooks", &webhook).has(201);
    let _ =
        api.post("/api/v1/runs", &json!({ "name": "v4-8b", "planned_tokens": 1_000_000_000_u64 })).has(201);
    let _ = api.post(METRICS, &batch("a", 0, 1..61)).has(200);
    let plan = |end: &str| api.post("/api/v1/runs/v4-8b/plan", &json!({ "end": end })).has(200);
    let _ = plan("2020-01-31");
    assert!(receiver.wait_for(1)[0].json().to_string().contains("run.behind"));
    // The next look comes before the next plan is told of, and tells of the first one no more.
    let _ = plan("2020-02-29");
    assert_eq!(receiver.wait_for(2).len(), 2, "once for each plan");
}

#[test]
fn a_branch_that_a_page_writes_is_trained_and_hangs_off_its_parent() {
    let service = Service::start();
    let folder = tempfile::tempdir().expect("a folder");
    let spec = folder.path().join("spec.toml");
    let own = crate::bad_input::trained_on(folder.path()).replace("name = \"bad\"", "name = \"base\"");
    fs_err::write(&spec, own).expect("written");
    let train = |spec: &std::path::Path, out: &str| {
        let mut command = service.command(&["train"]);
        cli::run(command.arg(spec).arg("--dir").arg(folder.path().join(out))).exits(0)
    };
    // Registered before it is trained, with a planned end that its trainer does not tell again.
    cli::run(&mut service.command(&["run", "register", &spec.display().to_string()])).exits(0);
    let _ = train(&spec, "base");
    let checkpoints = service.visitor().get("/api/v1/runs/base/checkpoints").has(200).items();
    let all = checkpoints.as_array().expect("a list").clone();
    let first = all.iter().min_by_key(|checkpoint| checkpoint["step"].as_u64()).expect("one").clone();
    let path = format!("/checkpoints/{}", text(&first["id"]));
    until("the checkpoint is verified", 60, || {
        let state = service.visitor().get(&format!("/api/v1{path}")).has(200).json()["state"].clone();
        (state == "verified").then_some(())
    });
    let child = service
        .visitor()
        .get(&format!("{path}/branch.toml?kind=decay&name=base-decay&steps=2"))
        .has(200)
        .text;
    fs_err::write(folder.path().join("child.toml"), child).expect("written");
    let register = |file: &str| {
        let file = folder.path().join(file).display().to_string();
        cli::run(&mut service.command(&["run", "register", &file])).exits(0)
    };
    let _ = register("child.toml");
    let _ = train(&folder.path().join("child.toml"), "base-decay");
    let run = service.visitor().get("/api/v1/runs/base-decay").has(200).json();
    let end = first["step"].as_u64().expect("a step") + 2;
    assert_eq!((run["state"].as_str(), run["step"].as_u64()), (Some("finished"), Some(end)));
    assert_eq!(steps_of(&service, "base-decay"), [end - 1, end]);
    let page = service.visitor().get("/runs/base-decay?lang=ja").has(200).text;
    assert!(page.contains("href=\"/runs/base\""), "the tree: {page}");
    let log = service.visitor().get("/api/v1/runs/base-decay/events").has(200).text;
    assert!(log.contains("of base"), "{log}");
}

fn steps_of(service: &Service, run: &str) -> Vec<u64> {
    let rows = service.visitor().get(&format!("/api/v1/runs/{run}/metrics")).has(200).items();
    rows.as_array().into_iter().flatten().filter_map(|row| row["step"].as_u64()).collect()
}
