//! What another set of rules, or another day, makes of the same release; and what sets of rules differ in.

use std::collections::{BTreeMap, BTreeSet};

use sekisho_domain::Text;
use serde::Serialize;

use crate::decision::{Code, Decision, Finding, PolicyRef, Verdict, Weight};
use crate::set::{PolicySet, Rules};

/// Two decisions about one release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DecisionDiff {
    /// The rules then.
    pub policy_then: PolicyRef,
    /// The rules now.
    pub policy_now: PolicyRef,
    /// The verdict then.
    pub then: Verdict,
    /// The verdict now.
    pub now: Verdict,
    /// Findings that came, went or moved to another list, in the order of a decision. Other ways to the same finding are no change.
    pub changes: Vec<Change>,
}

impl DecisionDiff {
    /// Whether the verdict is another one.
    #[must_use]
    pub fn verdict_changed(&self) -> bool {
        self.then != self.now
    }
}

/// A finding that came, went, or moved to another list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The list it stood in; `None` for one that came.
    pub then: Option<Weight>,
    /// The list it stands in; `None` for one that went.
    pub now: Option<Weight>,
    /// Which rule.
    pub code: Code,
    /// What it says.
    pub text: Text,
    /// Why it holds, or held.
    pub derivation: Vec<String>,
    /// Name and version of the set that holds it, or held it.
    pub policy: String,
}

/// What changed from one decision to another.
#[must_use]
pub fn diff(a: &Decision, b: &Decision) -> DecisionDiff {
    let (then, now) = (by_text(a), by_text(b));
    let keys: BTreeSet<_> = then.keys().chain(now.keys()).copied().collect();
    let mut changes: Vec<Change> = keys
        .into_iter()
        .filter_map(|key| {
            let (before, after) = (then.get(&key), now.get(&key));
            let weights = |found: Option<&(Weight, &Finding)>| found.map(|(weight, _)| *weight);
            if weights(before) == weights(after) {
                return None;
            }
            let (set, (_, finding)) = match after {
                Some(after) => (&b.policy, after),
                None => (&a.policy, before?),
            };
            Some(Change {
                then: weights(before),
                now: weights(after),
                code: finding.code,
                text: finding.text.clone(),
                derivation: finding.derivation.clone(),
                policy: format!("{} {}", set.name, set.version),
            })
        })
        .collect();
    changes.sort_by(|a, b| (a.now.or(a.then), a.code, &a.text).cmp(&(b.now.or(b.then), b.code, &b.text)));
    DecisionDiff {
        policy_then: a.policy.clone(),
        policy_now: b.policy.clone(),
        then: a.verdict,
        now: b.verdict,
        changes,
    }
}

/// The findings by what they say. One that is broken and owed in the same words counts as an obligation by a key of its own.
fn by_text(decision: &Decision) -> BTreeMap<(bool, Code, &Text), (Weight, &Finding)> {
    let all =
        Weight::ALL.iter().flat_map(|weight| decision.list(*weight).iter().map(|found| (*weight, found)));
    all.map(|(weight, found)| ((weight == Weight::Obligation, found.code, &found.text), (weight, found)))
        .collect()
}

/// How a rule differs from one set to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RuleChange {
    /// Only the second set has it.
    Added,
    /// Only the first set has it.
    Removed,
    /// Both have it, and it says something else.
    Changed,
}

/// One rule that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SetChange {
    /// How.
    pub change: RuleChange,
    /// `license gemma`, `level L3`, `claim open`, `gate …`, `house share_alike` …
    pub rule: String,
    /// What it says, or `key: then → now` of what differs. In the words of the set file, which are the same in every language.
    pub what: String,
}

impl std::fmt::Display for SetChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sign = match self.change {
            RuleChange::Added => '+',
            RuleChange::Removed => '-',
            RuleChange::Changed => '~',
        };
        write!(f, "{sign} {}: {}", self.rule, self.what)
    }
}

/// The rules in which two sets differ, in the order of their names.
#[must_use]
pub fn diff_sets(a: &PolicySet, b: &PolicySet) -> Vec<SetChange> {
    let (then, now) = (rules(a.rules()), rules(b.rules()));
    let names: BTreeSet<&String> = then.keys().chain(now.keys()).collect();
    let changes = names.into_iter().filter_map(|name| {
        let (change, what) = match (then.get(name), now.get(name)) {
            (None, Some(rule)) => (RuleChange::Added, shown(rule)),
            (Some(rule), None) => (RuleChange::Removed, shown(rule)),
            (Some(before), Some(after)) if before != after => {
                (RuleChange::Changed, differences(before, after))
            }
            _ => return None,
        };
        Some(SetChange { change, rule: name.clone(), what })
    });
    changes.collect()
}

/// Every rule by its name. Name, version, title and sources of the set are no rules.
fn rules(rules: &Rules) -> BTreeMap<String, toml::Value> {
    let mut all = BTreeMap::new();
    let Ok(toml::Value::Table(tables)) = toml::Value::try_from(rules) else { return all };
    for (key, value) in tables {
        match (key.as_str(), value) {
            ("name" | "version" | "based_on" | "title" | "source", _) => {}
            (_, toml::Value::Array(list)) => {
                for rule in list {
                    all.insert(format!("{key} {}", identity(&rule)), rule);
                }
            }
            (_, toml::Value::Table(table)) => {
                for (name, value) in table {
                    all.insert(format!("{key} {name}"), value);
                }
            }
            (_, value) => {
                all.insert(key, value);
            }
        }
    }
    all
}

/// The id of a rule; a gate is known by the score it looks at.
fn identity(rule: &toml::Value) -> String {
    let keys = ["id", "profile", "task", "metric", "split"];
    keys.iter().filter_map(|key| rule.get(key)?.as_str()).collect::<Vec<_>>().join(" ")
}

fn shown(value: &toml::Value) -> String {
    let toml::Value::Table(table) = value else { return value.to_string() };
    let parts = table.iter().filter(|(key, _)| *key != "id").map(|(key, value)| format!("{key} = {value}"));
    parts.collect::<Vec<_>>().join(", ")
}

fn differences(before: &toml::Value, after: &toml::Value) -> String {
    let (toml::Value::Table(a), toml::Value::Table(b)) = (before, after) else {
        return format!("{} → {}", listed(before, after), listed(after, before));
    };
    let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let none = toml::Value::String("—".to_owned());
    let parts = keys.into_iter().filter(|key| a.get(*key) != b.get(*key)).map(|key| {
        let (before, after) = (a.get(key).unwrap_or(&none), b.get(key).unwrap_or(&none));
        format!("{key}: {} → {}", listed(before, after), listed(after, before))
    });
    parts.collect::<Vec<_>>().join("; ")
}

/// A value; of a long list only what the other one lacks.
fn listed(value: &toml::Value, other: &toml::Value) -> String {
    const LONG: usize = 8;
    let (Some(list), Some(other)) = (value.as_array(), other.as_array()) else { return value.to_string() };
    if list.len().max(other.len()) <= LONG {
        return value.to_string();
    }
    let own: Vec<String> =
        list.iter().filter(|item| !other.contains(item)).map(ToString::to_string).collect();
    format!("{} entries, of them only here: [{}]", list.len(), own.join(", "))
}
