//! `/releases/{id}`: what is to be released, what the policy says, who has approved exactly this, and what comes next.

use axum::Form;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use sekisho_domain::audit::{AuditEntry, ChainedEntry};
use sekisho_domain::manifest::FileEntry;
use sekisho_domain::release::{ReleaseAction, ReleaseState};
use sekisho_hub::signature::{PUBLIC_KEY_FILE, SIGNATURE_FILE};
use sekisho_store::{AuditFilter, Checkpoint, Release};
use serde::Deserialize as _;

use super::release_changes::Compared;
use super::release_claims::Checked;
use super::release_form::{Fields, Told, edited};
use super::release_more::MoreFacts;
use super::release_view::{Facts, ReleaseLive, ReleasePage, shown_card, view};
use super::scored::Scored;
use super::{error, parts};
use crate::service::releases::{self, AgainstPublished};
use crate::service::{checkpoints, comparisons, contamination};
use crate::web::frame::Frame;
use crate::web::i18n::Words as _;
use crate::{App, Noun, Viewer, WebError};

/// Lines of history on the page.
const HISTORY: u32 = 200;

/// `GET /releases/{id}?card=ja|en`.
pub(crate) async fn show(
    State(app): State<App>,
    frame: Frame,
    Path(key): Path<String>,
) -> Result<Response, WebError> {
    let is_part = frame.param("part") == Some("live");
    let page = page(&app, frame, &key, &Told::default(), None).await?;
    if is_part { parts::page(&ReleaseLive::of(page)) } else { parts::page(&page) }
}

/// The page as it is now, with what a form held and was refused, or what was found in a text.
pub(super) async fn page(
    app: &App,
    frame: Frame,
    key: &str,
    told: &Told,
    checked: Option<Checked>,
) -> Result<ReleasePage, WebError> {
    let facts = load(app, &frame, key).await?;
    Ok(view(frame, &app.catalog, facts, told, checked))
}

/// `POST /releases/{id}/{action}`. What is refused shows the page as it is now, with the reason and everything that was typed.
pub(crate) async fn act(
    State(app): State<App>,
    frame: Frame,
    viewer: Viewer,
    Path((key, action)): Path<(String, String)>,
    Form(pairs): Form<Vec<(String, String)>>,
) -> Result<Response, WebError> {
    let fields = Fields::new(pairs);
    let actor = viewer.form_actor(fields.get("csrf"))?;
    let id = releases::find(&app, &key).await?.id;
    let (version, comment) = (fields.version(), fields.get("comment"));
    let done = match action.as_str() {
        "comment" => releases::comment(&app, actor, id, comment).await.map(|()| id),
        "edit" => {
            let proposal = edited(&load(&app, &frame, &key).await?, &fields);
            releases::edit(&app, actor, id, version, &proposal).await.map(|release| release.id)
        }
        "card" => {
            let edited = releases::edit_card(&app, actor, id, version, &fields.card()).await;
            edited.map(|release| release.id)
        }
        "schedule" => match fields.at(&frame) {
            Ok(at) => releases::schedule(&app, actor, id, version, at).await.map(|release| release.id),
            Err(error) => Err(error),
        },
        "yank" => {
            let extent = fields.get("extent").parse().ok();
            releases::yank(&app, actor, id, version, extent, comment).await.map(|release| release.id)
        }
        "resume" => releases::resume(&app, actor, id).await.map(|()| id),
        "revise" => releases::revise(&app, actor, id, version).await.map(|release| release.id),
        other => {
            let unknown = |_| WebError::not_found(Noun::Action, other);
            let action: ReleaseAction = other.parse().map_err(unknown)?;
            releases::act(&app, actor, id, version, action, comment).await.map(|release| release.id)
        }
    };
    match done {
        Ok(id) => Ok(Redirect::to(&format!("/releases/{id}")).into_response()),
        Err(error) => not_done(&app, frame, &key, &error, action, fields).await,
    }
}

