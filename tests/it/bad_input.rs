//! What is wrong is refused in a sentence that names the thing, the rule and the way on, and nothing half-written stays.

use std::path::Path;

use serde_json::json;
use tests::benchmark::{Benchmark, PROFILE, TASK};
use tests::checkpoints::{Recipe, hostile};
use tests::cli;
use tests::database::Database;
use tests::service::{Options, Service, text};
use tests::wait::until;

/// Names in a folder, sorted; none when it is not there.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries = fs_err::read_dir(folder).into_iter().flatten();
    let name = |entry: std::io::Result<fs_err::DirEntry>| entry.expect("an entry").file_name();
    let mut names: Vec<String> = entries.map(|e| name(e).to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn broken_checkpoints_are_refused_on_every_way_in() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let service = Service::start();
    let api = service.api();
    let data = Benchmark::write(folder.path(), 4, 40);
    for (number, hostile) in hostile().into_iter().enumerate() {
        let dir = folder.path().join(format!("checkpoint-{number}"));
        hostile.write(&dir);
        let files = names(&dir).len();
        let step = number.to_string();

        let flags = ["ingest", "--run", "by-path", "--step", &step, "--tokens", "10"];
        let ended = cli::run(service.command(&flags).arg(&dir)).exits(1);
        ended.says(hostile.says);
        let ended = cli::run(
            service
                .command(&["ingest", "--copy", "--run", "by-upload", "--step", &step, "--tokens", "10"])
                .arg(&dir),
        );
        ended.exits(1).says(hostile.says);
        let mut eval = cli::command(["eval", "--json", "--profile", PROFILE, "--task", TASK]);
        eval.arg("--data").arg(&data.data).arg("--tasks").arg(&data.tasks).arg("--model").arg(&dir);
        let ended = cli::run(&mut eval).exits(1);
        ended.says(hostile.says);
        assert_eq!(ended.stdout, "", "{}", hostile.name);

        let body = json!({ "step": number, "tokens": 10, "path": dir });
        let _ = api.post("/api/v1/runs", &json!({ "name": "by-hand" }));
        let announced = api.post("/api/v1/runs/by-hand/checkpoints", &body).has(202).json();
        let refusal = until("the refusal", 30, || {
            let found = api.get(&format!("/api/v1/checkpoints/{}", text(&announced["id"]))).has(200).json();
            found["refusal"].as_str().filter(|_| found["state"] == "refused").map(ToOwned::to_owned)
        });
        for words in hostile.says {
            assert!(refusal.contains(words), "{}: {refusal}", hostile.name);
        }
        let page = api.get(&format!("/checkpoints/{}", text(&announced["id"]))).has(200).text;
        assert!(page.contains("class=\"refusal\""), "{}: the page says why", hostile.name);
        assert_eq!(names(&dir).len(), files, "{}: the folder is as it was", hostile.name);
    }
    for kept in ["staging", "checkpoints"] {
        assert_eq!(names(&service.dir().join(kept)), [""; 0], "{kept}");
    }
    let (counts, board) =
        (api.get("/api/v1/runs/by-path").has(200).json(), api.get("/leaderboard.json").has(200).json());
    assert_eq!((&counts["state"], &board["items"]), (&json!("registered"), &json!([])));
}

#[test]
fn a_checkpoint_folder_must_be_there() {
    let service = Service::start();
    let flags = ["ingest", "--run", "r", "--step", "1", "--tokens", "1", "/nowhere/at/all"];
    cli::run(&mut service.command(&flags))
        .exits(1)
        .says(&["/nowhere/at/all", "give the folder that holds config.json"]);
    let api = service.api();
    api.post("/api/v1/runs", &json!({ "name": "r" })).has(201);
    let body = json!({ "step": 1, "tokens": 1, "path": "/nowhere/at/all" });
    let answer = api.post("/api/v1/runs/r/checkpoints", &body);
    answer.is_problem(400, "checkpoint-path");
    assert!(
        answer.text.contains("/nowhere/at/all") && answer.text.contains("ingest --copy"),
        "{}",
        answer.text
    );
    service.visitor().post("/api/v1/runs", &json!({ "name": "s" })).is_problem(401, "sign-in-needed");
}

