//! Results of other harnesses. The lm-eval files were written by lm-eval 0.4.13 with `--log_samples`, on questions of our
//! own and two checkpoints of the oracle, and lost only what names the machine.

use std::path::Path;

use sekisho_bench::compare::compare;
use sekisho_bench::import::{File, ImportError, Imported, Line, Settings, llm_jp_eval, lm_eval, swallow};
use sekisho_bench::stats::mean;
use sekisho_bench::{Catalog, PerContext, Record};
use sekisho_domain::Sha256;
use serde_json::{Value, json};

use crate::support::{assert_close, data, goldens, scores};

/// The files of a run of lm-eval, `results_*.json` first.
struct Run(Vec<(String, Vec<u8>)>);

impl Run {
    fn of(step: &str) -> Self {
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/import/lm-eval")).join(step);
        let paths = fs_err::read_dir(folder).expect("fixtures").map(|entry| entry.expect("an entry").path());
        let mut files: Vec<_> =
            paths.map(|path| (path.display().to_string(), fs_err::read(&path).expect("a file"))).collect();
        files.sort();
        assert!(files[0].0.ends_with(".json"), "{}", files[0].0);
        Self(files)
    }

    fn import(&self) -> Result<Imported, ImportError> {
        let files: Vec<File<'_>> = self.0.iter().map(|(name, bytes)| File { name, bytes }).collect();
        lm_eval(files[0], &files[1..])
    }

    /// Changes the text of the file whose name contains `name`.
    fn edited(mut self, name: &str, from: &str, to: &str) -> Self {
        let (_, bytes) = self.0.iter_mut().find(|(path, _)| path.contains(name)).expect("such a file");
        let text = String::from_utf8(bytes.clone()).expect("text");
        assert!(text.contains(from), "{name} does not contain {from}");
        *bytes = text.replace(from, to).into_bytes();
        self
    }
}

fn of_task<'a>(imported: &'a Imported, task: &str) -> Vec<&'a Record> {
    imported.lines.iter().map(|line| &line.record).filter(|record| record.task == task).collect()
}

fn average(records: &[&Record], metric: &str) -> f64 {
    let values: Vec<f64> = records.iter().filter_map(|record| record.score.get(metric).copied()).collect();
    assert_eq!(values.len(), records.len(), "{metric}");
    mean(&values).expect("records")
}

#[test]
fn lm_evals_choices_and_texts_become_records() {
    let run = Run::of("step-0800");
    let imported = run.import().expect("real files");
    let results: Value = serde_json::from_slice(&run.0[0].1).expect("JSON");
    let choices = of_task(&imported, "f_choice");
    assert_eq!(choices.len(), 12);
    for metric in ["acc", "acc_norm"] {
        assert_close(
            average(&choices, metric),
            &results["results"]["f_choice"][format!("{metric},none")],
            metric,
        );
    }
    let record = serde_json::to_value(choices[0]).expect("JSON");
    let prompt = Sha256::of("Question: 1 + 1 =\nAnswer:").hex();
    let known =
        json!([record["profile"], record["split"], record["item"], record["prompt_sha256"], record["gold"]]);
    assert_eq!(known, json!(["lm-eval@0.4", "test", 0, prompt, 1]));
    assert_eq!(record["loglikelihoods"].as_array().map(Vec::len), Some(4));

    let texts = of_task(&imported, "f_generate");
    for filter in ["strict-match", "flexible-extract"] {
        let metric = format!("exact_match,{filter}");
        assert_close(average(&texts, &metric), &results["results"]["f_generate"][&metric], &metric);
    }
    let record = serde_json::to_value(texts[0]).expect("JSON");
    assert_eq!(json!([record["gold"], record["stop"]]), json!(["2", null]));
    assert!(record["output"].is_string() && record["prediction"].is_string(), "{record}");

    // Every choice has its own context; which is right, lm-eval does not log.
    let inputs = of_task(&imported, "f_input");
    assert!(matches!(&inputs[0].prompt_sha256, PerContext::Each(digests) if digests.len() == 2));
    assert_eq!(inputs[0].gold, json!("had to stay outside."));
    assert_close(average(&inputs, "acc"), &results["results"]["f_input"]["acc,none"], "acc");
}