/// Why it was refused, above the page as it is now. A card form is shown in the language that it was written in.
async fn not_done(
    app: &App,
    frame: Frame,
    key: &str,
    error: &WebError,
    action: String,
    fields: Fields,
) -> Result<Response, WebError> {
    let query = match fields.get("card_language") {
        "" => Vec::new(),
        language => vec![("card".to_owned(), language.to_owned())],
    };
    let frame = Frame { path: format!("/releases/{key}"), query, ..frame };
    let facts = load(app, &frame, key).await?;
    let by_another = (error.code == "stale").then(|| stale(&frame, &facts.more.history)).flatten();
    let notice = by_another.unwrap_or_else(|| error::told(frame.lang, error));
    let told = Told { notice: Some(notice), action, fields };
    Ok((error.status, parts::page(&view(frame, &app.catalog, facts, &told, None))?).into_response())
}

/// Who changed the release last, and when. A comment and what was refused change nothing.
fn stale(frame: &Frame, history: &[ChainedEntry]) -> Option<String> {
    let entries = history.iter().filter_map(|line| AuditEntry::deserialize(&line.entry).ok());
    let last =
        entries.into_iter().find(|entry| entry.result == "done" && entry.action != "release.comment")?;
    let at = frame.stamp(&last.at);
    Some(frame.lang.fill("release.stale", &[("who", &last.actor), ("time", &at)]))
}

/// The page as it is now, with why something that its forms asked for was refused.
pub(super) async fn refused(
    app: &App,
    frame: Frame,
    key: &str,
    status: StatusCode,
    notice: String,
) -> Result<Response, WebError> {
    let frame = Frame { path: format!("/releases/{key}"), ..frame };
    let page = page(app, frame, key, &Told::of(notice), None).await?;
    Ok((status, parts::page(&page)?).into_response())
}

async fn load(app: &App, frame: &Frame, key: &str) -> Result<Facts, WebError> {
    let release = releases::find(app, key).await?;
    let checkpoint = checkpoints::find(app, &release.checkpoint.to_string()).await?;
    let texts = releases::texts(app, release.files.iter().collect()).await?;
    let parents = releases::texts(app, release.parents.iter().collect()).await?;
    let files = published(app, &release, &checkpoint).await?;
    let mut more = more(app, frame, &release, &checkpoint).await?;
    let model = Scored::load(app, checkpoint, None).await?;
    if let Some(against) = &more.against {
        more.mean_change = mean_change(app, &model, against).await?;
        more.previous = Some(compared(app, &against.current).await?);
    }
    let scores = match &model.evaluation {
        Some(evaluation) => app.store.scores(evaluation.id).await?,
        None => Vec::new(),
    };
    let standings = contamination::standings(app, &model.checkpoint, &*model.found.work).await?;
    Ok(Facts {
        standings,
        author: app
            .store
            .user(release.author)
            .await?
            .map_or_else(|| release.author.to_string(), |user| user.name),
        target: releases::target(&release),
        approvals: app.store.approvals(release.id).await?,
        of_content: app.store.valid_approvals(&[release.id]).await?.remove(&release.id).unwrap_or_default(),
        valid: releases::valid_approvals(app, &release).await?,
        comments: app.store.comments(release.id).await?,
        steps: app.store.steps(release.id).await?,
        model,
        scores,
        files,
        texts,
        parents,
        leave: releases::leave(app, &release).await?,
        more,
        release,
    })
}

/// The files that are or would be published. The signature is added over what is fixed.
async fn published(
    app: &App,
    release: &Release,
    checkpoint: &Checkpoint,
) -> Result<Vec<FileEntry>, WebError> {
    let is_fixed = !matches!(release.state, ReleaseState::Draft | ReleaseState::Frozen);
    let shown = |path: &str| is_fixed || ![SIGNATURE_FILE, PUBLIC_KEY_FILE].contains(&path);
    let bundle = releases::bundle(app, release, checkpoint).await?;
    let files = bundle.files.into_iter().filter(|file| shown(&file.path));
    Ok(files.map(|file| FileEntry { path: file.path, size: file.size, sha256: file.sha256 }).collect())
}

