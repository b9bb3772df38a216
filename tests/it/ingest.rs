//! How checkpoints come in: accepted is accepted, the same files are kept once, and what failed can be asked for again.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tests::benchmark::{Benchmark, SUITE};
use tests::checkpoints::Recipe;
use tests::cli::{self, Ended};
use tests::database::Database;
use tests::service::{Options, Service, text};
use tests::wait::until;

use crate::bad_input::names;

fn ingest(service: &Service, flags: &[&str], step: &str, folder: &Path) -> Ended {
    let common = ["ingest", "--json", "--run", "r", "--step", step, "--tokens", "10"];
    cli::run(service.command(&common).args(flags).arg(folder))
}

fn state(service: &Service, checkpoint: &Value) -> Value {
    service.api().get(&format!("/api/v1/checkpoints/{}", text(&checkpoint["id"]))).has(200).json()
}

fn verified(service: &Service, checkpoint: &Value) -> Value {
    until("the verdict", 30, || {
        let now = state(service, checkpoint);
        assert_ne!(now["state"], "refused", "{now}");
        (now["state"] == "verified").then_some(now)
    })
}

/// The only copy that the service keeps.
fn copy(service: &Service) -> PathBuf {
    let [name] = names(&service.dir().join("checkpoints")).try_into().expect("one copy");
    service.dir().join("checkpoints").join(name)
}

#[test]
fn an_accepted_upload_survives_a_kill() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    Recipe::default().write(folder.path());
    let mut service = Service::start();
    let accepted = ingest(&service, &["--copy", "--no-wait"], "1", folder.path()).exits(0).json();
    service.kill9();
    service.restart();
    verified(&service, &accepted);

    // As a kill leaves it that comes before the examination.
    service.kill9();
    let staging = service.dir().join("staging");
    let database = Database::open(&service.dir());
    let kept = copy(&service);
    fs_err::rename(&kept, staging.join(kept.file_name().expect("a name"))).expect("moved back");
    fs_err::create_dir_all(staging.join("cut-off")).expect("a folder");
    database.execute(
        "UPDATE checkpoints SET state = 'received', place = NULL, path = replace(path, '/checkpoints/', '/staging/')",
    );
    database.close();
    service.restart();
    verified(&service, &accepted);
    assert_eq!(names(&staging), [""; 0], "what was cut off is gone");

    // As a kill leaves it that comes between the move and the verdict.
    service.kill9();
    let database = Database::open(&service.dir());
    database.execute(
        "UPDATE checkpoints SET state = 'verifying', path = replace(path, '/checkpoints/', '/staging/')",
    );
    database.close();
    service.restart();
    verified(&service, &accepted);
    assert_eq!(names(&copy(&service)), names(folder.path()));
}

#[test]
fn the_same_weights_beside_another_tokenizer_are_another_checkpoint() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [first, second] = ["first", "second"].map(|name| folder.path().join(name));
    for model in [&first, &second] {
        Recipe::default().write(model);
    }
    let tokenizer = fs_err::read_to_string(second.join("tokenizer.json")).expect("a tokenizer");
    fs_err::write(second.join("tokenizer.json"), format!("{tokenizer}\n")).expect("written");
    fs_err::write(first.join("notes.txt"), "not part of it").expect("written");
    let service = Service::start();
    let views: Vec<Value> = [("1", &first), ("2", &second), ("3", &first)]
        .map(|(step, model)| ingest(&service, &["--copy"], step, model).exits(0).json())
        .into();
    assert!(views.iter().all(|view| view["digest"] == views[0]["digest"]), "one model");
    let kept = names(&service.dir().join("checkpoints"));
    assert_eq!(kept.len(), 2, "{kept:?}");
    let mut tokenizers: Vec<String> = kept
        .iter()
        .map(|name| service.dir().join("checkpoints").join(name))
        .map(|kept| {
            assert!(!kept.join("notes.txt").exists());
            fs_err::read_to_string(kept.join("tokenizer.json")).expect("its own tokenizer")
        })
        .collect();
    tokenizers.sort();
    assert_eq!(tokenizers, [tokenizer.clone(), format!("{tokenizer}\n")]);
    assert_eq!(names(&service.dir().join("staging")), [""; 0]);
}

