//! What ends a task, and what is cut.

use std::collections::BTreeSet;

use sekisho_bench::{Answer, Catalog, load};
use sekisho_domain::Sha256;
use sekisho_domain::evaluation::{Bos, TaskRun};
use sekisho_evaluator::EvalError;

use crate::support::{Asked, How, altered, answers, asked, load_model, stories};

/// A task of our own that generates; `profile` decides whether long prompts are cut.
fn generating(profile: &str, prompts: &[&str], max_new_tokens: u32) -> Asked {
    let lines: Vec<String> =
        prompts.iter().map(|q| serde_json::json!({"q": q, "a": "x"}).to_string()).collect();
    let data = lines.join("\n");
    let sha256 = Sha256::of(&data);
    let truncation = if profile.starts_with("llm-jp-eval") { "none" } else { "left" };
    let text = format!(
        r#"
profile = "{profile}"
task = "stories"
version = 1
title_en = "Stories"
title_ja = "物語"
language = "en"
license = "CC0-1.0"
redistributable = true
citation = "made for this test"
primary = "exact_match"
metrics = ["exact_match"]
stderr = "none"
bos = "tokenizer"
encoding = "pair"
truncation = "{truncation}"
splits = "files"
source = [{{ id = "own", file = "q.jsonl", sha256 = "{sha256}", role = "test" }}]
reader = {{ format = "jsonl" }}
prompt = {{ input = "{{q}}" }}
request = {{ kind = "generate", answer = "{{a}}", stop = ["."], max_new_tokens = {max_new_tokens} }}
"#
    );
    let mut catalog = Catalog::empty();
    catalog.add("stories.toml", &text).expect("a valid definition");
    let definition = catalog.find(profile, "stories").expect("added").clone();
    let run = TaskRun {
        profile: profile.to_owned(),
        task: "stories".to_owned(),
        split: "test".to_owned(),
        limit: None,
        shots: None,
    };
    let data = load(&definition, &run, &[], &|_| Ok(data.clone().into_bytes())).expect("good data");
    Asked { definition, run, data }
}

#[test]
fn a_logit_that_is_no_number_names_the_item_and_ends_the_task() {
    let Some(dir) = stories() else { return };
    let asked = asked("lm-eval/openbookqa/test", 20, None);
    let model = load_model(&dir);
    // The last token of the first item's context is always read; other items may end with it too.
    let first = asked.data.items[0].request.contexts()[0].trim_end().to_owned();
    let token = *model.tokenizer.encode(&first, false).expect("encodes").last().expect("a token");
    let model = altered(model, None, Some(token));
    let error = answers(&model, &asked, How::default(), &BTreeSet::new()).expect_err("broken weights");
    let EvalError::NotFinite { task, item: named } = &error else { panic!("{error}") };
    assert_eq!(task, "lm-eval@0.4/openbookqa");
    assert!(*named < 20, "{error}");
    assert!(error.to_string().contains("NaN"), "{error}");
}

#[test]
fn lm_eval_cuts_a_long_prompt_from_the_left_and_llm_jp_eval_does_not() {
    let Some(dir) = stories() else { return };
    let long = "Once upon a time there was a little girl named Lily. ".repeat(8);
    let model = altered(load_model(&dir), Some(64), None);
    let none = BTreeSet::new();
    for (profile, cuts) in [("own@1", true), ("llm-jp-eval@1.3", false)] {
        let asked = generating(profile, &["Tom", &long], 24);
        let (records, _) = answers(&model, &asked, How::default(), &none).expect("answered");
        assert_eq!(records[&0].truncated, 0, "{profile}");
        let tokens = 1 + model.tokenizer.encode(&long, false).expect("encodes").len() as u64;
        assert_eq!(
            serde_json::json!(records[&1].prompt_tokens),
            tokens,
            "{profile}: as it was before the cut"
        );
        assert_eq!(records[&1].truncated, if cuts { tokens - (64 - 24) } else { 0 }, "{profile}");
    }
}

#[test]
fn generation_ends_before_the_stop_string_or_at_the_limit() {
    let Some(dir) = stories() else { return };
    let model = load_model(&dir);
    let none = BTreeSet::new();
    let asked = generating("own@1", &["Once upon a time", "Lily and Tom"], 60);
    let (records, spent) = answers(&model, &asked, How::default(), &none).expect("answered");
    for record in records.values() {
        let Answer::Text { output, stop } = &record.answer else { panic!("a text") };
        assert_eq!(stop.as_deref(), Some("."), "a sentence ends within 60 tokens: {output:?}");
        assert!(!output.contains('.') && !output.is_empty(), "{output:?}");
    }
    assert!(spent.tokens.generated < 120, "nothing is generated after the stop string");
    let (short, spent) =
        answers(&model, &generating("own@1", &["Once upon a time"], 3), How::default(), &none)
            .expect("answered");
    let (Answer::Text { output: three, stop }, Answer::Text { output: all, .. }) =
        (&short[&0].answer, &records[&0].answer)
    else {
        panic!("texts")
    };
    assert_eq!((stop, spent.tokens.generated), (&None, 3));
    assert!(all.starts_with(three.as_str()), "{three:?} begins {all:?}");
}

#[test]
fn bos_is_the_profiles_rule_unless_somebody_says_otherwise() {
    let Some(dir) = stories() else { return };
    let model = load_model(&dir);
    let none = BTreeSet::new();
    let mut tokens = Vec::new();
    for name in ["lm-eval/openbookqa/test", "llm-jp-eval@1.3/niilc/dev"] {
        let asked = asked(name, 1, None);
        for bos in [Bos::Auto, Bos::On, Bos::Off] {
            let (records, spent) =
                answers(&model, &asked, How { bos, ..How::default() }, &none).expect("answered");
            let counted = serde_json::json!(records[&0].prompt_tokens).as_u64().expect("one context");
            tokens.push((counted, spent.bos));
        }
    }
    let [lm_auto, lm_on, lm_off, jp_auto, jp_on, jp_off] = tokens[..] else { panic!("six runs") };
    assert_eq!((lm_auto, lm_on.1, lm_off.1), (lm_on, true, false), "lm-eval: what the tokenizer does");
    assert_eq!((jp_auto, jp_on.1, jp_off.1), (jp_off, true, false), "llm-jp-eval: off");
    assert_eq!((lm_on.0 - lm_off.0, jp_on.0 - jp_off.0), (1, 1));
}