/// What is out, to be compared with.
async fn compared(app: &App, release: &Release) -> Result<Compared, WebError> {
    let checkpoint = checkpoints::find(app, &release.checkpoint.to_string()).await?;
    let files = published(app, release, &checkpoint).await?;
    let graph = releases::lineage_graph(app, release).await?;
    Ok(Compared::new(release.clone(), files, &graph))
}

/// How the mean stands to that of the model that is out, where both have it under the same settings.
async fn mean_change(
    app: &App,
    model: &Scored,
    against: &AgainstPublished,
) -> Result<Option<comparisons::Comparison>, WebError> {
    let Some(evaluation) = &model.evaluation else { return Ok(None) };
    let checkpoint = checkpoints::find(app, &against.current.checkpoint.to_string()).await?;
    let theirs = Scored::load(app, checkpoint, Some(&evaluation.suite)).await?;
    if theirs.checkpoint.id == model.checkpoint.id || theirs.settings() != model.settings() {
        return Ok(None);
    }
    match (theirs.primary(), model.primary()) {
        (Some(theirs), Some(ours)) => comparisons::paired(app, &theirs, &ours).await,
        _ => Ok(None),
    }
}

/// What stands beside content and approvals.
async fn more(
    app: &App,
    frame: &Frame,
    release: &Release,
    checkpoint: &Checkpoint,
) -> Result<MoreFacts, WebError> {
    let language = shown_card(frame);
    let is_author = frame.user.as_ref().is_some_and(|user| user.id == release.author);
    let sections = match is_author {
        true => releases::editable(app, release, language).await?.into_iter().collect(),
        false => Vec::new(),
    };
    let filter = AuditFilter { object: Some(release.id.to_string()), ..AuditFilter::default() };
    let channel = match release.channel {
        Some(id) => app.store.channel(id).await?.map(|channel| (channel.id.to_string(), channel.name)),
        None => None,
    };
    let successor = match release.successor {
        Some(id) => app.store.release(id).await?.map(|new| (new.id.to_string(), new.name)),
        None => None,
    };
    Ok(MoreFacts {
        against: releases::against_published(app, release, checkpoint).await?,
        history: app.store.audit(&filter, None, HISTORY).await?,
        waivers: releases::waivers(release),
        lineage: Some(releases::lineage_graph(app, release).await?),
        sections,
        broken_glass: releases::broken_glass(app, release).await?,
        successor,
        channel,
        progress: app.publish.progress(release.id),
        may_break_glass: app.config.break_glass,
        needed: releases::needed(app, release),
        significance: app.policy.gates().significance(),
        separate: app.config.separate_publisher,
        no_hub: releases::has_hub(app).is_err(),
        is_pending: releases::is_pending(app, release).await?,
        ..MoreFacts::default()
    })
}

#[cfg(test)]
mod tests {
    use sekisho_domain::{Language, Sha256};

    use super::*;
    use crate::web::pages::fixtures;

    #[test]
    fn who_changed_it_last_is_named() {
        let frame = fixtures::frame(Language::Ja, "/");
        let line = |action: &str, actor: &str, result: &str| ChainedEntry {
            seq: 1,
            hash: Sha256::of("x"),
            entry: serde_json::json!({
                "at": frame.now, "actor": actor, "by": "session", "action": action, "object": "01kc", "result": result,
                "detail": null,
            }),
        };
        let newest_first = [
            line("release.comment", "hayashi", "done"),
            line("release.approve", "ikeda", "refused"),
            line("release.card", "mori", "done"),
            line("release.request", "ueda", "done"),
        ];
        let told = stale(&frame, &newest_first).expect("somebody did");
        assert!(told.contains("（mori、2026-11-21 14:03 +09）"), "{told}");
        assert!(stale(&frame, &[]).is_none());
    }
}
