//! Taking back what is out, as far as that is possible: a card that says so and why, and access to the repository. Copies that people
//! have, and licences that cannot be withdrawn, stay; the card says that too.

use sekisho_domain::lineage::ReleaseSection;
use sekisho_domain::release::{ReleaseAction, ReleaseState, Yank, YankExtent};
use sekisho_domain::{Language, ReleaseId, Text};
use sekisho_hub::card::{self, TombstoneAccess, TombstoneFacts};
use sekisho_hub::signature::{PUBLIC_KEY_FILE, SIGNATURE_FILE};
use sekisho_hub::{BundleFile, CardRevision, Hide, Tombstone};
use sekisho_store::{AuditFilter, Release, StoreError};

use super::{act, card_extras, content, facts, settings, target};
use crate::service::{checkpoints, corpora, people};
use crate::{Actor, App, WebError};

/// Takes a published release back. The decision is written down at once; the job carries it out on the Hub.
///
/// # Errors
/// 403, 409 unless it is out, 412 when it has changed, 400 without an extent or a reason.
pub async fn yank(
    app: &App,
    actor: &Actor,
    id: ReleaseId,
    version: u64,
    extent: Option<YankExtent>,
    reason: &str,
) -> Result<Release, WebError> {
    let done = take_back(app, actor, id, version, extent, reason).await;
    people::on_record(app, actor, "release.yank", &id.to_string(), done).await
}

async fn take_back(
    app: &App,
    actor: &Actor,
    id: ReleaseId,
    version: u64,
    extent: Option<YankExtent>,
    reason: &str,
) -> Result<Release, WebError> {
    let mut release = super::find(app, &id.to_string()).await?;
    act::permitted(actor, &release, ReleaseAction::Yank)?;
    if release.version != version {
        return Err(StoreError::Stale.into());
    }
    if reason.trim().is_empty() {
        let detail = "Say why the release is taken back; the reason stands in its card.";
        let ja = "公開停止の理由を入力してください。理由はモデルカードに記載されます。";
        return Err(WebError::bad_request("comment-missing", detail).or_ja(ja));
    }
    let Some(extent) = extent else {
        let detail = "Say how far: \"card\" (the card says it), \"gate\" (the Hub asks before a download), or \"hide\" (the repository is private again).";
        let ja = "公開停止の範囲を選んでください：card（カードのみ）、gate（利用申請制）、hide（非公開）。";
        return Err(WebError::bad_request("extent-missing", detail).or_ja(ja));
    };
    act::has_hub(app)?;
    still_its_own(app, &release).await?;
    alone_in_its_repository(app, &release, extent).await?;
    release.state = release.state.after(ReleaseAction::Yank, false)?;
    release.yank = Some(Yank {
        reason: reason.trim().to_owned(),
        by: actor.user.name.clone(),
        at: app.now(),
        extent,
        done: false,
    });
    let release = act::write(app, actor, release, ReleaseAction::Yank, reason).await?;
    app.publish.send(release.id);
    app.events.publish(format!("release:{id}"), "state");
    Ok(release)
}

/// Asks once more for what the Hub does not show yet.
///
/// # Errors
/// 403; 409 when nothing is left to be done.
pub async fn resume(app: &App, actor: &Actor, id: ReleaseId) -> Result<(), WebError> {
    let release = super::find(app, &id.to_string()).await?;
    let may = act::permitted(actor, &release, ReleaseAction::Yank);
    people::on_record(app, actor, "release.yank", &id.to_string(), may).await?;
    if !is_pending(app, &release).await? {
        let detail = "The Hub shows what was decided; nothing is left to be done.";
        return Err(WebError::conflict("nothing-left", detail).or_ja("Hubへの反映は完了しています。"));
    }
    app.publish.send(id);
    Ok(())
}

/// Whether the Hub does not show yet what was decided about a release that is out: that it is taken back, or what took its place.
///
/// # Errors
/// When the store fails.
pub async fn is_pending(app: &App, release: &Release) -> Result<bool, WebError> {
    if let Some(yank) = &release.yank {
        return Ok(!yank.done);
    }
    if release.state != ReleaseState::Superseded || superseded_card(app, release).await?.is_none() {
        return Ok(false);
    }
    let filter = AuditFilter {
        action: Some("release.card".to_owned()),
        object: Some(release.id.to_string()),
        result: Some("done".to_owned()),
        actor: Some("system".to_owned()),
        ..AuditFilter::default()
    };
    Ok(app.store.audit(&filter, None, 1).await?.is_empty())
}

/// A release whose branch another one has taken has nothing there any more that could be taken back: its card and its files are the
/// newer one's.
async fn still_its_own(app: &App, release: &Release) -> Result<(), WebError> {
    let Some(section) = target(release) else { return Ok(()) };
    let others = settings::published(app, release, &section.repo).await?;
    let newer = others.into_iter().find(|(other, theirs)| {
        other.state == ReleaseState::Published && theirs.revision == section.revision
    });
    let Some((newer, _)) = newer else { return Ok(()) };
    let detail = format!(
        "On {} ({}) stands \"{}\" ({}), which took this release's place. Yank that one: its card and its files are what people see there.",
        section.repo, section.revision, newer.name, newer.id
    );
    let ja = format!(
        "{}（{}）では後継の「{}」（{}）が公開されています。公開停止は、そのリリースに対して行ってください。",
        section.repo, section.revision, newer.name, newer.id
    );
    Err(WebError::conflict("branch-taken", detail).or_ja(ja))
}

