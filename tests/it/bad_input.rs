//! What is wrong is refused in a sentence that names the thing, the rule and the way on, and nothing half-written stays.

use std::path::Path;

use serde_json::json;
use tests::benchmark::{Benchmark, PROFILE, TASK};
use tests::checkpoints::{Recipe, hostile};
use tests::cli;
use tests::database::Database;
use tests::disk::SmallDisk;
use tests::service::{Options, Service, text};
use tests::wait::until;

/// Names in a folder; none when it is not there.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs_err::read_dir(folder).into_iter().flatten();
    entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
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
    cli::run(&mut service.command(&flags)).exits(1).says(&["/nowhere/at/all"]);
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

#[test]
fn an_upload_onto_a_full_disk_is_refused_and_taken_once_there_is_room() {
    let Some(disk) = SmallDisk::mount(4_000) else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    // About 10 MB.
    Recipe { hidden: 256, layers: 3, ..Recipe::default() }.write(folder.path());
    let service = Service::with(Options { dir: Some(disk.path().join("data")), ..Options::default() });
    let flags = ["ingest", "--copy", "--run", "large", "--step", "1", "--tokens", "10"];
    let ended = cli::run(service.command(&flags).arg(folder.path())).exits(1);
    ended.says(&[
        "Not enough space for the upload",
        "The partial files were removed. Free some space and send it again.",
    ]);
    assert_eq!(names(&service.dir().join("staging")), [""; 0]);
    service.visitor().get("/readyz").has(204);
    let checkpoints = service.api().get("/api/v1/runs/large/checkpoints").has(200).json();
    assert_eq!(checkpoints, json!([]), "nothing of it is registered");

    disk.grow(64_000);
    let ended = cli::run(service.command(&flags).arg("--json").arg(folder.path())).exits(0);
    assert_eq!(ended.json()["state"], "verified");
}

/// A run whose checkpoints are about 2 MB each.
fn trained_on(folder: &Path) -> String {
    tests::checkpoints::write_tokenizer(&folder.join("tokenizer"));
    let document = json!({ "text": "a road, a gate, a permit; ".repeat(200) });
    fs_err::write(folder.join("a.jsonl"), format!("{document}\n")).expect("written");
    let larger = SPEC
        .replace("hidden_size = 32", "hidden_size = 96")
        .replace("intermediate_size = 64", "intermediate_size = 224");
    format!("{larger}\n[checkpoint]\nevery = 1\n[tokenizer]\npath = \"tokenizer\"\n")
}

#[test]
fn a_full_disk_costs_the_trainer_no_checkpoint_that_it_had() {
    let Some(disk) = SmallDisk::mount(4_000) else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (spec, out) = (folder.path().join("spec.toml"), disk.path().join("run"));
    fs_err::write(&spec, trained_on(folder.path())).expect("written");
    let train = || {
        let mut command = cli::command(["train"]);
        command.arg(&spec).arg("--dir").arg(&out);
        command
    };
    let ended = cli::run(&mut train()).exits(1);
    ended.says(&[
        "Not enough space (needs ",
        " MB, free ",
        " MB) for checkpoint ",
        "The partial files were removed. Free some space and resume.",
    ]);
    let complete: Vec<String> = names(&out).into_iter().filter(|name| name.contains("step-")).collect();
    assert!(!complete.is_empty(), "one fits");
    for name in &complete {
        let manifest = sekisho_weights::read_manifest(&out.join(name)).expect("complete");
        assert_eq!(
            sekisho_weights::hash_folder(&out.join(name)).expect("readable"),
            manifest.files,
            "{name}"
        );
    }
    disk.grow(64_000);
    cli::run(train().arg("--resume")).exits(0);
    assert!(out.join("step-000004/manifest.json").is_file());
}

/// Where nobody may mount a small disk, a limit on the size of files is told in the same way.
#[test]
fn a_limit_on_the_size_of_files_is_told_like_a_full_disk() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (spec, out) = (folder.path().join("spec.toml"), folder.path().join("run"));
    fs_err::write(&spec, trained_on(folder.path())).expect("written");
    let mut limited = std::process::Command::new("sh");
    limited.args(["-c", "trap '' XFSZ; ulimit -f 200; exec \"$@\"", "sh"]).arg(tests::binary::sekisho());
    let ended = cli::run(limited.arg("train").arg(&spec).arg("--dir").arg(&out)).exits(1);
    ended.says(&["Not enough space", "for checkpoint 1 in ", "Free some space and resume."]);
    assert!(!names(&out).iter().any(|name| name.contains("step-")), "{:?}", names(&out));
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
    ] {
        cli::run(&mut service.command(arguments)).exits(code).says(&[says]);
    }
    assert_eq!(cli::run(&mut cli::command(["run", "shw"])).code, Some(2), "usage");
}
