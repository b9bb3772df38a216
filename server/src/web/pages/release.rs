//! `/releases/{id}`: what is to be released, what the policy says, who has approved exactly this, and what comes next.

use std::collections::BTreeMap;

use axum::Form;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use sekisho_domain::Timestamp;
use sekisho_domain::release::ReleaseAction;
use sekisho_store::{AuditFilter, Checkpoint, Release};

use super::release_more::MoreFacts;
use super::release_view::{Facts, shown_card, view};
use super::scored::Scored;
use super::{error, parts};
use crate::service::releases::{self, Proposal};
use crate::service::{checkpoints, contamination};
use crate::web::frame::Frame;
use crate::{App, Noun, Viewer, WebError};

/// Lines of history on the page.
const HISTORY: u32 = 200;

/// What the forms of the page send. `version` is the one that the reader has seen.
#[derive(Clone, Default)]
pub(crate) struct Fields(BTreeMap<String, String>);

impl Fields {
    fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    fn version(&self) -> u64 {
        // Without a number nothing matches, and the page is shown again as it is now.
        self.get("version").parse().unwrap_or_default()
    }

    /// People's texts of the card form, in the language that it was shown in.
    fn card(&self) -> sekisho_store::CardEdits {
        let texts = self.0.iter().filter_map(|(name, text)| {
            Some((name.strip_prefix("card.")?.to_owned(), text.replace("\r\n", "\n")))
        });
        BTreeMap::from([(self.get("card_language").to_owned(), texts.collect())])
    }

    /// The time of the schedule form, in the zone of the service, as the page shows times; none takes it back.
    fn at(&self, frame: &Frame) -> Result<Option<Timestamp>, WebError> {
        let text = self.get("at");
        if !self.get("clear").is_empty() || text.is_empty() {
            return Ok(None);
        }
        let read =
            text.parse::<jiff::civil::DateTime>().ok().and_then(|at| at.to_zoned(frame.zone.clone()).ok());
        let at = read.map(|at| Timestamp::from_unix_ms(at.timestamp().as_millisecond()));
        at.map(Some)
            .ok_or_else(|| WebError::bad_request("publish-at", format!("\"{text}\" is no date and time.")))
    }
}

/// `GET /releases/{id}?card=ja|en`.
pub(crate) async fn show(
    State(app): State<App>,
    frame: Frame,
    Path(key): Path<String>,
) -> Result<Response, WebError> {
    let facts = load(&app, &frame, &key).await?;
    parts::page(&view(frame, &app.catalog, facts, None, ""))
}

/// `POST /releases/{id}/{action}`. What is refused shows the page as it is now, with the reason and the comment that was typed.
pub(crate) async fn act(
    State(app): State<App>,
    frame: Frame,
    viewer: Viewer,
    Path((key, action)): Path<(String, String)>,
    Form(pairs): Form<Vec<(String, String)>>,
) -> Result<Response, WebError> {
    let fields = Fields(pairs.into_iter().collect());
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
        Err(error) => {
            let frame = Frame { path: format!("/releases/{id}"), ..frame };
            let notice = error::told(frame.lang, &error);
            let facts = load(&app, &frame, &key).await?;
            let page = view(frame, &app.catalog, facts, Some(notice), fields.get("comment"));
            Ok((error.status, parts::page(&page)?).into_response())
        }
    }
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
    let facts = load(app, &frame, key).await?;
    let page = view(frame, &app.catalog, facts, Some(notice), "");
    Ok((status, parts::page(&page)?).into_response())
}

/// What its author gave, with what the form changed; what was added by itself follows the new lineage file. Browsers send line ends
/// as CR LF; files have LF.
fn edited(facts: &Facts, fields: &Fields) -> Proposal {
    let text = |field: &str| field.replace("\r\n", "\n");
    let given = |field: &str| (!field.trim().is_empty()).then(|| text(field));
    let kept = |path: &&String| facts.release.given.contains(path);
    let mut files: BTreeMap<String, String> =
        facts.texts.keys().filter(kept).map(|path| (path.clone(), facts.texts[path].clone())).collect();
    for (path, field) in [
        ("LICENSE", fields.get("license")),
        ("NOTICE", fields.get("notice")),
        ("USE_POLICY.md", fields.get("use_policy")),
    ] {
        match given(field) {
            Some(text) => drop(files.insert(path.to_owned(), text)),
            None => drop(files.remove(path)),
        }
    }
    Proposal {
        lineage: text(fields.get("lineage")),
        path: facts.release.path.clone(),
        parents: facts.parents.clone(),
        files,
        announcement: given(fields.get("announcement")),
        missing: None,
    }
}

async fn load(app: &App, frame: &Frame, key: &str) -> Result<Facts, WebError> {
    let release = releases::find(app, key).await?;
    let checkpoint = checkpoints::find(app, &release.checkpoint.to_string()).await?;
    let texts = read(app, &release.files).await?;
    let parents = read(app, &release.parents).await?;
    let files = releases::released_files(&release, &checkpoint);
    let more = more(app, frame, &release, &checkpoint).await?;
    let model = Scored::load(app, checkpoint, None).await?;
    let scores = match &model.evaluation {
        Some(evaluation) => app.store.scores(evaluation.id).await?,
        None => Vec::new(),
    };
    let standings = contamination::standings(app, &model.checkpoint, &model.work).await?;
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
    })
}

/// Texts from the blob store, by path.
async fn read(app: &App, keys: &BTreeMap<String, String>) -> Result<BTreeMap<String, String>, WebError> {
    let mut texts = BTreeMap::new();
    for (path, key) in keys {
        if let Some(bytes) = app.blobs.get(key).await? {
            texts.insert(path.clone(), String::from_utf8_lossy(&bytes).into_owned());
        }
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::pages::fixtures;

    #[test]
    fn an_edit_keeps_the_texts_that_the_form_does_not_show_and_drops_what_was_added_by_itself() {
        let mut facts = fixtures::release_facts(fixtures::release());
        let text = |path: &str| (path.to_owned(), "x".to_owned());
        facts.texts = ["LICENSE", "NOTICE", "CITATION.md", releases::ANNOUNCEMENT].map(text).into();
        facts.parents = [text("p.toml")].into();
        facts.release.given = vec!["CITATION.md".to_owned()];
        let field = |(name, text): (&str, &str)| (name.to_owned(), text.to_owned());
        let sent = [("lineage", "a\r\nb"), ("use_policy", "be good"), ("announcement", "new")];
        let fields = Fields(sent.map(field).into());
        let proposal = edited(&facts, &fields);
        assert_eq!(proposal.lineage, "a\nb");
        assert_eq!(proposal.files.into_keys().collect::<Vec<_>>(), ["CITATION.md", "USE_POLICY.md"]);
        assert_eq!(proposal.announcement.as_deref(), Some("new"));
        assert_eq!(proposal.parents, facts.parents);
    }
}
