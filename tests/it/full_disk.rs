//! Disks without room: told with the way on, and nothing that was finished is lost.

use std::process::Stdio;

use serde_json::json;
use tests::benchmark::{Benchmark, TASK};
use tests::checkpoints::Recipe;
use tests::cli;
use tests::data::json_lines;
use tests::disk::SmallDisk;
use tests::process::Process;
use tests::service::{Options, Service};
use tests::wait::until;

use crate::bad_input::{names, trained_on};

#[test]
fn an_upload_onto_a_full_disk_is_refused_and_taken_once_there_is_room() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    // About 10 MB.
    Recipe { hidden: 256, layers: 3, ..Recipe::default() }.write(folder.path());
    let disk = SmallDisk::mount(4_000);
    let (dir, limit) = match &disk {
        Some(disk) => (Some(disk.path().join("data")), None),
        // Where nobody may mount a small disk, a limit on the size of files stands for it: 2 MB.
        None => (None, Some(4_000)),
    };
    let mut service = Service::with(Options { dir, file_limit: limit, ..Options::default() });
    let flags = ["ingest", "--copy", "--run", "large", "--step", "1", "--tokens", "10"];
    let ended = cli::run(service.command(&flags).arg(folder.path())).exits(1);
    ended.says(&[
        "Not enough space for the upload",
        "What had arrived before stays. Free some space and send it again",
    ]);
    assert_eq!(names(&service.dir().join("staging")), [""; 0]);
    service.visitor().get("/readyz").has(204);
    let checkpoints = service.api().get("/api/v1/runs/large/checkpoints").has(200).items();
    assert_eq!(checkpoints, json!([]), "nothing of it is registered");

    match &disk {
        Some(disk) => disk.grow(64_000),
        None => service.lift_limit(),
    }
    let ended = cli::run(service.command(&flags).arg("--json").arg(folder.path())).exits(0);
    assert_eq!(ended.json()["state"], "verified");
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
    let ended = cli::run(cli::limited(200, ["train"]).arg(&spec).arg("--dir").arg(&out)).exits(1);
    ended.says(&["Not enough space", "for checkpoint 1 in ", "Free some space and resume."]);
    assert!(!names(&out).iter().any(|name| name.contains("step-")), "{:?}", names(&out));
}

/// The same for everything else that a run and the demo write.
#[test]
fn no_room_for_a_log_or_an_input_is_told_with_the_way_on() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (spec, out) = (folder.path().join("spec.toml"), folder.path().join("run"));
    let says = ["Not enough space on the disk (", "Free some space and start again"];
    let long =
        trained_on(folder.path()).replace("steps = 4", "steps = 200").replace("every = 1", "every = 500");
    fs_err::write(&spec, long).expect("written");
    cli::run(cli::limited(16, ["train"]).arg(&spec).arg("--dir").arg(&out)).exits(1).says(&says);
    let log = json_lines(&out.join("log.jsonl"));
    assert!(!log.is_empty(), "whole lines only");

    let none = folder.path().join("none");
    cli::run(cli::limited(1, ["train"]).arg(&spec).arg("--dir").arg(&none)).exits(1).says(&says);
    assert!(!none.exists(), "nothing of a run that did not begin");

    let demo = folder.path().join("demo");
    let ended = cli::run(cli::limited(50, ["demo", "--once", "--port", "0", "--dir"]).arg(&demo)).exits(1);
    ended.says(&says);
    assert!(
        !names(&demo.join("input/corpus")).iter().any(|name| !name.ends_with(".jsonl")),
        "whole files only"
    );
}

#[test]
fn a_full_disk_costs_no_record_and_no_metric() {
    let Some(disk) = SmallDisk::mount(6_000) else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let benchmark = Benchmark::write(folder.path(), 160, 400);
    let model = folder.path().join("model");
    Recipe { hidden: 192, layers: 4, seed: 3, shards: 1 }.write(&model);
    let dir = Some(disk.path().join("data"));
    let service = Service::with(Options { config: benchmark.config(), dir, ..Options::default() });
    let checkpoint = service.ingest(&model, "r", 1, 10);
    let filler = disk.fill();
    let rows: Vec<_> = (1..5000).map(|step| json!({ "step": step, "tokens": step, "loss": 1.0 })).collect();
    let batch = json!({ "seq": 0, "writer": "w", "rows": rows });
    let api = service.api();
    api.post("/api/v1/runs/r/metrics", &batch).is_problem(507, "disk-full");
    let log = folder.path().join("worker.log");
    let mut command = service.command(&["worker", "--server", service.url()]);
    command.env("XDG_CACHE_HOME", folder.path().join("cache")).stdout(Stdio::null());
    let _worker = Process::spawn(command.stderr(fs_err::File::create(&log).expect("a log").into_file()));
    // Neither leases nor records can be written now.
    until("a worker that waits", 60, || {
        fs_err::read_to_string(&log).ok().filter(|log| log.contains("Not enough space"))
    });
    fs_err::remove_file(filler).expect("room");
    api.post("/api/v1/runs/r/metrics", &batch).has(200);
    let evaluation = service.finished_evaluation(&checkpoint, 180);
    assert_eq!(service.records(&evaluation, TASK).len(), 160);
}
