//! Comparison of two lists of records.

use sekisho_bench::compare::{Comparison, Side, compare};
use sekisho_bench::stats::{Stratum, paired};
use sekisho_bench::{Answer, Catalog, Record};
use serde_json::{Value, json};

/// A record of item `item` with these scores; the prompt is the task's and the item's.
fn record(task: &str, item: u64, score: &Value) -> Record {
    serde_json::from_value(json!({
        "profile": "mine@1", "task": task, "split": "test", "item": item,
        "prompt_sha256": format!("{task} {item}"), "prompt_tokens": 3, "truncated": 0,
        "output": "x", "stop": null, "prediction": "x", "gold": "y", "score": score,
    }))
    .expect("a record")
}

/// `n` records, right from `from` up to `to`.
fn records(task: &str, n: u64, from: u64, to: u64) -> Vec<Record> {
    let score = |item: u64| json!({"exact_match": u8::from((from..to).contains(&item))});
    (0..n).map(|item| record(task, item, &score(item))).collect()
}

fn compared(a: &[Record], b: &[Record]) -> Comparison {
    compare(a, b, &Catalog::empty()).expect("shared items")
}

#[test]
fn a_better_model_is_named_with_its_numbers() {
    let comparison = compared(&records("t", 400, 0, 100), &records("t", 400, 0, 130));
    let [row] = comparison.rows.as_slice() else { panic!("one row: {:?}", comparison.rows) };
    assert_eq!((row.n, row.a, row.b, row.better), (400, 0.25, 0.325, Some(Side::B)));
    let table = row.mcnemar.expect("zeros and ones");
    assert_eq!((table.both, table.only_a, table.only_b, table.neither), (100, 0, 30, 270));
    // mid-p of 0 against 30: the probability of what was observed, both sides.
    assert!((row.p - 0.5_f64.powi(30)).abs() < 1e-18 && (row.p_corrected - row.p).abs() < 1e-18, "{row:?}");
    assert_eq!(comparison.mean, None);
    let verdict = &comparison.verdict;
    assert_eq!((verdict.of.as_str(), verdict.better), ("exact_match", Some(Side::B)));
    let text = format!(
        "B is better than A by +0.075 (95% CI [{:.3}, {:.3}], p = 9.3e-10, corrected 9.3e-10)",
        row.difference.low, row.difference.high
    );
    assert_eq!(verdict.text, text);
}

#[test]
fn sides_change_places() {
    let (a, b) = (records("t", 400, 0, 100), records("t", 400, 0, 130));
    let (there, back) = (compared(&a, &b), compared(&b, &a));
    assert_eq!(back.verdict.better, Some(Side::A));
    assert!(
        back.verdict.text.starts_with("A is better than B by +0.075 (95% CI [0.0"),
        "{}",
        back.verdict.text
    );
    assert!((there.verdict.difference.low + back.verdict.difference.high).abs() < 1e-12);
}

#[test]
fn what_may_be_chance_is_called_so() {
    let comparison = compared(&records("t", 400, 0, 100), &records("t", 400, 5, 108));
    assert_eq!(comparison.verdict.better, None);
    // Discordant 5 and 8: exact binomial.
    assert!((comparison.verdict.p - 0.581_054_687_5).abs() < 1e-12, "{:?}", comparison.verdict);
    let text = &comparison.verdict.text;
    assert!(
        text.starts_with("no significant difference between A and B (+0.007, 95% CI [\u{2212}0.0"),
        "{text}"
    );
    assert!(text.ends_with(", p = 0.581)"), "{text}");
    let said = comparison.verdict.said("step 100", "step 200");
    assert!(
        said.en.starts_with("no significant difference between step 100 and step 200 (+0.007"),
        "{said:?}"
    );
    assert!(said.ja.starts_with("step 100とstep 200の差は+0.007（95%CI ["), "{said:?}");
    assert!(said.ja.ends_with("p = 0.581）で、有意差なし"), "{said:?}");
}

#[test]
fn a_larger_family_of_tests_corrects_the_sentence() {
    let found = compared(&records("t", 400, 0, 100), &records("t", 400, 0, 110)).verdict;
    assert!(found.text.starts_with("B is better than A by +0.025"), "{found:?}");
    assert!(found.text_ja.starts_with("BはAより +0.025（95%CI ["), "{found:?}");
    assert!(found.text_ja.ends_with("、補正後 0.002）"), "{found:?}");
    let larger = found.clone().corrected(0.06);
    assert_eq!((larger.better, larger.p, larger.p_corrected), (None, found.p, 0.06));
    assert!(larger.text_ja.ends_with("有意差なし"), "{larger:?}");
}

