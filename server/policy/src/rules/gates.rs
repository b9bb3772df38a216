//! Scores that a release must reach, the published model it must not fall behind, and items that must not have been trained on.

use std::collections::BTreeMap;

use sekisho_domain::Text;
use sekisho_domain::score::ResultEntry;

use crate::decision::{Citation, Code, Findings, Weight};
use crate::facts::Contamination;
use crate::messages;
use crate::rules::Case;
use crate::set::Gate;

pub(crate) fn judge(case: &Case<'_>, findings: &mut Findings) {
    for gate in case.set.task_gates() {
        if let Some(least) = gate.at_least {
            score(case, gate, least, findings);
        }
    }
    regressions(case, findings);
    for (task, limit) in limits(case) {
        contamination(case, task, limit, findings);
    }
}

/// The value itself is held against the gate; its interval is only told.
fn score(case: &Case<'_>, gate: &Gate, least: f64, findings: &mut Findings) {
    let model = &case.facts.lineage.model.name;
    let measured: Vec<&ResultEntry> = case.facts.scores.iter().filter(|score| meant(gate, score)).collect();
    let threshold = format!("{least:.3}");
    let mut add = |text| {
        let derivation = format!("\"{model}\" → {} {} → gate {least}", gate.profile, gate.task);
        let rule = Citation::new(format!("gate {} {}", gate.profile, gate.task), "at_least", case.set.name());
        findings.add_by(Weight::Violation, Code::GateScore, text, (model, derivation), Some(rule));
    };
    if measured.is_empty() {
        add(messages::GATE_SCORE_NONE.fill(&[("task", &gate.task), ("threshold", &threshold)]));
    }
    // A value that is no number reaches no gate.
    for score in measured.into_iter().filter(|score| score.value < least || score.value.is_nan()) {
        let [value, low, high] = [score.value, score.low, score.high].map(|x| format!("{x:.3}"));
        add(messages::GATE_SCORE.fill(&[
            ("task", &gate.task),
            ("value", &value),
            ("threshold", &threshold),
            ("low", &low),
            ("high", &high),
            ("n", &score.n.to_string()),
        ]));
    }
}

fn meant(gate: &Gate, score: &ResultEntry) -> bool {
    score.profile == gate.profile
        && score.task == gate.task
        && gate.metric.as_ref().is_none_or(|metric| *metric == score.metric)
        && gate.split.as_ref().is_none_or(|split| *split == score.split)
}

fn regressions(case: &Case<'_>, findings: &mut Findings) {
    let model = &case.facts.lineage.model.name;
    let gates = case.set.gates();
    let significance = gates.significance();
    let tested = case.facts.regressions.iter().filter(|test| gates.no_regression().covers(&test.task));
    for fall in tested.filter(|test| test.delta < 0.0 && test.p < significance) {
        let text = messages::GATE_REGRESSION.fill(&[
            ("current", &fall.current),
            ("task", &fall.task),
            ("delta", &format!("{:+.3}", fall.delta)),
            ("p", &format!("{:.3}", fall.p)),
        ]);
        let derivation =
            format!("\"{model}\" → {} against \"{}\" → p < {significance}", fall.task, fall.current);
        let rule = Citation::new("gates no_regression", "", case.set.name());
        findings.add_by(Weight::Violation, Code::GateRegression, text, (model, derivation), Some(rule));
    }
}

/// The tasks whose items must not have been trained on, each with its strictest limit: those with a limit of their own and, under a
/// general limit, those with a gate, a score or a report.
fn limits<'a>(case: &'a Case<'_>) -> BTreeMap<&'a str, f64> {
    let mut limits: BTreeMap<&str, f64> = BTreeMap::new();
    let mut limit = |task: &'a str, share: f64| {
        let strictest = limits.entry(task).or_insert(share);
        *strictest = strictest.min(share);
    };
    for gate in case.set.task_gates() {
        if let Some(share) = gate.contamination {
            limit(&gate.task, share);
        }
    }
    if let Some(share) = case.set.gates().contamination {
        let facts = case.facts;
        let gated = case.set.task_gates().iter().map(|gate| &gate.task);
        let scored = facts.scores.iter().map(|score| &score.task);
        let reported = facts.contamination.iter().map(|report| &report.task);
        gated.chain(scored).chain(reported).for_each(|task| limit(task, share));
    }
    limits
}

fn contamination(case: &Case<'_>, task: &str, limit: f64, findings: &mut Findings) {
    let model = &case.facts.lineage.model.name;
    let shown = percent(limit);
    let mut add = |text| {
        let derivation = format!("\"{model}\" → {task} → contamination at most {shown}");
        let rule = Citation::new("gates contamination", "", case.set.name());
        findings.add_by(Weight::Violation, Code::GateContamination, text, (model, derivation), Some(rule));
    };
    let reports: Vec<&Contamination> =
        case.facts.contamination.iter().filter(|report| report.task == task).collect();
    let unreported: Vec<&Text> =
        case.facts.unreported.iter().filter(|score| score.task == task).map(|score| &score.reason).collect();
    if reports.is_empty() && unreported.is_empty() {
        add(messages::GATE_CONTAMINATION_NONE.fill(&[("task", task), ("limit", &shown)]));
    }
    // One score without a report is enough, whatever is known of the others.
    for reason in unreported {
        let values = |reason| [("task", task), ("limit", shown.as_str()), ("reason", reason)];
        let (en, ja) = (values(reason.en.as_str()), values(reason.ja.as_str()));
        add(messages::GATE_CONTAMINATION_UNREPORTED.fill_each(&en, &ja));
    }
    for report in reports.into_iter().filter(|report| report.share() > limit) {
        add(messages::GATE_CONTAMINATION.fill(&[
            ("task", task),
            ("items", &report.items.to_string()),
            ("contaminated", &report.contaminated.to_string()),
            ("share", &percent(report.share())),
            ("limit", &shown),
        ]));
    }
}

/// `1.5%`, as users.md §3.2 writes it.
fn percent(share: f64) -> String {
    let hundredths = format!("{:.2}", share * 100.0);
    format!("{}%", hundredths.trim_end_matches('0').trim_end_matches('.'))
}
