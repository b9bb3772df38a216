//! The registry of corpora: what is registered, how it is changed, and what a change means for runs and releases.

mod barred;
mod effects;
mod mixes;
mod read;
mod uses;

use sekisho_domain::Tokens;
use sekisho_domain::corpus::Subset;
use sekisho_domain::lineage::Level;
use sekisho_domain::user::{Role, Scope};
use sekisho_policy::Registered;
use sekisho_store::{RegisteredSubset, SubsetChange};
use serde_json::json;
use std::collections::BTreeMap;

use super::people;
use super::releases;
use crate::{Actor, App, Noun, WebError};

pub use barred::{barred_runs, forbidden, lz, may_use, may_use_checkpoint};
pub use effects::{Effects, ReleaseEffect, effects};
pub use mixes::{Portion, portions, sets, total};
pub use read::{Format, read};
pub use uses::{Claim, RunUse, claims, runs_that_used};

/// Who keeps the registry.
pub const KEEPERS: [Role; 1] = [Role::Contributor];

/// What an import did.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[schema(as = ImportedSubsets)]
pub struct Imported {
    /// Ids that were not there.
    pub added: Vec<String>,
    /// Ids of which something other than the level was changed.
    pub updated: Vec<String>,
    /// Ids that were there with the same content.
    pub unchanged: Vec<String>,
}

/// A subset by id.
///
/// # Errors
/// 404.
pub async fn find(app: &App, id: &str) -> Result<RegisteredSubset, WebError> {
    app.store.subset(id).await?.ok_or_else(|| WebError::not_found(Noun::Subset, id))
}

/// The registry as the policy sees it.
///
/// # Errors
/// When the store fails.
pub async fn registry(app: &App) -> Result<BTreeMap<String, Registered>, WebError> {
    let subsets = app.store.subsets().await?;
    Ok(subsets.into_iter().map(|found| (found.subset.id.clone(), registered(&found.subset))).collect())
}

/// How large the subsets are of which that is registered.
#[must_use]
pub fn sizes(subsets: &[RegisteredSubset]) -> BTreeMap<String, Tokens> {
    subsets.iter().filter_map(|found| Some((found.subset.id.clone(), found.subset.tokens?))).collect()
}

fn registered(subset: &Subset) -> Registered {
    Registered {
        level: subset.level.map(|level| level.to_string()),
        license: subset.license.clone(),
        generator: subset.generator.clone(),
        generator_license: subset.generator_license.clone(),
    }
}

/// Registers subsets, all or none. What is there with the same content stays; other content is taken with `update`, but never another
/// level, which is a decision with a reason of its own.
///
/// # Errors
/// 403; 422 naming the subset and what contradicts what.
pub async fn import(
    app: &App,
    actor: &Actor,
    subsets: &[Subset],
    update: bool,
) -> Result<Imported, WebError> {
    let may = actor.require(&KEEPERS, Scope::Release);
    people::on_record(app, actor, "corpus.import", &format!("{} subsets", subsets.len()), may).await?;
    once_each(subsets)?;
    let mut imported = Imported::default();
    let mut written = Vec::new();
    for subset in subsets {
        if let Some(fault) = subset.fault() {
            return Err(WebError::refused("subset", format!("{fault}.")));
        }
        match app.store.subset(&subset.id).await? {
            None => {
                imported.added.push(subset.id.clone());
                written.push((subset.clone(), 0));
            }
            Some(there) if there.subset == *subset => imported.unchanged.push(subset.id.clone()),
            Some(there) => {
                may_replace(&there.subset, subset, update)?;
                imported.updated.push(subset.id.clone());
                written.push((subset.clone(), there.version));
            }
        }
    }
    if !written.is_empty() {
        let detail = json!({ "added": imported.added, "updated": imported.updated });
        let audit = people::entry(app, actor, "corpus.import", &names(&written), "done", detail);
        app.store.put_subsets(&written, &change(app, actor, None, "import"), &audit).await?;
        releases::rejudge(app, Some(actor)).await?;
    }
    Ok(imported)
}

/// The subsets that a run's specification claims and nobody has registered: the trainer's own record.
///
/// # Errors
/// When the store fails, 422 for a claim that cannot be registered.
pub async fn of_run(app: &App, run: &sekisho_store::Run) -> Result<Vec<Subset>, WebError> {
    let mut subsets = Vec::new();
    for claim in run.spec.iter().flat_map(claims) {
        if app.store.subset(&claim.subset).await?.is_some() {
            continue;
        }
        let level = claim.level.as_deref().map(str::parse).transpose().map_err(|error| {
            WebError::refused(
                "subset",
                format!("Subset \"{}\" of run \"{}\": {error}.", claim.subset, run.name),
            )
        })?;
        subsets.push(Subset {
            id: claim.subset,
            corpus: run.name.clone(),
            language: None,
            tokens: None,
            tokenizer: None,
            level,
            license: claim.license,
            evidence: None,
            evidence_sha256: None,
            generator: None,
            generator_license: None,
        });
    }
    Ok(subsets)
}

