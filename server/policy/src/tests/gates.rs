//! Scores, falls and contaminated items under a set with gates.

use sekisho_domain::Text;

use super::{Files, TODAY};
use crate::{Contamination, Decision, Facts, PolicySet, Regression, Unreported, evaluate};

fn set(gates: &str) -> PolicySet {
    let text = format!("extends = \"base\"\nname = \"house\"\nversion = \"1\"\n{gates}");
    PolicySet::from_toml("house.toml", &text).expect("valid")
}

fn facts() -> Facts {
    let lineage = "model.name = \"x\"\ninput = [{ kind = \"corpus\", id = \"a\", level = \"L1\", license = \"CC0-1.0\" }]\n";
    let mut facts = Facts::gather("/lab/lineage.toml", &Files::default().with("/lab/lineage.toml", lineage))
        .expect("well formed");
    facts.scores = [("dev", "char_f1", 0.61), ("test", "char_f1", 0.41), ("test", "exact_match", 0.20)]
        .map(|(split, metric, value)| {
            serde_json::from_value(serde_json::json!({
                "profile": "llm-jp-eval@1.3", "task": "niilc", "split": split, "metric": metric, "value": value, "stderr": null,
                "low": value - 0.1, "high": value + 0.1, "n": 198, "shots": 4, "truncated": 0, "fingerprint": format!("sha256:{}", "0".repeat(64)),
            }))
            .expect("a result entry")
        })
        .into();
    facts
}

fn texts(decision: &Decision) -> Vec<&str> {
    decision.violations.iter().map(|finding| finding.text.en.as_str()).collect()
}

#[test]
fn a_gate_looks_at_its_own_metric_and_split_and_at_the_value() {
    let gate = |rest: &str| {
        let set = set(&format!("[[gate]]\nprofile = \"llm-jp-eval@1.3\"\ntask = \"niilc\"\n{rest}"));
        let decision = evaluate(&facts(), &set, TODAY);
        texts(&decision).into_iter().map(ToOwned::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(
        gate("at_least = 0.4\n"),
        ["niilc 0.200 is below the gate 0.400 (95% CI [0.100, 0.300], n = 198)."]
    );
    assert_eq!(gate("metric = \"char_f1\"\nat_least = 0.4\n"), [""; 0]);
    // The interval reaches above the gate, and the value is below it.
    assert_eq!(
        gate("metric = \"char_f1\"\nat_least = 0.5\n"),
        ["niilc 0.410 is below the gate 0.500 (95% CI [0.310, 0.510], n = 198)."]
    );
    assert_eq!(gate("metric = \"char_f1\"\nsplit = \"dev\"\nat_least = 0.5\n"), [""; 0]);
    assert_eq!(
        gate("metric = \"bleu\"\nat_least = 0.5\n"),
        ["niilc has no score; the gate is 0.500. Evaluate it first."]
    );
}

#[test]
fn which_tasks_may_not_fall_and_how_surely_is_up_to_the_house() {
    let fall =
        |task: &str, p| Regression { current: "lab/v1".to_owned(), task: task.to_owned(), delta: -0.02, p };
    let mut facts = facts();
    facts.regressions = vec![fall("jsquad", 0.004), fall("niilc", 0.04)];
    let fallen = |gates: &str| {
        let decision = evaluate(&facts, &set(gates), TODAY);
        let tasks = texts(&decision).into_iter().filter_map(|text| Some(text.split_once(' ')?.0.to_owned()));
        tasks.collect::<Vec<_>>()
    };
    assert_eq!(fallen(""), ["jsquad"], "p < 0.01 and every task unless a set says otherwise");
    assert_eq!(fallen("[gates]\nsignificance = 0.05\n"), ["jsquad", "niilc"]);
    assert_eq!(fallen("[gates]\nsignificance = 0.05\nno_regression = [\"niilc\"]\n"), ["niilc"]);
    assert_eq!(fallen("[gates]\nno_regression = \"none\"\n"), [""; 0]);
}

#[test]
fn items_in_the_training_text_are_counted_and_a_report_is_asked_for() {
    let report = |task: &str, contaminated| Contamination { task: task.to_owned(), items: 200, contaminated };
    let judge = |gates: &str, reports: Vec<Contamination>| {
        let facts = Facts { contamination: reports, ..facts() };
        let decision = evaluate(&facts, &set(gates), TODAY);
        texts(&decision).into_iter().map(ToOwned::to_owned).collect::<Vec<_>>()
    };
    let one = "[[gate]]\nprofile = \"llm-jp-eval@1.3\"\ntask = \"niilc\"\ncontamination = 0.02\n";
    assert_eq!(
        judge(one, vec![report("niilc", 4), report("jsquad", 200)]),
        [""; 0],
        "the limit itself is allowed"
    );
    assert_eq!(
        judge(one, vec![report("niilc", 5)]),
        [
            "5 of 200 items of niilc (2.5%) were found in the training text; the limit is 2%. Train without them, or leave the score out."
        ]
    );
    assert!(
        judge(one, Vec::new())[0].starts_with("Nobody looked for the items of niilc in the training text")
    );
    let all = "[gates]\ncontamination = 0\n";
    assert_eq!(judge(all, vec![report("niilc", 0)]), [""; 0]);
    assert_eq!(judge(all, vec![report("niilc", 0), report("jsquad", 1)]).len(), 1);
    let unreported = |reports: Vec<Contamination>| {
        let reason = Text {
            en: "run \"base\" has no report".to_owned(),
            ja: "レポートがありません".to_owned(),
        };
        let unreported = vec![Unreported { task: "niilc".to_owned(), reason }];
        let decision = evaluate(&Facts { contamination: reports, unreported, ..facts() }, &set(one), TODAY);
        texts(&decision).into_iter().map(ToOwned::to_owned).collect::<Vec<_>>()
    };
    let told = unreported(Vec::new());
    assert_eq!(
        told,
        [
            "The items of niilc were not looked for in all of the training text: run \"base\" has no report. The limit is 2%. Send a report with `sekisho contamination` first."
        ]
    );
    assert_eq!(unreported(vec![report("niilc", 0)]), told, "another score of the task has one");
    assert_eq!(unreported(vec![report("niilc", 5)]).len(), 2);
    let empty = Contamination { items: 0, ..report("niilc", 0) };
    assert_eq!(judge(all, vec![empty]).len(), 1, "a report on no items shows nothing");
    assert_eq!(judge("", vec![report("niilc", 200)]), [""; 0], "no limit in the base set");
}
