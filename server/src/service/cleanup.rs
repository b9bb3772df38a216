//! Which checkpoints of a run are kept and why, and the removal of the others' files. Scores and records stay; what is not ours is
//! listed and left alone.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use sekisho_domain::checkpoint::CheckpointState;
use sekisho_domain::evaluation::WorkState;
use sekisho_domain::release::ReleaseState;
use sekisho_domain::user::{Role, Scope};
use sekisho_domain::wire::{CleanedUp, CleanupItem, CleanupRule, CleanupView, Kept, KeptReason};
use sekisho_domain::{CheckpointId, Sha256, Text};
use sekisho_store::{Checkpoint, Evaluation, Run};
use serde_json::json;

use super::{copies, evaluations, found, people, runs, standing};
use crate::{Actor, App, WebError};

/// Where a run's specification says nothing.
const DEFAULT: CleanupRule = CleanupRule { every: 1000, last: 3, best: 1 };

/// The rule of a run: what its specification keeps.
#[must_use]
pub fn rule_of(run: &Run) -> CleanupRule {
    of_spec(run.spec.as_ref())
}

fn of_spec(spec: Option<&serde_json::Value>) -> CleanupRule {
    let keep = spec.and_then(|spec| spec.pointer("/checkpoint/keep")?.as_array());
    let Some(keep) = keep.filter(|keep| !keep.is_empty()) else { return DEFAULT };
    let mut rule = CleanupRule::default();
    for (name, n) in keep.iter().filter_map(|one| one.as_str()?.split_once(':')) {
        let n = n.parse().unwrap_or_default();
        match name {
            "every" => rule.every = n,
            "last" => rule.last = n,
            "best" => rule.best = n,
            _ => {}
        }
    }
    // Rules that only a trainer follows say nothing of what the service keeps.
    if rule == CleanupRule::default() { DEFAULT } else { rule }
}

/// The rule in words of its own: `every:1000, last:3`.
#[must_use]
pub fn words(rule: CleanupRule) -> String {
    let parts = [("every", rule.every), ("last", rule.last), ("best", rule.best)];
    let parts: Vec<String> =
        parts.into_iter().filter(|(_, n)| *n > 0).map(|(name, n)| format!("{name}:{n}")).collect();
    parts.join(", ")
}

/// What a clean-up of a run would do, by this rule or by the run's own. Nothing is changed.
///
/// # Errors
/// 404; 422 for a rule that keeps nothing.
pub async fn asked(app: &App, key: &str, rule: Option<CleanupRule>) -> Result<(Run, CleanupView), WebError> {
    let run = runs::find(app, key).await?;
    let plan = plan(app, &run, rule.unwrap_or_else(|| rule_of(&run))).await?;
    Ok((run, plan))
}

/// What a clean-up by this rule would do. Nothing is changed.
///
/// # Errors
/// 422 for a rule that keeps nothing.
pub async fn plan(app: &App, run: &Run, rule: CleanupRule) -> Result<CleanupView, WebError> {
    if rule == CleanupRule::default() {
        let detail = "The rule keeps nothing. Say what is to stay: every:1000, last:3, best:1.";
        let ja =
            "残すチェックポイントの条件がありません。間隔、直近、最良のいずれかに1以上を指定してください。";
        return Err(WebError::refused("cleanup-rule", detail).or_ja(ja));
    }
    let all = app.store.checkpoints_of_run(run.id).await?;
    let (there, examined): (Vec<Checkpoint>, Vec<Checkpoint>) = all
        .into_iter()
        .filter(|c| !matches!(c.state, CheckpointState::Refused | CheckpointState::Gone))
        .partition(|c| c.state.was_verified());
    let mut kept = kept(app, run, rule, &there).await?;
    let mut items: Vec<CleanupItem> =
        there.iter().map(|c| item(app, c, kept.0.remove(&c.id), &kept.1)).collect();
    items.extend(examined.iter().map(|c| {
        let reason = Kept { reason: KeptReason::Examining, name: None, id: None };
        item(app, c, Some(vec![reason]), &kept.1)
    }));
    items.sort_by_key(|item| std::cmp::Reverse((item.step, item.checkpoint)));
    let removed: BTreeSet<CheckpointId> =
        items.iter().filter(|item| item.owned && item.kept.is_empty()).map(|item| item.checkpoint).collect();
    let freed = freed(app, &there, &removed).await?;
    for item in &mut items {
        item.freed_bytes = freed.get(&item.checkpoint).copied().unwrap_or_default();
    }
    let unkept = || items.iter().filter(|i| !i.owned && i.kept.is_empty());
    let (paths, ids): (Vec<&str>, Vec<CheckpointId>) =
        unkept().map(|i| (i.path.as_str(), i.checkpoint)).unzip();
    // Another run may stand on the same folder.
    let needed = app.store.folders_of_others(&paths, &ids).await?;
    let folders: Vec<&str> = paths.into_iter().filter(|path| !needed.contains(*path)).collect();
    let ids: String = removed.iter().map(|id| format!("{id}\n")).collect();
    Ok(CleanupView {
        rule,
        freed_bytes: freed.values().sum(),
        plan: Sha256::of(ids),
        shell: shell(&folders),
        items,
        next: None,
    })
}

