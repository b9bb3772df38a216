//! `sekisho compare` and `sekisho import` on files.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;
use tests::cli::{self, Ended};

/// Real output of lm-eval, a fixture of sekisho-bench.
fn lm_eval(step: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../evaluator/bench/tests/import/lm-eval").join(step)
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn import(harness: &str, path: &Path, more: &[&str]) -> Ended {
    cli::run(cli::command(["import", harness]).arg(path).args(more))
}

fn compare(a: &Path, b: &Path, more: &[&str]) -> Ended {
    cli::run(cli::command(["compare"]).args([a, b]).args(more))
}

/// Records of `n` items of one task, right up to `right`.
fn records(file: &Path, task: &str, n: u64, right: u64) {
    let line = |item: u64| {
        json!({
            "profile": "mine@1", "task": task, "split": "test", "item": item, "prompt_sha256": format!("{item}"),
            "prompt_tokens": 3, "truncated": 0, "output": "x", "stop": null, "prediction": "x", "gold": "y",
            "score": {"exact_match": u8::from(item < right)},
        })
        .to_string()
    };
    fs_err::write(file, (0..n).map(|item| line(item) + "\n").collect::<String>()).expect("written");
}

#[test]
fn a_comparison_is_a_sentence_a_table_and_json() {
    let folder = folder();
    let (a, b) = (folder.path().join("a.jsonl"), folder.path().join("b.jsonl"));
    records(&a, "task", 400, 100);
    records(&b, "task", 401, 130);
    let ended = compare(&a, &b, &[]).exits(0);
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert!(lines[0].starts_with("B is better than A by +0.075 (95% CI [0.0"), "{}", ended.stdout);
    assert!(lines[0].ends_with(", p = 9.3e-10, corrected 9.3e-10)"), "{}", ended.stdout);
    assert!(lines[1].starts_with("task ") && lines[2].starts_with("mine@1/task"), "{}", ended.stdout);
    assert!(ended.stderr.contains("400 shared items; left out: 1 only in B"), "{}", ended.stderr);

    let report = compare(&a, &b, &["--json"]).exits(0).json();
    assert_eq!(report["verdict"]["text"], lines[0]);
    let row = &report["rows"][0];
    assert_eq!(json!([row["n"], row["a"], row["b"], row["better"]]), json!([400, 0.25, 0.325, "b"]));
    let cells = ["both", "only_a", "only_b", "neither"].map(|cell| row["mcnemar"][cell].clone());
    assert_eq!(json!(cells), json!([100, 0, 30, 270]));
    assert_eq!(
        json!([report["a"]["records"], report["b"]["records"], report["mean"]]),
        json!([400, 401, null])
    );

    let same = compare(&a, &a, &[]).exits(0);
    assert!(
        same.stdout.starts_with("no significant difference between A and B (+0.000, 95% CI ["),
        "{}",
        same.stdout
    );
}

#[test]
fn what_cannot_be_compared_says_so() {
    let folder = folder();
    let (a, b) = (folder.path().join("a.jsonl"), folder.path().join("b.jsonl"));
    records(&a, "one", 3, 1);
    records(&b, "other", 4, 1);
    compare(&a, &b, &["--json"]).exits(4).says(&["no items", "3 only in the first", "4 only in the second"]);
    compare(&a, &folder.path().join("none.jsonl"), &[]).exits(3).says(&["none.jsonl"]);
    fs_err::write(&b, "\n{\"task\": 1}\n").expect("written");
    compare(&a, &b, &[]).exits(1).says(&["b.jsonl, line 2", "not a record"]);
}

#[test]
fn results_of_lm_eval_are_imported_and_compared() {
    let folder = folder();
    let out = ["step-0320", "step-0800"].map(|step| folder.path().join(format!("{step}.jsonl")));
    for (step, out) in ["step-0320", "step-0800"].iter().zip(&out) {
        let out = out.to_str().expect("a path");
        let found =
            import("lm-eval", &lm_eval(step), &["--out", out, "--run", "mini", "--step", "320", "--json"]);
        let found = found.exits(0).json();
        assert_eq!(json!([found["records"], found["notes"]]), json!([38, []]));
        let tasks: Vec<&Value> =
            found["tasks"].as_array().expect("a list").iter().map(|task| &task["task"]).collect();
        assert_eq!(json!(tasks), json!(["f_choice", "f_continue", "f_generate", "f_input", "f_rolling"]));
        assert_eq!(found["reported"][0]["task"], "f_group");
    }
    let text = fs_err::read_to_string(&out[0]).expect("records");
    let first: Value = serde_json::from_str(text.lines().next().expect("a line")).expect("JSON");
    assert_eq!(json!([first["origin"]["run"], first["origin"]["step"]]), json!(["mini", 320]));
    let report = compare(&out[0], &out[1], &["--json"]).exits(0).json();
    assert_eq!(report["counts"]["shared"], 38);
    assert_eq!(report["a"]["origins"][0]["version"], "0.4.13");
    let talk = compare(&out[0], &out[1], &[]).exits(0).stderr;
    assert!(talk.contains("(38 records, made by lm-eval 0.4.13)"), "{talk}");

    // A file of the folder may be named instead of the folder.
    let entries = fs_err::read_dir(lm_eval("step-0320")).expect("a folder");
    let is_results = |path: &PathBuf| path.extension().is_some_and(|e| e == "json");
    let results = entries.map(|entry| entry.expect("an entry").path()).find(is_results).expect("results");
    assert_eq!(import("lm-eval", &results, &["--json"]).exits(0).json()["records"], 38);
}

#[test]
fn what_cannot_be_imported_says_so() {
    let folder = folder();
    import("lm-eval", &folder.path().join("nowhere"), &[]).exits(3).says(&["there is no", "nowhere"]);
    import("lm-eval", folder.path(), &[]).exits(3).says(&["results_*.json"]);
    import("llm-jp-eval", folder.path(), &[]).exits(3).says(&["eval-generated.json"]);
    import("swallow", folder.path(), &[]).exits(1).says(&["no result of swallow-evaluation"]);
    let file = folder.path().join("run.json");
    let value = json!({"scores": {}, "outputs": {"niilc": [{"pred": "a", "gold": "a"}]}, "config": {}});
    fs_err::write(&file, value.to_string()).expect("written");
    import("llm-jp-eval", &file, &[]).exits(1).says(&["run.json", "--profile"]);
    let more = ["--profile", "llm-jp-eval@1.3", "--split", "dev", "--json"];
    assert_eq!(import("llm-jp-eval", &file, &more).exits(0).json()["records"], 1);
    fs_err::write(&file, "{").expect("written");
    import("llm-jp-eval", &file, &more).exits(1).says(&["run.json", "EOF"]);
}
