//! A decision of the policy as lists: what stands in the way, what to look at, what is owed.

use sekisho_domain::Language;
use sekisho_policy::{Decision, Finding};

/// For `_partials/findings.html`.
pub(super) struct FindingGroup {
    pub(super) kind: &'static str,
    pub(super) findings: Vec<FindingRow>,
}

pub(super) struct FindingRow {
    pub(super) code: &'static str,
    pub(super) text: String,
    /// Of an obligation: the text that it asks for is among the files.
    pub(super) is_included: bool,
    pub(super) derivation: Vec<String>,
}

pub(super) fn groups(lang: Language, decision: &Decision) -> Vec<FindingGroup> {
    let row = |finding: &Finding| FindingRow {
        code: finding.code.as_str(),
        text: finding.text.get(lang).to_owned(),
        is_included: decision.includes(finding),
        derivation: finding.derivation.clone(),
    };
    [
        ("violations", &decision.violations),
        ("warnings", &decision.warnings),
        ("obligations", &decision.obligations),
    ]
    .map(|(kind, findings)| FindingGroup { kind, findings: findings.iter().map(row).collect() })
    .into_iter()
    .collect()
}
