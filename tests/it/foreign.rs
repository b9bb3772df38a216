//! Runs of other trainers: their logs and histories through the command, and the Python module, against a real service.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tests::checkpoints::Recipe;
use tests::cli;
use tests::process::Process;
use tests::service::Service;
use tests::wait::until;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../trainer/foreign/fixtures").join(name)
}

fn rows(service: &Service, run: &str) -> Vec<Value> {
    let rows = service.visitor().get(&format!("/api/v1/runs/{run}/metrics")).has(200).items();
    rows.as_array().cloned().unwrap_or_default()
}

fn steps(rows: &[Value]) -> Vec<u64> {
    rows.iter().filter_map(|row| row["step"].as_u64()).collect()
}

fn import(service: &Service, arguments: &[&str], path: &Path, run: &str) -> cli::Ended {
    let mut command = service.command(&["import"]);
    command.args(arguments).arg(path).args(["--run", run]);
    cli::run(&mut command)
}

fn told(ended: &cli::Ended, words: &[&str]) {
    for word in words {
        assert!(ended.stderr.contains(word), "{} does not say \"{word}\"", ended.stderr);
    }
}

#[test]
fn a_megatron_log_becomes_a_run_and_a_second_import_changes_nothing() {
    let service = Service::start();
    let first = import(&service, &["log", "--json"], &fixture("megatron.log"), "megatron").exits(0);
    told(&first, &["warning: adam-epsilon", "1e-8", "LLM-jp-3 172B", "cut off"]);
    let done = first.json();
    assert_eq!(json!([done["rows"], done["new"], done["known"], done["events"]]), json!([16, 16, 0, 3]));
    let kept = rows(&service, "megatron");
    assert_eq!(steps(&kept), (1..=12).collect::<Vec<_>>());
    assert_eq!(json!([kept[4]["loss"], kept[4]["tokens"]]), json!([9.749, 5 * 1024 * 8192]));
    let run = service.visitor().get("/api/v1/runs/megatron").has(200).json();
    assert_eq!(run["planned_tokens"], 417_233_u64 * 1024 * 8192);
    let events = || service.visitor().get("/api/v1/runs/megatron/events").has(200).items();
    assert_eq!(events().as_array().map(Vec::len), Some(3));
    let again =
        import(&service, &["megatron", "--json"], &fixture("megatron.log"), "megatron").exits(0).json();
    assert_eq!(json!([again["rows"], again["new"], again["again"], again["known"]]), json!([16, 0, 0, 16]));
    assert_eq!((rows(&service, "megatron"), events().as_array().map(Vec::len)), (kept, Some(3)));
}

#[test]
fn a_launch_script_registers_a_run_before_it_starts() {
    let service = Service::start();
    let check = import(
        &service,
        &["megatron", "--check", "--json", "--lang", "ja"],
        &fixture("launch.sh"),
        "planned",
    );
    let check = check.exits(0);
    told(&check, &["warning: adam-epsilon: AdamWのεが1e-5", "--min-lr is ${MIN_LR}"]);
    assert_eq!(check.json()["spec"]["optimizer"]["eps"], 1e-5);
    service.visitor().get("/api/v1/runs/planned").has(404);
    import(&service, &["megatron"], &fixture("launch.sh"), "planned").exits(0);
    let run = service.visitor().get("/api/v1/runs/planned").has(200).json();
    assert_eq!(run["state"], "registered");
    let page = service.visitor().get("/runs/planned?lang=en").has(200).text;
    for shown in [
        "sekisho import log LOG --follow --run planned",
        "/static/clients/sekisho.py",
        "sekisho train SPEC.toml",
    ] {
        assert!(page.contains(shown), "{shown}");
    }
    import(&service, &["torchtitan", "--tokens-per-step", "1"], &fixture("torchtitan.log"), "planned")
        .exits(0);
    assert!(
        !service.visitor().get("/runs/planned?lang=en").has(200).text.contains("/static/clients/sekisho.py")
    );
}

#[test]
fn a_growing_log_is_followed_through_rotation() {
    let service = Service::start();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("train.log");
    let line = |step: u64| {
        format!(
            "[titan] 2025-06-04 08:51:48,074 - root - INFO - step: {step}  loss:  {step}.5  memory: 1.0GiB(1.0%)  tps: 1  mfu: 1.0%\n"
        )
    };
    fs_err::write(&path, line(1) + &line(2)).expect("written");
    let mut command =
        service.command(&["import", "log", "--follow", "--tokens-per-step", "10", "--run", "grows"]);
    let mut follower = Process::spawn(command.arg(&path));
    let arrives = |wanted: u64| {
        until("the rows", 30, || {
            (service.visitor().get("/api/v1/runs/grows").status == 200).then_some(())?;
            (steps(&rows(&service, "grows")) == (1..=wanted).collect::<Vec<_>>()).then_some(())
        });
    };
    arrives(1);
    let mut file = fs_err::OpenOptions::new().append(true).open(&path).expect("open");
    let third = line(3);
    file.write_all(&third.as_bytes()[..60]).expect("half a line");
    file.flush().expect("flushed");
    std::thread::sleep(std::time::Duration::from_secs(1));
    file.write_all(&third.as_bytes()[60..]).expect("the other half");
    arrives(2);
    fs_err::rename(&path, folder.path().join("train.log.1")).expect("moved");
    fs_err::write(&path, line(4)).expect("another file");
    arrives(3);
    assert!(follower.is_running(), "the last row waits for what adds to it");
    assert_eq!(follower.terminate().code(), Some(0));
    arrives(4);
    let kept = rows(&service, "grows");
    assert_eq!(json!([kept[2]["loss"], kept[3]["tokens"]]), json!([3.5, 40]));
}

