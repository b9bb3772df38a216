//! `sekisho demo --once`: the whole road on what the executable carries with it.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::benchmark::{Benchmark, PROFILE, TASK};
use tests::checkpoints::{VOCABULARY, write_tokenizer};
use tests::cli;
use tests::http::{Api, Session};
use tests::process::Process;
use tests::wait::until;

fn demo(dir: &Path) -> (Value, Duration) {
    let began = Instant::now();
    let ended = cli::run(cli::command(["demo", "--once", "--port", "0", "--dir"]).arg(dir)).exits(0);
    (ended.json(), began.elapsed())
}

#[test]
fn trains_evaluates_and_proposes_and_finds_it_all_again() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let dir = folder.path().join("demo");
    let (first, long) = demo(&dir);
    assert_summary(&first, &dir);
    assert_learned(&first);

    let (second, short) = demo(&dir);
    assert_summary(&second, &dir);
    for key in ["run", "checkpoints", "release"] {
        assert_eq!(second[key], first[key], "{key}");
    }
    assert!(short < long / 3, "the second start took {short:?}, the first {long:?}");
    serves_with_two_links(&dir, first["release"]["id"].as_str().expect("an id"));
}

/// Without `--once` it goes on serving, and its two links are enough to approve.
fn serves_with_two_links(dir: &Path, release: &str) {
    let log = dir.join("said.log");
    let mut command = cli::command(["demo", "--port", "0", "--dir"]);
    command.arg(dir).stdout(Stdio::null()).stderr(std::fs::File::create(&log).expect("a log"));
    let mut demo = Process::spawn(&mut command);
    let links = until("two links", 60, || {
        assert!(demo.is_running(), "it ended");
        let said = fs_err::read_to_string(&log).unwrap_or_default();
        let link = |who: &str| {
            let line =
                said.split_inclusive('\n').find(|line| line.contains(&format!("sign in once as {who}")))?;
            line.strip_suffix('\n')?.split_whitespace().last().map(ToOwned::to_owned)
        };
        Some([link("author")?, link("approver")?])
    });
    let base = links[0].split("/login").next().expect("an address");
    let [author, approver] = links.each_ref().map(|link| Session::sign_in(base, link));
    let page = format!("/releases/{release}");
    let card = author.get(&format!("{page}?card=en")).has(200).text;
    assert!(card.contains("model-index:") && card.contains("language: ["), "the card has the scores: {card}");
    assert_eq!(author.press(&page, &format!("{page}/approve"), "").status, 403);
    assert_eq!(approver.press(&page, &format!("{page}/approve"), "").status, 303);
    let shown = Api::new(base, None).get(&format!("/api/v1{page}")).has(200).json();
    assert_eq!(json!([shown["state"], shown["approvals"]]), json!(["approved", 1]));
    assert_eq!(demo.terminate().code(), Some(0));
}

/// A demo on an input of our own: the smallest run that there is, and a suite of one task.
fn small(dir: &Path, repeat: &str) -> Benchmark {
    let input = dir.join("input");
    let benchmark = Benchmark::write(&input, 4, 40);
    let suite = format!(
        "name = \"demo\"\ntitle_en = \"Demo\"\ntitle_ja = \"デモ\"\n\
         [[task]]\nprofile = \"{PROFILE}\"\ntask = \"{TASK}\"\nsplit = \"test\"\n"
    );
    fs_err::write(benchmark.tasks.join("suites/gates.toml"), suite).expect("written");
    write_tokenizer(&input.join("tokenizer"));
    let document = json!({ "text": "a road, a gate; ".repeat(20) });
    fs_err::write(input.join("a.jsonl"), format!("{document}\n")).expect("written");
    let spec = format!(
        r#"name = "demo-ja-en"
[model]
vocab_size = {VOCABULARY}
hidden_size = 32
num_hidden_layers = 1
num_attention_heads = 2
intermediate_size = 64
rope_theta = 10000.0
rms_norm_eps = 1e-5
max_position_embeddings = 256
[tokenizer]
path = "tokenizer"
[data]
sequence_length = 64
[[data.mix]]
name = "a"
path = "a.jsonl"
{repeat}
[batch]
sequences = 8
[optimizer]
lr = 1e-3
[schedule]
kind = "constant"
[evaluate]
suite = "demo"
[stop]
steps = 2
"#
    );
    fs_err::write(input.join("spec.toml"), spec).expect("written");
    benchmark
}