#[test]
fn lm_evals_log_likelihoods_become_records() {
    let run = Run::of("step-0800");
    let imported = run.import().expect("real files");
    let results: Value = serde_json::from_slice(&run.0[0].1).expect("JSON");
    // exp of the mean negative log-likelihood is the geometric mean of the items' perplexities.
    let days = of_task(&imported, "f_continue");
    let logarithms: Vec<f64> = days.iter().map(|record| record.score["perplexity"].ln()).collect();
    let perplexity = mean(&logarithms).expect("records").exp();
    let stated = results["results"]["f_continue"]["perplexity,none"].as_f64().expect("a number");
    assert!((perplexity / stated - 1.0).abs() < 1e-9, "{perplexity} {stated}");
    assert_eq!(json!([days[0].prediction, days[0].gold]), json!([false, " Tuesday"]));

    let texts = of_task(&imported, "f_rolling");
    let lines: Vec<Value> = texts.iter().map(|record| json!(record.score)).collect();
    // 64 bytes, log-likelihood −113.0877 for step 320; whatever the model, the three metrics say the same.
    for (line, (words, bytes)) in lines.iter().zip([(12.0, 64.0), (1.0, 69.0)]) {
        let of = |metric: &str| line[metric].as_f64().expect("a number");
        let bits = of("bits_per_byte") * bytes;
        assert!((of("word_perplexity").log2() * words / bits - 1.0).abs() < 1e-9, "{line}");
        assert!((of("byte_perplexity").log2() * bytes / bits - 1.0).abs() < 1e-9, "{line}");
    }
}

#[test]
fn groups_and_tasks_without_samples_are_reported() {
    let mut run = Run::of("step-0800");
    run.0.retain(|(name, _)| !name.contains("f_rolling"));
    let imported = run.import().expect("real files");
    let mut rows: Vec<_> =
        imported.reported.iter().map(|row| (row.task.as_str(), row.metric.as_str(), row.n)).collect();
    rows.sort_unstable();
    assert_eq!(
        rows,
        [
            ("f_group", "acc", Some(16)),
            ("f_rolling", "bits_per_byte", Some(3)),
            ("f_rolling", "byte_perplexity", Some(3)),
            ("f_rolling", "word_perplexity", Some(3)),
        ]
    );
    assert!(of_task(&imported, "f_rolling").is_empty());
}

#[test]
fn every_line_says_where_it_comes_from_and_is_read_back() {
    let run = Run::of("step-0320");
    let imported = run.import().expect("real files");
    assert_eq!(imported.lines.len(), 12 + 12 + 7 + 3 + 4);
    for line in &imported.lines {
        let text = serde_json::to_string(line).expect("JSON");
        assert_eq!(&serde_json::from_str::<Line>(&text).expect("a line"), line);
        // Whoever knows nothing of origins reads the record.
        assert_eq!(&serde_json::from_str::<Record>(&text).expect("a record"), &line.record);
        let origin = line.origin.as_ref().expect("an origin");
        let said = json!([origin.harness, origin.version, origin.backend, origin.model]);
        assert_eq!(said, json!(["lm-eval", "0.4.13", "hf", "mini-ja-en/step-0320"]));
        let (_, bytes) =
            run.0.iter().find(|(name, _)| name.ends_with(&origin.file)).expect("a file of that name");
        assert_eq!(origin.sha256, Sha256::of(bytes));
    }
}

#[test]
fn imported_runs_are_compared_item_by_item() {
    let records = |step| -> Vec<Record> {
        Run::of(step).import().expect("real files").lines.into_iter().map(|line| line.record).collect()
    };
    let comparison =
        compare(&records("step-0320"), &records("step-0800"), &Catalog::builtin()).expect("shared");
    let counts = json!(comparison.counts);
    assert_eq!(counts, json!({"shared": 38, "other_prompt": 0, "only_a": 0, "only_b": 0}));
    let row = comparison.rows.iter().find(|row| row.metric == "perplexity").expect("a perplexity");
    assert_eq!((row.n, row.difference.value < 0.0), (7, true));
    // Scores of a corpus are the harness's own, not means over items.
    for (step, side) in [("step-0320", 0), ("step-0800", 1)] {
        let results: Value = serde_json::from_slice(&Run::of(step).0[0].1).expect("JSON");
        let mut compared = 0;
        for row in comparison.rows.iter().filter(|row| row.task == "f_rolling" || row.metric == "perplexity")
        {
            let stated = &results["results"][&row.task][format!("{},none", row.metric)];
            let (value, stated) = ([row.a, row.b][side], stated.as_f64().expect("a number"));
            assert!((value / stated - 1.0).abs() < 1e-9, "{}: {value}, lm-eval says {stated}", row.metric);
            compared += 1;
        }
        assert_eq!(compared, 4);
    }
}

