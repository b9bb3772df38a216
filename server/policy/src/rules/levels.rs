//! Release levels of text, however far back it was used.

use std::collections::{BTreeMap, BTreeSet};

use crate::decision::{Code, Findings, Weight};
use crate::lineage::Usage;
use crate::messages;
use crate::rules::Case;

pub(crate) fn judge(case: &Case<'_>, findings: &mut Findings) {
    let leveled = || case.walked.usages.iter().filter(|usage| usage.is_text() || usage.input.level.is_some());
    for usage in leveled() {
        match effective(case, usage).and_then(|id| case.set.level(id)) {
            None => add(
                findings,
                usage,
                Code::LevelUnknown,
                "unknown",
                messages::LEVEL_UNKNOWN.fill(&[("subset", usage.name)]),
            ),
            Some(rule) if !rule.r#use => {
                add(
                    findings,
                    usage,
                    Code::LevelForbidsUse,
                    &rule.id,
                    messages::LEVEL_FORBIDS_USE.fill(&[("subset", usage.name)]),
                );
            }
            Some(rule) if !rule.train => forbids_training(findings, usage, &rule.id),
            Some(_) => {}
        }
        if let (Some(claimed), Some(registered)) = (&usage.input.level, registered(case, usage))
            && claimed != registered
        {
            let values = [("subset", usage.name), ("claimed", claimed), ("registered", registered)];
            add(findings, usage, Code::LevelMismatch, claimed, messages::LEVEL_MISMATCH.fill(&values));
        }
    }
    claimed_twice(leveled(), findings);
    claimed_by_the_run(case, findings);
}

/// What a run's specification claims must be what the lineage claims.
fn claimed_by_the_run(case: &Case<'_>, findings: &mut Findings) {
    for trained in &case.facts.trained {
        let Some(level) = &trained.level else { continue };
        for usage in case.usages_of(&trained.subset) {
            let Some(claimed) = usage.input.level.as_ref().filter(|claimed| *claimed != level) else {
                continue;
            };
            let values = [
                ("subset", usage.name),
                ("claimed", claimed),
                ("level", level),
                ("run", trained.run.as_str()),
            ];
            let text = messages::LEVEL_OF_RUN.fill(&values);
            let rule = format!("level {claimed}, but {level} in data.mix of run \"{}\"", trained.run);
            findings.add(Weight::Violation, Code::LevelMismatch, text, usage.name, usage.derivation(&rule));
        }
    }
}

/// The registry is the truth where there is one; else the claim of the lineage file.
fn effective<'a>(case: &'a Case<'_>, usage: &'a Usage<'_>) -> Option<&'a str> {
    if case.facts.registry.is_some() { registered(case, usage) } else { usage.input.level.as_deref() }
}

fn registered<'a>(case: &'a Case<'_>, usage: &Usage<'_>) -> Option<&'a str> {
    case.facts.registry.as_ref()?.get(usage.input.id.as_ref()?).map(String::as_str)
}

fn forbids_training(findings: &mut Findings, usage: &Usage<'_>, level: &str) {
    let (en, ja) = messages::stage(usage.input.stage);
    let text = match usage.input.tokens {
        None => {
            let values = |stage| [("subset", usage.name), ("level", level), ("stage", stage)];
            messages::LEVEL_FORBIDS_TRAINING_UNCOUNTED.fill_each(&values(en), &values(ja))
        }
        Some(tokens) => {
            let tokens = tokens.short();
            let values = |stage| {
                [("subset", usage.name), ("level", level), ("stage", stage), ("tokens", tokens.as_str())]
            };
            messages::LEVEL_FORBIDS_TRAINING.fill_each(&values(en), &values(ja))
        }
    };
    add(findings, usage, Code::LevelForbidsTraining, level, text);
}

/// Two claims about one subset contradict each other even where there is no registry.
fn claimed_twice<'a>(usages: impl Iterator<Item = &'a Usage<'a>>, findings: &mut Findings) {
    let mut claims: BTreeMap<&str, BTreeMap<&str, BTreeSet<String>>> = BTreeMap::new();
    for usage in usages {
        if let (Some(id), Some(level)) = (&usage.input.id, &usage.input.level) {
            let rule = usage.derivation(&format!("level {level}"));
            claims.entry(id).or_default().entry(level).or_default().insert(rule);
        }
    }
    for (subset, levels) in claims {
        let levels: Vec<_> = levels.into_iter().collect();
        for (i, (a, ways_a)) in levels.iter().enumerate() {
            for (b, ways_b) in &levels[i + 1..] {
                for way in ways_a.iter().chain(ways_b) {
                    let text = messages::LEVEL_TWICE.fill(&[("subset", subset), ("a", a), ("b", b)]);
                    findings.add(Weight::Violation, Code::LevelMismatch, text, subset, way.clone());
                }
            }
        }
    }
}

fn add(findings: &mut Findings, usage: &Usage<'_>, code: Code, level: &str, text: sekisho_domain::Text) {
    let derivation = usage.derivation(&format!("level {level}"));
    findings.add(Weight::Violation, code, text, usage.name, derivation);
}
