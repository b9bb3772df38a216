//! The permit: a pure function from facts (lineage, release, files to be published, scores) and a policy set to a decision.
//!
//! Architecture invariants:
//! - No I/O, no clock, no environment. [`Facts::gather`] reads through the caller's [`Folder`]; the day is an argument.
//! - Unknown means no: a licence, level or lineage that the set does not know refuses.
//! - More inputs never remove an obligation, nor a violation, except `outputs-forbidden` (lifted when the model descends from
//!   a base of the same licence), `lineage-missing` (lifted by the inputs that were missing) and the house rule
//!   `restrictive-license` (lifted by the input that asks for the licence).
//! - The order of inputs never changes a decision, and so never its digest.
//! - Where there is a registry it is the truth, and the lineage file claims.
//! - Rules are data ([`PolicySet`], TOML in `sets/`); only the meaning of a duty is code.

mod cases;
mod decision;
mod diff;
mod explain;
mod expression;
mod facts;
mod graph;
mod lineage;
mod messages;
mod names;
mod rules;
mod set;

pub use cases::{CaseOutcome, run_cases};
pub use decision::{Citation, Code, Decision, Finding, PolicyRef, Verdict, Weight};
pub use diff::{Change, DecisionDiff, RuleChange, SetChange, diff, diff_sets};
pub use explain::{Brought, BroughtFinding, Explained, Explanation, explain};
pub use facts::{
    Contamination, Facts, FactsError, Folder, Registered, Regression, ReleasedFile, Trained, Unreported,
};
pub use graph::{LineageEdge, LineageGraph, LineageNode, Standing, graph};
pub use names::{LARGEST_TEXT, LeftOut, is_card, is_text};
pub use rules::licenses::Owed;
pub use set::{
    ClaimRule, Duty, Gate, Gates, House, LevelRule, LevelUse, LicenseClass, LicenseRule, NamingRule,
    NoRegression, Permit, PolicySet, Required, RequiredFile, Requirement, SetError, Strictness, Use, Waivers,
    license_text,
};

use jiff::civil::Date;

/// Judges the facts under a policy set. `today` decides whether a waiver still holds.
#[must_use]
pub fn evaluate(facts: &Facts, set: &PolicySet, today: Date) -> Decision {
    judge(facts, set, today).decide(set)
}

fn judge(facts: &Facts, set: &PolicySet, today: Date) -> decision::Findings {
    let walked = lineage::walk(facts);
    let mut findings = decision::Findings::default();
    let case = rules::Case { facts, set, walked: &walked };
    rules::lineage::judge(&case, &mut findings);
    rules::levels::judge(&case, &mut findings);
    rules::licenses::judge(&case, &mut findings);
    rules::registry::judge(&case, &mut findings);
    rules::files::judge(&case, &mut findings);
    rules::claims::judge(&case, &mut findings);
    rules::gates::judge(&case, &mut findings);
    rules::house::judge(&case, &mut findings);
    rules::waivers::apply(&facts.lineage.waivers, set.house(), today, &mut findings);
    findings
}

/// A phrase of an announcement that claims what the release is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The phrase, as the sentences of its findings have it.
    pub phrase: String,
    /// Whether it refuses or, negated or about somebody else's work, only warns.
    pub weight: Weight,
    /// Why it may not be said, and what may.
    pub finding: Finding,
}

/// What a text claims that the release is not, in the order of the text. It is looked at as the release's announcement, and nothing
/// else of the release is judged.
#[must_use]
pub fn check_announcement(facts: &Facts, set: &PolicySet, text: &str) -> Vec<Claim> {
    let walked = lineage::walk(facts);
    let case = rules::Case { facts, set, walked: &walked };
    let found = rules::claims::of_announcement(&case, text);
    let claims = found.iter().flat_map(|(phrase, findings)| {
        findings.cited().map(|(weight, finding, _)| Claim { phrase: phrase.clone(), weight, finding })
    });
    claims.collect()
}

/// What the licences in a lineage want to be shown in the card and in NOTICE.
#[must_use]
pub fn owed(facts: &Facts, set: &PolicySet) -> Owed {
    rules::licenses::owed(&rules::Case { facts, set, walked: &lineage::walk(facts) })
}

#[cfg(test)]
mod tests;