#[test]
fn lm_eval_files_that_do_not_fit_are_refused() {
    let refused = |run: Run| run.import().expect_err("refused").to_string();
    let wrong = refused(Run::of("step-0800").edited(
        "results_",
        "\"sample_len\": 4,\n      \"acc,none\": ",
        "\"sample_len\": 4,\n      \"acc,none\": 7",
    ));
    assert!(
        wrong.contains("the 4 items of f_input give acc") && wrong.contains("the file says 7"),
        "{wrong}"
    );
    let wrong = refused(Run::of("step-0800").edited("f_input", "{\"doc_id\": 3", "{\"doc_id\": 2"));
    assert!(wrong.contains("3 documents, results_") && wrong.ends_with("says 4"), "{wrong}");
    let wrong = refused(Run::of("step-0800").edited("f_choice", "{\"doc_id\": 1,", "{\"doc\": 1,"));
    assert!(wrong.contains(", line 2: ") && wrong.contains("doc_id"), "{wrong}");
    let wrong = refused(Run::of("step-0800").edited("f_choice", "{\"doc_id\": 1,", "{doc_id"));
    assert!(wrong.contains(", line 2: key must be a string"), "{wrong}");
    let wrong = refused(Run::of("step-0800").edited("results_", "\"configs\"", "\"settings\""));
    assert!(wrong.contains("not results of lm-eval 0.4"), "{wrong}");
}

/// A result of llm-jp-eval 1.x on questions of our own.
fn version_1() -> Value {
    let template = "### 指示:\n答えてください。\n\n### 入力:\n{input}\n\n### 応答:\n";
    let item = |input: &str, pred: &str, gold: &str| json!({"prompt": template, "input": input, "pred": pred, "gold": gold});
    json!({
        "scores": {
            "AVG": 0.5, "QA": "0.7767", "jemhopqa_char_f1": "0.9150", "jemhopqa_exact_match": 0.5,
            "jsts_pearson": 0.9635, "jsts_spearman": 1.0, "alt-e-to-j_comet_wmt22": 0.81,
        },
        "outputs": {
            "jemhopqa": [item("質問：いつ？", "1988年", "1988年7月"), item("質問：どこ？", "東京", "東京")],
            "jsts": [item("文1", "1.0", "1.2"), item("文2", "約3", "2.6"), item("文3", "わからない", "0.4")],
        },
        "config": {
            "dataset_dir": "data/1.3.0/evaluation/dev", "lib_type": "hf",
            "metainfo": {"basemodel_name": "lab/model", "num_few_shots": 4},
        },
    })
}

fn import(value: &Value, settings: Settings<'_>) -> Result<Imported, ImportError> {
    llm_jp_eval(File { name: "out/run.json", bytes: value.to_string().as_bytes() }, settings)
}

#[test]
fn llm_jp_evals_outputs_become_records() {
    let mut value = version_1();
    // char_f1 of 1988年 and 1988年7月 is 0.83.
    let imported = import(&value, Settings::default()).expect("a result");
    let hop = of_task(&imported, "jemhopqa");
    assert_eq!(json!(hop[0].score), json!({"char_f1": 0.83, "exact_match": 0.0}));
    let prompt = "### 指示:\n答えてください。\n\n### 入力:\n質問：いつ？\n\n### 応答:\n";
    assert_eq!(hop[0].prompt_sha256, vec![Sha256::of(prompt).hex()].into());
    assert_eq!((hop[0].profile.as_str(), hop[0].split.as_str()), ("llm-jp-eval@1.3", "dev"));
    // Numbers are read as llm-jp-eval reads them.
    let numbers: Vec<Value> =
        of_task(&imported, "jsts").iter().map(|record| record.prediction.clone()).collect();
    assert_eq!(numbers, [json!(1.0), json!(3.0), json!(-2.0)]);
    let reported: Vec<_> =
        imported.reported.iter().map(|row| (row.task.as_str(), row.metric.as_str(), row.value)).collect();
    assert_eq!(
        reported,
        [("AVG", "score", 0.5), ("QA", "score", 0.7767), ("alt-e-to-j", "comet_wmt22", 0.81)]
    );
    assert_eq!(
        imported.lines[0].origin.as_ref().and_then(|origin| origin.model.as_deref()),
        Some("lab/model")
    );

    value["scores"]["jemhopqa_char_f1"] = json!("0.9152");
    let wrong = import(&value, Settings::default()).expect_err("another score").to_string();
    assert!(wrong.contains("the 2 items of jemhopqa give char_f1 0.915"), "{wrong}");
}

