//! The road on real data: checkpoints that PyTorch trained, and a run of our own trainer on real text.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tests::cli;
use tests::data::{data, json_lines, oracle};
use tests::service::{Options, Service, evaluating};
use tests::wait::until;

/// Five builtin tasks, and one in the oracle's own form whose log-likelihoods it knows.
const SUITE: &str = r#"
name = "road"
title_en = "Road"
title_ja = "街道"
task = [
    { profile = "llm-jp-eval@1.3", task = "jcommonsenseqa", split = "dev", limit = 10 },
    { profile = "llm-jp-eval@1.3", task = "jemhopqa", split = "dev", limit = 10 },
    { profile = "llm-jp-eval@1.3", task = "niilc", split = "dev", limit = 10 },
    { profile = "lm-eval@0.4", task = "openbookqa", split = "test", limit = 10 },
    { profile = "lm-eval@0.4", task = "xwinograd_jp", split = "test", limit = 10 },
    { profile = "oracle@1", task = "o_xwino_ja", split = "test", limit = 10 },
]
"#;

/// One task, so that the run of our own is examined too.
const SHORT_SUITE: &str = r#"
name = "short"
title_en = "Short"
title_ja = "短縮"
task = [{ profile = "lm-eval@0.4", task = "xwinograd_jp", split = "test", limit = 4 }]
"#;

/// Items of each task in [`SUITE`].
const ITEMS: usize = 10;

/// A folder with the suites and the oracle's task.
fn tasks(folder: &Path) -> PathBuf {
    let tasks = folder.join("tasks");
    fs_err::create_dir_all(tasks.join("suites")).expect("a folder");
    fs_err::write(tasks.join("suites/road.toml"), SUITE).expect("written");
    fs_err::write(tasks.join("suites/short.toml"), SHORT_SUITE).expect("written");
    let oracles = concat!(env!("CARGO_MANIFEST_DIR"), "/oracle/tasks/o_xwino_ja.toml");
    fs_err::copy(oracles, tasks.join("o_xwino_ja.toml")).expect("copied");
    tasks
}

#[test]
fn real_checkpoints_get_the_scores_that_the_harnesses_give_them() {
    let Some(oracle) = oracle() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = evaluating("road", &tasks(folder.path()));
    let service = Service::with(Options { config, local_worker: true, ..Options::default() });
    let model = oracle.join("mini-ja-en");
    let early = service.ingest(&model.join("step-0096"), "mini-ja-en", 96, 393_216);
    let last = service.ingest(&model.join("step-0800"), "mini-ja-en", 800, 3_276_800);
    assert_eq!(early["parameters"], 6_475_008);

    let evaluation = service.finished_evaluation(&last, 180);
    assert_eq!(evaluation["tasks"].as_array().map(Vec::len), Some(6));
    let goldens = oracle.join("goldens/step-0800");
    for task in ["jcommonsenseqa", "jemhopqa", "niilc"] {
        let rows = json_lines(&goldens.join("llmjp_v13.jsonl"));
        let rows = rows.into_iter().filter(|row| row["add_special_tokens"] == false);
        agree(&service.records(&evaluation, task), &format!("{task}/dev/"), rows, generated);
    }
    for (task, golden) in [("openbookqa", "o_openbookqa/"), ("o_xwino_ja", "o_xwino_ja/")] {
        let rows = json_lines(&goldens.join("lmeval_zeroshot.jsonl"));
        agree(&service.records(&evaluation, task), golden, rows, chosen);
    }
    assert_eq!(service.records(&evaluation, "xwinograd_jp").len(), ITEMS);

    let evaluations = [service.finished_evaluation(&early, 180), evaluation];
    pages_show(&service, &evaluations);
}

/// Every record has its golden row, and agrees with it.
fn agree(
    records: &[Value],
    prefix: &str,
    rows: impl IntoIterator<Item = Value>,
    compare: fn(&Value, &Value),
) {
    let rows: Vec<Value> = rows.into_iter().collect();
    assert_eq!(records.len(), ITEMS, "{prefix}");
    for record in records {
        let id = format!("{prefix}{}", record["item"]);
        let row = rows
            .iter()
            .find(|row| row["id"] == id.as_str())
            .unwrap_or_else(|| panic!("the oracle has no {id}"));
        assert_eq!(record["prompt_sha256"], row["prompt_sha256"], "{id}");
        assert_eq!(record["prompt_tokens"], row["prompt_tokens"], "{id}");
        compare(record, row);
    }
}

