use std::collections::BTreeMap;

use sekisho_domain::lineage::ReleaseSection;
use sekisho_domain::release::{ReleaseAction, ReleaseState};
use sekisho_domain::user::{Role, Scope};
use sekisho_domain::{ReleaseId, UserId};
use sekisho_store::{CardEdits, Checkpoint, Release};

use super::{act, card, content, facts, leave, settings, texts, weights};
use crate::service::{checkpoints, corpora, people, runs, standing};
use crate::{Actor, App, WebError};

/// Lineage files that a release may refer to; far more than any model has ancestors.
const MOST_PARENTS: usize = 200;

/// What somebody proposes to release.
#[derive(Clone, Debug, Default)]
pub struct Proposal {
    /// Lineage and release file (TOML).
    pub lineage: String,
    /// Its path beside those of `parents`; `lineage.toml` when empty.
    pub path: String,
    /// The lineage files that it refers to, directly or through others, by path.
    pub parents: BTreeMap<String, String>,
    /// Texts to be published beside the model: LICENSE, NOTICE …
    pub files: BTreeMap<String, String>,
    /// The announcement that the claims are checked in.
    pub announcement: Option<String>,
    /// What the lineage file names and is not there, as whoever looked at its folder says. None: nobody did, as with a form.
    pub missing: Option<Vec<String>>,
}

/// Drafts a release of a verified checkpoint, with its card.
///
/// # Errors
/// 403, 409 for a checkpoint that is not verified, 422 for a lineage file that cannot be used.
pub async fn propose(
    app: &App,
    actor: &Actor,
    checkpoint: &Checkpoint,
    proposal: &Proposal,
) -> Result<Release, WebError> {
    let run = runs::find(app, &checkpoint.run.to_string()).await?;
    actor.require_in(&run.project, &[Role::Contributor], Scope::Release)?;
    standing::is_usable(checkpoint)?;
    let mut release = blank(app, actor.user.id, checkpoint, &run.project);
    fill(app, &mut release, checkpoint, proposal).await?;
    let audit = people::entry(
        app,
        actor,
        "release.propose",
        &release.id.to_string(),
        "done",
        serde_json::json!({ "checkpoint": checkpoint.id, "name": release.name }),
    );
    app.store.add_release(&release, &audit).await?;
    super::find(app, &release.id.to_string()).await
}

/// A draft with nothing in it yet.
pub(super) fn blank(app: &App, author: UserId, checkpoint: &Checkpoint, project: &str) -> Release {
    let now = app.now();
    Release {
        id: ReleaseId::new(&*app.clock, &*app.entropy),
        project: project.to_owned(),
        checkpoint: checkpoint.id,
        name: String::new(),
        state: ReleaseState::Draft,
        author,
        lineage: String::new(),
        path: String::new(),
        parents: BTreeMap::new(),
        card_en: String::new(),
        card_ja: String::new(),
        files: BTreeMap::new(),
        given: Vec::new(),
        missing: Vec::new(),
        card_edits: CardEdits::new(),
        generated: BTreeMap::new(),
        prepared: None,
        successor: None,
        yank: None,
        publish_at: None,
        channel: None,
        decision: None,
        digest: None,
        approvals_needed: app.config.approvals,
        commit: None,
        url: None,
        version: 1,
        created: now,
        updated: now,
    }
}

/// Changes what is proposed: back to draft, approvals void, card made again.
///
/// # Errors
/// 403 for anybody but the author, 409 while it is being published, 412 when the release has changed, 422 for a lineage file that cannot be used.
pub async fn edit(
    app: &App,
    actor: &Actor,
    id: ReleaseId,
    version: u64,
    proposal: &Proposal,
) -> Result<Release, WebError> {
    let done = replace(app, actor, id, version, proposal).await;
    people::on_record(app, actor, "release.edit", &id.to_string(), done).await
}

async fn replace(
    app: &App,
    actor: &Actor,
    id: ReleaseId,
    version: u64,
    proposal: &Proposal,
) -> Result<Release, WebError> {
    let mut release = super::find(app, &id.to_string()).await?;
    actor.require_in(&release.project, &[Role::Contributor], Scope::Release)?;
    author_at(actor, &release, version)?;
    leave::check(app, &release, ReleaseAction::Edit).await?;
    let checkpoint = checkpoints::find(app, &release.checkpoint.to_string()).await?;
    fill(app, &mut release, &checkpoint, proposal).await?;
    let release = act::step(app, actor, release, ReleaseAction::Edit, "").await?;
    app.events.publish(format!("release:{id}"), "state");
    Ok(release)
}