#[test]
fn what_llm_jp_evals_file_does_not_say_is_asked_for() {
    let mut value = version_1();
    value["config"]["dataset_dir"] = json!("data/evaluation");
    let wrong = import(&value, Settings::default()).expect_err("no version").to_string();
    assert!(wrong.contains("--profile"), "{wrong}");
    let profile = Some("llm-jp-eval@1.4");
    let wrong = import(&value, Settings { profile, split: None }).expect_err("no split").to_string();
    assert!(wrong.contains("--split"), "{wrong}");
    let imported = import(&value, Settings { profile, split: Some("test") }).expect("a result");
    let record = &imported.lines[0].record;
    assert_eq!((record.profile.as_str(), record.split.as_str()), ("llm-jp-eval@1.4", "test"));
    let wrong =
        import(&json!({"answer": 42}), Settings { profile, split: Some("dev") }).expect_err("another file");
    assert!(wrong.to_string().contains("not a result of llm-jp-eval"), "{wrong}");
    value["outputs"]["jsts"][1]["gold"] = Value::Null;
    let wrong = import(&value, Settings { profile, split: Some("dev") }).expect_err("no gold").to_string();
    assert!(wrong.starts_with("out/run.json, item 1 of jsts: "), "{wrong}");
}

#[test]
fn version_2_gives_all_items_or_sends_to_the_other_file() {
    let record = |task: &str, pred: &str, gold: &str| json!({"target_dataset": task, "input": "x", "prompt": "問：x", "pred": pred, "true": gold, "output": format!("{pred}\n\n以上")});
    let value = json!({
        "metadata": {"version": "2.1.3"}, "config": {"target_split": "test"}, "evaluation": {}, "lang_scores": {},
        "scores": {"niilc_exact_match": 0.5, "niilc_char_f1": 0.5, "niilc_ool": 0.0, "jnli_exact_match": 0.9},
        "records": [record("niilc", "明治", "明治"), record("niilc", "一", "二"), record("jnli", "neutral", "neutral")],
    });
    let imported = import(&value, Settings::default()).expect("a result");
    let all = of_task(&imported, "niilc");
    assert_eq!(
        (all.len(), all[0].profile.as_str(), average(&all, "exact_match")),
        (2, "llm-jp-eval@2.1", 0.5)
    );
    // One example of jnli is not all of it.
    assert!(of_task(&imported, "jnli").is_empty());
    assert!(
        imported.notes.len() == 1 && imported.notes[0].contains("jnli.eval-generated.json"),
        "{:?}",
        imported.notes
    );
    let reported: Vec<_> =
        imported.reported.iter().map(|row| (row.task.as_str(), row.metric.as_str())).collect();
    assert_eq!(reported, [("jnli", "exact_match"), ("niilc", "ool")]);
}

#[test]
fn raw_answers_are_extracted_and_scored() {
    let mut value = json!({
        "target_dataset": "niilc", "metrics": ["exact_match", "char_f1"], "version": "1.4.1", "config": {"target_split": "dev"},
        "samples": [
            {"input": "x", "prompt": "問：x", "generated": " １９８８年 \n\n次", "gold": "1988年"},
            {"input": "y", "prompt": "問：y", "generated": "\n\n東京", "output": "東京"},
        ],
    });
    let imported = import(&value, Settings::default()).expect("a result");
    let scores: Vec<Value> =
        imported.lines.iter().map(|line| json!([line.record.prediction, line.record.score])).collect();
    assert_eq!(
        scores,
        [
            json!(["1988年", {"exact_match": 1.0, "char_f1": 1.0}]),
            json!(["", {"exact_match": 0.0, "char_f1": 0.0}]),
        ]
    );
    value["answer_extract_pattern"] = json!("<answer>(.*?)</answer>");
    value["samples"][1]["generated"] = json!("<answer>\n東京 </answer>");
    let imported = import(&value, Settings::default()).expect("a result");
    let predictions: Vec<&Value> = imported.lines.iter().map(|line| &line.record.prediction).collect();
    assert_eq!(predictions, [&json!(""), &json!("東京")]);
    value["answer_extract_pattern"] = json!("(?<=x)(.*)");
    let wrong = import(&value, Settings::default()).expect_err("a pattern with look-behind").to_string();
    assert!(wrong.contains("answer_extract_pattern"), "{wrong}");
}

