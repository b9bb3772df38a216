//! Sharing, batching, threads, and what was answered before never change a bit.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use sekisho_evaluator::{EvalError, Model, Prompts, Settings};

use crate::support::{
    Asked, How, alone, answers, answers_of_all, answers_with, asked, load_model, oracle, stories, weighed,
};

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

/// Every path from the first token to the last generated one fits the budget, and nothing ever takes more.
#[test]
fn the_budget_for_keys_and_values_is_kept() {
    let Some(dir) = oracle() else { return };
    for (name, limit, shots) in
        [("llm-jp-eval@1.3/niilc/dev", 24, Some(0)), ("lm-eval/openbookqa/test", 24, None)]
    {
        let (model, most) = weighed(load_model(&dir));
        let asked = asked(name, limit, shots);
        let least = tight(&model, &asked);
        for factor in [1, 4] {
            let budget = least.kv_bytes.expect("a budget") * factor;
            most.store(0, Ordering::Relaxed);
            let settings = Settings { kv_bytes: Some(budget), ..least };
            answers(&model, &asked, How { settings, ..How::default() }, &BTreeSet::new()).expect("answered");
            let most = most.load(Ordering::Relaxed);
            assert!(most <= budget && most > budget / 4, "{name}: {most} of {budget} bytes");
        }
    }
}

/// The prompts of a sweep are made once, and answers do not hang on who came before.
#[test]
fn a_sweep_of_checkpoints_is_planned_once() {
    let (Some(dir), Some(data)) = (oracle(), stories()) else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let steps = dir.parent().expect("steps lie side by side");
    let all = ["step-0096", "step-0320", "step-0640", "step-0800", "step-0096"];
    let asked = asked("llm-jp-eval@1.3/niilc/dev", 4, None);
    let mut prompts = Prompts::new();
    let mut first = None;
    for step in all {
        let model = load_model(&steps.join(step));
        let records = answers_with(&model, &asked, &mut prompts);
        assert_eq!(records, answers(&model, &asked, How::default(), &BTreeSet::new()).expect("answered").0);
        let known = first.get_or_insert_with(|| records.clone());
        assert_eq!(*known == records, step == "step-0096", "{step}");
    }
    assert_eq!(prompts.made(), 1);
    // In a folder they are there for the next process; another tokenizer has its own.
    for (dir, made) in [(&dir, 1), (&dir, 0), (&data, 1)] {
        let mut prompts = Prompts::in_folder(folder.path());
        answers_with(&load_model(dir), &asked, &mut prompts);
        assert_eq!(prompts.made(), made, "{}", dir.display());
    }
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
