//! LZ: a subset that nobody may use at all bars what was made from it too, its scores and samples in exports among it.

use std::collections::{BTreeMap, BTreeSet};

use sekisho_domain::RunId;
use sekisho_domain::lineage::Level;
use sekisho_store::{Checkpoint, Run};

use super::uses::{Claim, RUNS, claims, uses};
use crate::service::runs;
use crate::{App, WebError};

/// Refuses what is derived from a run that descends from an LZ subset.
///
/// # Errors
/// 403 `level-forbids-use`.
pub async fn may_use(app: &App, run: Run) -> Result<(), WebError> {
    let name = run.name.clone();
    let registered = lz(app).await?;
    let line = runs::line(app, run).await?;
    let mut claims = line.iter().filter_map(|run| run.spec.as_ref()).flat_map(claims);
    match claims.find(|claim| is_lz(&registered, claim)) {
        Some(claim) => Err(forbidden(&format!("Run \"{name}\""), &format!("実験「{name}」"), &claim.subset)),
        None => Ok(()),
    }
}

/// The same for what is derived from a checkpoint.
///
/// # Errors
/// As [`may_use`].
pub async fn may_use_checkpoint(app: &App, checkpoint: &Checkpoint) -> Result<(), WebError> {
    match app.store.run(checkpoint.run).await? {
        Some(run) => may_use(app, run).await,
        None => Ok(()),
    }
}

/// The runs that descend from an LZ subset, each with it.
///
/// # Errors
/// When the store fails.
pub async fn barred_runs(app: &App) -> Result<BTreeMap<RunId, String>, WebError> {
    let (registered, runs) = (lz(app).await?, app.store.runs(RUNS).await?);
    let found = uses(&runs, |claim| is_lz(&registered, claim));
    Ok(found.into_iter().map(|used| (used.run.id, used.claim.subset)).collect())
}

/// The ids of the subsets that are registered as LZ.
///
/// # Errors
/// When the store fails.
pub async fn lz(app: &App) -> Result<BTreeSet<String>, WebError> {
    let subsets = app.store.subsets().await?.into_iter().map(|found| found.subset);
    Ok(subsets.filter(|subset| subset.level == Some(Level::LZ)).map(|subset| subset.id).collect())
}

/// The registry says so, or the specification itself of a subset that nobody has registered: a registered one claims no other level.
fn is_lz(registered: &BTreeSet<String>, claim: &Claim) -> bool {
    registered.contains(&claim.subset) || claim.level.as_deref() == Some(Level::LZ.as_str())
}

/// That something descends from an LZ subset.
#[must_use]
pub fn forbidden(what: &str, what_ja: &str, subset: &str) -> WebError {
    let detail = format!(
        "{what} descends from subset \"{subset}\", which is LZ: neither it nor anything made from it may be used or handed on. Ask the corpus group."
    );
    let ja = format!(
        "{what_ja}はリリースレベルLZのサブセット「{subset}」を使用しています。LZのデータから得られた成果物は、スコアや出力例も含めて利用・提供できません。コーパスWGに確認してください。"
    );
    WebError::forbidden("level-forbids-use", detail).or_ja(ja)
}
