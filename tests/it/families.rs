//! A Gemma through the commands: it comes in, and is evaluated by a worker and without a service.

use std::path::Path;

use serde_json::{Value, json};
use tests::benchmark::{Benchmark, PROFILE, TASK};
use tests::checkpoints::Recipe;
use tests::cli;
use tests::service::{Options, Service};

/// `sekisho eval`: its answer, and the log-likelihoods it wrote down.
fn eval(model: &Path, benchmark: &Benchmark, out: &Path, flags: &[&str]) -> (Value, Vec<f64>) {
    let mut command = cli::command(["eval", "--json", "--profile", PROFILE, "--task", TASK]);
    command.arg("--model").arg(model).arg("--data").arg(&benchmark.data).arg("--tasks").arg(&benchmark.tasks);
    let answer = cli::run(command.args(flags).arg("--out").arg(out)).exits(0).json();
    let lines = fs_err::read_to_string(out).expect("records");
    let records = lines.lines().map(|line| serde_json::from_str::<Value>(line).expect("a record"));
    (answer, loglikelihoods(records))
}

fn loglikelihoods(records: impl IntoIterator<Item = Value>) -> Vec<f64> {
    let mut records: Vec<Value> = records.into_iter().collect();
    records.sort_by_key(|record| record["item"].as_u64());
    let of = |record: &Value| record["loglikelihoods"].as_array().cloned().unwrap_or_default();
    records.iter().flat_map(of).filter_map(|value| value.as_f64()).collect()
}

fn close(one: &[f64], other: &[f64]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(a, b)| (a - b).abs() <= 1e-4 * b.abs())
}

#[test]
fn a_gemma_is_taken_in_and_evaluated() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let benchmark = Benchmark::write(folder.path(), 6, 40);
    let model = folder.path().join("model");
    Recipe::default().write_gemma(&model);
    let service = Service::with(Options { config: benchmark.config(), ..Options::default() });
    let checkpoint = service.ingest(&model, "gemma", 1, 10);
    let layer = 2 * 32 + 4 * 32 * 32 + 3 * 32 * 85;
    assert_eq!(checkpoint["parameters"], json!(258 * 32 + 2 * layer + 32), "{checkpoint}");

    let (shared, ours) = eval(&model, &benchmark, &folder.path().join("shared.jsonl"), &[]);
    let (_, alone) = eval(&model, &benchmark, &folder.path().join("alone.jsonl"), &["--no-sharing"]);
    assert_eq!(ours.len(), 24);
    assert!(close(&ours, &alone), "{ours:?}, without sharing {alone:?}");
    assert_eq!(shared["environment"]["engine"], "candle");
    assert_eq!(shared["environment"]["invariant"], false);
    assert_eq!(shared["model"]["parameters"], checkpoint["parameters"]);
    assert_eq!(shared["model"]["digest"], checkpoint["digest"]);

    let _worker = service.worker();
    let evaluation = service.finished_evaluation(&checkpoint, 60);
    let theirs = loglikelihoods(service.records(&evaluation, TASK));
    assert!(close(&theirs, &ours), "{theirs:?}, without a service {ours:?}");
    assert_eq!(evaluation["environment"]["engine"], "candle");
}

#[test]
fn a_family_that_nobody_computes_is_refused_with_those_that_are() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let benchmark = Benchmark::write(folder.path(), 2, 40);
    let model = folder.path().join("model");
    Recipe::default().write(&model);
    let file = model.join("config.json");
    let config = fs_err::read_to_string(&file).expect("there").replace("\"llama\"", "\"falcon\"");
    fs_err::write(&file, config).expect("written");
    let mut command = cli::command(["eval", "--profile", PROFILE, "--task", TASK, "--model"]);
    command.arg(&model).arg("--data").arg(&benchmark.data).arg("--tasks").arg(&benchmark.tasks);
    let refused = cli::run(&mut command);
    refused.says(&["config.json: \"model_type\" is \"falcon\"", "gemma3_text, phi and phi3", "--engine URL"]);
}
