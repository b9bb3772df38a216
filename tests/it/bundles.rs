//! Work for nodes without a network: out in a folder, answered there, and back.

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tests::benchmark::{Benchmark, TASK};
use tests::checkpoints::Recipe;
use tests::cli;
use tests::data::json_lines;
use tests::process::Process;
use tests::service::{Options, Service, text};
use tests::wait::until;

const SMALL: Recipe = Recipe { hidden: 32, layers: 1, seed: 3, shards: 1 };
const SLOW: Recipe = Recipe { hidden: 192, layers: 4, seed: 3, shards: 1 };

/// A service with checkpoints that wait, and no worker.
struct Stage {
    service: Service,
    checkpoints: Vec<Value>,
    folder: tempfile::TempDir,
    benchmark: Benchmark,
}

impl Stage {
    fn new(recipe: Recipe, checkpoints: u64, items: u64, length: usize) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let benchmark = Benchmark::write(folder.path(), items, length);
        let service = Service::with(Options { config: benchmark.config(), ..Options::default() });
        let ingest = |step: u64| {
            let model = folder.path().join(format!("model-{step}"));
            Recipe { seed: u32::try_from(step).expect("few"), ..recipe }.write(&model);
            service.ingest(&model, "run", step, 1000 * step)
        };
        let checkpoints = (1..=checkpoints).map(ingest).collect();
        Self { service, checkpoints, folder, benchmark }
    }

    fn bundle(&self, name: &str, more: &[&str]) -> std::path::PathBuf {
        let folder = self.folder.path().join(name);
        let path = folder.display().to_string();
        cli::run(&mut self.service.command(&[&["bundle", "make", &path], more].concat())).exits(0);
        folder
    }

    fn take(&self, folder: &Path, more: &[&str]) -> Command {
        self.service.command(&[&["bundle", "take", &folder.display().to_string()], more].concat())
    }
}

/// The worker of a node: it knows of no service.
fn worker(folder: &Path) -> Command {
    let mut command =
        cli::command(["worker", "--bundle", &folder.display().to_string(), "--server", "http://127.0.0.1:9"]);
    command.env_remove("SEKISHO_TOKEN");
    command
}

fn results(folder: &Path, end: &str) -> Vec<std::path::PathBuf> {
    let files = fs_err::read_dir(folder.join("results")).expect("results").filter_map(Result::ok);
    let mut files: Vec<_> = files.map(|entry| entry.path()).collect();
    files.retain(|path| path.display().to_string().ends_with(end));
    files.sort();
    files
}

#[test]
fn a_bundle_goes_out_is_answered_and_counts_once() {
    let stage = Stage::new(SMALL, 2, 8, 40);
    let folder = stage.bundle("out", &["--weights"]);
    // The node sees neither the checkpoints nor the data of the service.
    for step in 1..=2 {
        fs_err::rename(
            stage.folder.path().join(format!("model-{step}")),
            stage.folder.path().join(format!("away-{step}")),
        )
        .expect("moved");
    }
    cli::run(&mut worker(&folder)).exits(0);
    for step in 1..=2 {
        fs_err::rename(
            stage.folder.path().join(format!("away-{step}")),
            stage.folder.path().join(format!("model-{step}")),
        )
        .expect("moved");
    }
    assert_eq!(results(&folder, ".done.json").len(), 2);
    let taken = cli::run(&mut stage.take(&folder, &[])).exits(0);
    assert!(taken.stdout.contains("2 of 2 work items taken"), "{}", taken.stdout);
    cli::run(&mut stage.take(&folder, &[])).exits(0);
    for checkpoint in &stage.checkpoints {
        let evaluation = stage.service.finished_evaluation(checkpoint, 20);
        assert_eq!(stage.service.records(&evaluation, TASK).len(), 8, "once, though it was handed in twice");
    }
    let nothing = stage.folder.path().join("nothing").display().to_string();
    let refused = cli::run(&mut stage.service.command(&["bundle", "make", &nothing])).exits(4);
    assert!(refused.stderr.contains("Nothing waits") && !Path::new(&nothing).exists(), "{}", refused.stderr);
}

