//! kill -9 of a worker, of the service and of a trainer: nothing that was finished is lost or done again.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use tests::benchmark::{Benchmark, PROFILE, TASK};
use tests::checkpoints::{Recipe, VOCABULARY, write_tokenizer};
use tests::cli;
use tests::data::json_lines;
use tests::database::Database;
use tests::process::{Process, children, lives};
use tests::service::{Options, Service};
use tests::wait::until;

/// Large enough that an evaluation takes seconds.
const SLOW: Recipe = Recipe { hidden: 192, layers: 4, seed: 3, shards: 1 };
/// Longest time for an evaluation, in seconds.
const PATIENCE: u64 = 180;

/// A service with a checkpoint to examine, and what comes of it when nobody is killed.
pub(crate) struct Stage {
    pub(crate) service: Service,
    checkpoint: Value,
    benchmark: Benchmark,
    report: Value,
    records: Vec<Value>,
    _folder: tempfile::TempDir,
}

impl Stage {
    pub(crate) fn new() -> Self {
        Self::with(false)
    }

    /// With a worker of the service's own or without.
    fn with(local_worker: bool) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let benchmark = Benchmark::write(folder.path(), 160, 400);
        let model = folder.path().join("model");
        SLOW.write(&model);
        let (report, records) = undisturbed(&benchmark, &model, &folder.path().join("records.jsonl"));
        let config = benchmark.config();
        let service = Service::with(Options { config, local_worker, ..Options::default() });
        let checkpoint = service.ingest(&model, "slow", 1, 1000);
        Self { service, checkpoint, benchmark, report, records, _folder: folder }
    }

    /// Waits until some answers are in and others are not; answers how many.
    pub(crate) fn in_the_middle(&self) -> u64 {
        until("the first answers", PATIENCE, || {
            let finished = self.evaluation()["tasks"][0]["finished"].as_u64()?;
            assert!(finished < self.benchmark.items, "the evaluation was over before it could be killed");
            (finished > 0).then_some(finished)
        })
    }

    pub(crate) fn evaluation(&self) -> Value {
        self.service.evaluation(&self.checkpoint).expect("queued when the checkpoint was verified")
    }

    /// The finished evaluation has the records and scores of one that nobody killed, bit for bit.
    pub(crate) fn assert_as_undisturbed(&self) {
        let evaluation = self.service.finished_evaluation(&self.checkpoint, PATIENCE);
        let records = self.service.records(&evaluation, TASK);
        assert_eq!(records.len() as u64, self.benchmark.items);
        for (record, expected) in records.iter().zip(&self.records) {
            assert_eq!(record, expected);
        }
        let scores = evaluation["tasks"][0]["scores"].as_array().expect("scores");
        let results = self.report["results"].as_array().expect("results");
        assert_eq!(scores.len(), results.len());
        for (score, result) in scores.iter().zip(results) {
            for key in ["metric", "value", "stderr", "low", "high", "n", "fingerprint"] {
                assert_eq!(score[key], result[key], "{key}");
            }
        }
    }
}

/// The evaluation without a server.
fn evaluation(benchmark: &Benchmark, model: &Path, out: &Path) -> Command {
    let mut command = cli::command(["eval", "--json", "--profile", PROFILE, "--task", TASK]);
    command.arg("--model").arg(model).arg("--data").arg(&benchmark.data);
    command.arg("--tasks").arg(&benchmark.tasks).arg("--out").arg(out);
    command
}

/// Its report, and its records by item.
fn undisturbed(benchmark: &Benchmark, model: &Path, out: &Path) -> (Value, Vec<Value>) {
    let report = cli::run(&mut evaluation(benchmark, model, out)).exits(0).json();
    let mut records = json_lines(out);
    records.sort_by_key(|record| record["item"].as_u64());
    (report, records)
}

/// Scores without what they cost.
fn scores(report: &Value) -> Vec<Value> {
    let mut results = report["results"].as_array().expect("results").clone();
    for result in &mut results {
        result
            .as_object_mut()
            .expect("an object")
            .retain(|key, _| !["seconds", "tokens"].contains(&key.as_str()));
    }
    results
}

#[test]
fn a_killed_evaluation_asks_nothing_twice_and_ends_with_the_same_scores() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let benchmark = Benchmark::write(folder.path(), 160, 400);
    let model = folder.path().join("model");
    SLOW.write(&model);
    let (whole, records) = undisturbed(&benchmark, &model, &folder.path().join("whole.jsonl"));
    let out = folder.path().join("out.jsonl");
    let mut kills = 0;
    for more in [1, 40] {
        let lines = || fs_err::read_to_string(&out).map_or(0, |text| text.lines().count());
        let before = lines();
        let mut command = evaluation(&benchmark, &model, &out);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("started");
        until("records", PATIENCE, || (lines() >= before + more).then_some(()));
        child.kill().expect("killed");
        kills += usize::from(!child.wait().expect("ended").success());
    }
    assert_eq!(kills, 2, "the evaluation was over before it could be killed");
    let kept = fs_err::read_to_string(&out).expect("there");
    let complete = &kept[..kept.rfind('\n').map_or(0, |end| end + 1)];
    let (report, again) = undisturbed(&benchmark, &model, &out);
    assert_eq!((scores(&report), again), (scores(&whole), records));
    assert!(
        fs_err::read_to_string(&out).expect("there").starts_with(complete),
        "what was answered is as it was"
    );
}

