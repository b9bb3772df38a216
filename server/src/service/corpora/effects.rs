use sekisho_domain::Tokens;
use sekisho_domain::lineage::Level;
use sekisho_domain::release::ReleaseState;
use sekisho_store::{RegisteredSubset, Release};

use super::uses::{RunUse, runs_that_used};
use crate::service::releases;
use crate::{App, WebError};

/// What a change of level would mean, told before it is saved.
#[derive(Clone, Debug, Default)]
pub struct Effects {
    /// Runs that used the subset.
    pub runs: Vec<RunUse>,
    /// Their checkpoints.
    pub checkpoints: usize,
    /// Releases that are not out, with what would become of each.
    pub open: Vec<ReleaseEffect>,
    /// Releases that are out. A change never rewrites history; people decide what to do about them.
    pub published: Vec<ReleaseEffect>,
}

/// A release that descends from the subset.
#[derive(Clone, Debug)]
pub struct ReleaseEffect {
    /// The release.
    pub release: Release,
    /// Tokens of the subset in its lineage, where that says any.
    pub tokens: Option<Tokens>,
    /// Whether the policy allows it with the registry as it is.
    pub allowed_now: bool,
    /// Whether it would with the new level.
    pub allowed_then: bool,
}

/// What it would mean for runs, checkpoints and releases if the subset had this level.
///
/// # Errors
/// When the store fails.
pub async fn effects(app: &App, subset: &RegisteredSubset, level: Level) -> Result<Effects, WebError> {
    let runs = runs_that_used(app, &subset.subset.id).await?;
    let mut found = Effects::default();
    for used in &runs {
        found.checkpoints += app.store.checkpoints_of_run(used.run.id).await?.len();
    }
    let now = super::registry(app).await?;
    let mut then = now.clone();
    if let Some(entry) = then.get_mut(&subset.subset.id) {
        entry.level = Some(level.to_string());
    }
    let states: Vec<ReleaseState> = ReleaseState::ALL
        .iter()
        .copied()
        .filter(|state| {
            !matches!(state, ReleaseState::Rejected | ReleaseState::Withdrawn | ReleaseState::Yanked)
        })
        .collect();
    for release in app.store.releases_in(&states).await? {
        if !releases::ancestors(app, &release).await?.contains(&subset.subset.id) {
            continue;
        }
        let out = matches!(release.state, ReleaseState::Published | ReleaseState::Superseded);
        let effect = ReleaseEffect {
            allowed_now: releases::would_be_allowed(app, &release, &now).await?,
            allowed_then: releases::would_be_allowed(app, &release, &then).await?,
            tokens: releases::tokens_of(app, &release, &subset.subset.id).await?,
            release,
        };
        if out { found.published.push(effect) } else { found.open.push(effect) }
    }
    found.runs = runs;
    Ok(found)
}