/// A file that names one subset twice, with one content or two, cannot be meant.
fn once_each(subsets: &[Subset]) -> Result<(), WebError> {
    let mut seen: BTreeMap<&str, &Subset> = BTreeMap::new();
    for subset in subsets {
        let Some(first) = seen.insert(&subset.id, subset) else { continue };
        let differences = first.differences(subset);
        let Some((field, a, b)) = differences.first() else {
            let detail = format!("Subset \"{}\" is there twice; keep one of the two lines.", subset.id);
            return Err(WebError::refused("subset", detail));
        };
        let code = if *field == "license" { "license-contradiction" } else { "subset" };
        let detail = format!(
            "Subset \"{}\" is there twice, with {field} \"{a}\" and \"{b}\". Settle which holds and keep one.",
            subset.id
        );
        return Err(WebError::refused(code, detail));
    }
    Ok(())
}

fn may_replace(there: &Subset, new: &Subset, update: bool) -> Result<(), WebError> {
    let differences = there.differences(new);
    if there.level != new.level {
        let of = |level: Option<Level>| level.map_or("none", |level| level.as_str());
        let (id, from, to) = (&there.id, of(there.level), of(new.level));
        let detail = format!(
            "Subset \"{id}\" is registered with level {from}, the import says {to}. A level is changed with its reason: `sekisho corpus level {id} {to} --reason …`."
        );
        let ja = format!(
            "サブセット「{id}」の登録されているリリースレベルは{from}ですが、取り込むデータでは{to}です。レベルの変更には理由が必要です：`sekisho corpus level {id} {to} --reason …`"
        );
        return Err(WebError::refused("level-mismatch", detail).or_ja(ja));
    }
    if update {
        return Ok(());
    }
    let told: Vec<String> =
        differences.iter().map(|(field, a, b)| format!("{field} \"{a}\" → \"{b}\"")).collect();
    let detail = format!(
        "Subset \"{}\" is registered with other content ({}). To take the new one, import with --update.",
        there.id,
        told.join(", ")
    );
    Err(WebError::conflict("subset-registered", detail))
}

/// Changes the release level of a subset, and judges again what is on its way. What a subset may be used for grows only by the hand of
/// a person: by a stored token its level is tightened and nothing else.
///
/// # Errors
/// 403, 404, 400 without a reason, 412 when it has changed.
pub async fn change_level(
    app: &App,
    actor: &Actor,
    id: &str,
    version: u64,
    level: Level,
    reason: &str,
) -> Result<RegisteredSubset, WebError> {
    let done = set_level(app, actor, id, version, level, reason).await;
    people::on_record(app, actor, "corpus.level", id, done).await
}

async fn set_level(
    app: &App,
    actor: &Actor,
    id: &str,
    version: u64,
    level: Level,
    reason: &str,
) -> Result<RegisteredSubset, WebError> {
    actor.require(&KEEPERS, Scope::Release)?;
    if reason.trim().is_empty() {
        let detail = "Say why the level changes; the reason is kept with it.";
        return Err(WebError::bad_request("reason-missing", detail));
    }
    let there = find(app, id).await?;
    if there.version != version {
        return Err(sekisho_store::StoreError::Stale.into());
    }
    if Level::loosens(there.subset.level, level) && !actor.is_in_person() {
        return Err(in_person(&there.subset, level));
    }
    let subset = Subset { level: Some(level), ..there.subset.clone() };
    let detail = json!({ "before": there.subset.level, "level": level, "reason": reason });
    let audit = people::entry(app, actor, "corpus.level", id, "done", detail);
    let change = change(app, actor, Some(level), reason);
    app.store.put_subsets(&[(subset, version)], &change, &audit).await?;
    releases::rejudge(app, Some(actor)).await?;
    find(app, id).await
}

fn in_person(subset: &Subset, level: Level) -> WebError {
    let (id, from) = (&subset.id, subset.level.map_or("none", |level| level.as_str()));
    let detail = format!(
        "Subset \"{id}\" would be loosened from {from} to {level}; a stored token never does that. Sign in with `sekisho login`, or change it in the browser."
    );
    let ja = format!(
        "サブセット「{id}」のレベルを{from}から{level}へ緩める変更は、保存済みのトークンではできません。ブラウザーで変更するか、`sekisho login` でログインしてから実行してください。"
    );
    WebError::forbidden("level-in-person", detail).or_ja(ja)
}

fn change(app: &App, actor: &Actor, level: Option<Level>, reason: &str) -> SubsetChange {
    SubsetChange {
        user_name: actor.user.name.clone(),
        level,
        before: None,
        reason: reason.to_owned(),
        at: app.now(),
    }
}

/// One audit entry for an import names what it is about as far as that fits a line.
fn names(written: &[(Subset, u64)]) -> String {
    match written {
        [(only, _)] => only.id.clone(),
        all => format!("{} subsets", all.len()),
    }
}