#[test]
fn a_killed_bundle_goes_on_and_a_half_finished_one_is_refused() {
    let stage = Stage::new(SLOW, 1, 160, 400);
    let folder = stage.bundle("out", &[]);
    let mut running = Process::spawn(worker(&folder).stderr(std::process::Stdio::null()));
    let answered = until("some answers", 60, || {
        let lines = results_lines(&folder);
        (lines > 10).then_some(lines)
    });
    running.kill9();
    assert!(answered < 160);
    let refused = cli::run(&mut stage.take(&folder, &[])).exits(1);
    assert!(
        refused.stdout.contains("not finished") && refused.stdout.contains("0 of 1"),
        "{}",
        refused.stdout
    );
    let before = fs_err::read_to_string(&results(&folder, ".jsonl")[0]).expect("records");
    let whole = &before[..before.rfind('\n').map_or(0, |at| at + 1)];
    cli::run(&mut worker(&folder)).exits(0);
    let after = fs_err::read_to_string(&results(&folder, ".jsonl")[0]).expect("records");
    assert!(after.starts_with(whole), "what was answered is not asked again");
    assert_eq!(json_lines(&results(&folder, ".jsonl")[0]).len(), 160);
    cli::run(&mut stage.take(&folder, &[])).exits(0);
    let _ = stage.service.finished_evaluation(&stage.checkpoints[0], 20);
}

fn results_lines(folder: &Path) -> usize {
    let results = folder.join("results");
    let files =
        fs_err::read_dir(results).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path());
    let jsonl = files.filter(|path| path.extension().is_some_and(|end| end == "jsonl"));
    jsonl.map(|path| fs_err::read_to_string(path).unwrap_or_default().lines().count()).sum()
}

#[test]
fn an_altered_bundle_is_refused_and_what_is_complete_counts() {
    let mut stage = Stage::new(SMALL, 2, 8, 40);
    let folder = stage.bundle("out", &[]);
    cli::run(&mut worker(&folder)).exits(0);
    let manifest = folder.join("bundle.json");
    let sealed = fs_err::read_to_string(&manifest).expect("a bundle");
    fs_err::write(&manifest, sealed.replace("\"fence\": 1", "\"fence\": 2")).expect("written");
    for mut command in [stage.take(&folder, &[]), worker(&folder)] {
        let refused = cli::run(&mut command).exits(1);
        assert!(refused.stderr.contains("was altered after the bundle was made"), "{}", refused.stderr);
    }
    fs_err::write(&manifest, &sealed).expect("written");
    let records = &results(&folder, ".jsonl")[0];
    let honest = fs_err::read_to_string(records).expect("records");
    fs_err::write(records, honest.replace("\"item\":3", "\"item\":4")).expect("written");
    let half = cli::run(&mut stage.take(&folder, &[])).exits(1);
    assert!(
        half.stdout.contains("is not the file that the worker finished") && half.stdout.contains("1 of 2"),
        "{}",
        half.stdout
    );
    fs_err::write(records, &honest).expect("written");
    // The task is another one by now, so what is left is of another plan.
    let file = stage.benchmark.tasks.join("gates.toml");
    let task = fs_err::read_to_string(&file).expect("a task");
    fs_err::write(&file, task.replace("delimiter = \" \"", "delimiter = \"  \"")).expect("written");
    stage.service.terminate();
    stage.service.restart();
    let other = cli::run(&mut stage.take(&folder, &["--give-back"])).exits(1);
    assert!(other.stdout.contains("of another plan"), "{}", other.stdout);
    let states: Vec<String> = stage
        .checkpoints
        .iter()
        .map(|checkpoint| {
            let evaluation = stage.service.evaluation(checkpoint).expect("queued");
            text(&evaluation["tasks"][0]["state"]).to_owned()
        })
        .collect();
    assert!(states.contains(&"finished".to_owned()) && states.contains(&"waiting".to_owned()), "{states:?}");
}
