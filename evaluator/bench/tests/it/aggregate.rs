//! Scores of items that share something, against the statistics that they are made of.

use std::collections::BTreeMap;

use sekisho_bench::stats::{self, Stratum};
use sekisho_bench::{Answer, Catalog, Gold, Item, Record, TaskDefinition, aggregate};
use sekisho_domain::evaluation::{Bos, TaskRun};
use sekisho_domain::score::ResultEntry;

use crate::support::{data, items, run};

fn score(definition: &TaskDefinition, run: &TaskRun, records: &[Record]) -> ResultEntry {
    aggregate(definition, run, &[], Bos::Auto, records).swap_remove(0).0
}

fn records(
    definition: &TaskDefinition,
    run: &TaskRun,
    items: &[Item],
    answer: impl Fn(&Item) -> Answer,
) -> Vec<Record> {
    let record = |item: &Item| {
        Record::new(definition, run, item, answer(item), vec![1], 0).expect("an answer of the right kind")
    };
    items.iter().map(record).collect()
}

/// A model that always says A.
#[test]
fn mmlu_has_the_standard_error_of_a_group() {
    if data().is_none() {
        return;
    }
    let definition = Catalog::builtin().find("lm-eval", "mmlu").expect("built in").clone();
    let mut run = run(&definition, "test");
    run.limit = Some(20);
    let items = items(&definition, &run).items;
    let records = records(&definition, &run, &items, |_| Answer::Choices {
        loglikelihoods: vec![-1.0, -2.0, -3.0, -4.0],
        choice_tokens: vec![1; 4],
        greedy: None,
    });
    let result = score(&definition, &run, &records);
    let mut subjects: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for record in &records {
        subjects.entry(record.group.as_deref().expect("a subject")).or_default().push(record.score["acc"]);
    }
    assert_eq!((subjects.len(), result.n), (57, 57 * 20));
    let errors: Vec<f64> = subjects.values().filter_map(|values| stats::standard_error(values)).collect();
    assert_eq!(result.stderr, stats::pooled_standard_error(&errors, &[20; 57]));
    let values: Vec<f64> = records.iter().map(|record| record.score["acc"]).collect();
    assert_ne!(result.stderr, stats::standard_error(&values));
    assert_eq!(Some(result.value), stats::mean(&values));
}

/// A model that answers the questions of every other passage.
#[test]
fn an_interval_over_passages_draws_passages() {
    if data().is_none() {
        return;
    }
    let definition = Catalog::builtin().find("llm-jp-eval@1.1", "jsquad").expect("built in").clone();
    let mut run = run(&definition, "test");
    run.limit = Some(400);
    let items = items(&definition, &run).items;
    let passage =
        |item: &Item| item.group.as_deref().and_then(|group| group.parse::<u64>().ok()).expect("a number");
    let records = records(&definition, &run, &items, |item| {
        let Gold::Text(gold) = &item.gold else { panic!("a text") };
        let output = if passage(item) % 2 == 0 { gold.clone() } else { String::new() };
        Answer::Text { output, stop: None }
    });
    let result = score(&definition, &run, &records);
    let values: Vec<f64> = records.iter().map(|record| record.score["char_f1"]).collect();
    let passages: Vec<&str> = records.iter().filter_map(|record| record.group.as_deref()).collect();
    let clustered = Stratum::clustered_mean(&values, &passages).expect("a passage for each");
    let expected = stats::bootstrap(&[clustered]).expect("items");
    assert_eq!((result.value, result.low, result.high), (expected.value, expected.low, expected.high));
    let plain = stats::bootstrap(&[Stratum::mean(&values)]).expect("items");
    assert!(result.high - result.low > 1.5 * (plain.high - plain.low), "{result:?} {plain:?}");
}
