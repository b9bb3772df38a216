//! `/releases/{id}`: what is to be released, what the policy says, who has approved exactly this, and what comes next.

use std::collections::BTreeMap;

use axum::Form;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use sekisho_domain::release::ReleaseAction;
use serde::Deserialize;

use super::release_view::{Facts, view};
use super::scored::Scored;
use super::{error, parts};
use crate::service::checkpoints;
use crate::service::releases::{self, Proposal};
use crate::web::frame::Frame;
use crate::{App, Noun, Viewer, WebError};

/// What the forms of the page send. `version` is the one that the reader has seen.
#[derive(Clone, Default, Deserialize)]
pub(crate) struct Fields {
    csrf: String,
    version: u64,
    #[serde(default)]
    comment: String,
    #[serde(default)]
    lineage: String,
    #[serde(default)]
    license: String,
    #[serde(default)]
    notice: String,
    #[serde(default)]
    use_policy: String,
    #[serde(default)]
    announcement: String,
}

/// `GET /releases/{id}?card=ja|en`.
pub(crate) async fn show(
    State(app): State<App>,
    frame: Frame,
    Path(key): Path<String>,
) -> Result<Response, WebError> {
    let facts = load(&app, &key).await?;
    parts::page(&view(frame, &app.catalog, facts, None, ""))
}

/// `POST /releases/{id}/{action}`. What is refused shows the page as it is now, with the reason and the comment that was typed.
pub(crate) async fn act(
    State(app): State<App>,
    frame: Frame,
    viewer: Viewer,
    Path((key, action)): Path<(String, String)>,
    Form(fields): Form<Fields>,
) -> Result<Response, WebError> {
    let actor = viewer.form_actor(&fields.csrf)?;
    let id = releases::find(&app, &key).await?.id;
    let done = match action.as_str() {
        "comment" => releases::comment(&app, actor, id, &fields.comment).await,
        "edit" => {
            let proposal = edited(&load(&app, &key).await?, &fields);
            releases::edit(&app, actor, id, fields.version, &proposal).await.map(drop)
        }
        other => {
            let unknown = |_| WebError::not_found(Noun::Action, other);
            let action: ReleaseAction = other.parse().map_err(unknown)?;
            releases::act(&app, actor, id, fields.version, action, &fields.comment).await.map(drop)
        }
    };
    match done {
        Ok(()) => Ok(Redirect::to(&format!("/releases/{id}")).into_response()),
        Err(error) => {
            let frame = Frame { path: format!("/releases/{id}"), ..frame };
            let notice = error::told(frame.lang, &error);
            let page = view(frame, &app.catalog, load(&app, &key).await?, Some(notice), &fields.comment);
            Ok((error.status, parts::page(&page)?).into_response())
        }
    }
}

/// What its author gave, with what the form changed; what was added by itself follows the new lineage file. Browsers send line ends
/// as CR LF; files have LF.
fn edited(facts: &Facts, fields: &Fields) -> Proposal {
    let text = |field: &str| field.replace("\r\n", "\n");
    let given = |field: &str| (!field.trim().is_empty()).then(|| text(field));
    let kept = |path: &&String| facts.release.given.contains(path);
    let mut files: BTreeMap<String, String> =
        facts.texts.keys().filter(kept).map(|path| (path.clone(), facts.texts[path].clone())).collect();
    for (path, field) in
        [("LICENSE", &fields.license), ("NOTICE", &fields.notice), ("USE_POLICY.md", &fields.use_policy)]
    {
        match given(field) {
            Some(text) => drop(files.insert(path.to_owned(), text)),
            None => drop(files.remove(path)),
        }
    }
    Proposal {
        lineage: text(&fields.lineage),
        path: facts.release.path.clone(),
        parents: facts.parents.clone(),
        files,
        announcement: given(&fields.announcement),
        missing: None,
    }
}

async fn load(app: &App, key: &str) -> Result<Facts, WebError> {
    let release = releases::find(app, key).await?;
    let checkpoint = checkpoints::find(app, &release.checkpoint.to_string()).await?;
    let texts = read(app, &release.files).await?;
    let parents = read(app, &release.parents).await?;
    let files = releases::model_files(&checkpoint);
    let model = Scored::load(app, checkpoint, None).await?;
    let scores = match &model.evaluation {
        Some(evaluation) => app.store.scores(evaluation.id).await?,
        None => Vec::new(),
    };
    Ok(Facts {
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
        release,
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
        let fields = Fields {
            lineage: "a\r\nb".to_owned(),
            use_policy: "be good".to_owned(),
            announcement: "new".to_owned(),
            ..Fields::default()
        };
        let proposal = edited(&facts, &fields);
        assert_eq!(proposal.lineage, "a\nb");
        assert_eq!(proposal.files.into_keys().collect::<Vec<_>>(), ["CITATION.md", "USE_POLICY.md"]);
        assert_eq!(proposal.announcement.as_deref(), Some("new"));
        assert_eq!(proposal.parents, facts.parents);
    }
}