/// The oracle's answers in the form of llm-jp-eval 1.3 give the scores of its own evaluator.
#[test]
fn real_answers_score_as_in_llm_jp_eval() {
    let Some(_) = data() else { return };
    let golden = &scores("llmjp_v13.scores.json")["scores"];
    let mut outputs = json!({});
    let mut stated = json!({});
    for item in goldens("llmjp_v13.jsonl") {
        let id: Vec<&str> = item["id"].as_str().expect("an id").split('/').collect();
        if id[1] == "test" && item["add_special_tokens"] == json!(false) {
            let entry = json!({"input": "", "pred": item["pred"], "gold": item["gold"]});
            let list = &mut outputs[id[0]];
            if list.is_null() {
                *list = json!([]);
            }
            list.as_array_mut().expect("a list").push(entry);
        }
    }
    for (task, metric, key) in [
        ("jcommonsenseqa", "exact_match", "exact_match"),
        ("jemhopqa", "char_f1", "char_f1"),
        ("niilc", "char_f1", "char_f1"),
        ("jsquad", "char_f1", "char_f1"),
    ] {
        let value = golden[format!("{task}/test/nobos")][key].as_f64().expect("a score");
        stated[format!("{task}_{metric}")] = json!(format!("{value:.4}"));
    }
    let value = json!({"scores": stated, "outputs": outputs, "config": {}});
    let settings = Settings { profile: Some("llm-jp-eval@1.3"), split: Some("test") };
    let imported = import(&value, settings).expect("the items give the scores");
    assert_eq!(imported.lines.len(), 400);
    assert!(imported.reported.is_empty(), "{:?}", imported.reported);
}

#[test]
fn swallows_files_are_told_apart_by_content() {
    let run = Run::of("step-0800");
    let jp_harness = json!({
        "results": {"mgsm": {"acc": 0.12, "acc_stderr": 0.02}}, "versions": {"mgsm": 1.0},
        "config": {"model": "hf-causal-experimental", "model_args": "pretrained=lab/model", "num_fewshot": 4},
    });
    let aggregated = json!({
        "model": "lab/model", "result": {"niilc": 0.45, "jhumaneval@1": -1.0}, "overall": "0.45,-1.0", "tasks": ["niilc", "jhumaneval@1"],
    });
    let mut files: Vec<(String, Vec<u8>)> = vec![
        ("r/ja/llm_jp_eval_general.json".to_owned(), version_1().to_string().into_bytes()),
        ("r/ja/score_math.json".to_owned(), jp_harness.to_string().into_bytes()),
        ("r/aggregated_result.json".to_owned(), aggregated.to_string().into_bytes()),
        ("r/notes.json".to_owned(), b"{}".to_vec()),
    ];
    files.extend(run.0);
    let all = |files: &[(String, Vec<u8>)]| -> Result<Imported, ImportError> {
        swallow(&files.iter().map(|(name, bytes)| File { name, bytes }).collect::<Vec<_>>())
    };
    let imported = all(&files).expect("results");
    assert_eq!(imported.lines.len(), 5 + 38);
    assert_eq!(of_task(&imported, "jemhopqa")[0].split, "test");
    let math = imported.reported.iter().find(|row| row.task == "mgsm").expect("reported");
    let said = json!([math.profile, math.metric, math.value, math.stderr, math.shots, math.origin.harness]);
    assert_eq!(said, json!(["jp-harness@1", "acc", 0.12, 0.02, 4, "jp-harness"]));
    assert_eq!(imported.notes, ["r/notes.json: no result that is known, left out"]);

    // The aggregates repeat the others: they are taken alone, without what was not run.
    let alone = all(&files[2..3]).expect("aggregates");
    let rows: Vec<_> = alone.reported.iter().map(|row| (row.task.as_str(), row.value)).collect();
    assert_eq!((rows, alone.lines.len()), (vec![("niilc", 0.45)], 0));
    let nothing = all(&files[3..4]).expect_err("nothing").to_string();
    assert!(nothing.contains("no result of swallow-evaluation"), "{nothing}");
}