#[test]
fn a_killed_worker_loses_nothing_that_was_finished() {
    let stage = Stage::new();
    let database = Database::open(&stage.service.dir());
    let mut first = stage.service.worker();
    stage.in_the_middle();
    first.kill9();
    // What the worker had sent is still taken in.
    let mut seen = None;
    let before = until("the service at rest", 10, || {
        let now = Some(database.work(&stage.evaluation()));
        let rests = now == seen;
        seen.clone_from(&now);
        now.filter(|_| rests)
    });
    let batches = database.batches(&before);

    // A minute of silence, without the minute.
    database.execute("UPDATE work_items SET lease_until = 1 WHERE state = 'running'");
    let _second = stage.service.worker();
    stage.assert_as_undisturbed();

    let after = database.work(&stage.evaluation());
    assert_eq!((before.attempt, after.attempt), (1, 2), "one lease was lost, one more was given");
    let all = database.batches(&after);
    assert_eq!(all[..batches.len()], batches, "what was answered before stays as it is");
    let mut items = all.concat();
    items.sort_unstable();
    assert_eq!(items, (0..stage.benchmark.items).collect::<Vec<u64>>(), "every item exactly once");
    // Questions are of one length, so the tokens tell how many of them the second worker asked.
    let per_item =
        stage.report["results"][0]["tokens"]["prompt"].as_u64().expect("a number") / stage.benchmark.items;
    let left = stage.benchmark.items - before.finished;
    assert_eq!(after.tokens.prompt - before.tokens.prompt, per_item * left, "nothing is asked twice");
}

#[test]
fn a_killed_service_finds_its_work_again() {
    let mut stage = Stage::new();
    let _worker = stage.service.worker();
    let finished = stage.in_the_middle();
    stage.service.kill9();
    stage.service.restart();
    let kept = stage.evaluation()["tasks"][0]["finished"].as_u64().expect("a number");
    assert!(kept >= finished, "{finished} answers were accepted, {kept} are left");
    stage.assert_as_undisturbed();
    assert_eq!(stage.evaluation()["tasks"][0]["attempt"], 1, "the worker waited for the service and went on");
}

#[test]
fn a_killed_service_takes_its_worker_with_it_and_gives_its_work_to_the_next() {
    let mut stage = Stage::with(true);
    let finished = stage.in_the_middle();
    let workers = children(stage.service.pid());
    assert_eq!(workers.len(), 1, "{workers:?}");
    stage.service.kill9();
    until("the end of the worker", 10, || (!lives(workers[0])).then_some(()));
    stage.service.restart();
    let kept = stage.evaluation()["tasks"][0]["finished"].as_u64().expect("a number");
    assert!(kept >= finished, "{finished} answers were accepted, {kept} are left");
    stage.assert_as_undisturbed();
    assert_eq!(stage.evaluation()["tasks"][0]["attempt"], 1, "the lease was given up, not waited for");
}

/// Updates of the run that is killed.
const STEPS: u64 = 60;

fn specification(folder: &Path) -> String {
    write_tokenizer(&folder.join("tokenizer"));
    let text = |document: u32| {
        (0..400).map(|i| format!("{} ", (document * 7919 + i * i * 31) % 1000)).collect::<String>()
    };
    let documents: String =
        (0..20).map(|i| format!("{}\n", serde_json::json!({ "text": text(i) }))).collect();
    fs_err::write(folder.join("text.jsonl"), documents).expect("written");
    format!(
        r#"name = "killed"
[model]
vocab_size = {VOCABULARY}
hidden_size = 64
num_hidden_layers = 2
num_attention_heads = 4
num_key_value_heads = 2
intermediate_size = 176
rope_theta = 10000.0
rms_norm_eps = 1e-5
tie_word_embeddings = true
max_position_embeddings = 128
[tokenizer]
path = "tokenizer"
[data]
sequence_length = 128
[[data.mix]]
name = "numbers"
path = "text.jsonl"
[batch]
sequences = 8
[optimizer]
lr = 3e-3
[schedule]
kind = "wsd"
warmup_steps = 5
decay_steps = 10
[stop]
steps = {STEPS}
[checkpoint]
every = 5
"#
    )
}

fn train(spec: &Path, out: &Path, resume: bool) -> Command {
    let mut command = cli::command(["train"]);
    command.arg(spec).arg("--dir").arg(out).stdout(Stdio::null()).stderr(Stdio::null());
    if resume {
        command.arg("--resume");
    }
    command
}

/// Waits until a run has made so many updates, and kills it.
fn kill_after(updates: usize, trainer: &mut Process, out: &Path) {
    until("so many updates", 120, || {
        assert!(trainer.is_running(), "the run was over before it could be killed");
        let log = fs_err::read_to_string(out.join("log.jsonl")).unwrap_or_default();
        (log.lines().count() >= updates).then_some(())
    });
    trainer.kill9();
}