fn fails(dir: &Path, says: &[&str]) {
    let ended = cli::run(cli::command(["demo", "--once", "--port", "0", "--dir"]).arg(dir)).exits(1);
    ended.says(says);
    assert_eq!(ended.stdout, "");
}

#[test]
fn what_fails_on_the_road_ends_it_with_the_reason() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let dir = folder.path().join("evaluation");
    let benchmark = small(&dir, "");
    fs_err::remove_file(benchmark.data.join(TASK).join("items.jsonl")).expect("there");
    let says =
        ["the evaluation of checkpoint 2 failed: The data file items.jsonl of source \"gates\" is missing"];
    fails(&dir, &says);
    fails(&dir, &says);

    let dir = folder.path().join("training");
    small(&dir, "repeat = 0.1");
    fails(&dir, &["training ended without a checkpoint"]);
}

/// The contract's shape.
fn assert_summary(summary: &Value, dir: &Path) {
    assert_eq!(summary["data_dir"].as_str(), dir.to_str());
    assert!(
        summary["url"]
            .as_str()
            .is_some_and(|url| url.starts_with("http://127.0.0.1:") && !url.ends_with(":0"))
    );
    assert!(summary["run"]["id"].is_string() && summary["run"]["name"].is_string());
    let checkpoints = list(&summary["checkpoints"]);
    assert!(checkpoints.len() >= 5, "{} checkpoints", checkpoints.len());
    for pair in checkpoints.windows(2) {
        assert!(pair[0]["step"].as_u64() < pair[1]["step"].as_u64());
        assert!(pair[0]["tokens"].as_u64() < pair[1]["tokens"].as_u64());
    }
    for checkpoint in checkpoints {
        assert!(checkpoint["id"].is_string());
        let digest = checkpoint["digest"].as_str().expect("a digest");
        assert!(digest.strip_prefix("sha256:").is_some_and(|hex| hex.len() == 64), "{digest}");
        for score in list(&checkpoint["scores"]) {
            assert!(["profile", "task", "metric"].iter().all(|key| score[key].is_string()), "{score}");
            assert!(score["n"].as_u64() > Some(0), "{score}");
            assert_interval(score);
        }
        assert!(!list(&checkpoint["scores"]).is_empty());
        assert_interval(&checkpoint["mean"]);
    }
    let release = &summary["release"];
    assert!(release["id"].is_string());
    assert_eq!(json!([release["state"], release["verdict"]]), json!(["in_review", "allowed"]));
    assert_eq!(list(&release["violations"]), &[] as &[Value]);
}

/// The last checkpoint is better than the first beyond what chance explains.
fn assert_learned(summary: &Value) {
    let checkpoints = list(&summary["checkpoints"]);
    let (first, last) = (&checkpoints[0]["mean"], &checkpoints[checkpoints.len() - 1]["mean"]);
    assert!(number(last, "low") > number(first, "high"), "first {first}, last {last}");
}

fn assert_interval(score: &Value) {
    let (low, value, high) = (number(score, "low"), number(score, "value"), number(score, "high"));
    assert!((0.0..=value).contains(&low) && (value..=1.0).contains(&high), "{score}");
}

fn number(value: &Value, key: &str) -> f64 {
    value[key].as_f64().unwrap_or_else(|| panic!("{key} of {value} is no number"))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("{value} is no list"))
}