#[test]
fn a_server_that_is_not_there_ends_an_evaluation_before_it_begins() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let benchmark = Benchmark::write(folder.path(), 4, 40);
    let (model, out) = (folder.path().join("model"), folder.path().join("out.jsonl"));
    Recipe::default().write(&model);
    let eval = |flags: &[&str]| {
        let mut command = cli::command(["eval", "--json", "--profile", PROFILE, "--task", TASK]);
        command.arg("--model").arg(&model).arg("--data").arg(&benchmark.data);
        cli::run(command.arg("--tasks").arg(&benchmark.tasks).arg("--out").arg(&out).args(flags))
    };
    let url = "http://127.0.0.1:9";
    eval(&["--engine", url, "--engine-model", "m"]).exits(1).says(&["no server answers at", url, "--engine"]);
    let usage = eval(&["--engine", url]).exits(2).stderr;
    assert!(usage.contains("--engine-model <NAME>"), "{usage}");
    assert!(!out.exists(), "no records of an evaluation that did not begin");
}

#[test]
fn a_data_folder_without_a_tasks_file_is_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let benchmark = Benchmark::write(folder.path(), 4, 40);
    let (model, out, empty) =
        (folder.path().join("model"), folder.path().join("out.jsonl"), folder.path().join("empty"));
    Recipe::default().write(&model);
    fs_err::create_dir(&empty).expect("a folder");
    let eval = |data: &Path, task: &str| {
        let mut command = cli::command(["eval", "--json", "--profile", PROFILE, "--task", task]);
        command.arg("--model").arg(&model).arg("--data").arg(data).arg("--tasks").arg(&benchmark.tasks);
        cli::run(command.arg("--out").arg(&out))
    };
    let missing = eval(&empty, TASK).exits(1);
    missing.says(&[
        "test@1/gates needs gates/items.jsonl",
        "empty/bench/gates/items.jsonl",
        "empty/gates/items.jsonl",
        "--data",
    ]);
    eval(&benchmark.data, "gate")
        .exits(3)
        .says(&["there is no task \"gate\" in test@1", "did you mean \"gates\"?"]);
    assert!(!out.exists(), "no records of an evaluation that did not begin");

    fs_err::write(benchmark.data.join("gates/items.jsonl"), "{}\n").expect("written");
    eval(&benchmark.data, TASK)
        .exits(1)
        .says(&["The data of test@1/gates differs from the definition", "--accept sha256:"]);

    let config = benchmark.config().replace(&format!("{:?}", benchmark.data), &format!("{empty:?}"));
    let service = Service::with(Options { config, ..Options::default() });
    let checkpoint = service.ingest(&model, "r", 1, 10);
    let claim = json!({ "worker": "by hand", "max": 1 });
    let items = service.api().post("/api/v1/work/claim", &claim).has(200).json();
    assert_eq!(items["items"], json!([]), "an item that cannot be worked on is not handed out");
    let evaluation = service.evaluation(&checkpoint).expect("queued");
    assert_eq!(evaluation["state"], "failed");
    let error = text(&evaluation["tasks"][0]["error"]);
    for words in [
        "The data file items.jsonl of source \"gates\" is missing",
        "empty/gates/items.jsonl",
        "[sources] gates",
    ] {
        assert!(error.contains(words), "{error}");
    }
}

const SPEC: &str = r#"name = "bad"
[model]
vocab_size = 300
hidden_size = 32
num_hidden_layers = 1
num_attention_heads = 2
intermediate_size = 64
rope_theta = 10000.0
rms_norm_eps = 1e-5
max_position_embeddings = 64
[data]
sequence_length = 64
[[data.mix]]
name = "a"
path = "a.jsonl"
[batch]
sequences = 2
[optimizer]
lr = 1e-3
[schedule]
kind = "constant"
[stop]
steps = 4
"#;

