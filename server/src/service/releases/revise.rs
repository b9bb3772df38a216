use sekisho_domain::ReleaseId;
use sekisho_domain::release::ReleaseState;
use sekisho_domain::user::{Role, Scope};
use sekisho_store::{Release, StoreError};

use super::propose;
use crate::error_ja::release_state_ja;
use crate::service::{checkpoints, people};
use crate::{Actor, App, WebError};

/// Drafts a revision of a release that is out: the same weights, to the same place, with the texts that people wrote. Mended and
/// approved anew, it takes the place of the first on its branch by a commit of what differs, as a rule the cards alone.
///
/// # Errors
/// 403, 409 unless it is out, 412 when it has changed.
pub async fn revise(app: &App, actor: &Actor, id: ReleaseId, version: u64) -> Result<Release, WebError> {
    let done = draft(app, actor, id, version).await;
    people::on_record(app, actor, "release.revise", &id.to_string(), done).await
}

async fn draft(app: &App, actor: &Actor, id: ReleaseId, version: u64) -> Result<Release, WebError> {
    let out = super::find(app, &id.to_string()).await?;
    actor.require_in(&out.project, &[Role::Contributor], Scope::Release)?;
    if out.version != version {
        return Err(StoreError::Stale.into());
    }
    if out.state != ReleaseState::Published {
        let detail = format!("Only a published release is revised; this one is {}.", out.state);
        let state = release_state_ja(out.state);
        let ja = format!("改訂できるのは公開済みのリリースだけです（現在：{state}）。");
        return Err(WebError::conflict("wrong-state", detail).or_ja(ja));
    }
    let checkpoint = checkpoints::find(app, &out.checkpoint.to_string()).await?;
    let mut draft = propose::blank(app, actor.user.id, &checkpoint, &out.project);
    draft.name.clone_from(&out.name);
    draft.lineage = without_tag(&out.lineage);
    draft.path.clone_from(&out.path);
    draft.parents.clone_from(&out.parents);
    draft.files.clone_from(&out.files);
    draft.given.clone_from(&out.given);
    draft.missing.clone_from(&out.missing);
    draft.card_edits.clone_from(&out.card_edits);
    super::card::write(app, &mut draft, &checkpoint).await?;
    let detail = serde_json::json!({ "checkpoint": checkpoint.id, "name": draft.name, "revises": out.id });
    let audit = people::entry(app, actor, "release.propose", &draft.id.to_string(), "done", detail);
    app.store.add_release(&draft, &audit).await?;
    super::find(app, &draft.id.to_string()).await
}

/// A tag never moves, so the revision gets one of its own, made from its id.
fn without_tag(lineage: &str) -> String {
    let is_tag = |line: &&str| line.trim_start().starts_with("tag ") || line.trim_start().starts_with("tag=");
    let kept: Vec<&str> = lineage.lines().filter(|line| !is_tag(line)).collect();
    kept.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::without_tag;

    #[test]
    fn a_revision_has_a_tag_of_its_own() {
        let lineage = "[release]\nrepo = \"lab/m\"\n  tag = \"v1.0\"\ntagline = 1\n";
        assert_eq!(without_tag(lineage), "[release]\nrepo = \"lab/m\"\ntagline = 1\n");
    }
}
