//! The policy set in force, those that were, and what another one would have said about past releases.

use std::path::Path;

use sekisho_domain::release::ReleaseState;
use sekisho_policy::{Decision, PolicySet};
use sekisho_store::{KeptPolicy, Release};

use super::releases;
use crate::{App, WebError};

/// Releases that a simulation judges again.
const MOST: u32 = 500;

/// The set that a configuration names: a built-in one, or a file.
///
/// # Errors
/// A sentence that names the set, the place and the rule.
pub fn load(name: &str) -> Result<PolicySet, String> {
    if Path::new(name).extension().is_some_and(|extension| extension == "toml") {
        let text = fs_err::read_to_string(name).map_err(|error| error.to_string())?;
        return PolicySet::from_toml(name, &text).map_err(|error| error.to_string());
    }
    PolicySet::builtin(name).map_err(|error| error.to_string())
}

/// Writes down that the configured set is in force.
///
/// # Errors
/// When the store fails.
pub async fn put_in_force(app: &App) -> Result<(), WebError> {
    let set = &app.policy;
    let kept = KeptPolicy {
        digest: set.digest(),
        name: set.name().to_owned(),
        version: set.version().to_owned(),
        text: set.text().to_owned(),
    };
    Ok(app.store.put_in_force(&kept, app.now()).await?)
}

/// A past release under another set.
#[derive(Clone, Debug)]
pub struct Simulated {
    /// The release.
    pub release: Release,
    /// What was decided, if it was judged.
    pub then: Option<Decision>,
    /// What the other set says of the same facts today.
    pub now: Decision,
}

/// Judges every release that was frozen under another set. Nothing is changed.
///
/// # Errors
/// When the store fails.
pub async fn simulate(app: &App, set: &PolicySet) -> Result<Vec<Simulated>, WebError> {
    let mut simulated = Vec::new();
    for release in app.store.releases(MOST).await? {
        if release.decision.is_none() && release.state == ReleaseState::Draft {
            continue;
        }
        let then = release.decision.clone().and_then(|json| serde_json::from_value(json).ok());
        let now = releases::under(app, &release, set).await?;
        simulated.push(Simulated { release, then, now });
    }
    Ok(simulated)
}

/// What differs: `+ license-not-default`, `- open-claim`.
#[must_use]
pub fn changed_codes(simulated: &Simulated) -> Vec<String> {
    let Some(then) = &simulated.then else { return Vec::new() };
    let diff = sekisho_policy::diff(then, &simulated.now);
    let sign = |change: &sekisho_policy::Change| match (change.then, change.now) {
        (None, Some(_)) => "+",
        (Some(_), None) => "-",
        _ => "~",
    };
    let mut codes: Vec<String> =
        diff.changes.iter().map(|change| format!("{} {}", sign(change), change.code.as_str())).collect();
    codes.sort();
    codes.dedup();
    codes
}