/// Why checkpoints are kept; one that nothing keeps is absent.
pub type Reasons = BTreeMap<CheckpointId, Vec<Kept>>;

/// Why a run's checkpoints are kept by its own rule.
///
/// # Errors
/// When store or blobs fail.
pub async fn reasons(app: &App, run: &Run, checkpoints: &[Checkpoint]) -> Result<Reasons, WebError> {
    let is_there = |c: &&Checkpoint| c.state.was_verified() && c.state != CheckpointState::Gone;
    let there: Vec<Checkpoint> = checkpoints.iter().filter(is_there).cloned().collect();
    Ok(kept(app, run, rule_of(run), &there).await?.0)
}

/// Why each checkpoint is kept, and the means that were looked at.
async fn kept(
    app: &App,
    run: &Run,
    rule: CleanupRule,
    there: &[Checkpoint],
) -> Result<(Reasons, HashMap<CheckpointId, f64>), WebError> {
    let mut kept: Reasons = BTreeMap::new();
    let mut keep = |id: CheckpointId, reason: KeptReason, name: Option<String>, of: Option<String>| {
        kept.entry(id).or_default().push(Kept { reason, name, id: of });
    };
    for checkpoint in there.iter().filter(|c| rule.every > 0 && c.step.0.is_multiple_of(rule.every)) {
        keep(checkpoint.id, KeptReason::Every, None, None);
    }
    for checkpoint in there.iter().rev().take(usize::try_from(rule.last).unwrap_or(usize::MAX)) {
        keep(checkpoint.id, KeptReason::Last, None, None);
    }
    let ids: Vec<CheckpointId> = there.iter().map(|c| c.id).collect();
    let evaluations = app.store.evaluations_of_all(&ids).await?;
    let means = means(app, run, &evaluations).await?;
    let mut ranked: Vec<(&CheckpointId, &f64)> = means.iter().collect();
    // The newer one of two equal ones: ids sort by age.
    ranked.sort_by(|a, b| b.1.total_cmp(a.1).then(b.0.cmp(a.0)));
    for (id, _) in ranked.into_iter().take(usize::try_from(rule.best).unwrap_or(usize::MAX)) {
        keep(*id, KeptReason::Best, None, None);
    }
    for branch in app.store.branches_of(run).await? {
        let step = branch.spec.as_ref().and_then(|spec| spec.pointer("/parent/step")?.as_u64());
        for checkpoint in there.iter().filter(|c| Some(c.step.0) == step) {
            keep(checkpoint.id, KeptReason::Branch, Some(branch.name.clone()), None);
        }
    }
    for release in app.store.releases_of_all(&ids).await? {
        if !matches!(release.state, ReleaseState::Rejected | ReleaseState::Withdrawn) {
            keep(release.checkpoint, KeptReason::Release, Some(release.name), Some(release.id.to_string()));
        }
    }
    let evaluating =
        evaluations.iter().filter(|e| matches!(e.state, WorkState::Waiting | WorkState::Running));
    for id in evaluating.map(|evaluation| evaluation.checkpoint).collect::<BTreeSet<_>>() {
        keep(id, KeptReason::Evaluating, None, None);
    }
    Ok((kept, means))
}

/// The complete means on the run's suite.
async fn means(
    app: &App,
    run: &Run,
    evaluations: &[Evaluation],
) -> Result<HashMap<CheckpointId, f64>, WebError> {
    let suite = evaluations::suite_of(app, run);
    let finished = |e: &&Evaluation| e.suite == suite && e.state == WorkState::Finished;
    let finished: Vec<&Evaluation> = evaluations.iter().filter(finished).collect();
    let found = found::of_all(app, finished.iter().copied()).await?;
    let mean = |e: &&Evaluation| Some((e.checkpoint, found.get(&e.id)?.scores.mean?.value));
    Ok(finished.iter().filter_map(mean).collect())
}

fn item(
    app: &App,
    checkpoint: &Checkpoint,
    kept: Option<Vec<Kept>>,
    means: &HashMap<CheckpointId, f64>,
) -> CleanupItem {
    let files = checkpoint.verification.iter().flat_map(|found| &found.files);
    CleanupItem {
        checkpoint: checkpoint.id,
        step: checkpoint.step,
        state: checkpoint.state,
        mean: means.get(&checkpoint.id).copied(),
        owned: checkpoint.owned,
        path: copies::present(app, checkpoint).display().to_string(),
        bytes: files.map(|file| file.size).sum(),
        freed_bytes: 0,
        kept: kept.unwrap_or_default(),
    }
}

