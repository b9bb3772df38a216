use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sekisho_domain::run::MetricRow;
use sekisho_domain::{Step, Tokens};

use super::{Bench, assert_same, log};
use crate::{Ended, Progress, TrainOptions, replay, train};

#[test]
fn an_interrupted_run_ends_in_the_same_bits() {
    let bench = Bench::new();
    let straight = bench.train("straight", &[]).expect("a run");
    assert_eq!((straight.ended, straight.step), (Ended::Finished, Step(12)));
    assert_eq!(straight.tokens, Tokens(12 * 4 * 8));
    bench.train("parted", &[("steps = 12\n[checkpoint]", "steps = 5\n[checkpoint]")]).expect("five updates");
    // Rows and a checkpoint that a kill left behind: the log goes beyond the checkpoint, and a save was cut short.
    let parted = bench.path("parted");
    let text = fs_err::read_to_string(parted.join("log.jsonl")).expect("a log");
    let last = text.lines().last().expect("a row").replace("\"step\":5", "\"step\":6");
    fs_err::write(parted.join("log.jsonl"), format!("{text}{last}\n{{\"step\":7,")).expect("a longer log");
    fs_err::create_dir_all(parted.join(".step-000008.partial/training_state")).expect("a save cut short");
    // Another number of threads must not show.
    let options = TrainOptions { resume: true, threads: Some(1), ..bench.options("parted") };
    let resumed = train(&bench.spec(&[]), &options, &mut ()).expect("the other seven");
    assert_eq!((resumed.ended, resumed.step, resumed.tokens), (Ended::Finished, Step(12), straight.tokens));
    assert_same(&bench.path("straight"), &parted, "step-000012");
    assert!(!parted.join(".step-000008.partial").exists());
    let skipped = log(&parted).iter().filter(|row| row.lr == Some(0.0)).count();
    assert!(skipped > 0, "the comparison is to cover skipped updates");
}

/// Asks for a stop after an update.
struct StopAfter(u64, Arc<AtomicBool>);

impl Progress for StopAfter {
    fn start(&mut self, _done: Step, _total: Step) {}

    fn step(&mut self, row: &MetricRow, tokens_per_second: f64, _remaining: Duration) {
        assert!(tokens_per_second > 0.0);
        self.1.store(row.step.0 >= self.0, Ordering::Relaxed);
    }

    fn checkpoint(&mut self, _path: &Path, _step: Step) {}

    fn note(&mut self, _text: &str) {}
}

#[test]
fn a_run_that_is_asked_to_stop_writes_a_checkpoint_first() {
    let bench = Bench::new();
    let options = bench.options("run");
    let mut progress = StopAfter(6, options.stop.clone());
    let outcome = train(&bench.spec(&[]), &options, &mut progress).expect("a clean stop");
    assert_eq!((outcome.ended, outcome.step), (Ended::Stopped, Step(6)));
    assert_eq!(
        outcome.checkpoint.as_deref(),
        Some(&*bench.path("run/step-000006").canonicalize().expect("a checkpoint"))
    );
    bench.resume("run", &[]).expect("the rest");
    bench.train("straight", &[]).expect("a run");
    assert_same(&bench.path("straight"), &bench.path("run"), "step-000012");
}

/// Long enough to be killed in the middle, with checkpoints all the time, of which the best and few others stay, and with four batches
/// that it must leave out, two of them in a row.
fn long() -> Vec<(&'static str, &'static str)> {
    let own = [
        ("total_samples = 200", "total_samples = 20000"),
        ("total_steps = 12", "total_steps = 400"),
        ("steps = 12\n[checkpoint]", "steps = 400\n[checkpoint]"),
        ("every = 4", "every = 3\nkeep = [\"best:1\", \"last:3\", \"space:150KB\"]"),
        ("max_rollbacks = 3", "max_rollbacks = 4"),
    ];
    super::rollbacks::POISONED.into_iter().chain(own).collect()
}

#[test]
fn a_killed_run_ends_in_the_same_bits() {
    let bench = Bench::new();
    bench.poison(&[50, 51, 170, 298], 420);
    // A checkpoint is written almost all the time, so these moments lie before, in and after its steps.
    for n in 1..=12 {
        let (kill_at, later) = (n * 25, (n * n * 7919 % 12_000) as u64);
        let mut child = Command::new(std::env::current_exe().expect("this test"))
            .args(["--ignored", "--exact", "tests::resume::the_run_that_is_killed"])
            .env("SEKISHO_TEST_KILLED_RUN", bench.folder.path())
            .stdout(std::process::Stdio::null())
            .spawn()
            .expect("a process to kill");
        let deadline = Instant::now() + Duration::from_secs(120);
        let lines =
            || fs_err::read_to_string(bench.path("killed/log.jsonl")).map_or(0, |log| log.lines().count());
        while lines() < kill_at && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(2));
        }
        std::thread::sleep(Duration::from_micros(later));
        assert!(child.try_wait().expect("a child").is_none(), "the run ended before it could be killed");
        child.kill().expect("kill -9");
        child.wait().expect("a dead child");
        for step in crate::folder::RunFolder::existing(&bench.path("killed"))
            .and_then(|run| run.checkpoints())
            .expect("steps")
        {
            let folder = bench.path(&format!("killed/step-{step:06}"));
            let manifest = sekisho_weights::read_manifest(&folder).expect("a manifest");
            assert_eq!(sekisho_weights::hash_folder(&folder).expect("hashed"), manifest.files, "step {step}");
        }
    }
    bench.resume("killed", &long()).expect("the rest");
    bench.train("straight", &long()).expect("a run");
    assert_same(&bench.path("straight"), &bench.path("killed"), "step-000400");
    let read = |run: &str, file: &str| fs_err::read(bench.path(run).join(file)).expect("a file");
    for file in ["data.sha256", "rollbacks.json"] {
        assert!(read("straight", file) == read("killed", file), "{file} differs");
    }
    assert_eq!(String::from_utf8_lossy(&read("straight", "rollbacks.json")).matches("\"failed\"").count(), 4);
    let mut told = 0;
    replay(&bench.path("killed"), None, Step(1), Step(400), &mut |step| told += u64::from(step.checked))
        .expect("a replay");
    assert_eq!(told, 400, "what was trained on is told, past what was left out");
}

#[test]
#[ignore = "the process that a_killed_run_ends_in_the_same_bits kills"]
fn the_run_that_is_killed() {
    let Some(folder) = std::env::var_os("SEKISHO_TEST_KILLED_RUN") else { return };
    let spec = super::spec_in(Path::new(&folder), &long());
    let options = TrainOptions::new(Path::new(&folder).join("killed"), Arc::new(super::Stopped));
    train(&spec, &TrainOptions { resume: true, threads: Some(2), ..options }, &mut ()).expect("a run");
}
