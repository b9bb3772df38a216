//! The oracle's checkpoint step-0800 against the per-item results of lm-eval 0.4.13 and llm-jp-eval 1.3.0 on it.
//!
//! Every run takes the first items of every task; `cargo nextest run --run-ignored all` takes all there are.

use std::collections::BTreeSet;

use sekisho_bench::Answer;
use sekisho_domain::evaluation::Bos;
use sekisho_evaluator::{Model, Settings};
use serde_json::{Value, json};

use crate::support::{How, answers, asked, goldens, load_model, oracle};

/// `profile/task/split`, golden file, name in it, shots, BOS.
type Case = (&'static str, &'static str, &'static str, Option<u32>, Bos);

const CHOICES: [Case; 10] = [
    ("lm-eval/openbookqa/test", "lmeval_zeroshot.jsonl", "o_openbookqa/", None, Bos::Auto),
    ("oracle/o_hellaswag/test", "lmeval_zeroshot.jsonl", "o_hellaswag/", None, Bos::Auto),
    ("oracle/o_hellaswag/test", "lmeval_zeroshot_nobos.jsonl", "o_hellaswag/", None, Bos::Off),
    ("oracle/o_hellaswag/test", "lmeval_2shot.jsonl", "o_hellaswag/", Some(2), Bos::Auto),
    ("oracle/o_winogrande/test", "lmeval_zeroshot.jsonl", "o_winogrande/", None, Bos::Auto),
    ("oracle/o_winogrande/test", "lmeval_zeroshot_nobos.jsonl", "o_winogrande/", None, Bos::Off),
    ("oracle/o_xwino_ja/test", "lmeval_zeroshot.jsonl", "o_xwino_ja/", None, Bos::Auto),
    ("oracle/o_xwino_ja/test", "lmeval_zeroshot_nobos.jsonl", "o_xwino_ja/", None, Bos::Off),
    ("oracle/o_jcommonsenseqa/test", "lmeval_zeroshot.jsonl", "o_jcommonsenseqa/", None, Bos::Auto),
    ("oracle/o_jcommonsenseqa/test", "lmeval_jcqa_3shot.jsonl", "o_jcommonsenseqa/", Some(3), Bos::Auto),
];

const GENERATIONS: [&str; 6] =
    ["jcommonsenseqa/dev", "jcommonsenseqa/test", "jemhopqa/dev", "jemhopqa/test", "niilc/dev", "niilc/test"];

/// Asks the items of a golden file; the largest difference of a log-likelihood, and the number of items.
fn compare_choices(
    model: &Model,
    (name, file, prefix, shots, bos): Case,
    most: usize,
    max_length: Option<usize>,
) -> (f64, usize) {
    let rows = goldens(file, prefix);
    let count = rows.len().min(most);
    assert!(count > 0, "{file} has items of {prefix}");
    let asked = asked(name, count, shots);
    let how = How { bos, settings: Settings { max_length, ..Settings::default() }, ..How::default() };
    let (records, _) = answers(model, &asked, how, &BTreeSet::new()).expect("answered");
    let mut largest = 0.0_f64;
    for (row, (item, record)) in rows.iter().zip(&records) {
        let id = format!("{file} {}", row["id"]);
        assert_eq!(row["id"], format!("{prefix}{item}"));
        assert_eq!(json!(record.prompt_sha256), row["prompt_sha256"], "{id}");
        assert_eq!(json!(record.prompt_tokens), row["prompt_tokens"], "{id}");
        let Answer::Choices { loglikelihoods, choice_tokens, .. } = &record.answer else {
            panic!("{id}: choices")
        };
        assert_eq!(json!(choice_tokens), row["continuation_tokens"], "{id}");
        let golden = numbers(&row["loglikelihood"]);
        assert_eq!(loglikelihoods.len(), golden.len(), "{id}");
        for (ours, theirs) in loglikelihoods.iter().zip(&golden) {
            assert!((ours - theirs).abs() <= 1e-3, "{id}: {ours}, lm-eval says {theirs}");
            largest = largest.max((ours - theirs).abs());
        }
        let close = best_gap(&golden) < 2e-3;
        for (metric, value) in &record.score {
            assert!(close || Some(*value) == row[metric].as_f64(), "{id}: {metric} is {value}");
        }
    }
    (largest, count)
}

fn numbers(list: &Value) -> Vec<f64> {
    list.as_array().expect("a list").iter().filter_map(Value::as_f64).collect()
}

/// By how much the best value is above the second.
fn best_gap(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    sorted[0] - sorted[1]
}

/// What a comparison of generated answers found.
#[derive(Debug, Default)]
struct Generations {
    items: usize,
    /// Whose text up to the blank line is the harness's, character by character.
    same_text: usize,
    /// Whose text differs although every token was decided clearly.
    wrong: Vec<String>,
}

fn compare_generations(model: &Model, name: &str, bos: Bos, most: usize) -> Generations {
    let mut rows = goldens("llmjp_v13.jsonl", &format!("{name}/"));
    rows.retain(|row| row["add_special_tokens"] == (bos == Bos::On));
    let count = rows.len().min(most);
    let asked = asked(&format!("llm-jp-eval@1.3/{name}"), count, None);
    let how = How { bos, ..How::default() };
    let (records, _) = answers(model, &asked, how, &BTreeSet::new()).expect("answered");
    let mut found = Generations::default();
    for (row, (item, record)) in rows.iter().zip(&records) {
        let id = row["id"].as_str().unwrap_or_default();
        assert_eq!(id, format!("{name}/{item}"));
        assert_eq!(json!(record.prompt_sha256), row["prompt_sha256"], "{id}");
        assert_eq!(json!(record.prompt_tokens), row["prompt_tokens"], "{id}");
        assert_eq!(record.gold, row["gold"], "{id}");
        let Answer::Text { output, .. } = &record.answer else { panic!("{id}: a text") };
        let theirs = row["text"].as_str().unwrap_or_default().split("\n\n").next().unwrap_or_default();
        found.items += 1;
        found.same_text += usize::from(output == theirs);
        let decided = row["min_top2_margin"].as_f64().is_some_and(|margin| margin >= 1e-3);
        let score = record.score.values().next().copied();
        let golden = if asked.definition.task == "jcommonsenseqa" { &row["exact"] } else { &row["char_f1"] };
        let same = record.prediction == row["pred"]
            && score.is_some_and(|score| (score - golden.as_f64().unwrap_or(f64::NAN)).abs() < 1e-9);
        if !same || (decided && output != theirs) {
            found.wrong.push(format!("{id}: {output:?}, the harness says {theirs:?}"));
        }
    }
    found
}

fn all_choices(most: usize) {
    let Some(dir) = oracle() else { return };
    let model = load_model(&dir);
    for case in CHOICES {
        let (largest, items) = compare_choices(&model, case, most, None);
        eprintln!("{} {}: {items} items, largest difference {largest:.1e}", case.1, case.0);
    }
}

fn all_generations(most: usize) {
    let Some(dir) = oracle() else { return };
    let model = load_model(&dir);
    for name in GENERATIONS {
        for bos in [Bos::Auto, Bos::On] {
            let Generations { items, same_text, wrong } = compare_generations(&model, name, bos, most);
            eprintln!("{name}, BOS {bos}: {items} items, {same_text} texts equal");
            assert!(items > 0 && wrong.is_empty(), "{name}, BOS {bos}: {wrong:#?}");
        }
    }
}

#[test]
fn loglikelihoods_are_those_of_lm_eval() {
    all_choices(12);
}

#[test]
fn generated_answers_are_those_of_llm_jp_eval() {
    all_generations(6);
}

#[test]
#[ignore = "minutes: every golden item"]
fn every_loglikelihood_is_that_of_lm_eval() {
    all_choices(usize::MAX);
}

#[test]
#[ignore = "minutes: every golden item"]
fn every_generated_answer_is_that_of_llm_jp_eval() {
    all_generations(usize::MAX);
}

/// With a context of 192 tokens every three-shot prompt is cut from the left, as lm-eval's `max_length` does.
#[test]
fn cut_prompts_are_scored_as_by_lm_eval() {
    let Some(dir) = oracle() else { return };
    let model = load_model(&dir);
    let file = "lmeval_jcqa_3shot_truncated192.jsonl";
    let case = ("oracle/o_jcommonsenseqa/test", file, "o_jcommonsenseqa/", Some(3), Bos::Auto);
    let (_, items) = compare_choices(&model, case, usize::MAX, Some(192));
    assert_eq!(items, 20);
    let asked = asked(case.0, 1, Some(3));
    let how = How { settings: Settings { max_length: Some(192), ..Settings::default() }, ..How::default() };
    let (records, _) = answers(&model, &asked, how, &BTreeSet::new()).expect("answered");
    // 436 tokens of context and continuations of 5, 4, 6, 6, 4, whose last token is no input: all above 192 is dropped.
    let dropped: u64 = [5, 4, 6, 6, 4].iter().map(|n| 436 + n - 1 - 192).sum();
    assert_eq!(records[&0].truncated, dropped);
}

/// The last word of a passage: its log-likelihood, and whether the model would write it.
#[test]
fn continuations_are_those_of_lm_eval() {
    let Some(dir) = oracle() else { return };
    let model = load_model(&dir);
    let rows = goldens("lmeval_zeroshot.jsonl", "o_lambada/");
    let asked = asked("oracle/o_lambada/test", 40, None);
    let (records, _) = answers(&model, &asked, How::default(), &BTreeSet::new()).expect("answered");
    assert_eq!(records.len(), 40);
    for (row, record) in rows.iter().zip(records.values()) {
        let Answer::Choices { loglikelihoods, greedy, .. } = &record.answer else { panic!("a likelihood") };
        let golden = row["perplexity"].as_f64().expect("the item's log-likelihood");
        assert!((loglikelihoods[0] - golden).abs() <= 1e-3, "{}: {loglikelihoods:?}", row["id"]);
        assert_eq!(
            greedy.as_deref(),
            row["acc"].as_f64().map(|acc| vec![acc == 1.0]).as_deref(),
            "{}",
            row["id"]
        );
    }
}

/// Pages of WikiText-2 in windows of 512 tokens.
#[test]
fn perplexities_of_a_text_are_those_of_lm_eval() {
    let Some(dir) = oracle() else { return };
    let model = load_model(&dir);
    for (file, bos) in
        [("lmeval_wikitext2_len512.jsonl", Bos::Auto), ("lmeval_wikitext2_len512_nobos.jsonl", Bos::Off)]
    {
        let rows = goldens(file, "o_wikitext2/");
        let asked = asked("oracle/o_wikitext2/test", 2, None);
        let settings = Settings { max_length: Some(512), ..Settings::default() };
        let how = How { bos, settings, ..How::default() };
        let (records, _) = answers(&model, &asked, how, &BTreeSet::new()).expect("answered");
        assert_eq!(records.len(), 2);
        for (row, record) in rows.iter().zip(records.values()) {
            let Answer::Choices { loglikelihoods, choice_tokens, .. } = &record.answer else {
                panic!("a likelihood")
            };
            if bos == Bos::Auto {
                assert_eq!(json!(choice_tokens), json!([row["text_tokens_incl_bos"]]), "{}", row["id"]);
            }
            let golden = row["loglikelihood"].as_f64().expect("a number");
            assert!((loglikelihoods[0] / golden - 1.0).abs() < 1e-6, "{}: {loglikelihoods:?}", row["id"]);
        }
    }
}