/// What the removal of each gives back: nothing where another checkpoint is made of the same folder; of files that have a second name
/// elsewhere nothing either.
async fn freed(
    app: &App,
    there: &[Checkpoint],
    removed: &BTreeSet<CheckpointId>,
) -> Result<BTreeMap<CheckpointId, u64>, WebError> {
    let mut folders: BTreeMap<PathBuf, CheckpointId> = BTreeMap::new();
    for checkpoint in there.iter().filter(|c| removed.contains(&c.id)) {
        let Some(name) = copies::kept_name(checkpoint) else { continue };
        let others = app.store.checkpoints_in_folder(&name).await?;
        if others.iter().all(|other| removed.contains(&other.id)) {
            folders.entry(app.checkpoints_dir().join(name)).or_insert(checkpoint.id);
        }
    }
    let count = move || {
        let mut names: HashMap<(u64, u64), u64> = HashMap::new();
        let mut files = Vec::new();
        for (folder, id) in folders {
            for metadata in metadata_in(&folder) {
                let key = (metadata.dev(), metadata.ino());
                *names.entry(key).or_default() += 1;
                files.push((id, key, metadata.nlink(), metadata.len()));
            }
        }
        let mut freed: BTreeMap<CheckpointId, u64> = BTreeMap::new();
        for (id, key, links, bytes) in files {
            // Counted once, with the first of its names.
            if names.remove(&key) == Some(links) {
                *freed.entry(id).or_default() += bytes;
            }
        }
        freed
    };
    tokio::task::spawn_blocking(count).await.map_err(WebError::internal)
}

fn metadata_in(folder: &Path) -> Vec<std::fs::Metadata> {
    let entries = fs_err::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    entries.filter_map(|entry| entry.metadata().ok()).filter(std::fs::Metadata::is_file).collect()
}

/// A line for a shell that removes these folders.
fn shell(folders: &[&str]) -> Option<String> {
    let quoted = folders.iter().map(|path| format!("'{}'", path.replace('\'', r"'\''")));
    let quoted: Vec<String> = quoted.collect();
    (!quoted.is_empty()).then(|| format!("rm -r -- {}", quoted.join(" ")))
}

/// Removes the copies that the rule does not keep, if they are those of `plan`.
///
/// # Errors
/// 403; 409 `cleanup-changed` when other checkpoints would be removed by now.
pub async fn clean(
    app: &App,
    actor: &Actor,
    run: &Run,
    rule: CleanupRule,
    seen: Sha256,
) -> Result<CleanedUp, WebError> {
    actor.require_in(&run.project, &[Role::Contributor], Scope::Ingest)?;
    let _keeping = app.keeping.lock().await;
    let plan = plan(app, run, rule).await?;
    if plan.plan != seen {
        let detail = "Other checkpoints would be removed than those you have seen: something was evaluated, proposed or handed over meanwhile. Look again.";
        let ja = "表示後に対象のチェックポイントが変わりました（評価、起案、登録など）。一覧を確認し直してください。";
        return Err(WebError::conflict("cleanup-changed", detail).or_ja(ja));
    }
    let removed: Vec<&CleanupItem> = plan.items.iter().filter(|i| i.owned && i.kept.is_empty()).collect();
    let ids: Vec<CheckpointId> = removed.iter().map(|item| item.checkpoint).collect();
    if !ids.is_empty() {
        let (rule, who) = (words(rule), &actor.user.name);
        let steps: Vec<u64> = removed.iter().map(|item| item.step.0).collect();
        let detail =
            json!({ "rule": rule, "steps": steps, "checkpoints": ids, "freed_bytes": plan.freed_bytes });
        let audit = people::entry(app, actor, "checkpoint.clean", &run.name, "done", detail);
        app.store.give_up(&ids, &reason(&rule, who), &audit).await?;
        let given_up = app.store.checkpoints_by_id(&ids).await?;
        copies::remove_given_up(app, &given_up).await?;
        for checkpoint in &given_up {
            standing::announce(app, checkpoint);
        }
    }
    let by_reference = plan.items.iter().filter(|i| !i.owned && i.kept.is_empty());
    Ok(CleanedUp {
        removed: ids,
        freed_bytes: plan.freed_bytes,
        by_reference: by_reference.map(|item| item.path.clone()).collect(),
        shell: plan.shell.clone(),
    })
}

fn reason(rule: &str, who: &str) -> Text {
    Text {
        en: format!(
            "The weights were removed by {who} ({rule} stay); scores are kept. Hand the same files over again to evaluate or release it."
        ),
        ja: format!(
            "重みは削除済みです（スコアは保持しています）。{who}さんが整理しました（残す条件：{rule}）。評価または公開するには、同じファイルをもう一度登録してください。"
        ),
    }
}

#[cfg(test)]
mod tests;
