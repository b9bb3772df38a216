//! Means over tasks and their differences, from records.

use sekisho_bench::{
    Answer, Catalog, Gold, Item, Record, Request, TaskItems, difference_over_tasks, mean_over_tasks,
    share_of_mean,
};
use sekisho_domain::evaluation::TaskRun;
use serde_json::json;

/// `n` records with a value that `score` gives, the item's number as its prediction, in passages of ten.
fn records(metric: &str, n: u64, score: impl Fn(u64) -> f64) -> Vec<Record> {
    let record = |item: u64| {
        serde_json::from_value(json!({
            "profile": "mine@1", "task": "t", "split": "test", "item": item, "group": (item / 10).to_string(),
            "prompt_sha256": "", "prompt_tokens": 3, "truncated": 0, "output": "x", "stop": null,
            "prediction": format!("the quick brown fox number {item}"),
            "gold": format!("the quick brown fox number {}", if item.is_multiple_of(2) { item } else { 0 }),
            "score": {metric: score(item)},
        }))
    };
    (0..n).map(record).collect::<Result<_, _>>().expect("records")
}

fn items(metric: &str, records: &[Record]) -> TaskItems {
    TaskItems::new(metric, false, records)
}

fn right(share: u64) -> impl Fn(u64) -> f64 {
    move |item| f64::from(u8::from(item % 100 < share))
}

#[test]
fn bleu_enters_a_mean_divided_by_a_hundred() {
    let translations = records("bleu", 40, |_| 0.0);
    let alone = mean_over_tasks(&[items("bleu", &translations)]).expect("a score");
    assert!(alone.value > 0.5 && alone.high <= 1.0, "{alone:?}");
    let answers = records("exact_match", 100, right(50));
    let both =
        mean_over_tasks(&[items("bleu", &translations), items("exact_match", &answers)]).expect("scores");
    assert!((both.value - (alone.value + 0.5) / 2.0).abs() < 1e-12 && both.low < both.value, "{both:?}");
}

#[test]
fn what_is_better_the_lower_does_not_enter() {
    let texts = records("bits_per_byte", 3, |_| 2.0);
    assert!(!items("bits_per_byte", &texts).enters_means() && items("bleu", &texts).enters_means());
    assert_eq!(share_of_mean("bits_per_byte", 2.0), None);
    assert_eq!((share_of_mean("chrf", 40.0), share_of_mean("f1_of_another", 1.5)), (Some(0.4), Some(1.5)));
}

#[test]
fn only_the_same_items_are_compared() {
    let (a, b) = (records("exact_match", 100, right(20)), records("exact_match", 100, right(60)));
    let of = |records: &[Record]| [items("exact_match", records)];
    let found = difference_over_tasks(&of(&a), &of(&b)).expect("the same items");
    assert!((found.difference.value - 0.4).abs() < 1e-9 && found.p < 0.01 && found.difference.low > 0.0);
    assert_eq!(difference_over_tasks(&of(&a), &of(&b[1..])), None);
    assert_eq!(difference_over_tasks(&of(&a), &[]), None);
}

/// The ten questions of a passage are all answered better or none is.
#[test]
fn passages_are_drawn_together() {
    let (a, b) = (records("exact_match", 100, right(0)), records("exact_match", 100, right(20)));
    let difference = |clustered| {
        let of = |records| [TaskItems::new("exact_match", clustered, records)];
        difference_over_tasks(&of(&a), &of(&b)).expect("the same items").difference
    };
    let (plain, clustered) = (difference(false), difference(true));
    assert_eq!(plain.value, clustered.value);
    assert!(clustered.high - clustered.low > 2.0 * (plain.high - plain.low), "{clustered:?} {plain:?}");
    // Another program's records do not name the passages: the other side's do.
    let mut unnamed = b;
    unnamed.iter_mut().for_each(|record| record.group = None);
    let of = |records| [TaskItems::new("exact_match", true, records)];
    for (first, second) in [(&a, &unnamed), (&unnamed, &a)] {
        let found = difference_over_tasks(&of(first), &of(second)).expect("the same items").difference;
        assert!((found.high - found.low - (clustered.high - clustered.low)).abs() < 1e-12, "{found:?}");
    }
}

/// A Japanese text is one "word" of a thousand nats and more: its word perplexity is no number, and its record is one all the same.
#[test]
fn a_text_without_spaces_has_a_record_that_can_be_read_back() {
    let catalog = Catalog::builtin();
    let definition = catalog.find("lm-eval", "text").expect("built in");
    let run = TaskRun {
        profile: definition.profile.clone(),
        task: definition.task.clone(),
        split: "test".to_owned(),
        limit: None,
        shots: None,
    };
    let text = "関所を通る".repeat(200);
    let item = Item {
        index: 0,
        group: None,
        gold: Gold::Length { words: 1, bytes: text.len() as u64 },
        request: Request::Rolling { text },
        examples: Vec::new(),
    };
    let answer = Answer::Choices { loglikelihoods: vec![-2_000.0], choice_tokens: vec![1_000], greedy: None };
    let record = Record::new(definition, &run, &item, answer, vec![1_000], 0).expect("a record");
    let read: Record = serde_json::from_str(&json!(record).to_string()).expect("a record");
    assert_eq!(read, record);
    assert!(!record.score.contains_key("word_perplexity") && record.score["bits_per_byte"] > 0.9);
}
