//! Fingerprints and the lines of `--out`: formats that others rely on.

use sekisho_bench::{Answer, Catalog, Gold, Item, Record, Request, TaskDefinition, fingerprint};
use sekisho_domain::Sha256;
use sekisho_domain::evaluation::Bos;
use sekisho_domain::wire::SourceFile;
use serde_json::json;

use crate::support::run;

fn find(profile: &str, task: &str) -> TaskDefinition {
    Catalog::builtin().find(profile, task).expect("built in").clone()
}

#[test]
fn a_fingerprint_changes_with_every_setting_that_may_change_a_score() {
    let definition = find("llm-jp-eval@1.3", "jemhopqa");
    let base_run = run(&definition, "dev");
    let base = fingerprint(&definition, &base_run, &[], Bos::Auto);
    let mut seen = vec![base];
    let mut differs = |what: &str, other: Sha256| {
        assert!(!seen.contains(&other), "{what}");
        seen.push(other);
    };
    differs("split", fingerprint(&definition, &run(&definition, "test"), &[], Bos::Auto));
    differs("bos", fingerprint(&definition, &base_run, &[], Bos::On));
    let mut other = base_run.clone();
    other.limit = Some(100);
    differs("limit", fingerprint(&definition, &other, &[], Bos::Auto));
    let mut other = base_run.clone();
    other.shots = Some(0);
    differs("shots", fingerprint(&definition, &other, &[], Bos::Auto));
    let train =
        SourceFile { source: "jemhopqa".into(), file: "train.json".into(), sha256: Sha256::of("mine") };
    differs("data", fingerprint(&definition, &base_run, std::slice::from_ref(&train), Bos::Auto));
    for (from, to) in [
        ("version = 1", "version = 2"),
        ("質問：{question}", "問：{question}"),
        ("max_new_tokens = 15", "max_new_tokens = 16"),
        (", \"strip\"]", "]"),
        ("\"nfkc\"", "\"lowercase\""),
        ("truncation = \"none\"", "truncation = \"left\""),
        ("[\"char_f1\"]", "[\"char_f1\", \"exact_match\"]"),
        ("[reader]", "[drop]\nanswer = [\"-\"]\n\n[reader]"),
        ("[shots]", "[[derive]]\nfield = \"x\"\nfrom = \"y\"\n\n[shots]"),
        ("from = \"train\"", "from = \"train\"\nsampler = \"lm-eval\""),
    ] {
        let text = definition.toml().replace(from, to);
        let other = TaskDefinition::from_toml("other.toml", &text).expect("a valid definition");
        differs(from, fingerprint(&other, &base_run, &[], Bos::Auto));
    }
}

#[test]
fn a_fingerprint_is_deaf_to_what_cannot_change_a_score() {
    let definition = find("llm-jp-eval@1.3", "jemhopqa");
    let base_run = run(&definition, "test");
    let mut zero = base_run.clone();
    zero.shots = Some(0);
    let base = fingerprint(&definition, &base_run, &[], Bos::Auto);
    assert_eq!(base, fingerprint(&definition, &base_run, &[], Bos::Off), "the profile's rule is off");
    let mut four = base_run.clone();
    four.shots = Some(4);
    assert_eq!(
        base,
        fingerprint(&definition, &four, &[], Bos::Auto),
        "the default number of shots, said aloud"
    );
    let text = definition.toml().replace("マルチホップ", "").replace("# As", "# Just as");
    let renamed = TaskDefinition::from_toml("other.toml", &text).expect("a valid definition");
    assert_eq!(base, fingerprint(&renamed, &base_run, &[], Bos::Auto), "title and comment");
    // Without shots the train file is not used, so its bytes are no part of the settings.
    let train =
        SourceFile { source: "jemhopqa".into(), file: "train.json".into(), sha256: Sha256::of("mine") };
    assert_eq!(
        fingerprint(&definition, &zero, &[], Bos::Auto),
        fingerprint(&definition, &zero, &[train], Bos::Auto)
    );
}