/// A generated answer. Tokens after the answer may differ where two logits nearly tie; what counts may not.
fn generated(record: &Value, row: &Value) {
    assert_eq!(record["prediction"], row["pred"], "{}", row["id"]);
    assert_eq!(record["gold"], row["gold"], "{}", row["id"]);
    for (metric, golden) in [("exact_match", "exact"), ("char_f1", "char_f1")] {
        if let Some(score) = record["score"][metric].as_f64() {
            assert_eq!(Some(score), row[golden].as_f64(), "{}", row["id"]);
        }
    }
}

/// Log-likelihoods: f32 in another order of additions moves them by far less than the tolerance.
fn chosen(record: &Value, row: &Value) {
    let numbers = |value: &Value| -> Vec<f64> {
        value.as_array().expect("a list").iter().map(|number| number.as_f64().expect("a number")).collect()
    };
    assert_eq!(record["choice_tokens"], row["continuation_tokens"], "{}", row["id"]);
    let (ours, theirs) = (numbers(&record["loglikelihoods"]), numbers(&row["loglikelihood"]));
    assert_eq!(ours.len(), theirs.len(), "{}", row["id"]);
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert!((ours - theirs).abs() < 1e-3, "{}: {ours}, lm-eval has {theirs}", row["id"]);
    }
    assert_eq!(record["score"]["acc"].as_f64(), row["acc"].as_f64(), "{}", row["id"]);
}

/// Run page and leaderboard show the means in both languages, the leaderboard only that of the latest checkpoint.
fn pages_show(service: &Service, evaluations: &[Value; 2]) {
    let means = evaluations.each_ref().map(|evaluation| {
        let mean = &evaluation["mean"];
        let part = |key| mean[key].as_f64().unwrap_or_else(|| panic!("{key} of {mean}"));
        assert!(part("low") <= part("value") && part("value") <= part("high"));
        format!("[{:.3}, {:.3}]", part("low"), part("high"))
    });
    let visitor = service.visitor();
    for (lang, title) in [("en", "Leaderboard"), ("ja", "リーダーボード")] {
        let run = visitor.get(&format!("/runs/mini-ja-en?lang={lang}")).has(200).text;
        for mean in &means {
            assert!(run.contains(mean), "the run's page does not show {mean}");
        }
        assert!(run.contains("<svg") && run.contains("<table"), "curves and their twins");
        let board = visitor.get(&format!("/leaderboard?lang={lang}")).has(200).text;
        assert!(board.contains(title), "no \"{title}\"");
        assert!(
            board.contains(&means[1]) && !board.contains(&means[0]),
            "the latest checkpoint stands for its run"
        );
    }
}

#[test]
fn the_same_bytes_are_kept_once() {
    let Some(oracle) = oracle() else { return };
    let service = Service::start();
    let folder = oracle.join("mini-ja-en/step-0320");
    let copy = |run: &str, step: &str| {
        let arguments = ["ingest", "--copy", "--json", "--run", run, "--step", step, "--tokens", "1310720"];
        let checkpoint = cli::run(service.command(&arguments).arg(&folder)).exits(0).json();
        assert_eq!(checkpoint["state"], "verified");
        checkpoint
    };
    let by_reference = service.ingest(&folder, "mini-ja-en", 320, 1_310_720);
    assert!(!service.dir().join("checkpoints").exists(), "by reference nothing is copied");
    let copies = [copy("copied", "320"), copy("copied", "321"), copy("elsewhere", "320")];
    for checkpoint in &copies {
        assert_eq!(checkpoint["digest"], by_reference["digest"]);
        assert_eq!(checkpoint["weights"], by_reference["weights"]);
    }
    let kept = files(&service.dir().join("checkpoints"));
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert_eq!(files(&service.dir().join("staging")), [""; 0]);
    let weights = service.dir().join("checkpoints").join(&kept[0]).join("model.safetensors");
    let read = |path: &Path| fs_err::read(path).expect("weights");
    assert!(read(&weights) == read(&folder.join("model.safetensors")), "byte for byte");
}

fn files(folder: &Path) -> Vec<String> {
    let entries = fs_err::read_dir(folder).expect("a folder");
    let name = |entry: std::io::Result<fs_err::DirEntry>| {
        entry.expect("an entry").file_name().to_string_lossy().into_owned()
    };
    let mut names: Vec<String> = entries.map(name).collect();
    names.sort();
    names
}