#[test]
fn histories_of_tensorboard_and_wandb_come_in_once() {
    let service = Service::start();
    let arguments = ["tensorboard", "--json", "--ended", "finished"];
    let board = import(&service, &arguments, &fixture("tensorboard"), "board").exits(0);
    assert_eq!(service.visitor().get("/api/v1/runs/board").has(200).json()["state"], "finished");
    assert_eq!(json!([board.json()["rows"], board.json()["new"]]), json!([8, 8]));
    assert_eq!(steps(&rows(&service, "board")), (1..=8).collect::<Vec<_>>());
    let again =
        import(&service, &["tensorboard", "--json"], &fixture("tensorboard"), "board").exits(0).json();
    assert_eq!(json!([again["new"], again["known"]]), json!([0, 8]));
    let history = import(&service, &["wandb"], &fixture("wandb-history.csv"), "history").exits(0);
    told(&history, &["train/global_step"]);
    assert_eq!(steps(&rows(&service, "history")), [10, 20, 30]);
    assert_eq!(rows(&service, "history")[1]["tokens"], 163_840);
    let chart =
        import(&service, &["wandb", "--tokens-per-step", "5"], &fixture("wandb-chart.csv"), "chart").exits(1);
    chart.says(&["--wandb-run", "v4-8b - exp2"]);
    let arguments = ["wandb", "--tokens-per-step", "5", "--wandb-run", "v4-8b - exp2"];
    import(&service, &arguments, &fixture("wandb-chart.csv"), "chart").exits(0);
    assert_eq!(
        json!([rows(&service, "chart")[1]["loss"], rows(&service, "chart")[1]["tokens"]]),
        json!([9.25, 15])
    );
}

#[test]
fn what_cannot_be_imported_says_why_and_registers_nothing() {
    let service = Service::start();
    let folder = tempfile::tempdir().expect("a folder");
    let empty = folder.path().join("empty");
    fs_err::write(&empty, "").expect("written");
    for (kind, path, code, says) in [
        ("log", empty.clone(), 1, "no line is one of megatron, torchtitan, nanotron's"),
        ("torchtitan", fixture("megatron.log"), 1, "no line is one of torchtitan's"),
        ("megatron", folder.path().join("nowhere"), 3, "nowhere"),
        ("wandb", empty.clone(), 1, "is empty"),
        ("tensorboard", empty.clone(), 1, "no scalar"),
        ("tensorboard", folder.path().to_owned(), 3, "events.out.tfevents"),
    ] {
        import(&service, &[kind], &path, "never").exits(code).says(&[says]);
    }
    service.visitor().get("/api/v1/runs/never").has(404);
}

/// The module as people fetch it, in every Python that this machine has.
#[test]
fn the_python_module_survives_what_a_training_run_meets() {
    let module = service_module();
    let (folder, source) =
        (tempfile::tempdir().expect("a folder"), fixture("../../../tests/oracle/python_client.py"));
    let file = folder.path().join("sekisho.py");
    fs_err::write(&file, module).expect("written");
    let mut tried = 0;
    for python in ["python3", "python3.8"] {
        let there =
            Command::new(python).arg("--version").output().is_ok_and(|output| output.status.success());
        if !there {
            continue;
        }
        tried += 1;
        let service = Service::start();
        let spools = tempfile::tempdir().expect("a folder");
        let mut command = Command::new(python);
        let checkpoint = tempfile::tempdir().expect("a folder");
        Recipe::default().write(checkpoint.path());
        command.arg(&source).arg(service.url()).arg(&file).arg(spools.path()).arg(checkpoint.path());
        let output = command.env("SEKISHO_TOKEN", service.token()).output().expect("it runs");
        let (said, failed) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{python}: {said}\n{failed}");
        assert_eq!(said.lines().count(), 9, "{said}");
    }
    assert!(tried > 0, "there is no python3");
}

fn service_module() -> String {
    let answer = Service::start().visitor().get("/static/clients/sekisho.py").has(200);
    assert_eq!(answer.headers["content-type"], "text/x-python; charset=utf-8");
    assert_eq!(answer.headers["cache-control"], "no-cache");
    answer.text
}