#[test]
fn the_mean_weighs_tasks_alike_and_p_values_are_corrected() {
    let a = [records("big", 400, 0, 200), records("small", 40, 0, 10)].concat();
    let b = [records("big", 400, 0, 190), records("small", 40, 0, 20)].concat();
    let comparison = compared(&a, &b);
    let mean = comparison.mean.expect("two tasks");
    assert_eq!((mean.tasks, mean.a, mean.b), (2, 0.375, 0.4875));
    let values = |records: &[Record], task: &str| -> Vec<f64> {
        records.iter().filter(|r| r.task == task).map(|r| r.score["exact_match"]).collect()
    };
    let differences =
        |task| -> Vec<f64> { values(&b, task).iter().zip(values(&a, task)).map(|(b, a)| b - a).collect() };
    let paired = paired(&["big", "small"].map(|task| Stratum::mean(&differences(task)))).expect("two tasks");
    assert_eq!((mean.difference, mean.p), (paired.difference, paired.p));
    assert_eq!((comparison.verdict.of.as_str(), comparison.verdict.better), ("mean", Some(Side::B)));
    // Ten discordant items each: twice 2⁻¹⁰, and that twice.
    for row in &comparison.rows {
        assert!(
            (row.p - 2.0 / 1_024.0).abs() < 1e-15 && (row.p_corrected - 4.0 / 1_024.0).abs() < 1e-15,
            "{row:?}"
        );
    }
    let better: Vec<_> = comparison.rows.iter().map(|row| (row.task.as_str(), row.better)).collect();
    assert_eq!(better, [("big", Some(Side::A)), ("small", Some(Side::B))]);
}

#[test]
fn items_of_one_side_and_other_prompts_are_counted_and_left_out() {
    let mut a = records("t", 10, 0, 5);
    let mut b = [records("t", 12, 0, 12).split_off(2), records("u", 3, 0, 3)].concat();
    b[0].prompt_sha256 = vec!["another".to_owned()].into();
    // The last record of an item counts.
    a.push(record("t", 9, &json!({"exact_match": 1})));
    let comparison = compared(&a, &b);
    let counts: Vec<Value> = comparison.tasks.iter().map(|task| json!(task)).collect();
    assert_eq!(
        counts,
        [
            json!({"profile": "mine@1", "task": "t", "split": "test", "shared": 7, "other_prompt": 1, "only_a": 2, "only_b": 2}),
            json!({"profile": "mine@1", "task": "u", "split": "test", "shared": 0, "other_prompt": 0, "only_a": 0, "only_b": 3}),
        ]
    );
    let [row] = comparison.rows.as_slice() else { panic!("one row: {:?}", comparison.rows) };
    assert_eq!((row.n, row.mcnemar.expect("binary").both), (7, 3));
    assert_eq!(json!(comparison.counts), json!({"shared": 7, "other_prompt": 1, "only_a": 2, "only_b": 5}));
}

#[test]
fn nothing_in_common_is_refused_with_the_counts() {
    let refused =
        compare(&records("t", 2, 0, 1), &records("u", 3, 0, 1), &Catalog::empty()).expect_err("nothing");
    let sentence = refused.to_string();
    assert!(
        sentence.starts_with("the two share no items: 2 only in the first, 3 only in the second, 0 with"),
        "{sentence}"
    );
    compare(&[], &[], &Catalog::empty()).expect_err("nothing at all");
}

#[test]
fn a_prompt_that_is_not_known_is_the_same_when_the_answer_is() {
    let mut b = records("t", 10, 0, 5);
    for record in &mut b {
        record.prompt_sha256 = Vec::new().into();
    }
    b[9].gold = json!("another");
    let comparison = compared(&records("t", 10, 0, 4), &b);
    assert_eq!((comparison.counts.shared, comparison.counts.other_prompt), (9, 1));
}

#[test]
fn values_between_are_tested_by_bootstrap() {
    let scored = |from: f64| -> Vec<Record> {
        (0..50).map(|item| record("t", item, &json!({"char_f1": from + (item % 7) as f64 / 20.0}))).collect()
    };
    let comparison = compared(&scored(0.1), &scored(0.3));
    let [row] = comparison.rows.as_slice() else { panic!("one row: {:?}", comparison.rows) };
    assert_eq!((row.better, row.mcnemar), (Some(Side::B), None));
    // No replicate lies on the other side of zero.
    assert!((row.p - 2.0 / 10_001.0).abs() < 1e-15, "{row:?}");
}

/// Of bits per byte fewer are better, and the texts' bytes weigh.
#[test]
fn rolling_metrics_are_of_the_whole_corpus() {
    let scored = |bits: f64| -> Vec<Record> {
        let text = |item: u64| {
            let bytes = 10.0 + 5.0 * item as f64;
            let bits = if item == 0 { 8.0 } else { bits };
            let mut value =
                serde_json::to_value(record("t", item, &json!({"bits_per_byte": bits}))).expect("JSON");
            let answer = value.as_object_mut().expect("an object");
            answer.remove("output");
            answer.remove("stop");
            answer.insert("loglikelihoods".to_owned(), json!([-bits * bytes * std::f64::consts::LN_2]));
            answer.insert("choice_tokens".to_owned(), json!([3]));
            answer.insert("bytes".to_owned(), json!(10 + 5 * item));
            serde_json::from_value(value).expect("a record")
        };
        (0..10).map(text).collect()
    };
    let comparison = compared(&scored(4.0), &scored(3.0));
    let [row] = comparison.rows.as_slice() else { panic!("one row: {:?}", comparison.rows) };
    // 10 bytes of 8 bits and 315 of 4 or 3.
    assert!((row.a - (80.0 + 4.0 * 315.0) / 325.0).abs() < 1e-12, "{row:?}");
    assert!((row.b - (80.0 + 3.0 * 315.0) / 325.0).abs() < 1e-12, "{row:?}");
    assert_eq!((row.better, comparison.verdict.better), (Some(Side::B), Some(Side::B)));
    assert!(
        comparison.verdict.text.starts_with("B is better than A by \u{2212}0.969"),
        "{}",
        comparison.verdict.text
    );
}

