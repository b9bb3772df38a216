//! `sekisho contamination`: real questions that were planted in a text are found, and nothing else is.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tests::cli::{self, Ended};
use tests::data::data;

/// Items of JCommonsenseQA with 20 characters or more, of which runs are looked for.
const LONG: [usize; 4] = [0, 7, 11, 17];
/// One that is shorter, and is looked for whole.
const WHOLE: usize = 1;
/// Items of NIILC.
const NIILC: [usize; 2] = [12, 18];

/// The questions of a task's test split, as the data has them.
fn questions(data: &Path, folder: &Path, task: &str) -> Vec<String> {
    let mut build = cli::command(["data", "build", "--profile", "llm-jp-eval@1.3", "--task", task]);
    cli::run(build.arg("--data").arg(data).arg("--out").arg(folder)).exits(0);
    let file = folder.join(format!("evaluation/test/{task}.json"));
    let json: Value = serde_json::from_slice(&fs_err::read(file).expect("built")).expect("JSON");
    let question = |sample: &Value| {
        let input = sample["input"].as_str().expect("a text").strip_prefix("質問：").expect("a question");
        input.split("\n選択肢：").next().expect("a first piece").to_owned()
    };
    json["samples"].as_array().expect("a list").iter().map(question).collect()
}

/// Full width, and line breaks in the middle of words.
fn disguised(text: &str) -> String {
    let wide = |c: char| match c {
        '!'..='~' => char::from_u32(u32::from(c) + 0xfee0).expect("a full-width form"),
        c => c,
    };
    let broken = |(at, c): (usize, char)| if at % 7 == 6 { vec![c, '\n'] } else { vec![c] };
    text.chars().map(wide).enumerate().flat_map(broken).collect()
}

fn write(file: PathBuf, documents: &[String]) -> PathBuf {
    let lines: String = documents.iter().map(|text| json!({ "text": text }).to_string() + "\n").collect();
    fs_err::write(&file, lines).expect("written");
    file
}

fn contamination(data: &Path, more: &[&str], texts: &[&Path]) -> Ended {
    let tasks = ["--profile", "llm-jp-eval@1.3", "--task", "jcommonsenseqa,niilc", "--data"];
    cli::run(cli::command(["contamination"]).args(tasks).arg(data).args(more).args(texts))
}

/// Two texts with planted questions; answers their files.
fn planted(data: &Path, folder: &Path) -> [PathBuf; 2] {
    let jcqa = questions(data, folder, "jcommonsenseqa");
    let niilc = questions(data, folder, "niilc");
    let web = write(
        folder.join("web.jsonl"),
        &[
            format!("前置きの文章です。{}後に続く文章です。", jcqa[LONG[0]]),
            disguised(&jcqa[LONG[1]]),
            "問題とは関係のない文章です。".to_owned(),
            format!("Q: {}\nA: …", jcqa[WHOLE]),
        ],
    );
    let qa = write(
        folder.join("qa.jsonl"),
        &[
            disguised(&format!("{}\n{}", jcqa[LONG[2]], jcqa[LONG[3]])),
            niilc[NIILC[0]].clone(),
            disguised(&niilc[NIILC[1]]),
            jcqa[LONG[0]].replace('、', ""),
        ],
    );
    [web, qa]
}

#[test]
fn planted_questions_are_found_and_nothing_else() {
    let Some(data) = data() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [web, qa] = planted(&data, folder.path());
    let renamed = PathBuf::from(format!("dialogues={}", qa.display()));
    let report = contamination(&data, &["--json", "--examples"], &[&web, &renamed]).exits(0).json();
    assert_eq!(
        report["subsets"],
        json!([{ "name": "web", "documents": 4 }, { "name": "dialogues", "documents": 4 }])
    );
    assert_eq!(
        report["method"],
        json!({ "words": 13, "least_words": 8, "characters": 20, "least_characters": 10 })
    );
    let [jcqa, niilc] = [&report["tasks"][0], &report["tasks"][1]];
    assert_eq!(jcqa["found"], json!([0, 1, 7, 11, 17]));
    assert_eq!(jcqa["found_in"], json!({ "web": 3, "dialogues": 3 }));
    assert_eq!(niilc["found"], json!([12, 18]));
    assert_eq!(niilc["found_in"], json!({ "web": 0, "dialogues": 2 }));
    for (task, items, file) in
        [(jcqa, 1119, "jcommonsenseqa-v1.3/valid-v1.3.json"), (niilc, 198, "NIILC-ECQA2015_test.xml")]
    {
        assert_eq!(task["items"], items);
        let short = task["too_short"].as_array().expect("a list").len();
        assert!(short > 0 && task["looked_for"].as_u64() == Some(items - short as u64), "{task}");
        assert_eq!(json!([task["sources"][0]["file"], task["sources"][1]]), json!([file, null]), "no shots");
    }
    let examples = report["examples"].as_array().expect("examples");
    let of_first = examples.iter().filter(|e| e["task"] == "jcommonsenseqa" && e["item"] == 0);
    let places: Vec<Value> = of_first.map(|e| json!([e["subset"], e["document"]])).collect();
    assert_eq!(json!(places), json!([["web", 0], ["dialogues", 3]]));
    assert_eq!(examples.len(), 3 + 3 + 2);
    assert!(examples.iter().all(|example| example["passage"].as_str().is_some_and(|text| text.len() > 29)));

    let table = contamination(&data, &[], &[&web, &qa]).exits(0);
    let row = |line: &str| line.split_whitespace().map(ToOwned::to_owned).collect::<Vec<_>>();
    let rows: Vec<Vec<String>> = table.stdout.lines().map(row).collect();
    let looked = jcqa["looked_for"].to_string();
    let first = ["llm-jp-eval@1.3", "jcommonsenseqa", "test", "1119", &looked, "5"];
    assert_eq!(rows[1][..6], first, "{}", table.stdout);
    for expected in [["web", "4", "jcommonsenseqa", "3"], ["qa", "4", "niilc", "2"]] {
        assert!(rows.iter().any(|row| *row == expected), "{expected:?} in\n{}", table.stdout);
    }
    assert!(!table.stdout.contains("document 0"), "passages are shown when they are asked for");
}