#[test]
fn a_step_of_a_run_is_one_checkpoint() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [one, other] = ["one", "other"].map(|name| folder.path().join(name));
    Recipe::default().write(&one);
    Recipe { seed: 2, ..Recipe::default() }.write(&other);
    let service = Service::start();
    let first = ingest(&service, &["--copy"], "1", &one).exits(0).json();
    let by_path = ingest(&service, &[], "2", &one).exits(0).json();
    for (flags, step, expected) in [
        (&["--copy"][..], "1", &first),
        (&[], "1", &first),
        (&["--copy"], "2", &by_path),
        (&[], "2", &by_path),
    ] {
        let again = ingest(&service, flags, step, &one).exits(0).json();
        assert_eq!(again["id"], expected["id"], "{flags:?} {step}");
        let says = format!(
            "Step {step} of run \"r\" is there already with other files (checkpoint {})",
            text(&expected["id"])
        );
        ingest(&service, flags, step, &other).exits(4).says(&[&says, "another step or another run"]);
    }
    assert_eq!(names(&service.dir().join("staging")), [""; 0]);
    copy(&service);
    let body = json!({ "step": 1, "tokens": 10, "path": other });
    service.api().post("/api/v1/runs/r/checkpoints", &body).is_problem(409, "checkpoint-exists");

    // Trained again in place.
    Recipe { seed: 3, ..Recipe::default() }.write(&one);
    ingest(&service, &[], "2", &one).exits(4).says(&["is there already with other files"]);
}

/// A service whose benchmark lacks its data file; answers where the file was put.
fn without_data(folder: &Path) -> (Service, PathBuf, PathBuf) {
    let benchmark = Benchmark::write(folder, 4, 40);
    let (file, aside) = (benchmark.data.join("gates/items.jsonl"), folder.join("aside.jsonl"));
    fs_err::rename(&file, &aside).expect("moved");
    let options = Options { config: benchmark.config(), local_worker: true, ..Options::default() };
    (Service::with(options), file, aside)
}

#[test]
fn a_failed_evaluation_is_asked_for_again() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (service, file, aside) = without_data(folder.path());
    let model = folder.path().join("model");
    Recipe::default().write(&model);
    let checkpoint = service.ingest(&model, "r", 1, 10);
    let failed = |words: &[&str]| {
        until("the failure", 60, || {
            let evaluation = service.evaluation(&checkpoint)?;
            let error = evaluation["tasks"][0]["error"].as_str()?.to_owned();
            (evaluation["state"] == "failed" && words.iter().all(|word| error.contains(word))).then_some(())
        });
    };
    let id = text(&checkpoint["id"]);
    let again = format!("`sekisho checkpoint evaluate {id} --suite {SUITE}`");
    failed(&["is missing", &again]);

    // Another file in its place is not handed out either.
    fs_err::write(&file, "{}\n").expect("written");
    let evaluate = ["checkpoint", "evaluate", id, "--suite", SUITE];
    cli::run(&mut service.command(&evaluate)).exits(0);
    failed(&["The data of test@1/gates differs from the definition (gates/items.jsonl: expected ", &again]);

    fs_err::rename(&aside, &file).expect("put there");
    cli::run(&mut service.command(&evaluate)).exits(0);
    let evaluation = service.finished_evaluation(&checkpoint, 60);
    assert_eq!(evaluation["tasks"][0]["attempt"], 1);
    assert_eq!(service.records(&evaluation, "gates").len(), 4);
}

