//! The permit: a pure function from facts (lineage, release, files to be published, scores) and a policy set to a decision.
//!
//! Architecture invariants:
//! - No I/O, no clock, no environment. [`Facts::gather`] reads through the caller's [`Folder`]; the day is an argument.
//! - Unknown means no: a licence, level or lineage that the set does not know refuses.
//! - More inputs never remove an obligation, nor a violation, except `outputs-forbidden` (lifted when the model descends from
//!   a base of the same licence) and `lineage-missing` (lifted by the inputs that were missing).
//! - The order of inputs never changes a decision, and so never its digest.
//! - Rules are data ([`PolicySet`], TOML in `sets/`); only the meaning of a duty is code.

mod cases;
mod decision;
mod expression;
mod facts;
mod lineage;
mod messages;
mod names;
mod rules;
mod set;

pub use cases::{BASE_CASES, CaseOutcome, run_cases};
pub use decision::{Code, Decision, Finding, PolicyRef, Verdict};
pub use facts::{Facts, FactsError, Folder, Regression, ReleasedFile, Trained};
pub use names::{LARGEST_TEXT, LeftOut, is_card, is_text};
pub use rules::licenses::Owed;
pub use set::{Gate, LevelRule, LicenseClass, LicenseRule, PolicySet, SetError, license_text};

use jiff::civil::Date;

/// Judges the facts under a policy set. `today` decides whether a waiver still holds.
#[must_use]
pub fn evaluate(facts: &Facts, set: &PolicySet, today: Date) -> Decision {
    let walked = lineage::walk(facts);
    let mut findings = decision::Findings::default();
    let case = rules::Case { facts, set, walked: &walked };
    rules::lineage::judge(&case, &mut findings);
    rules::levels::judge(&case, &mut findings);
    rules::licenses::judge(&case, &mut findings);
    rules::files::judge(&case, &mut findings);
    rules::claims::judge(&case, &mut findings);
    rules::gates::judge(&case, &mut findings);
    rules::waivers::apply(&facts.lineage.waivers, today, &mut findings);
    findings.decide(set)
}

/// What the licences in a lineage want to be shown in the card and in NOTICE.
#[must_use]
pub fn owed(facts: &Facts, set: &PolicySet) -> Owed {
    rules::licenses::owed(&rules::Case { facts, set, walked: &lineage::walk(facts) })
}

#[cfg(test)]
mod tests;
