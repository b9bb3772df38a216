//! Rules about rules that the types cannot express.

use std::collections::{BTreeMap, BTreeSet};

use sekisho_domain::nearest;

use super::license::{Duty, Use};
use super::rules::{Gate, Rules};
use crate::decision::Code;

/// Names are unique, a duty has the text that it needs, a gate says something, and what is named exists.
pub(crate) fn check(rules: &Rules) -> Result<(), String> {
    twice("level", rules.levels.iter().map(|rule| rule.id.as_str()))?;
    twice("claim", rules.claims.iter().map(|rule| rule.id.as_str()))?;
    licenses(rules)?;
    gates(rules)?;
    house(rules)
}

fn twice<'a>(what: &str, ids: impl Iterator<Item = &'a str>) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for id in ids {
        if !seen.insert(id) {
            return Err(format!("{what} \"{id}\" is there twice"));
        }
    }
    Ok(())
}

fn licenses(rules: &Rules) -> Result<(), String> {
    let mut seen = BTreeMap::new();
    for (place, rule) in rules.licenses.iter().enumerate() {
        for name in std::iter::once(&rule.id).chain(&rule.names) {
            let first = seen.insert(name.to_ascii_lowercase(), (place, &rule.id));
            if let Some((_, first)) = first.filter(|(first, _)| *first != place) {
                return Err(format!("licence name \"{name}\" belongs to both {first} and {}", rule.id));
            }
        }
        for duty in Use::ALL.iter().flat_map(|r#use| rule.duties(*r#use)) {
            let missing = match duty {
                Duty::LicenseFile => rule.text.is_empty() || rule.file.is_none(),
                Duty::Notice => rule.notice.is_none(),
                Duty::UsePolicy => rule.use_policy.is_empty(),
                Duty::BuiltWith => rule.built_with.is_none(),
                Duty::NamePrefix => rule.name_prefix.is_none(),
                _ => false,
            };
            if missing {
                return Err(format!(
                    "licence {} has the duty {} but not the text that it needs",
                    rule.id,
                    duty.name()
                ));
            }
        }
    }
    Ok(())
}

fn gates(rules: &Rules) -> Result<(), String> {
    let share = |limit: Option<f64>| limit.is_none_or(|limit| (0.0..=1.0).contains(&limit));
    let wrong_share = "contamination is a share of the items, from 0 to 1";
    if !share(rules.gates.contamination) {
        return Err(format!("[gates] {wrong_share}"));
    }
    if !(0.0..1.0).contains(&rules.gates.significance()) {
        return Err("[gates] significance is a p value, from 0 to 1".to_owned());
    }
    for (place, gate) in rules.gate.iter().enumerate() {
        let Gate { profile, task, .. } = gate;
        if gate.at_least.is_none() && gate.contamination.is_none() {
            return Err(format!("the gate of {profile} {task} has neither at_least nor contamination"));
        }
        if gate.at_least.is_some_and(|least| !least.is_finite()) {
            return Err(format!("the gate of {profile} {task}: at_least is not a number"));
        }
        if !share(gate.contamination) {
            return Err(format!("the gate of {profile} {task}: {wrong_share}"));
        }
        if rules.gate[..place].iter().any(|other| other.same_score(gate)) {
            return Err(format!("the gate of {profile} {task} is there twice"));
        }
    }
    Ok(())
}

fn house(rules: &Rules) -> Result<(), String> {
    for never in rules.house.never_waived() {
        if !Code::ALL.iter().any(|code| code.as_str() == never) {
            let near = nearest(never, Code::ALL.iter().map(|code| code.as_str()));
            let hint = near.map_or_else(String::new, |near| format!("; did you mean \"{near}\"?"));
            return Err(format!(
                "[house] waivers.never names the code \"{never}\", which does not exist{hint}"
            ));
        }
    }
    let Some(default) = &rules.house.default_license else { return Ok(()) };
    let known = |name: &str| rules.licenses.iter().find(|rule| rule.is_called(name));
    match known(default) {
        None => Err(format!("[house] default_license \"{default}\" is no licence of this set")),
        Some(rule) if !rule.class.is_open() => {
            Err(format!("[house] default_license \"{default}\" is not an open licence"))
        }
        Some(_) => Ok(()),
    }
}
