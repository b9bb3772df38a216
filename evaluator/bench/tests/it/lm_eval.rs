//! `lm-eval@0.4`, and the oracle's own tasks written in our format, against the results of lm-eval 0.4.13.

use std::collections::BTreeMap;

use sekisho_bench::{Answer, Catalog, Record, TaskDefinition, aggregate};
use sekisho_domain::Sha256;
use sekisho_domain::evaluation::Bos;
use serde_json::Value;

use crate::support::{assert_close, data, goldens, items, run, scores};

/// The tasks of `oracle/tasks/*.yaml` as a user would define them.
fn oracle_tasks() -> Catalog {
    let mut catalog = Catalog::builtin();
    for (file, text) in [
        ("o_arc_easy.toml", include_str!("../tasks/o_arc_easy.toml")),
        ("o_hellaswag.toml", include_str!("../tasks/o_hellaswag.toml")),
        ("o_jcommonsenseqa.toml", include_str!("../tasks/o_jcommonsenseqa.toml")),
        ("o_openbookqa.toml", include_str!("../tasks/o_openbookqa.toml")),
        ("o_piqa.toml", include_str!("../tasks/o_piqa.toml")),
        ("o_winogrande.toml", include_str!("../tasks/o_winogrande.toml")),
        ("o_xwino_ja.toml", include_str!("../tasks/o_xwino_ja.toml")),
    ] {
        catalog.add(file, text).expect("a valid definition");
    }
    catalog
}

/// Compares prompts, continuations, scores per item and aggregates of one task with a golden file.
fn compare(definition: &TaskDefinition, golden_task: &str, golden_file: &str, shots: u32) {
    let mut run = run(definition, "test");
    run.shots = Some(shots);
    let data = items(definition, &run);
    let prefix = format!("{golden_task}/");
    let mut records = Vec::new();
    for row in goldens(&format!("{golden_file}.jsonl")) {
        let Some(index) = row["id"].as_str().and_then(|id| id.strip_prefix(&prefix)) else {
            continue;
        };
        let item = &data.items[index.parse::<usize>().expect("an index")];
        let id = format!("{golden_file} {}", row["id"]);
        let pairs = item.request.pairs();
        let hashes: Vec<String> =
            pairs.iter().map(|(_, text)| Sha256::of(text).hex()[..16].to_owned()).collect();
        assert_eq!(serde_json::to_value(hashes).expect("JSON"), row["continuation_sha256"], "{id}");

        let numbers = |key: &str| row[key].as_array().expect("a list").iter();
        let answer = Answer::Choices {
            loglikelihoods: numbers("loglikelihood").filter_map(Value::as_f64).collect(),
            choice_tokens: numbers("continuation_tokens").filter_map(Value::as_u64).collect(),
            greedy: None,
        };
        let record =
            Record::new(definition, &run, item, answer, vec![1], 0).expect("an answer of the right kind");
        assert_eq!(serde_json::to_value(&record.prompt_sha256).expect("JSON"), row["prompt_sha256"], "{id}");
        if row["target"].is_number() {
            assert_eq!(record.gold, row["target"], "{id}");
        }
        for (metric, value) in &record.score {
            assert_eq!(Some(*value), row[metric].as_f64(), "{id} {metric}");
        }
        records.push(record);
    }
    let golden = &scores(&format!("{golden_file}.scores.json"))["results"][golden_task];
    for (result, primary) in aggregate(definition, &run, &data.sources, Bos::Auto, &records) {
        let what = format!("{golden_file} {golden_task} {}", result.metric);
        assert_eq!(golden["n"], result.n, "{what}");
        assert_close(result.value, &golden[&result.metric], &what);
        assert_close(
            result.stderr.expect("lm-eval has one"),
            &golden[format!("{}_stderr", result.metric)],
            &what,
        );
        assert!(result.low < result.value && result.value < result.high, "{what}");
        assert_eq!(primary, result.metric == "acc", "{what}");
    }
    assert!(!records.is_empty(), "{golden_file} has items of {golden_task}");
}

#[test]
fn openbookqa_is_asked_and_scored_as_by_lm_eval() {
    if data().is_some() {
        let catalog = Catalog::builtin();
        compare(
            catalog.find("lm-eval", "openbookqa").expect("built in"),
            "o_openbookqa",
            "lmeval_zeroshot",
            0,
        );
    }
}

#[test]
fn the_format_expresses_the_oracles_tasks() {
    if data().is_none() {
        return;
    }
    let catalog = oracle_tasks();
    for (task, files) in [
        ("o_arc_easy", &[("lmeval_zeroshot", 0), ("lmeval_2shot", 2)][..]),
        ("o_hellaswag", &[("lmeval_zeroshot", 0), ("lmeval_zeroshot_nobos", 0), ("lmeval_2shot", 2)]),
        (
            "o_jcommonsenseqa",
            &[("lmeval_zeroshot", 0), ("lmeval_jcqa_3shot", 3), ("lmeval_jcqa_3shot_truncated192", 3)],
        ),
        ("o_openbookqa", &[("lmeval_2shot", 2)]),
        ("o_piqa", &[("lmeval_zeroshot", 0), ("lmeval_2shot", 2)]),
        ("o_winogrande", &[("lmeval_zeroshot", 0), ("lmeval_zeroshot_nobos", 0), ("lmeval_2shot", 2)]),
        ("o_xwino_ja", &[("lmeval_zeroshot", 0), ("lmeval_zeroshot_nobos", 0)]),
    ] {
        let definition = catalog.find("oracle", task).expect("added");
        for (file, shots) in files {
            compare(definition, task, file, *shots);
        }
    }
}

/// lm-eval's own form of the task: context up to the pronoun, then the rest after a space.
#[test]
fn xwinograd_jp_cuts_the_oracles_sentences_at_the_pronoun() {
    if data().is_none() {
        return;
    }
    let catalog = oracle_tasks();
    let of = |profile, task| {
        let definition = catalog.find(profile, task).expect("known");
        items(definition, &run(definition, "test")).items
    };
    let (cut, whole) = (of("lm-eval", "xwinograd_jp"), of("oracle", "o_xwino_ja"));
    assert_eq!(cut.len(), 959);
    for (cut, whole) in cut.iter().zip(&whole) {
        let joined: Vec<String> = cut
            .request
            .pairs()
            .iter()
            .map(|(context, rest)| {
                format!("{context}{}", rest.strip_prefix(' ').expect("lm-eval's delimiter"))
            })
            .collect();
        let sentences: Vec<&str> = whole.request.pairs().iter().map(|(_, sentence)| *sentence).collect();
        assert_eq!(joined, sentences);
    }
    // One continuation for both contexts, and the same labels as the oracle made from the same file.
    let golds: BTreeMap<u64, _> =
        whole.iter().map(|item| (item.index, format!("{:?}", item.gold)[..17].to_owned())).collect();
    assert!(cut.iter().all(|item| golds[&item.index] == format!("{:?}", item.gold)[..17]));
}
