//! `lm-eval@0.4`, and the oracle's own tasks written in our format, against the results of lm-eval 0.4.13.

use std::collections::BTreeMap;

use sekisho_bench::{Answer, Catalog, Gold, Item, Record, Request, TaskDefinition, aggregate};
use sekisho_domain::Sha256;
use sekisho_domain::evaluation::Bos;
use serde_json::{Value, json};

use crate::support::{assert_close, data, goldens, items, read, run, scores};

/// The tasks of `oracle/tasks/*.yaml` as a user would define them.
fn oracle_tasks() -> Catalog {
    let mut catalog = Catalog::builtin();
    for (file, text) in [
        ("o_arc_easy.toml", include_str!("../../../../tests/oracle/tasks/o_arc_easy.toml")),
        ("o_hellaswag.toml", include_str!("../../../../tests/oracle/tasks/o_hellaswag.toml")),
        ("o_jcommonsenseqa.toml", include_str!("../../../../tests/oracle/tasks/o_jcommonsenseqa.toml")),
        ("o_lambada.toml", include_str!("../../../../tests/oracle/tasks/o_lambada.toml")),
        ("o_openbookqa.toml", include_str!("../../../../tests/oracle/tasks/o_openbookqa.toml")),
        ("o_piqa.toml", include_str!("../../../../tests/oracle/tasks/o_piqa.toml")),
        ("o_wikitext2.toml", include_str!("../../../../tests/oracle/tasks/o_wikitext2.toml")),
        ("o_winogrande.toml", include_str!("../../../../tests/oracle/tasks/o_winogrande.toml")),
        ("o_xwino_ja.toml", include_str!("../../../../tests/oracle/tasks/o_xwino_ja.toml")),
    ] {
        catalog.add(file, text).expect("a valid definition");
    }
    catalog
}

/// The answer of the oracle's model to an item.
fn answer(row: &Value) -> Answer {
    let list = |key: &str| row[key].as_array().map(Vec::as_slice).unwrap_or_default().iter();
    if let Some(value) = row["loglikelihood"].as_f64() {
        return Answer::Choices { loglikelihoods: vec![value], choice_tokens: vec![1], greedy: None };
    }
    Answer::Choices {
        loglikelihoods: list("loglikelihood").filter_map(Value::as_f64).collect(),
        choice_tokens: list("continuation_tokens").filter_map(Value::as_u64).collect(),
        greedy: Some(list("is_greedy").filter_map(Value::as_bool).collect()),
    }
}

/// Compares one item with its golden.
fn compare_item(id: &str, item: &Item, record: &Record, row: &Value) {
    if let Request::Rolling { text } = &item.request {
        assert_eq!(json!(Sha256::of(text).hex()), row["text_sha256"], "{id}");
        assert_eq!(json!(record.bytes), row["bytes"], "{id}");
        return;
    }
    let pairs = item.request.pairs();
    let hashes: Vec<String> = pairs.iter().map(|(_, text)| Sha256::of(text).hex()[..16].to_owned()).collect();
    assert_eq!(json!(hashes), row["continuation_sha256"], "{id}");
    assert_eq!(json!(record.prompt_sha256), row["prompt_sha256"], "{id}");
    // For winogrande the harness shows the shared continuation instead.
    if pairs.len() == 1 || row["target"].is_number() {
        assert_eq!(record.gold, row["target"], "{id}");
    }
    for (metric, value) in &record.score {
        // Of the perplexity lm-eval logs the log-likelihood.
        let golden =
            row[metric].as_f64().map(|value| if metric == "perplexity" { (-value).exp() } else { value });
        assert_eq!(Some(*value), golden, "{id} {metric}");
    }
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
        let record = Record::new(definition, &run, item, answer(&row), vec![1], 0);
        let record = record.expect("an answer of the right kind");
        compare_item(&format!("{golden_file} {}", row["id"]), item, &record, &row);
        records.push(record);
    }
    assert!(!records.is_empty(), "{golden_file} has items of {golden_task}");
    let golden = &scores(&format!("{golden_file}.scores.json"))["results"][golden_task];
    for (result, primary) in aggregate(definition, &run, &data.sources, Bos::Auto, &records) {
        let what = format!("{golden_file} {golden_task} {}", result.metric);
        assert_eq!(golden["n"], result.n, "{what}");
        let scale = golden[&result.metric].as_f64().expect("a number").max(1.0);
        assert_close(result.value / scale, &json!(golden[&result.metric].as_f64().map(|v| v / scale)), &what);
        match golden[format!("{}_stderr", result.metric)].as_f64() {
            Some(error) => {
                assert_close(result.stderr.expect("lm-eval has one") / scale, &json!(error / scale), &what);
            }
            None => assert_eq!(result.stderr, None, "{what}"),
        }
        assert!(result.low <= result.value && result.value <= result.high, "{what}");
        assert_eq!(primary, definition.primary.to_string() == result.metric, "{what}");
    }
}

