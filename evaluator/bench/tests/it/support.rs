//! Where the test data is, and small helpers over it.

use std::path::{Path, PathBuf};

use sekisho_bench::{SourceRef, TaskData, TaskDefinition, load};
use sekisho_domain::evaluation::TaskRun;
use serde_json::Value;

/// The data pack (`SEKISHO_TEST_DATA`, relative to the workspace), or none with a line on stderr: tests that need it then
/// have nothing to say.
pub(crate) fn data() -> Option<PathBuf> {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let folder = root.join(std::env::var_os("SEKISHO_TEST_DATA").unwrap_or("../shared/data".into()));
    if folder.is_dir() {
        return Some(folder);
    }
    #[expect(clippy::print_stderr, reason = "a test that cannot run says so")]
    {
        eprintln!("skipped: no test data at {}", folder.display());
    }
    None
}

/// Reads sources from the data pack.
pub(crate) fn read(source: &SourceRef) -> Result<Vec<u8>, String> {
    let folder = data().ok_or("no test data")?;
    let place = match source.source.as_str() {
        "oracle" => folder.join("../oracle/tasks/data"),
        source => folder.join("bench").join(source),
    };
    fs_err::read(place.join(&source.file)).map_err(|error| error.to_string())
}

/// The goldens of `step-0800`, one JSON object a line.
pub(crate) fn goldens(file: &str) -> Vec<Value> {
    lines(&oracle(file))
}

/// The aggregates of `step-0800`.
pub(crate) fn scores(file: &str) -> Value {
    serde_json::from_str(&oracle(file)).expect("aggregates are JSON")
}

/// Whole prompts, of every harness.
pub(crate) fn prompt_samples() -> Vec<Value> {
    lines(&oracle("../prompt_samples.jsonl"))
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("a golden is JSON")).collect()
}

fn oracle(file: &str) -> String {
    let folder = data().expect("called only with data").join("../oracle/goldens/step-0800");
    fs_err::read_to_string(folder.join(file)).expect("the oracle lies beside the data pack")
}

/// A run of the whole split with the task's default shots.
pub(crate) fn run(definition: &TaskDefinition, split: &str) -> TaskRun {
    TaskRun {
        profile: definition.profile.clone(),
        task: definition.task.clone(),
        split: split.to_owned(),
        limit: None,
        shots: None,
    }
}

/// The items of a run on real data.
pub(crate) fn items(definition: &TaskDefinition, run: &TaskRun) -> TaskData {
    load(definition, run, &[], &read).expect("real data is well-formed")
}

/// Equal but for the order in which floating-point numbers were added.
pub(crate) fn assert_close(value: f64, golden: &Value, what: &str) {
    let golden = golden.as_f64().expect("a number");
    assert!((value - golden).abs() < 1e-12, "{what}: {value}, the harness says {golden}");
}