#[test]
fn a_verified_checkpoint_is_evaluated_whatever_was_cut_off() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let benchmark = Benchmark::write(folder.path(), 4, 40);
    let model = folder.path().join("model");
    Recipe::default().write(&model);
    let mut service = Service::with(Options { config: benchmark.config(), ..Options::default() });
    let checkpoint = service.ingest(&model, "r", 1, 10);
    until("the evaluation", 30, || service.evaluation(&checkpoint));
    service.kill9();
    let database = Database::open(&service.dir());
    database.execute("DELETE FROM work_items");
    database.execute("DELETE FROM evaluations");
    database.close();
    service.restart();
    until("the evaluation", 30, || service.evaluation(&checkpoint));

    // The last checkpoint of a run is evaluated, whatever its step.
    let api = service.api();
    let spec = json!({ "evaluate": { "suite": SUITE, "every": 1000 } });
    api.post("/api/v1/runs", &json!({ "name": "rare", "spec": spec, "suite": SUITE })).has(201);
    let row = json!({ "step": 7, "tokens": 70, "loss": 1.0 });
    api.post("/api/v1/runs/rare/metrics", &json!({ "seq": 0, "writer": "w", "rows": [row] })).has(200);
    let body = json!({ "step": 7, "tokens": 70, "path": model });
    let last = api.post("/api/v1/runs/rare/checkpoints", &body).has(202).json();
    verified(&service, &last);
    assert_eq!(service.evaluation(&last), None, "step 7 is no multiple of 1,000");
    let event = json!({ "kind": "finished", "step": 7, "note": "" });
    api.post("/api/v1/runs/rare/events", &event).has(204);
    until("the evaluation", 20, || service.evaluation(&last));
}

#[test]
fn a_suite_that_is_not_there_is_refused_at_the_start() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let benchmark = Benchmark::write(folder.path(), 4, 40);
    let (config, dir) = (folder.path().join("sekisho.toml"), folder.path().join("data-of-it"));
    fs_err::write(&config, benchmark.config().replace(SUITE, "gates-onyl")).expect("written");
    let mut serve = cli::command(["serve", "--listen", "127.0.0.1:0", "--config"]);
    let ended = cli::run(serve.arg(&config).arg("--dir").arg(&dir)).exits(1);
    ended.says(&[
        "[evaluate] suite in the configuration: there is no suite \"gates-onyl\"",
        "did you mean \"gates-only\"?",
    ]);
    assert!(!dir.join("sekisho.db").exists());
}

#[test]
fn the_first_start_is_completed_by_the_next() {
    let mut service = Service::start();
    service.kill9();
    // As a kill leaves it that comes between the file and the account.
    let token = service.dir().join("admin-token");
    let database = Database::open(&service.dir());
    database.execute("DELETE FROM api_tokens");
    database.execute("DELETE FROM users");
    database.close();
    fs_err::write(&token, "sek_of_nobody\n").expect("written");
    service.restart();
    let text = fs_err::read_to_string(&token).expect("written again");
    let api = tests::http::Api::new(service.url(), Some(text.trim()));
    api.post("/api/v1/runs", &json!({ "name": "r" })).has(201);
}

#[test]
fn a_withdrawn_admin_token_stays_withdrawn() {
    let mut service = Service::start();
    service.add_user("deputy", &["admin"]);
    let (deputy, _) = service.token_of("deputy", &["admin"]);
    let tokens = deputy.get("/api/v1/users/admin/tokens").has(200).items();
    for token in tokens.as_array().expect("a list") {
        let _ = deputy.delete(&format!("/api/v1/users/admin/tokens/{}", text(&token["id"]))).has(204);
    }
    service.kill9();
    service.restart();
    assert_eq!(deputy.get("/api/v1/users/admin/tokens").has(200).items(), json!([]));
    service.api().post("/api/v1/runs", &json!({ "name": "r" })).is_problem(401, "token-unknown");
}

#[test]
fn a_body_that_cannot_be_read_is_a_problem() {
    let service = Service::start();
    let api = service.api();
    for (path, body) in [
        ("/api/v1/runs", json!("text")),
        ("/api/v1/runs", json!({ "nmae": "r" })),
        ("/api/v1/work/claim", json!([1])),
        ("/api/v1/users", json!({ "name": 4 })),
        ("/api/v1/users/admin/roles", json!({ "roles": ["king"] })),
    ] {
        api.post(path, &body).is_problem(400, "body");
    }
}
