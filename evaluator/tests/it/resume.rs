//! `--out`: a run that was cut short goes on where it was, and ends with the same bytes of scores.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sekisho_bench::{Record, TaskDefinition};
use sekisho_domain::evaluation::{Bos, TaskRun};
use sekisho_evaluator::{EvalError, Model, Progress, Prompts, Report, Request, Settings, Spent, evaluate};

use crate::support::{asked, load_model, oracle, read, stories};

/// Stops after so many items.
struct StopAfter {
    left: usize,
    stop: Arc<AtomicBool>,
    asked: u64,
}

impl Progress for StopAfter {
    fn task(&mut self, _task: usize, _name: &str, _total: u64, left: u64) {
        self.asked += left;
    }

    fn worked(&mut self, _task: usize, _spent: Spent) {}

    fn item(&mut self, _task: usize) {
        self.left = self.left.saturating_sub(1);
        if self.left == 0 {
            self.stop.store(true, Ordering::Relaxed);
        }
    }
}

fn tasks() -> Vec<(TaskDefinition, TaskRun)> {
    ["lm-eval/openbookqa/test", "lm-eval/xwinograd_jp/test"]
        .into_iter()
        .map(|name| asked(name, 12, None))
        .map(|asked| (asked.definition, asked.run))
        .collect()
}

/// Runs up to `most` items; the report, and how many items were still to be asked.
fn run(model: &Model, out: &Path, most: usize) -> (Result<Report, EvalError>, u64) {
    let stop = Arc::new(AtomicBool::new(false));
    let mut progress = StopAfter { left: most, stop: stop.clone(), asked: 0 };
    let request = Request {
        tasks: &tasks(),
        read: &read,
        accept: &[],
        bos: Bos::Auto,
        settings: Settings::default(),
        threads: Some(2),
        out: Some(out),
        stop,
    };
    let report = evaluate(model, &request, &mut Prompts::new(), &mut progress);
    (report, progress.asked)
}

fn records(path: &Path) -> Vec<Record> {
    let text = fs_err::read_to_string(path).expect("there");
    let mut records: Vec<Record> =
        text.lines().map(|line| serde_json::from_str(line).expect("a record")).collect();
    records.sort_by(|a, b| (&a.task, a.item).cmp(&(&b.task, b.item)));
    records
}

fn results(report: &Report) -> serde_json::Value {
    let mut value = serde_json::to_value(report).expect("JSON");
    for result in value["results"].as_array_mut().expect("a list") {
        // What it cost differs; what came out does not.
        for key in ["seconds", "tokens"] {
            result.as_object_mut().expect("an object").remove(key).expect("the contract has it");
        }
    }
    value["results"].take()
}

