//! Test cases beside a policy set: what a lab writes down so that a change of rules shows what it changes.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use sekisho_domain::lineage::LineageFile;
use sekisho_domain::score::{ResultEntry, TokenCounts};
use sekisho_domain::{Sha256, TomlError, parse_toml};
use serde::{Deserialize, Serialize};

use crate::facts::{Contamination, Registered, Regression, ReleasedFile};
use crate::{Facts, Finding, PolicySet, evaluate};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseFile {
    #[serde(rename = "case")]
    cases: Vec<Case>,
}

/// One case: facts, and the codes that must come of them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    lineage: String,
    /// The day on which it is judged; today when absent.
    day: Option<toml::value::Datetime>,
    announcement: Option<String>,
    /// Path → lineage file, for `lineage = "path"` in the lineage.
    #[serde(default)]
    parents: BTreeMap<String, String>,
    /// Name → text of the files to be published. Absent: nothing is known about files.
    files: Option<BTreeMap<String, String>>,
    /// Absent: there is no registry.
    registry: Option<BTreeMap<String, Registered>>,
    #[serde(default)]
    scores: Vec<Score>,
    #[serde(default)]
    regressions: Vec<Regression>,
    #[serde(default)]
    contamination: Vec<Contamination>,
    #[serde(default)]
    violations: BTreeSet<String>,
    /// Absent: not looked at.
    warnings: Option<BTreeSet<String>>,
    obligations: Option<BTreeSet<String>>,
}

/// A score of a case: what gates look at.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Score {
    profile: String,
    task: String,
    #[serde(default)]
    metric: String,
    #[serde(default)]
    split: String,
    value: f64,
    low: Option<f64>,
    high: Option<f64>,
    #[serde(default)]
    n: u64,
}

impl From<Score> for ResultEntry {
    fn from(score: Score) -> Self {
        Self {
            low: score.low.unwrap_or(score.value),
            high: score.high.unwrap_or(score.value),
            profile: score.profile,
            task: score.task,
            split: score.split,
            metric: score.metric,
            value: score.value,
            n: score.n,
            stderr: None,
            shots: 0,
            truncated: 0,
            fingerprint: Sha256::of([]),
            seconds: 0.0,
            tokens: TokenCounts::default(),
        }
    }
}

/// What became of one case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CaseOutcome {
    /// Its name.
    pub name: String,
    /// One line for each list of codes that differs; empty when the case holds.
    pub differences: Vec<String>,
}

impl CaseOutcome {
    /// Whether the case holds.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.differences.is_empty()
    }
}

/// Runs a file of cases against a set. `today` is the day of cases that name none.
///
/// # Errors
/// [`TomlError`] when the file, or a lineage file in it, is malformed.
pub fn run_cases(
    set: &PolicySet,
    file: &str,
    text: &str,
    today: Date,
) -> Result<Vec<CaseOutcome>, TomlError> {
    let cases: CaseFile = parse_toml(file, text)?;
    cases.cases.into_iter().map(|case| run(set, case, today)).collect()
}

fn run(set: &PolicySet, case: Case, today: Date) -> Result<CaseOutcome, TomlError> {
    let lineage: LineageFile = parse_toml(&case.name, &case.lineage)?;
    let mut facts = Facts::of("lineage.toml", lineage);
    for (path, text) in &case.parents {
        facts.add_parent(path, parse_toml(&format!("{}: {path}", case.name), text)?);
    }
    let released = |(path, text): (String, String)| ReleasedFile { path, bytes: text.into_bytes() };
    facts.files = case.files.map(|files| files.into_iter().map(released).collect());
    facts.announcement = case.announcement;
    facts.registry = case.registry;
    facts.scores = case.scores.into_iter().map(ResultEntry::from).collect();
    facts.regressions = case.regressions;
    facts.contamination = case.contamination;
    let day = case.day.as_ref().and_then(day).unwrap_or(today);
    let decision = evaluate(&facts, set, day);
    let mut differences = Vec::new();
    let mut compare = |what: &str, expected: &BTreeSet<String>, found: &[Finding]| {
        let found: BTreeSet<String> = found.iter().map(|finding| finding.code.as_str().to_owned()).collect();
        if found != *expected {
            differences.push(format!("{what}: expected {expected:?}, found {found:?}"));
        }
    };
    compare("violations", &case.violations, &decision.violations);
    if let Some(expected) = &case.warnings {
        compare("warnings", expected, &decision.warnings);
    }
    if let Some(expected) = &case.obligations {
        compare("obligations", expected, &decision.obligations);
    }
    Ok(CaseOutcome { name: case.name, differences })
}

/// The day of a TOML date; `None` for a time without one.
pub(crate) fn day(date: &toml::value::Datetime) -> Option<Date> {
    let date = date.date?;
    Date::new(i16::try_from(date.year).ok()?, i8::try_from(date.month).ok()?, i8::try_from(date.day).ok()?)
        .ok()
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::run_cases;
    use crate::PolicySet;

    #[test]
    fn the_cases_beside_every_built_in_set_hold() {
        let mut failed = Vec::new();
        for name in PolicySet::builtin_names() {
            let set = PolicySet::builtin(name).expect("built in");
            let cases = PolicySet::cases(name).expect("cases beside the set");
            let outcomes = run_cases(&set, name, cases, date(2026, 11, 21)).expect("valid cases");
            assert!(outcomes.len() > 3, "{name} has {} cases", outcomes.len());
            let broken = outcomes.into_iter().filter(|outcome| !outcome.holds());
            failed.extend(broken.map(|outcome| (name, outcome)));
        }
        assert!(failed.is_empty(), "{failed:#?}");
    }

    #[test]
    fn the_cases_of_a_house_do_not_all_hold_under_the_base() {
        let base = PolicySet::builtin("base").expect("built in");
        for name in PolicySet::builtin_names().filter(|name| *name != "base") {
            let cases = PolicySet::cases(name).expect("cases beside the set");
            let outcomes = run_cases(&base, name, cases, date(2026, 11, 21)).expect("valid cases");
            assert!(outcomes.iter().any(|outcome| !outcome.holds()), "{name} asks for nothing more");
        }
    }

    #[test]
    fn a_case_that_does_not_hold_says_what_differs() {
        let set = PolicySet::builtin("base").expect("built in");
        let cases = PolicySet::cases("base").expect("cases beside the set");
        let text = cases.replacen("violations = [\"lineage-missing\"]", "violations = []", 1);
        let outcomes = run_cases(&set, "x.toml", &text, date(2026, 11, 21)).expect("valid cases");
        let failed: Vec<_> = outcomes.into_iter().flat_map(|outcome| outcome.differences).collect();
        assert_eq!(failed, ["violations: expected {}, found {\"lineage-missing\"}"]);
    }
}