/// Only the author changes what is released, and only what they have seen.
pub(super) fn author_at(actor: &Actor, release: &Release, version: u64) -> Result<(), WebError> {
    if release.author != actor.user.id {
        let detail = "Only the author edits a release; others comment or return it.";
        return Err(WebError::forbidden("not-author", detail));
    }
    if release.version != version {
        return Err(sekisho_store::StoreError::Stale.into());
    }
    Ok(())
}

/// Fills a release with what is proposed, and with what follows from it.
pub(super) async fn fill(
    app: &App,
    release: &mut Release,
    checkpoint: &Checkpoint,
    proposal: &Proposal,
) -> Result<(), WebError> {
    card::verified(checkpoint)?;
    let (lineage, section) = content::lineage(&proposal.lineage)?;
    release.missing = missing(release, &section, proposal);
    release.name.clone_from(&lineage.model.name);
    release.lineage.clone_from(&proposal.lineage);
    release.path = if proposal.path.is_empty() { "lineage.toml".to_owned() } else { proposal.path.clone() };
    release.parents = keep_parents(app, &proposal.parents).await?;
    let mut of_lineage = facts::of_lineage(app, release).await?;
    of_lineage.registry = Some(corpora::registry(app).await?);
    let owed = sekisho_policy::owed(&of_lineage, &app.policy);
    proposal.files.iter().try_for_each(|(path, text)| texts::check(path, text))?;
    if let Some(announcement) = &proposal.announcement {
        texts::check("announcement.md", announcement)?;
    }
    let mut all = texts::automatic(&proposal.files, &section.license, &app.policy, &owed);
    all.extend(proposal.files.clone());
    needs_license_file(&section.license, &all)?;
    all.extend(proposal.announcement.clone().map(|text| (texts::ANNOUNCEMENT.to_owned(), text)));
    release.files = texts::keep(app, all).await?;
    release.given = proposal.files.keys().cloned().collect();
    weights::check(&section)?;
    card::write(app, release, checkpoint).await?;
    content::check_names(app, release, checkpoint)?;
    settings::check(app, release).await
}

/// What `[release]` names and its author does not have. Where nobody looked, a folder is there that was there before, or of which texts
/// were sent.
fn missing(before: &Release, section: &ReleaseSection, proposal: &Proposal) -> Vec<String> {
    let was_there = |folder: &String| {
        let named = super::target(before).and_then(|old| old.files);
        named.as_ref() == Some(folder) && !before.missing.contains(folder)
    };
    let lacks = |folder: &&String| match &proposal.missing {
        Some(missing) => missing.contains(folder),
        None => proposal.files.is_empty() && !was_there(folder),
    };
    let announcement = section.announcement.iter().filter(|_| proposal.announcement.is_none());
    section.files.iter().filter(lacks).chain(announcement).cloned().collect()
}

async fn keep_parents(
    app: &App,
    parents: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, WebError> {
    for (path, text) in parents {
        let plain = !path.is_empty() && path.len() <= 500 && !path.chars().any(char::is_control);
        if !plain || parents.len() > MOST_PARENTS {
            let detail = format!(
                "\"{}\" is not taken: a release refers to at most {MOST_PARENTS} lineage files, each by a path of at most 500 bytes.",
                path.escape_debug()
            );
            return Err(WebError::refused("lineage", detail));
        }
        facts::parent(path, text)?;
    }
    texts::keep(app, parents.clone()).await
}

/// The card of a licence without an id on the Hub links to its text.
fn needs_license_file(declared: &[String], texts: &BTreeMap<String, String>) -> Result<(), WebError> {
    if declared.iter().any(|id| id == "other") && !texts.contains_key("LICENSE") {
        let detail = "[release] license = \"other\" needs the licence's text as a file LICENSE, which the card links to.";
        let ja = "[release] license = \"other\" の場合は、モデルカードから参照するライセンス本文をLICENSEとして同梱してください。";
        return Err(WebError::refused("release-file", detail).or_ja(ja));
    }
    Ok(())
}
