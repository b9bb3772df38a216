use std::collections::{BTreeMap, BTreeSet};

use sekisho_domain::Tokens;
use sekisho_domain::release::ReleaseState;
use sekisho_store::Release;

use super::facts;
use crate::service::checkpoints;
use crate::{App, WebError};

/// States of a release that everybody can have.
const OUT: [ReleaseState; 2] = [ReleaseState::Published, ReleaseState::Superseded];

/// What is anywhere in the lineage of a release, or in its run's own specification: ids of subsets, and of models.
///
/// # Errors
/// When the store fails.
pub async fn ancestors(app: &App, release: &Release) -> Result<BTreeSet<String>, WebError> {
    let checkpoint = checkpoints::find(app, &release.checkpoint.to_string()).await?;
    let facts = facts::of_lineage(app, release).await?;
    let files = std::iter::once(facts.lineage).chain(facts.parents.into_values());
    let named = files.flat_map(|file| file.inputs).filter_map(|input| input.id);
    let trained = facts::trained(app, &checkpoint).await?;
    Ok(named.chain(trained.into_iter().map(|trained| trained.subset)).collect())
}

/// Tokens of a subset in all of the lineage of a release, where that says any.
///
/// # Errors
/// When the store fails.
pub async fn tokens_of(app: &App, release: &Release, subset: &str) -> Result<Option<Tokens>, WebError> {
    let facts = facts::of_lineage(app, release).await?;
    let inputs = std::iter::once(&facts.lineage).chain(facts.parents.values()).flat_map(|file| &file.inputs);
    let of_subset = inputs.filter(|input| input.id.as_deref() == Some(subset));
    let tokens = of_subset.filter_map(|input| input.tokens).map(|tokens| tokens.0);
    Ok(tokens.reduce(u64::saturating_add).map(Tokens))
}

/// How many releases that are out descend from each subset; those from which none does are absent.
///
/// # Errors
/// When the store fails.
pub async fn models_out_of(app: &App) -> Result<BTreeMap<String, usize>, WebError> {
    let mut models = BTreeMap::new();
    for release in app.store.releases_in(&OUT).await? {
        for subset in ancestors(app, &release).await? {
            *models.entry(subset).or_default() += 1;
        }
    }
    Ok(models)
}

/// The releases that are out and descend from a subset, newest first.
///
/// # Errors
/// When the store fails.
pub async fn out_of(app: &App, subset: &str) -> Result<Vec<Release>, WebError> {
    let mut found = Vec::new();
    for release in app.store.releases_in(&OUT).await? {
        if ancestors(app, &release).await?.contains(subset) {
            found.push(release);
        }
    }
    Ok(found)
}