#[test]
fn a_killed_trainer_has_told_the_server_everything_once_in_the_end() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (spec, out) = (folder.path().join("spec.toml"), folder.path().join("run"));
    fs_err::write(&spec, specification(folder.path())).expect("written");
    let service = Service::start();
    let reporting = |resume: bool| {
        let mut command = train(&spec, &out, resume);
        command.args(["--server", service.url(), "--token-file"]).arg(service.dir().join("admin-token"));
        command.env("SEKISHO_TOKEN", "");
        command
    };
    for (resume, after) in [(false, 12), (true, 33)] {
        kill_after(after, &mut Process::spawn(&mut reporting(resume)), &out);
    }
    cli::run(reporting(true).stderr(Stdio::piped())).exits(0);

    let api = service.api();
    let rows = api.get("/api/v1/runs/killed/metrics").has(200).items();
    assert_eq!(rows.as_array(), Some(&json_lines(&out.join("log.jsonl"))), "the server has the log");
    // A process that was killed before it had reported anything is none.
    let segments = api.get("/api/v1/runs/killed/segments").has(200).items();
    let segments = segments.as_array().expect("a list").len();
    assert!((2..=3).contains(&segments), "{segments}");
    let events = api.get("/api/v1/runs/killed/events").has(200).items();
    let lost = events.as_array().expect("a list").iter().filter_map(|event| event["lost_seconds"].as_f64());
    let lost: Vec<f64> = lost.filter(|seconds| *seconds > 0.0).collect();
    assert_eq!(lost.len(), segments - 1, "each restart says what it lost: {events}");
    let expected: Vec<u64> = (1..=STEPS / 5).map(|n| n * 5).collect();
    until("the verdicts", 60, || {
        let found = api.get("/api/v1/runs/killed/checkpoints").has(200).items();
        let all = found.as_array().expect("a list");
        let steps: Vec<u64> = all.iter().filter_map(|one| one["step"].as_u64()).collect();
        assert_eq!(steps, expected, "each once");
        all.iter().all(|one| one["state"] == "verified").then_some(())
    });
}

#[test]
fn a_folder_has_one_trainer_and_one_service() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (spec, out) = (folder.path().join("spec.toml"), folder.path().join("run"));
    fs_err::write(&spec, specification(folder.path())).expect("written");
    let trainer = Process::spawn(&mut train(&spec, &out, false));
    until("the first update", 120, || out.join("spec.toml").is_file().then_some(()));
    let ended = cli::run(train(&spec, &out, true).stderr(Stdio::piped())).exits(1);
    ended.says(&["run is in use by process ", " on ", "--dir"]);
    drop(trainer);
    assert!(out.join("spec.toml").is_file(), "what the first one made stays");

    let service = Service::start();
    let says = format!("{} is in use by process {} on ", service.dir().display(), service.pid());
    for command in
        [&["serve", "--listen", "127.0.0.1:0", "--dir"][..], &["demo", "--once", "--port", "0", "--dir"]]
    {
        cli::run(cli::command(command).arg(service.dir())).exits(1).says(&[&says, "--dir"]);
    }
    assert!(!service.dir().join("input").exists(), "the demo wrote nothing");
}

#[test]
fn a_killed_trainer_goes_on_as_if_nothing_had_happened() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (spec, whole, killed) =
        (folder.path().join("spec.toml"), folder.path().join("whole"), folder.path().join("killed"));
    fs_err::write(&spec, specification(folder.path())).expect("written");
    cli::run(train(&spec, &whole, false).args(["--threads", "1"]).stderr(Stdio::piped())).exits(0);

    for (resume, after) in [(false, 8), (true, 27)] {
        kill_after(after, &mut Process::spawn(&mut train(&spec, &killed, resume)), &killed);
    }
    cli::run(train(&spec, &killed, true).stderr(Stdio::piped())).exits(0);

    let log = |out: &Path| -> Vec<Value> {
        let mut rows = json_lines(&out.join("log.jsonl"));
        rows.iter_mut().for_each(|row| row["seconds"] = Value::Null);
        rows
    };
    let rows = log(&killed);
    let steps: Vec<u64> = rows.iter().filter_map(|row| row["step"].as_u64()).collect();
    assert_eq!(steps, (1..=STEPS).collect::<Vec<u64>>(), "every step once");
    assert_eq!(rows, log(&whole), "every number as it would have been");
    let last = format!("step-{STEPS:06}");
    for file in [
        "model.safetensors",
        "config.json",
        "training_state/parameters.safetensors",
        "training_state/moments.safetensors",
    ] {
        let read = |out: &Path| fs_err::read(out.join(&last).join(file)).expect("a checkpoint's file");
        assert!(read(&killed) == read(&whole), "{file} differs");
    }
    let left: Vec<_> = fs_err::read_dir(&killed)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().contains("partial")), "{left:?}");
}