/// The records of the other requests: a continuation says whether it is greedy, a rolling text how long it is, an item of a
/// sub-task which one.
#[test]
fn records_of_continuations_texts_and_subtasks_say_what_their_scores_are_made_of() {
    let lambada = find("lm-eval", "lambada_openai");
    let text = find("lm-eval", "text");
    let item = |request, gold, group: Option<&str>| Item {
        index: 0,
        group: group.map(str::to_owned),
        request,
        gold,
        examples: Vec::new(),
    };
    let one = |value, greedy| Answer::Choices { loglikelihoods: vec![value], choice_tokens: vec![1], greedy };
    let asked = item(
        Request::Continuation { context: "甲".into(), continuation: " 乙".into() },
        Gold::Text(" 乙".into()),
        None,
    );
    let run_of = |definition: &TaskDefinition| run(definition, "test");
    let record = Record::new(&lambada, &run_of(&lambada), &asked, one(-2.0, Some(vec![true])), vec![2], 0)
        .expect("fits");
    let line = serde_json::to_value(&record).expect("JSON");
    assert_eq!(
        line,
        json!({
            "profile": "lm-eval@0.4", "task": "lambada_openai", "split": "test", "item": 0,
            "prompt_sha256": Sha256::of("甲").hex(), "prompt_tokens": 2, "truncated": 0,
            "loglikelihoods": [-2.0], "choice_tokens": [1], "greedy": [true],
            "prediction": true, "gold": " 乙", "score": {"acc": 1.0, "perplexity": 2.0_f64.exp()},
        })
    );
    assert_eq!(serde_json::from_value::<Record>(line).expect("a record"), record);
    let error =
        Record::new(&lambada, &run_of(&lambada), &asked, one(-2.0, None), vec![2], 0).expect_err("not said");
    assert!(
        error.to_string().ends_with("does not say whether the continuation is the likeliest one"),
        "{error}"
    );

    let asked =
        item(Request::Rolling { text: "a b".into() }, Gold::Length { words: 2, bytes: 3 }, Some("anatomy"));
    let record = Record::new(&text, &run_of(&text), &asked, one(-6.0, None), vec![3], 0).expect("fits");
    let line = serde_json::to_value(&record).expect("JSON");
    assert_eq!((&line["words"], &line["bytes"], &line["group"]), (&json!(2), &json!(3), &json!("anatomy")));
    assert_eq!((&line["prediction"], &line["gold"]), (&json!(null), &json!(null)));
    assert_eq!(line["score"]["word_perplexity"], json!(3.0_f64.exp()));
    assert_eq!(line["score"]["bits_per_byte"], json!(2.0 / std::f64::consts::LN_2));
    assert_eq!(serde_json::from_value::<Record>(line).expect("a record"), record);
}

#[test]
fn a_record_is_the_contracts_line_and_reads_back() {
    let (generated, chosen) = (find("llm-jp-eval@1.3", "jemhopqa"), find("lm-eval", "xwinograd_jp"));
    let item = Item {
        index: 7,
        request: Request::Generate { prompt: "問".into(), stop: vec!["\n\n".into()], max_new_tokens: 15 },
        gold: Gold::Text("東京".into()),
        group: None,
        examples: Vec::new(),
    };
    let answer = Answer::Text { output: " 東京\n".into(), stop: Some("\n\n".into()) };
    let text = Record::new(&generated, &run(&generated, "dev"), &item, answer, vec![3], 0).expect("fits");
    let item = Item {
        index: 0,
        request: Request::Choices {
            contexts: vec!["甲".into(), "乙".into()],
            continuations: vec![" は".into()],
        },
        gold: Gold::Choice { index: 1, texts: vec!["甲".into(), "乙".into()] },
        group: None,
        examples: Vec::new(),
    };
    let answer =
        Answer::Choices { loglikelihoods: vec![-2.5, -1.25], choice_tokens: vec![2, 2], greedy: None };
    let choice = Record::new(&chosen, &run(&chosen, "test"), &item, answer, vec![4, 5], 1).expect("fits");
    let lines = [
        json!({
            "profile": "llm-jp-eval@1.3", "task": "jemhopqa", "split": "dev", "item": 7,
            "prompt_sha256": Sha256::of("問").hex(), "prompt_tokens": 3, "truncated": 0,
            "output": " 東京\n", "stop": "\n\n",
            "prediction": "東京", "gold": "東京", "score": {"char_f1": 1.0},
        }),
        json!({
            "profile": "lm-eval@0.4", "task": "xwinograd_jp", "split": "test", "item": 0,
            "prompt_sha256": [Sha256::of("甲").hex(), Sha256::of("乙").hex()], "prompt_tokens": [4, 5], "truncated": 1,
            "loglikelihoods": [-2.5, -1.25], "choice_tokens": [2, 2],
            "prediction": 1, "gold": 1, "score": {"acc": 1.0},
        }),
    ];
    for (record, line) in [text, choice].into_iter().zip(lines) {
        assert_eq!(serde_json::to_value(&record).expect("JSON"), line);
        assert_eq!(serde_json::from_value::<Record>(line).expect("a record"), record);
    }
}
