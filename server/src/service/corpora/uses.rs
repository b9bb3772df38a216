use std::collections::{BTreeMap, BTreeSet};

use sekisho_domain::Tokens;
use sekisho_store::Run;
use serde_json::Value;

use super::mixes::portions;
use crate::{App, WebError};

/// Runs that are looked through; far more than a lab has.
pub(super) const RUNS: u32 = 100_000;

/// A run that used a subset: itself, or a run that it descends from.
#[derive(Clone, Debug, PartialEq)]
pub struct RunUse {
    /// The run.
    pub run: Run,
    /// The run in whose own mix the subset is, when it is not this one.
    pub through: Option<String>,
    /// The level that its specification claims.
    pub claimed: Option<String>,
    /// Tokens of the subset that the run in whose mix it is has seen, when specification and registry tell.
    pub tokens: Option<Tokens>,
    /// How often that run has seen it, when its size is registered too.
    pub repeats: Option<f64>,
}

/// What a run's specification says of one subset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Name of the subset.
    pub subset: String,
    /// Release level.
    pub level: Option<String>,
    /// Licence.
    pub license: Option<String>,
    /// Share of the tokens or repetitions, as written.
    pub amount: Option<String>,
}

/// `[[data.mix]]` of a specification.
#[must_use]
pub fn claims(spec: &Value) -> Vec<Claim> {
    let mixes = spec["data"]["mix"].as_array().into_iter().flatten();
    let text = |value: &Value| value.as_str().map(ToOwned::to_owned);
    let claim = |mix: &Value| {
        let amount = ["repeat", "weight"].iter().find_map(|key| {
            let value = mix[*key].as_f64()?;
            Some(if *key == "repeat" { format!("×{value}") } else { value.to_string() })
        });
        Some(Claim {
            subset: text(&mix["name"])?,
            level: text(&mix["level"]),
            license: text(&mix["license"]),
            amount,
        })
    };
    mixes.filter_map(claim).collect()
}

/// Every run that used a subset, directly or through a parent, newest report first.
///
/// # Errors
/// When the store fails.
pub async fn runs_that_used(app: &App, subset: &str) -> Result<Vec<RunUse>, WebError> {
    let runs = app.store.runs(RUNS).await?;
    let sizes = super::sizes(&app.store.subsets().await?);
    let use_of = |used: Used<'_>| {
        let Used { run, ancestor, claim } = used;
        let mut mix = ancestor.spec.iter().flat_map(|spec| portions(spec, ancestor.tokens, &sizes));
        let portion = mix.find(|portion| portion.subset == subset);
        let seen = portion.as_ref().and_then(|portion| portion.tokens);
        RunUse {
            run: run.clone(),
            through: (ancestor.id != run.id).then(|| ancestor.name.clone()),
            claimed: claim.level,
            tokens: seen.or((ancestor.tokens.0 == 0).then_some(Tokens(0))),
            repeats: portion.and_then(|portion| portion.repeats),
        }
    };
    Ok(uses(&runs, |claim| claim.subset == subset).into_iter().map(use_of).collect())
}

/// A run with the claim that was looked for, of its own or of the nearest run that it descends from.
pub(super) struct Used<'r> {
    pub(super) run: &'r Run,
    ancestor: &'r Run,
    pub(super) claim: Claim,
}

/// The runs with a claim that `wanted` looks for, in the order of `runs`.
pub(super) fn uses(runs: &[Run], wanted: impl Fn(&Claim) -> bool) -> Vec<Used<'_>> {
    let by_key: BTreeMap<String, &Run> =
        runs.iter().flat_map(|run| [(run.name.clone(), run), (run.id.to_string(), run)]).collect();
    let mut found = Vec::new();
    for run in runs {
        let (mut at, mut seen) = (Some(run), BTreeSet::new());
        while let Some(ancestor) = at.filter(|ancestor| seen.insert(ancestor.id)) {
            if let Some(claim) = ancestor.spec.iter().flat_map(claims).find(&wanted) {
                found.push(Used { run, ancestor, claim });
                break;
            }
            at = parent(ancestor).and_then(|key| by_key.get(key).copied());
        }
    }
    found
}

/// Name or id of the run that a run descends from.
fn parent(run: &Run) -> Option<&str> {
    run.spec.as_ref()?["parent"]["run"].as_str()
}