#[test]
fn a_malformed_specification_is_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (spec, out) = (folder.path().join("spec.toml"), folder.path().join("out"));
    for (from, to, says) in [
        (
            "[optimizer]",
            "[optimiser]",
            &["spec.toml:18:2: unknown field `optimiser`", "did you mean \"optimizer\"?"][..],
        ),
        ("lr = 1e-3", "learning_rate = 1e-3", &["spec.toml:19:1: unknown field `learning_rate`"]),
        (
            "\"constant\"",
            "\"cosin\"",
            &["spec.toml:21:8: unknown variant `cosin`", "did you mean \"cosine\"?"],
        ),
        ("steps = 4", "steps = \"four\"", &["spec.toml:23:9: invalid type: string \"four\""]),
        (
            "sequences = 2",
            "sequences = 2\nmicro = 3",
            &["spec.toml: batch.micro is 3; it must divide batch.sequences, 2"],
        ),
        (
            "rope_theta = 10000.0\n",
            "",
            &["[model] lacks \"rope_theta\"", "a guessed value would change every result"],
        ),
        ("[stop]", "[stop", &["spec.toml:22:"]),
    ] {
        assert!(SPEC.contains(from), "{from}");
        fs_err::write(&spec, SPEC.replace(from, to)).expect("written");
        cli::run(cli::command(["train", "--check"]).arg(&spec)).exits(1).says(says);
        cli::run(cli::command(["train"]).arg(&spec).arg("--dir").arg(&out)).exits(1).says(says);
        assert!(!out.exists(), "{to}");
    }
    cli::run(cli::command(["train"]).arg(folder.path().join("none.toml")).arg("--dir").arg(&out))
        .exits(1)
        .says(&["none.toml"]);
}

#[test]
fn a_run_that_cannot_begin_leaves_nothing_behind() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (spec, out) = (folder.path().join("spec.toml"), folder.path().join("a/new/out"));
    let good = trained_on(folder.path());
    let corpus = folder.path().join("a.jsonl");
    let text = fs_err::read_to_string(&corpus).expect("a corpus");
    let service = Service::start();
    service.api().post("/api/v1/runs", &json!({ "name": "taken", "spec": { "seed": 1 } })).has(201);
    let train = |code: i32, says: &[&str]| {
        let mut command = service.command(&["train"]);
        cli::run(command.arg(&spec).arg("--dir").arg(&out)).exits(code).says(says);
        assert!(!folder.path().join("a").exists(), "{says:?}");
        // A folder that was there stays, empty.
        fs_err::create_dir_all(&out).expect("a folder");
        let mut command = service.command(&["train"]);
        cli::run(command.arg(&spec).arg("--dir").arg(&out)).exits(code).says(says);
        assert_eq!(names(&out), [""; 0], "{says:?}");
        fs_err::remove_dir_all(folder.path().join("a")).expect("removed");
    };
    let write = |text: &str| fs_err::write(&spec, text).expect("written");
    write(&good.replace("a.jsonl", "b.jsonl"));
    train(1, &["b.jsonl"]);
    write(&good.replace("vocab_size = 300", "vocab_size = 200"));
    train(1, &["200"]);
    write(&good.replace("path = \"tokenizer\"", "path = \"elsewhere\""));
    train(1, &["elsewhere"]);
    write(&good.replace("name = \"bad\"", "name = \"taken\""));
    train(4, &["Run \"taken\" is registered with another specification", "Give the new one another name"]);
    write(&format!("{good}\n[evaluate]\nsuite = \"none\"\n"));
    train(3, &["there is no suite \"none\""]);
    write(&good);
    fs_err::write(&corpus, format!("{text}{{\"txet\": 1}}\n")).expect("written");
    train(1, &["a.jsonl", "there is no \"text\""]);
    fs_err::write(&corpus, text).expect("written");
    let mut command = service.command(&["train"]);
    cli::run(command.arg(&spec).arg("--dir").arg(&out)).exits(0);
}

#[test]
fn a_port_in_use_is_named_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let service = Service::start();
    let address = service.url().trim_start_matches("http://");
    let dir = folder.path().join("second");
    let says = format!(
        "{address} is in use by another program (another Sekisho?); stop it, or choose another port with --listen or --port"
    );
    cli::run(cli::command(["serve", "--listen", address, "--dir"]).arg(&dir)).exits(1).says(&[&says]);
    assert!(!dir.exists());
    let port = address.rsplit(':').next().expect("a port");
    cli::run(cli::command(["demo", "--once", "--port", port, "--dir"]).arg(&dir)).exits(1).says(&[&says]);
    assert!(!dir.exists());
}

