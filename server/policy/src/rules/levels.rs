//! Release levels of text, however far back it was used.

use std::collections::{BTreeMap, BTreeSet};

use crate::decision::{Citation, Code, Findings, Weight};
use crate::lineage::Usage;
use crate::messages;
use crate::rules::Case;

pub(crate) fn judge(case: &Case<'_>, findings: &mut Findings) {
    let leveled = || case.walked.usages.iter().filter(|usage| usage.is_text() || usage.input.level.is_some());
    for usage in leveled() {
        match usage.level.and_then(|id| case.set.level(id)) {
            None => add(
                case,
                findings,
                usage,
                Code::LevelUnknown,
                "unknown",
                messages::LEVEL_UNKNOWN.fill(&[("subset", usage.name)]),
            ),
            Some(rule) if !rule.r#use.allows() => {
                add(
                    case,
                    findings,
                    usage,
                    Code::LevelForbidsUse,
                    &rule.id,
                    messages::LEVEL_FORBIDS_USE.fill(&[("subset", usage.name)]),
                );
            }
            Some(rule) if !rule.train.allows() => forbids_training(case, findings, usage, &rule.id),
            Some(_) => {}
        }
        if case.facts.registry.is_some()
            && let (Some(claimed), Some(registered)) = (usage.input.level.as_deref(), usage.level)
            && claimed != registered
        {
            let values = [("subset", usage.name), ("claimed", claimed), ("registered", registered)];
            add(case, findings, usage, Code::LevelMismatch, claimed, messages::LEVEL_MISMATCH.fill(&values));
        }
    }
    claimed_twice(leveled(), findings);
    claimed_by_the_run(case, findings);
}

/// What a run's specification claims must be what the lineage claims, and what the registry says where the lineage claims nothing.
fn claimed_by_the_run(case: &Case<'_>, findings: &mut Findings) {
    for trained in &case.facts.trained {
        let Some(level) = &trained.level else { continue };
        for usage in case.usages_of(&trained.subset) {
            let claimed = usage.input.level.as_deref();
            let Some(other) = claimed.or(usage.level).filter(|other| other != level) else { continue };
            let values = [
                ("subset", usage.name),
                ("claimed", other),
                ("registered", other),
                ("level", level),
                ("run", trained.run.as_str()),
            ];
            let template = match claimed {
                Some(_) => &messages::LEVEL_OF_RUN,
                None => &messages::LEVEL_OF_RUN_REGISTERED,
            };
            let rule = format!("level {other}, but {level} in data.mix of run \"{}\"", trained.run);
            let text = template.fill(&values);
            findings.add(Weight::Violation, Code::LevelMismatch, text, usage.name, usage.derivation(&rule));
        }
    }
}

fn forbids_training(case: &Case<'_>, findings: &mut Findings, usage: &Usage<'_>, level: &str) {
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
    add(case, findings, usage, Code::LevelForbidsTraining, level, text);
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

fn add(
    case: &Case<'_>,
    findings: &mut Findings,
    usage: &Usage<'_>,
    code: Code,
    level: &str,
    text: sekisho_domain::Text,
) {
    let of = (usage.name, usage.derivation(&format!("level {level}")));
    let citation =
        case.set.level(level).map(|rule| Citation::new(format!("level {}", rule.id), "", &rule.source));
    findings.add_by(Weight::Violation, code, text, of, citation);
}