#[test]
fn a_run_on_real_text_reports_and_is_examined() {
    let Some(data) = data() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = evaluating("short", &tasks(folder.path()));
    let service = Service::with(Options { config, local_worker: true, ..Options::default() });
    let spec = folder.path().join("spec.toml");
    fs_err::write(&spec, real_text(&data, folder.path())).expect("written");
    let out = folder.path().join("run");
    let mut train = service.command(&["train", "--server", service.url(), "--dir"]);
    cli::run(train.arg(&out).arg(&spec)).exits(0);

    let api = service.api();
    until("the whole report", 30, || {
        (api.get("/api/v1/runs/real-text").has(200).json()["state"] == "finished").then_some(())
    });
    let rows = api.get("/api/v1/runs/real-text/metrics").has(200).items();
    let log = json_lines(&out.join("log.jsonl"));
    assert_eq!(rows.as_array(), Some(&log), "the server has the log");
    assert_eq!(log.len(), 6);
    assert!(log.last().is_some_and(|row| row["tokens"] == 6 * 4 * 64), "{log:?}");
    let losses = [&log[0], &log[5]].map(|row| row["loss"].as_f64().expect("a loss"));
    assert!(losses[1] < losses[0], "{losses:?}");

    let checkpoints = until("two verified checkpoints", 60, || {
        let found = api.get("/api/v1/runs/real-text/checkpoints").has(200).items();
        let all = found.as_array().expect("a list").clone();
        (all.len() == 2 && all.iter().all(|checkpoint| checkpoint["state"] == "verified")).then_some(all)
    });
    for (checkpoint, step) in checkpoints.iter().zip([3, 6]) {
        assert_eq!(json!([checkpoint["step"], checkpoint["tokens"]]), json!([step, step * 4 * 64]));
        let config = fs_err::read(out.join(format!("step-{step:06}/config.json"))).expect("exported");
        let config: Value = serde_json::from_slice(&config).expect("JSON");
        assert_eq!(config["rope_theta"].as_f64(), Some(500_000.0));
        assert_eq!(config["rope_parameters"]["rope_theta"].as_f64(), Some(500_000.0));
        let evaluation = service.finished_evaluation(checkpoint, 120);
        assert_eq!(service.records(&evaluation, "xwinograd_jp").len(), 4);
    }
    assert!(service.visitor().get("/runs/real-text").has(200).text.contains("1.54k"), "tokens");
    let settings = service.visitor().get("/runs/real-text?tab=settings").has(200).text;
    assert!(settings.contains("aozora"), "the specification");
}

/// A tiny model on the first documents of three corpora.
fn real_text(data: &Path, folder: &Path) -> String {
    let mut mixes = String::new();
    for (name, corpus, documents, license) in [
        ("aozora", "aozora_ja", 4, "LicenseRef-public-domain"),
        ("standardebooks", "standardebooks_en", 2, "CC0-1.0"),
        ("tatoeba", "tatoeba_enja", 300, "CC-BY-2.0-FR"),
    ] {
        let all =
            fs_err::read_to_string(data.join("corpora").join(corpus).join("train.jsonl")).expect("a corpus");
        let length: usize = all.split_inclusive('\n').map(str::len).take(documents).sum();
        let path = folder.join(format!("{name}.jsonl"));
        fs_err::write(&path, &all[..length]).expect("written");
        mixes.push_str(&format!(
            "[[data.mix]]\nname = \"{name}\"\npath = {path:?}\nweight = 1.0\nlevel = \"L1\"\nlicense = \"{license}\"\n"
        ));
    }
    let tokenizer = data.join("tokenizers/llm-jp-v2.1");
    let vocabulary = vocabulary(&tokenizer);
    format!(
        r#"name = "real-text"
seed = 7
[model]
vocab_size = {vocabulary}
hidden_size = 32
num_hidden_layers = 2
num_attention_heads = 2
num_key_value_heads = 1
intermediate_size = 96
rope_theta = 500000.0
rms_norm_eps = 1e-5
tie_word_embeddings = true
max_position_embeddings = 256
[tokenizer]
path = {tokenizer:?}
[data]
sequence_length = 64
{mixes}
[batch]
sequences = 4
[optimizer]
lr = 3e-3
[schedule]
kind = "wsd"
warmup_steps = 1
decay_steps = 2
[stop]
steps = 6
[checkpoint]
every = 3
dtype = "bf16"
"#
    )
}

/// Entries of a tokenizer, rounded up as trainers do.
fn vocabulary(folder: &Path) -> usize {
    let tokenizer = sekisho_model::Tokenizer::load(folder).expect("the tokenizer loads");
    tokenizer.vocab_size().next_multiple_of(64)
}
