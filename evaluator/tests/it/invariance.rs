//! Sharing, batching, threads, and what was answered before never change a bit.

use std::collections::BTreeSet;
use std::path::PathBuf;

use sekisho_evaluator::{EvalError, Model, Settings};

use crate::support::{Asked, How, alone, answers, answers_of_all, asked, load_model, oracle, stories};

/// Every way to run a task gives the same records.
fn same_every_way(model: &Model, asked: &Asked) {
    let none = BTreeSet::new();
    let (records, shared) = answers(model, asked, How::default(), &none).expect("answered");
    let name = asked.definition.name();
    for (what, how) in [
        ("without sharing", alone()),
        ("with room for one sequence alone", How { settings: tight(model, asked), ..How::default() }),
        ("on one thread", How { threads: 1, ..How::default() }),
        ("on three threads, without sharing", How { threads: 3, ..alone() }),
    ] {
        let (other, spent) = answers(model, asked, how, &none).expect("answered");
        assert_eq!(records, other, "{name} {what}");
        assert_eq!(spent.tokens.prompt, shared.tokens.prompt, "{name} {what}");
        assert_eq!(spent.tokens.generated, shared.tokens.generated, "{name} {what}");
        if !how.settings.sharing {
            assert_eq!(spent.tokens.prefilled, spent.tokens.prompt, "{name} {what}: nothing is saved");
            assert!(shared.tokens.prefilled < spent.tokens.prefilled, "{name}: sharing saves work");
        }
    }
    let half: BTreeSet<u64> = records.keys().copied().filter(|item| item % 2 == 0).collect();
    let (rest, _) = answers(model, asked, How::default(), &half).expect("answered");
    assert!(rest.keys().all(|item| !half.contains(item)), "{name}: nothing is asked twice");
    for (item, record) in &rest {
        assert_eq!(record, &records[item], "{name} resumed");
    }
}

/// The smallest budget for keys and values that the task can be run with.
fn tight(model: &Model, asked: &Asked) -> Settings {
    let with = |bytes| Settings { kv_bytes: Some(bytes), ..Settings::default() };
    let how = How { settings: with(0), ..How::default() };
    match answers(model, asked, how, &BTreeSet::new()) {
        Err(EvalError::KvBudget { have: 0, need }) => with(need),
        other => panic!("no room at all is refused: {:?}", other.err()),
    }
}

fn check(dir: Option<PathBuf>, tasks: &[(&str, usize, Option<u32>)]) {
    let Some(dir) = dir else { return };
    let model = load_model(&dir);
    for (name, limit, shots) in tasks {
        same_every_way(&model, &asked(name, *limit, *shots));
    }
}

#[test]
fn on_stories260k() {
    check(stories(), &[("lm-eval/openbookqa/test", 30, None), ("llm-jp-eval@1.3/niilc/dev", 40, Some(0))]);
}

#[test]
fn on_the_oracles_model() {
    let tasks = [
        ("llm-jp-eval@1.3/jcommonsenseqa/dev", 4, None),
        ("llm-jp-eval@1.3/niilc/dev", 5, None),
        ("lm-eval/xwinograd_jp/test", 12, None),
        ("oracle/o_winogrande/test", 8, None),
        ("oracle/o_jcommonsenseqa/test", 3, Some(3)),
    ];
    check(oracle(), &tasks);
}

#[test]
fn tasks_together_are_answered_as_each_by_itself() {
    let Some(dir) = oracle() else { return };
    let model = load_model(&dir);
    let names = ["llm-jp-eval@1.3/jemhopqa/dev", "lm-eval/openbookqa/test", "llm-jp-eval@1.3/niilc/dev"];
    let all: Vec<Asked> = names.iter().map(|name| asked(name, 5, None)).collect();
    let none = BTreeSet::new();
    let (together, spent) =
        answers_of_all(&model, &all.iter().collect::<Vec<_>>(), How::default(), &none).expect("answered");
    let mut apart = 0;
    for (asked, together) in all.iter().zip(&together) {
        let (records, spent) = answers(&model, asked, How::default(), &none).expect("answered");
        assert_eq!(&records, together, "{}", asked.definition.name());
        apart += spent.tokens.prefilled;
    }
    let prefilled: u64 = spent.iter().map(|spent| spent.tokens.prefilled).sum();
    assert!(prefilled < apart, "tasks share the beginning of their prompts: {prefilled} of {apart} tokens");
}
