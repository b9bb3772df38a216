//! Fingerprints and the lines of `--out`: formats that others rely on.

use sekisho_bench::{Answer, Catalog, Gold, Item, Record, Request, TaskDefinition, fingerprint};
use sekisho_domain::Sha256;
use sekisho_domain::evaluation::Bos;
use sekisho_domain::wire::SourceFile;
use serde_json::json;

use crate::support::run;

fn find(task: &str) -> TaskDefinition {
    let catalog = Catalog::builtin();
    let found = catalog.iter().find(|definition| definition.task == task);
    found.expect("built in").clone()
}

#[test]
fn a_fingerprint_changes_with_every_setting_that_may_change_a_score() {
    let definition = find("jemhopqa");
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
    ] {
        let text = definition.toml().replace(from, to);
        let other = TaskDefinition::from_toml("other.toml", &text).expect("a valid definition");
        differs(from, fingerprint(&other, &base_run, &[], Bos::Auto));
    }
}

#[test]
fn a_fingerprint_is_deaf_to_what_cannot_change_a_score() {
    let definition = find("jemhopqa");
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

#[test]
fn a_record_is_the_contracts_line_and_reads_back() {
    let (generated, chosen) = (find("jemhopqa"), find("xwinograd_jp"));
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