/// Corpus metrics have no value per item: they are computed from the answers.
#[test]
fn metrics_of_a_corpus_are_recomputed_on_the_drawn_items() {
    let mut catalog = Catalog::empty();
    let toml = include_str!("../../tasks/llm-jp-eval@1.3/jemhopqa.toml").replace("llm-jp-eval@1.3", "mine@1");
    catalog.add("jemhopqa.toml", &toml).expect("a definition");
    let answered = |prediction: &dyn Fn(u64) -> Value, score: &Value| -> Vec<Record> {
        let item = |item: u64| {
            let mut record = record("jemhopqa", item, score);
            (record.prediction, record.gold) = (prediction(item), json!(format!("{item}")));
            record
        };
        (0..30).map(item).collect()
    };
    let a = answered(&|item| json!(format!("{}", item * 7 % 30)), &json!({"pearson": 0, "bleu_char": 0}));
    let b = answered(&|item| json!(item), &json!({"pearson": 0, "bleu_char": 0}));
    let comparison = compare(&a, &b, &catalog).expect("shared items");
    let row = comparison.rows.iter().find(|row| row.metric == "pearson").expect("a correlation");
    assert!(
        (row.b - 1.0).abs() < 1e-12 && row.a < 0.9 && row.difference.low > 0.0 && row.p < 0.01,
        "{row:?}"
    );
    // The predictions of B are numbers, not texts.
    assert!(comparison.rows.iter().all(|row| row.metric != "bleu_char"));
}

/// WMT asked with other shots, of which nothing is shared, says nothing about the rest.
#[test]
fn a_task_of_which_nothing_is_shared_does_not_take_the_mean_away() {
    let mut catalog = Catalog::empty();
    let toml = include_str!("../../tasks/jp-harness@1/wmt20-en-ja.toml").replace("jp-harness@1", "mine@1");
    catalog.add("wmt20.toml", &toml).expect("a definition");
    let task = catalog.iter().next().expect("one").task.clone();
    let side = |right: u64, prompt: &str| {
        let mut translations = records(&task, 5, 0, 5);
        translations.iter_mut().for_each(|record| record.prompt_sha256 = vec![prompt.to_owned()].into());
        [translations, records("x", 40, 0, right), records("y", 40, 0, right)].concat()
    };
    let comparison = compare(&side(10, "one"), &side(30, "another"), &catalog).expect("shared items");
    assert_eq!(comparison.counts.other_prompt, 5);
    assert_eq!(comparison.mean.expect("of x and y").tasks, 2);
    assert_eq!((comparison.verdict.of.as_str(), comparison.verdict.better), ("mean", Some(Side::B)));
}

#[test]
fn items_without_a_metric_in_common_are_not_called_unshared() {
    let scored =
        |metric: &str| -> Vec<Record> { (0..3).map(|item| record("t", item, &json!({metric: 1}))).collect() };
    let refused = compare(&scored("one"), &scored("other"), &Catalog::empty()).expect_err("no metric");
    assert!(refused.to_string().starts_with("the two share items but no metric"), "{refused}");
}

/// Of two texts there is no mean; the sentence names the task that it is about.
#[test]
fn a_verdict_about_one_of_several_tasks_names_it() {
    let scored = |bits: f64| -> Vec<Record> {
        let text = |task: &str, item: u64| {
            let mut record = record(task, item, &json!({"perplexity": bits.exp()}));
            record.answer = Answer::Choices {
                loglikelihoods: vec![-bits - item as f64 / 10.0],
                choice_tokens: vec![1],
                greedy: Some(vec![false]),
            };
            record
        };
        (0..20).flat_map(|item| [text("t", item), text("u", item)]).collect()
    };
    let comparison = compared(&scored(4.0), &scored(3.0));
    assert_eq!(comparison.mean, None);
    let verdict = &comparison.verdict;
    assert_eq!((verdict.of.as_str(), verdict.better), ("t perplexity", Some(Side::B)));
    assert!(verdict.text.starts_with("on t perplexity: B is better than A by \u{2212}"), "{}", verdict.text);
    assert!((verdict.p_corrected - 2.0 * verdict.p).abs() < 1e-12, "two tasks are judged: {verdict:?}");
}
