//! Why a decision is what it is: the rule behind each finding, and what each input brought.

use jiff::civil::Date;
use serde::Serialize;

use sekisho_domain::Text;

use crate::decision::{Citation, Code, Decision, Finding, PolicyRef, Verdict, Weight};
use crate::{Facts, PolicySet, evaluate, judge};

/// A decision with its reasons.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The verdict.
    pub verdict: Verdict,
    /// The rules.
    pub policy: PolicyRef,
    /// Every finding of the decision, in its order.
    pub findings: Vec<Explained>,
    /// Every input of the judged file itself, in the order of the file.
    pub inputs: Vec<Brought>,
}

/// A finding and the rules behind it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explained {
    /// The list it stands in.
    pub weight: Weight,
    /// The finding, with its full derivation.
    #[serde(flatten)]
    pub finding: Finding,
    /// One sentence: what the rule looks at.
    pub meaning: Text,
    /// The rules of the set behind it; empty where the rule is the program's own, such as that a lineage has no cycle.
    pub rules: Vec<Citation>,
}

/// What one input brought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Brought {
    /// Its id, else the path of its lineage file, else its kind.
    pub input: String,
    /// Its kind.
    pub kind: String,
    /// The findings that have a way through it.
    pub findings: Vec<BroughtFinding>,
}

/// A finding that an input brought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BroughtFinding {
    /// The list it stands in.
    pub weight: Weight,
    /// Which rule.
    pub code: Code,
    /// What it says.
    pub text: Text,
    /// Whether it goes when this input alone is dropped. Otherwise another input brings it too.
    pub alone: bool,
}

/// Explains the decision that [`evaluate`] comes to: as many evaluations as the lineage file has inputs, and one.
#[must_use]
pub fn explain(facts: &Facts, set: &PolicySet, today: Date) -> Explanation {
    let findings = judge(facts, set, today);
    let explained = findings
        .cited()
        .map(|(weight, finding, rules)| {
            let meaning = finding.code.meaning();
            Explained { weight, finding, meaning, rules }
        })
        .collect();
    let decision = findings.decide(set);
    let inputs = facts.lineage.inputs.iter().enumerate();
    let inputs = inputs.map(|(place, input)| {
        let mut without = facts.clone();
        without.lineage.inputs.remove(place);
        let name = input.id.as_deref().or(input.lineage.as_deref()).unwrap_or(input.kind.as_str());
        Brought {
            input: name.to_owned(),
            kind: input.kind.to_string(),
            findings: brought(&decision, &evaluate(&without, set, today)),
        }
    });
    let inputs = inputs.collect();
    Explanation { verdict: decision.verdict, policy: decision.policy, findings: explained, inputs }
}

/// The findings that go, or lose a way, without an input.
fn brought(with: &Decision, without: &Decision) -> Vec<BroughtFinding> {
    let mut all = Vec::new();
    for weight in Weight::ALL {
        for finding in with.list(*weight) {
            let same = |other: &&Finding| other.code == finding.code && other.text == finding.text;
            let left = without.list(*weight).iter().find(same);
            let lost = |left: &Finding| finding.derivation.iter().any(|line| !left.derivation.contains(line));
            if left.is_none_or(lost) {
                let (code, text, alone) = (finding.code, finding.text.clone(), left.is_none());
                all.push(BroughtFinding { weight: *weight, code, text, alone });
            }
        }
    }
    all
}
