//! Licences and generators as the lineage claims them, against the registry. Levels have a file of their own.

use crate::decision::{Code, Findings, Weight};
use crate::lineage::Usage;
use crate::messages;
use crate::rules::Case;
use crate::rules::licenses::settled;

pub(crate) fn judge(case: &Case<'_>, findings: &mut Findings) {
    for usage in &case.walked.usages {
        let (input, Some(registered)) = (usage.input, usage.registered) else { continue };
        let same_license = |a: &str, b: &str| settled(a, case.set) == settled(b, case.set);
        compare(usage, "license", (&input.license, &registered.license), same_license, findings);
        // The Hub's names of models are one whatever their case.
        let same_name = |a: &str, b: &str| a.trim().eq_ignore_ascii_case(b.trim());
        compare(usage, "generator", (&input.generator, &registered.generator), same_name, findings);
        let licenses = (&input.generator_license, &registered.generator_license);
        compare(usage, "generator_license", licenses, same_license, findings);
    }
}

fn compare(
    usage: &Usage<'_>,
    what: &str,
    (claimed, registered): (&Option<String>, &Option<String>),
    same: impl Fn(&str, &str) -> bool,
    findings: &mut Findings,
) {
    let (Some(claimed), Some(registered)) = (claimed, registered) else { return };
    if same(claimed, registered) {
        return;
    }
    let template = match what {
        "license" => &messages::LICENSE_REGISTERED,
        "generator" => &messages::GENERATOR_REGISTERED,
        _ => &messages::GENERATOR_LICENSE_REGISTERED,
    };
    let text = template.fill(&[("input", usage.name), ("claimed", claimed), ("registered", registered)]);
    let derivation = usage.derivation(&format!("{what} {claimed}, but {registered} in the registry"));
    findings.add(Weight::Violation, Code::LicenseContradiction, text, usage.name, derivation);
}