/// Access holds for a whole repository: what else is out there would be taken along.
async fn alone_in_its_repository(app: &App, release: &Release, extent: YankExtent) -> Result<(), WebError> {
    let Some(section) = target(release).filter(|_| extent != YankExtent::Card) else { return Ok(()) };
    let others = settings::published(app, release, &section.repo).await?;
    // What this one took the place of on its own branch is not to be seen there any more.
    let is_another = |(other, theirs): &(Release, ReleaseSection)| {
        let replaced = other.state == ReleaseState::Superseded && theirs.revision == section.revision;
        other.yank.is_none() && !replaced
    };
    let Some((other, theirs)) = others.into_iter().find(is_another) else { return Ok(()) };
    let detail = format!(
        "\"{extent}\" would hold for all of {}, and so take release \"{}\" ({}) along. Yank that one first, or use \"card\".",
        section.repo, other.name, theirs.revision
    );
    let ja = format!(
        "この範囲の公開停止は {} 全体に適用されるため、公開中のリリース「{}」（{}）にも影響します。先にそのリリースを公開停止にするか、カードのみの公開停止を選んでください。",
        section.repo, other.name, theirs.revision
    );
    Err(WebError::conflict("repo-shared", detail).or_ja(ja))
}

/// What the Hub is to show.
///
/// # Errors
/// When the store fails.
pub async fn tombstone(app: &App, release: &Release) -> Result<Tombstone, WebError> {
    let (lineage, section) = content::lineage(&release.lineage)?;
    let Some(yank) = &release.yank else {
        return Err(WebError::internal("a release that was not taken back has no tombstone"));
    };
    let (access, hide) = match yank.extent {
        YankExtent::Card => (TombstoneAccess::Left, Hide::Nothing),
        YankExtent::Gate => (TombstoneAccess::Gated, Hide::Gate),
        YankExtent::Hide => (TombstoneAccess::Hidden, Hide::Private),
    };
    let facts = TombstoneFacts {
        name: lineage.model.name,
        repo: section.repo.clone(),
        date: card_extras::day(yank.at),
        reason: Text { en: yank.reason.clone(), ja: yank.reason.clone() },
        successor: successor(app, release).await?,
        licenses: section.license.clone(),
        built_with: built_with(app, release).await?,
        languages: Vec::new(),
        access,
        doi: None,
    };
    let file =
        |path: &str, language| BundleFile::memory(path, card::tombstone(&facts, language).into_bytes());
    let cards = vec![file("README.md", Language::En), file("README_ja.md", Language::Ja)];
    let card = revision(app, release, &section, cards, format!("Yank {}", release.name)).await?;
    Ok(Tombstone { card, hide })
}

/// What licences want to be shown as long as the model can be downloaded.
async fn built_with(app: &App, release: &Release) -> Result<Vec<String>, WebError> {
    let mut facts = facts::of_lineage(app, release).await?;
    facts.registry = Some(corpora::registry(app).await?);
    Ok(sekisho_policy::owed(&facts, &app.policy).built_with.iter().cloned().collect())
}

/// Other cards, and the signature over everything with them: the old one would no longer hold.
async fn revision(
    app: &App,
    release: &Release,
    section: &ReleaseSection,
    cards: Vec<BundleFile>,
    message: String,
) -> Result<CardRevision, WebError> {
    let checkpoint = checkpoints::find(app, &release.checkpoint.to_string()).await?;
    let mut bundle = content::bundle(app, release, &checkpoint).await?;
    let is_card = |file: &BundleFile| cards.iter().any(|card| card.path == file.path);
    bundle.files.retain(|file| !is_card(file));
    bundle.files.extend(cards.clone());
    bundle.sign(&app.signing);
    let proofs = [SIGNATURE_FILE, PUBLIC_KEY_FILE];
    let is_proof = |file: &BundleFile| proofs.contains(&file.path.as_str());
    let files = cards.into_iter().chain(bundle.files.into_iter().filter(is_proof)).collect();
    Ok(CardRevision { repo: section.repo.clone(), revision: section.revision.clone(), message, files })
}

async fn successor(app: &App, release: &Release) -> Result<Option<String>, WebError> {
    let Some(id) = release.successor else { return Ok(None) };
    let successor = super::find(app, &id.to_string()).await?;
    Ok(target(&successor).map(|section| section.repo))
}

/// The cards of a release that another one took the place of, naming it; none while they name the same repository.
///
/// # Errors
/// When the store fails.
pub async fn superseded_card(app: &App, release: &Release) -> Result<Option<CardRevision>, WebError> {
    let (_, section) = content::lineage(&release.lineage)?;
    let Some(new) = successor(app, release).await?.filter(|new| !new.eq_ignore_ascii_case(&section.repo))
    else {
        return Ok(None);
    };
    let file = |path: &str, text: &str, language| {
        BundleFile::memory(path, card::superseded(text, &new, language).into_bytes())
    };
    let files = vec![
        file("README.md", &release.card_en, Language::En),
        file("README_ja.md", &release.card_ja, Language::Ja),
    ];
    let message = format!("{} is superseded by {new}", release.name);
    revision(app, release, &section, files, message).await.map(Some)
}
