//! `jp-harness@1` against the results of the JP harness (jp-stable).

use sekisho_bench::{Answer, Catalog, Gold, Item, Record, TaskDefinition, aggregate};
use sekisho_domain::Sha256;
use sekisho_domain::evaluation::{Bos, TaskRun};
use serde_json::{Value, json};

use crate::support::{assert_close, data, goldens, items, prompt_samples, run, scores};

const PROFILE: &str = "jp-harness@1";

fn find(task: &str) -> TaskDefinition {
    Catalog::builtin().find(PROFILE, task).expect("built in").clone()
}

/// The first 50 items in the harness's order, with their goldens.
fn with_goldens(definition: &TaskDefinition, prefix: &str) -> (TaskRun, Vec<(Item, Value)>) {
    let mut run = run(definition, "test");
    run.limit = Some(50);
    let rows: Vec<Value> = goldens("jp_harness.jsonl")
        .into_iter()
        .filter(|row| row["id"].as_str().is_some_and(|id| id.starts_with(prefix)))
        .collect();
    let items = items(definition, &run).items;
    assert_eq!((items.len(), rows.len()), (50, 50));
    (run, items.into_iter().zip(rows).collect())
}

fn record(definition: &TaskDefinition, run: &TaskRun, item: &Item, row: &Value) -> Record {
    let answer = Answer::Text { output: row["text"].as_str().expect("a text").to_owned(), stop: None };
    let record = Record::new(definition, run, item, answer, vec![1], 0).expect("a text");
    assert_eq!(json!(record.prompt_sha256), row["prompt_sha256"], "{}", row["id"]);
    record
}

#[test]
fn mgsm_is_asked_and_scored_as_by_the_harness() {
    if data().is_none() {
        return;
    }
    let definition = find("mgsm");
    let (run, pairs) = with_goldens(&definition, "mgsm_ja/");
    // `Random(42).shuffle(range(250))`: an item keeps the line it has in the file.
    let order: Vec<u64> = pairs.iter().take(8).map(|(item, _)| item.index).collect();
    assert_eq!(order, [44, 98, 184, 123, 121, 167, 9, 176]);
    let mut records = Vec::new();
    for (item, row) in &pairs {
        let record = record(&definition, &run, item, row);
        let extracted = row["extracted"].as_i64().map_or("[invalid]".to_owned(), |number| number.to_string());
        assert_eq!(record.prediction, extracted, "{}", row["id"]);
        assert_eq!(record.gold, row["gold"].to_string(), "{}", row["id"]);
        assert_eq!(record.score["acc"] > 0.5, row["acc"].as_bool().expect("a truth value"), "{}", row["id"]);
        // Without its first example a prompt still begins with one.
        let context = &item.request.contexts()[0];
        assert_eq!(item.examples.len(), 4);
        assert!(context[item.examples[0].end..].starts_with("問題："));
        records.push(record);
    }
    let golden = &scores("jp_harness.scores.json")["scores"]["mgsm_ja/nobos"];
    let results = aggregate(&definition, &run, &[], Bos::Auto, &records);
    let [(result, true)] = &results[..] else { panic!("one metric, which is primary") };
    assert_close(result.value, &golden["acc"], "acc");
    assert_close(result.stderr.expect("it has one"), &golden["acc_stderr"], "acc");
}

#[test]
fn wmt20_is_asked_and_scored_as_by_the_harness() {
    if data().is_none() {
        return;
    }
    let definition = find("wmt20-en-ja");
    let (run, pairs) = with_goldens(&definition, "wmt20_en_ja/");
    let order: Vec<u64> = pairs.iter().take(8).map(|(item, _)| item.index).collect();
    assert_eq!(order, [776, 507, 895, 922, 33, 483, 85, 750]);
    let mut records = Vec::new();
    for (item, row) in &pairs {
        let record = record(&definition, &run, item, row);
        assert_eq!(record.prediction, row["pred"], "{}", row["id"]);
        assert_eq!(record.gold, row["gold"], "{}", row["id"]);
        records.push(record);
    }
    let golden = &scores("jp_harness.scores.json")["scores"]["wmt20_en_ja/nobos"];
    let results = aggregate(&definition, &run, &[], Bos::Auto, &records);
    let values: Vec<(&str, f64)> =
        results.iter().map(|(entry, _)| (entry.metric.as_str(), entry.value)).collect();
    let expected = [
        ("bleu_char", &golden["sacrebleu[char]"]["score"]),
        ("bleu", &golden["sacrebleu[13a]"]["score"]),
        ("bleu_intl", &golden["sacrebleu[intl]"]["score"]),
        ("chrf", &golden["chrf2"]),
        ("chrf++", &golden["chrf2pp"]),
    ];
    assert_eq!(values.len(), expected.len());
    for ((name, value), (golden_name, golden)) in values.into_iter().zip(expected) {
        assert_eq!(name, golden_name);
        assert_close(value, golden, name);
    }
    for (entry, primary) in &results {
        assert!(entry.low <= entry.value && entry.value <= entry.high, "{entry:?}");
        assert_eq!(*primary, entry.metric == "bleu_char");
        assert!(entry.stderr.is_some());
    }
}

#[test]
fn ja_en_asks_every_sentence_once() {
    if data().is_none() {
        return;
    }
    let definition = find("wmt20-ja-en");
    let mut items = items(&definition, &run(&definition, "test")).items;
    items.sort_by_key(|item| item.index);
    let indices: Vec<u64> = items.iter().map(|item| item.index).collect();
    assert_eq!(indices, (0..993).collect::<Vec<u64>>());
    let first = &items[0];
    assert!(first.request.contexts()[0].contains("\n\nJapanese phrase: "));
    assert!(first.request.contexts()[0].ends_with("\nEnglish phrase:"));
    let Gold::Text(gold) = &first.gold else { panic!("a text") };
    assert!(gold.is_ascii(), "{gold}");
    assert!(
        items.iter().all(|item| item.examples.len() == 4),
        "one more is drawn for an item that draws itself"
    );
}

#[test]
fn prompts_are_the_harnesss_own_letter_by_letter() {
    if data().is_none() {
        return;
    }
    let mut compared = 0;
    for row in prompt_samples() {
        let id = row["id"].as_str().expect("an id");
        let task = match id.split('/').next() {
            Some("mgsm_ja") => "mgsm",
            Some("wmt20_en_ja") => "wmt20-en-ja",
            _ => continue,
        };
        let definition = find(task);
        let place: usize = id.rsplit('/').next().and_then(|place| place.parse().ok()).expect("a place");
        let items = items(&definition, &run(&definition, "test")).items;
        assert_eq!(items[place].request.contexts(), [row["prompt"].as_str().expect("a text")]);
        assert_eq!(json!(Sha256::of(row["prompt"].as_str().expect("a text")).hex()), row["prompt_sha256"]);
        compared += 1;
    }
    assert_eq!(compared, 4);
}