#[test]
fn a_text_without_them_has_none() {
    let Some(data) = data() else { return };
    let text = data.join("corpora/aozora_ja/valid.jsonl");
    let report = contamination(&data, &["--json"], &[&text]).exits(0).json();
    assert!(report["subsets"][0]["documents"].as_u64().is_some_and(|n| n > 0));
    for task in report["tasks"].as_array().expect("tasks") {
        assert_eq!(task["found"], json!([]), "{}", task["task"]);
    }
    assert!(report.get("examples").is_none());

    // Runs of seven characters are stock phrases.
    let loose = contamination(&data, &["--json", "--characters", "7"], &[&text]).exits(0).json();
    assert!(loose["tasks"][0]["found"].as_array().is_some_and(|found| !found.is_empty()));
}

#[test]
fn a_specification_names_the_subsets_and_whose_text_may_be_shown() {
    let Some(data) = data() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let _ = planted(&data, folder.path());
    let spec = folder.path().join("spec.toml");
    fs_err::write(&spec, SPEC).expect("written");
    let spec_flag = spec.display().to_string();
    let flags = ["--json", "--examples", "--spec", &spec_flag];
    let ended = contamination(&data, &flags, &[]).exits(0);
    let report = ended.json();
    assert_eq!(
        report["subsets"],
        json!([{ "name": "web-ja", "documents": 4 }, { "name": "dialogues", "documents": 4 }])
    );
    assert_eq!(report["tasks"][0]["found"], json!([0, 1, 7, 11, 17]));
    let shown = report["examples"].as_array().expect("examples");
    assert!(shown.len() == 5 && shown.iter().all(|example| example["subset"] == "dialogues"), "{shown:?}");
    assert!(ended.stderr.contains("web-ja"), "{}", ended.stderr);

    fs_err::write(&spec, SPEC.replace("qa.jsonl", "qa")).expect("written");
    contamination(&data, &flags, &[]).exits(1).says(&["subset \"dialogues\" is token ids", "--spec"]);
}

const SPEC: &str = r#"
name = "mini"
[model]
vocab_size = 256
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
path = "tokenizer"
[data]
sequence_length = 64
[[data.mix]]
name = "web-ja"
path = "web.jsonl"
weight = 1.0
level = "L3"
license = "LicenseRef-crawl"
[[data.mix]]
name = "dialogues"
path = "qa.jsonl"
weight = 1.0
level = "L2"
license = "CC-BY-4.0"
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
"#;

#[test]
fn what_cannot_be_looked_through_says_so() {
    let Some(data) = data() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let text = write(folder.path().join("a.jsonl"), &["文章".to_owned()]);
    contamination(&data, &[], &[&folder.path().join("none.jsonl")]).exits(3).says(&["none.jsonl"]);
    let other = folder.path().join("a.txt");
    fs_err::write(&other, "文章").expect("written");
    contamination(&data, &[], &[&other]).exits(1).says(&["a.txt", ".jsonl.zst"]);
    contamination(&data, &["--words", "0"], &[&text]).exits(1).says(&["0 words in a row"]);
    let unknown = ["--profile", "llm-jp-eval@1.3", "--task", "nilc", "--data"];
    cli::run(cli::command(["contamination"]).args(unknown).arg(&data).arg(&text)).exits(3).says(&["niilc"]);
    fs_err::write(&text, "{\"text\": \"一\"}\n{\"body\": \"二\"}\n").expect("written");
    contamination(&data, &[], &[&text]).exits(1).says(&["a.jsonl:2", "\"text\""]);
}
