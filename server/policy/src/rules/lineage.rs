//! Whether everything that went into the model is known at all.

use crate::decision::{Code, Findings, Weight};
use crate::messages;
use crate::rules::Case;

pub(crate) fn judge(case: &Case<'_>, findings: &mut Findings) {
    let model = &case.facts.lineage.model.name;
    for cycle in &case.walked.cycles {
        let path = cycle.join(" → ");
        let text = messages::LINEAGE_CYCLE.fill(&[("path", &path)]);
        findings.add(
            Weight::Violation,
            Code::LineageCycle,
            text,
            model,
            format!("{path} → lineage: acyclic"),
        );
    }
    for (name, derivation) in &case.walked.missing {
        let text = messages::LINEAGE_MISSING.fill(&[("input", name)]);
        findings.add(Weight::Violation, Code::LineageMissing, text, name, derivation.clone());
    }
    for trained in &case.facts.trained {
        if case.usages_of(&trained.subset).next().is_none() {
            let text = messages::LINEAGE_LEFT_OUT.fill(&[("input", &trained.subset), ("run", &trained.run)]);
            let derivation = format!(
                "data.mix \"{}\" → run \"{}\" → \"{model}\" → lineage: not listed",
                trained.subset, trained.run
            );
            findings.add(Weight::Violation, Code::LineageMissing, text, &trained.subset, derivation);
        }
    }
    for file in &case.facts.missing {
        let text = messages::FILE_MISSING.fill(&[("file", file)]);
        findings.add(
            Weight::Violation,
            Code::FileMissing,
            text,
            model,
            format!("\"{model}\" → release: {file}"),
        );
    }
}