#[test]
fn nobody_at_the_address_is_said_with_the_way_on() {
    let ended = cli::run(&mut cli::command(["run", "list", "--server", "http://127.0.0.1:1"])).exits(1);
    ended.says(&["No Sekisho answers at http://127.0.0.1:1", "`sekisho serve`", "SEKISHO_SERVER"]);
}

#[test]
fn a_database_of_a_newer_version_is_left_alone() {
    let mut service = Service::start();
    assert_eq!(service.terminate(), Some(0));
    let database = Database::open(&service.dir());
    database
        .execute("INSERT INTO _sqlx_migrations VALUES (9999, 'future', CURRENT_TIMESTAMP, TRUE, x'00', 1)");
    database.close();
    let file = service.dir().join("sekisho.db");
    let before = fs_err::read(&file).expect("a database");
    let ended =
        cli::run(cli::command(["serve", "--listen", "127.0.0.1:0", "--dir"]).arg(service.dir())).exits(1);
    ended.says(&[
        "sekisho.db was written by a newer Sekisho (migration 9999; ",
        "start that version, or restore a backup made before the upgrade",
    ]);
    assert!(fs_err::read(&file).expect("a database") == before, "not a byte has changed");
}

/// A run whose checkpoints are about 2 MB each.
pub(crate) fn trained_on(folder: &Path) -> String {
    tests::checkpoints::write_tokenizer(&folder.join("tokenizer"));
    let document = json!({ "text": "a road, a gate, a permit; ".repeat(200) });
    fs_err::write(folder.join("a.jsonl"), format!("{document}\n")).expect("written");
    let larger = SPEC
        .replace("hidden_size = 32", "hidden_size = 96")
        .replace("intermediate_size = 64", "intermediate_size = 224");
    format!("{larger}\n[checkpoint]\nevery = 1\n[tokenizer]\npath = \"tokenizer\"\n")
}

#[test]
fn other_mistakes_have_their_own_exit_codes() {
    let service = Service::start();
    let nowhere = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
    for (arguments, code, says) in [
        (&["run", "show", "none"][..], 3, "There is no run \"none\"."),
        (&["checkpoint", "show", nowhere], 3, "There is no checkpoint"),
        (&["release", "show", "x"], 3, "There is no release \"x\"."),
        (&["policy", "check", "/nowhere/lineage.toml"], 3, "/nowhere/lineage.toml"),
        (&["serve", "--config", "/nowhere/sekisho.toml"], 1, "/nowhere/sekisho.toml"),
        (&["run", "list", "--token-file", "/nowhere/token"], 1, "/nowhere/token"),
        (&["serve", "--listen", "192.0.2.1:0", "--dir", "/nowhere/data"], 1, "with --listen"),
    ] {
        cli::run(&mut service.command(arguments)).exits(code).says(&[says]);
    }
    assert_eq!(cli::run(&mut cli::command(["run", "shw"])).code, Some(2), "usage");
}

#[test]
fn a_checkpoint_outside_the_allowed_folders_is_refused_by_any_way_to_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let allowed = folder.path().join("allowed");
    Recipe::default().write(&allowed.join("model"));
    let outside = folder.path().join("outside");
    Recipe::default().write(&outside);
    std::os::unix::fs::symlink(&outside, allowed.join("link")).expect("a link");
    let config = format!("[ingest]\nroots = [{allowed:?}]\n");
    let service = Service::with(Options { config, ..Options::default() });
    let _ = service.api().post("/api/v1/runs", &json!({ "name": "r" })).has(201);
    let announce = |path: &Path| {
        let body = json!({ "step": 1, "tokens": 10, "path": path });
        service.api().post("/api/v1/runs/r/checkpoints", &body)
    };
    for path in [outside.clone(), allowed.join("link"), allowed.join("../outside")] {
        let answer = announce(&path).has(403);
        assert!(
            answer.text.contains("lies outside the folders checkpoints may come from"),
            "{}",
            answer.text
        );
    }
    assert_eq!(service.api().get("/api/v1/runs/r/checkpoints").has(200).items(), json!([]));
    let _ = announce(&allowed.join("model")).has(202);
}