#[test]
fn what_is_built_in_is_asked_and_scored_as_by_lm_eval() {
    if data().is_none() {
        return;
    }
    let catalog = Catalog::builtin();
    for (task, golden) in [
        ("arc_easy", "o_arc_easy"),
        ("hellaswag", "o_hellaswag"),
        ("lambada_openai", "o_lambada"),
        ("openbookqa", "o_openbookqa"),
        ("piqa", "o_piqa"),
        ("winogrande", "o_winogrande"),
    ] {
        compare(catalog.find("lm-eval", task).expect("built in"), golden, "lmeval_zeroshot", 0);
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
        ("o_lambada", &[("lmeval_zeroshot", 0)]),
        ("o_openbookqa", &[("lmeval_zeroshot", 0), ("lmeval_2shot", 2)]),
        ("o_piqa", &[("lmeval_zeroshot", 0), ("lmeval_2shot", 2)]),
        ("o_winogrande", &[("lmeval_zeroshot", 0), ("lmeval_zeroshot_nobos", 0), ("lmeval_2shot", 2)]),
        ("o_wikitext2", &[("lmeval_wikitext2_len512", 0), ("lmeval_wikitext2_len512_nobos", 0)]),
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

/// The examples of an item, as they stand in its context.
fn examples(item: &Item) -> Vec<&str> {
    let context = &item.request.contexts()[0];
    item.examples.iter().map(|range| &context[range.clone()]).collect()
}

/// `Random(1234)`, drawn for one document after the other: `sample(range(7473), 4)` gives these lines of the train file.
#[test]
fn gsm8k_shots_are_lm_evals_draws() {
    if data().is_none() {
        return;
    }
    let catalog = Catalog::builtin();
    let definition = catalog.find("lm-eval", "gsm8k").expect("built in");
    let mut run = run(definition, "test");
    (run.shots, run.limit) = (Some(4), Some(3));
    let items = items(definition, &run).items;
    let train = definition.sources.iter().find(|source| source.file == "train.jsonl").expect("named");
    let text = String::from_utf8(read(train).expect("real data")).expect("UTF-8");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    for (item, drawn) in
        items.iter().zip([[6374, 3610, 957, 61], [742, 7462, 6610, 4769], [286, 5501, 5677, 687]])
    {
        let expected: Vec<String> = drawn
            .map(|line: usize| {
                let text = |key: &str| lines[line][key].as_str().expect("a text");
                format!("Question: {}\nAnswer: {}\n\n", text("question"), text("answer"))
            })
            .to_vec();
        assert_eq!(examples(item), expected);
    }
    assert_eq!(items[0].gold, Gold::Text("18".to_owned()));
    let record = |output: &str| {
        let answer = Answer::Text { output: output.to_owned(), stop: None };
        Record::new(definition, &run, &items[0], answer, vec![1], 0).expect("a text").score
    };
    for (output, strict, flexible) in
        [(" 9 * 2 = 18\n#### 18", 1.0, 1.0), (" It is $18.", 0.0, 1.0), ("#### 17", 0.0, 0.0), ("", 0.0, 0.0)]
    {
        let score = record(output);
        let expected = [("exact_match,flexible-extract", flexible), ("exact_match,strict-match", strict)];
        assert_eq!(score, expected.map(|(name, value)| (name.to_owned(), value)).into(), "{output}");
    }
}

#[test]
fn mmlu_asks_every_subject_after_its_own_examples() {
    if data().is_none() {
        return;
    }
    let catalog = Catalog::builtin();
    let definition = catalog.find("lm-eval", "mmlu").expect("built in");
    let mut run = run(definition, "test");
    let all = items(definition, &run).items;
    assert_eq!(all.len(), 14_042);
    let subjects: std::collections::BTreeSet<_> = all.iter().map(|item| item.group.clone()).collect();
    assert_eq!(subjects.len(), 57);
    // A limit counts for each subject, as lm-eval limits a group.
    run.limit = Some(2);
    let limited = items(definition, &run).items;
    assert_eq!(limited.len(), 57 * 2);
    assert_eq!((&limited[1], limited[2].index), (&all[1], 100), "anatomy follows on abstract algebra");
    let item = &limited[2];
    let context = &item.request.contexts()[0];
    assert!(context.starts_with(
        "The following are multiple choice questions (with answers) about anatomy.\n\n\
         What is the embryological origin of the hyoid bone?\nA. The first pharyngeal arch\n"
    ));
    let shots = examples(item);
    assert_eq!(shots.len(), 5);
    assert!(shots[0].ends_with("\nAnswer: D\n\n"), "{}", shots[0]);
    assert_eq!(context.matches("\nAnswer:").count(), 6);
    assert!(context.ends_with("\nAnswer:"));
    let continuations: Vec<&str> = item.request.pairs().iter().map(|(_, text)| *text).collect();
    assert_eq!(continuations, [" A", " B", " C", " D"]);
}

/// The colon, its space and the one character too many are the harness's own.
#[test]
fn mgsm_is_rendered_as_by_lm_eval() {
    if data().is_none() {
        return;
    }
    let catalog = Catalog::builtin();
    let first = |task: &str, shots: u32| {
        let definition = catalog.find("lm-eval", task).expect("built in");
        let mut run = run(definition, "test");
        (run.shots, run.limit) = (Some(shots), Some(1));
        let item = items(definition, &run).items.swap_remove(0);
        assert_eq!(item.gold, Gold::Text("18".to_owned()), "{task}");
        (item.request.contexts()[0].clone(), examples(&item).len())
    };
    let (prompt, _) = first("mgsm_native_cot_ja", 0);
    assert!(prompt.starts_with("問題： ジャネットのアヒルは1日に16個の卵を生みます。"), "{prompt}");
    assert!(prompt.ends_with("\nステップごとの答え:"), "{prompt}");
    let (prompt, _) = first("mgsm_direct_en", 0);
    assert!(prompt.starts_with("Question: Janet") && prompt.ends_with("\nAnswer:"), "{prompt}");
    // `Random(1234).sample(range(8), 5)` is 7, 0, 6, 5, 4, and Roger is the first exemplar.
    let (prompt, shots) = first("mgsm_en_cot_en", 5);
    assert_eq!(shots, 5);
    assert!(prompt.contains("Question: Roger has 5 tennis balls."), "{prompt}");
    assert!(prompt.contains("\nStep-by-Step Answer: Roger started with 5 balls."), "{prompt}");
    let (prompt, _) = first("mgsm_native_cot_ja", 5);
    assert!(prompt.contains("\nステップごとの答え: ジャーは最初5個のボールがありました。"), "{prompt}");
}

/// An item that draws itself is dropped, and lm-eval draws no other for xwinograd.
#[test]
fn an_xwinograd_sentence_that_draws_itself_has_a_shot_less() {
    if data().is_none() {
        return;
    }
    let catalog = Catalog::builtin();
    let definition = catalog.find("lm-eval", "xwinograd_jp").expect("built in");
    let mut run = run(definition, "test");
    run.shots = Some(4);
    let counts: Vec<usize> = items(definition, &run).items.iter().map(|item| item.examples.len()).collect();
    assert!(counts.iter().all(|count| (3..=4).contains(count)));
    assert!(counts.contains(&3) && counts.iter().filter(|count| **count == 3).count() < 20);
}