#[test]
fn a_run_that_was_killed_goes_on_at_the_item() {
    let Some(dir) = stories() else { return };
    let model = load_model(&dir);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let whole = folder.path().join("whole.jsonl");
    let report = run(&model, &whole, usize::MAX).0.expect("finished");
    let out = folder.path().join("out.jsonl");
    let (stopped, _) = run(&model, &out, 5);
    assert!(matches!(stopped, Err(EvalError::Stopped)));
    let kept = records(&out).len();
    assert!((5..24).contains(&kept), "{kept} records are kept");
    // A kill in the middle of a write leaves half a line.
    let mut text = fs_err::read_to_string(&out).expect("there");
    text.push_str(r#"{"profile":"lm-eval@0.4","task":"openb"#);
    fs_err::write(&out, text).expect("written");
    let (finished, asked) = run(&model, &out, usize::MAX);
    assert_eq!(asked, 24 - kept as u64, "nothing is asked twice");
    assert_eq!(records(&out), records(&whole));
    assert_eq!(results(&finished.expect("finished")), results(&report));
    let (again, asked) = run(&model, &out, usize::MAX);
    assert_eq!((asked, results(&again.expect("finished"))), (0, results(&report)));
}

#[test]
fn answers_of_another_model_are_not_mixed_in() {
    let (Some(dir), Some(other)) = (stories(), oracle()) else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = folder.path().join("out.jsonl");
    let stopped = run(&load_model(&dir), &out, 3).0;
    assert!(matches!(stopped, Err(EvalError::Stopped)));
    let before = fs_err::read(&out).expect("there");
    let error = run(&load_model(&other), &out, usize::MAX).0.expect_err("another model");
    assert!(error.to_string().contains("out.jsonl"), "{error}");
    assert_eq!(fs_err::read(&out).expect("there"), before, "nothing was changed");
}

/// Answers belong to content: the same model under another name goes on from them.
#[test]
fn a_renamed_model_asks_nothing_again() {
    let Some(dir) = stories() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let copy = folder.path().join("another-name");
    fs_err::create_dir(&copy).expect("created");
    for file in fs_err::read_dir(&dir).expect("there").flatten() {
        fs_err::copy(file.path(), copy.join(file.file_name())).expect("copied");
    }
    let out = folder.path().join("out.jsonl");
    let report = run(&load_model(&dir), &out, usize::MAX).0.expect("finished");
    let (again, asked) = run(&load_model(&copy), &out, usize::MAX);
    assert_eq!((asked, results(&again.expect("finished"))), (0, results(&report)));
}

#[test]
fn a_damaged_line_is_named_and_nothing_behind_it_is_lost() {
    let Some(dir) = stories() else { return };
    let model = load_model(&dir);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = folder.path().join("out.jsonl");
    assert!(matches!(run(&model, &out, 5).0, Err(EvalError::Stopped)));
    let damaged = fs_err::read_to_string(&out).expect("there").replacen("\"task\"", "\"tusk\"", 2);
    fs_err::write(&out, &damaged).expect("written");
    let error = run(&model, &out, usize::MAX).0.expect_err("a line that is no record").to_string();
    assert!(error.contains("out.jsonl, line 1 is no record"), "{error}");
    assert_eq!(fs_err::read_to_string(&out).expect("there"), damaged);
}

#[test]
fn two_evaluations_do_not_write_one_file() {
    let Some(dir) = stories() else { return };
    let model = load_model(&dir);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = folder.path().join("out.jsonl");
    let held = fs_err::File::create(&out).expect("created");
    held.file().lock().expect("locked");
    let error = run(&model, &out, usize::MAX).0.expect_err("held").to_string();
    assert!(error.contains("another evaluation writes") && error.contains("--out"), "{error}");
    drop(held);
    run(&model, &out, usize::MAX).0.expect("free again");
}

#[test]
fn the_report_is_the_contracts() {
    let Some(dir) = stories() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let model = load_model(&dir);
    let report = run(&model, &folder.path().join("out.jsonl"), usize::MAX).0.expect("finished");
    let value = serde_json::to_value(&report).expect("JSON");
    assert_eq!(value["model"]["digest"], model.digest.to_string());
    assert_eq!(value["model"]["parameters"], 260_032);
    for key in ["tokenizer", "bos", "dtype", "device", "engine", "version"] {
        assert!(value["environment"][key].is_string(), "environment.{key}");
    }
    for (key, number) in [("threads", 2), ("truncated", 0), ("max_length", 512)] {
        assert_eq!(value["environment"][key], number, "environment.{key}");
    }
    let results = value["results"].as_array().expect("a list");
    assert_eq!(results.len(), 4, "acc, acc_norm and acc_bytes of one task, acc of the other");
    for result in results {
        let number = |key: &str| result[key].as_f64().unwrap_or_else(|| panic!("{key} in {result}"));
        assert!(number("low") <= number("value") && number("value") <= number("high"), "{result}");
        assert_eq!((number("n"), number("truncated")), (12.0, 0.0), "{result}");
        let tokens = &result["tokens"];
        assert!(tokens["prefilled"].as_u64() < tokens["prompt"].as_u64(), "{result}");
    }
}
