//! What a message tells: one sentence that says who must act, in both languages, with ids, numbers and links beside it. The sentences
//! stand in the catalogues (`[webhook_text]`).

mod releases;
mod runs;

use sekisho_domain::webhook::EventType;
use sekisho_domain::{EndpointId, Text};
use sekisho_store::Happening;
use serde_json::{Map, Value, json};

use super::facts::both;
use crate::service::corpora;
use crate::web::frame::encode;
use crate::web::i18n::Words as _;
use crate::{App, WebError};

/// What is told of something that happened, whatever the shape of the message.
pub(super) struct Told {
    /// Whose endpoints are told; every project's where it is none's own.
    pub(super) project: Option<String>,
    /// The sentence.
    pub(super) text: Text,
    /// Ids and numbers.
    pub(super) data: Map<String, Value>,
    /// Page that it is about.
    pub(super) page: String,
    /// The same for programs.
    pub(super) api: String,
}

/// What is told of a happening; nothing where its subject is gone, or may not be told of.
pub(super) async fn of(app: &App, happening: &Happening) -> Result<Option<Told>, WebError> {
    let told = match happening.kind {
        EventType::CorpusLevelChanged => level(app, happening).await,
        EventType::EndpointDisabled => endpoint(app, happening).await,
        EventType::WebhookPing => return Ok(None),
        EventType::CheckpointReady | EventType::CheckpointRefused | EventType::CheckpointChanged => {
            runs::checkpoint(app, happening).await
        }
        EventType::EvaluationFinished | EventType::EvaluationFailed | EventType::EvaluationRegressed => {
            runs::evaluation(app, happening).await
        }
        EventType::RunStarted
        | EventType::RunProgress
        | EventType::RunStalled
        | EventType::RunSpike
        | EventType::RunResumed
        | EventType::RunBehind
        | EventType::RunFailed
        | EventType::RunFinished => runs::run(app, happening).await,
        EventType::ReleaseProposed
        | EventType::ReleaseRefused
        | EventType::ReleaseReviewRequested
        | EventType::ReleaseApproved
        | EventType::ReleaseReturned
        | EventType::ReleaseRejected
        | EventType::ReleaseApprovalVoided
        | EventType::ReleaseStopped
        | EventType::ReleasePublished
        | EventType::ReleaseYanked
        | EventType::ReleaseSuperseded => releases::release(app, happening).await,
    };
    match told {
        // What is told of is gone by now, or descends from what nothing may be handed on of.
        Err(error) if ["not-found", "level-forbids-use"].contains(&error.code) => Ok(None),
        told => told.map(Some),
    }
}

/// A page and its API, by the path that both share.
fn links(app: &App, page: &str, api: &str) -> (String, String) {
    let base = &app.config.public_url;
    (format!("{base}{page}"), format!("{base}/api/v1{api}"))
}

async fn level(app: &App, happening: &Happening) -> Result<Told, WebError> {
    let subset = corpora::find(app, &happening.subject).await?;
    let (id, detail) = (&subset.subset.id, &happening.detail);
    let level = subset.subset.level;
    let affected = match level {
        Some(level) => corpora::effects(app, &subset, level).await?,
        None => corpora::Effects::default(),
    };
    let (runs, published) = (affected.runs.len(), affected.published.len());
    let from = detail["from"].as_str();
    let to = detail["to"].as_str().unwrap_or_default();
    let text = both(|lang| {
        let from = from.unwrap_or_else(|| lang.t("corpora.no_level"));
        lang.fill(
            "webhook_text.corpus_level_changed",
            &[("subset", id), ("from", &from), ("to", &to), ("n", &runs), ("m", &published)],
        )
    });
    let path = format!("/corpora/{}", encode(id));
    let (page, api) = links(app, &path, &path);
    let data = json!({
        "subset": id, "from": from, "to": to, "by": detail["who"], "runs": runs, "open_releases": affected.open.len(),
        "published_releases": published,
    });
    Ok(Told { project: None, text, data: object(data), page, api })
}

async fn endpoint(app: &App, happening: &Happening) -> Result<Told, WebError> {
    let gone = || WebError::not_found(crate::Noun::Webhook, &happening.subject);
    let id: EndpointId = happening.subject.parse().map_err(|_| gone())?;
    let endpoint = app.store.endpoint(id).await?.ok_or_else(gone)?;
    let number = |name: &str| happening.detail[name].as_u64().unwrap_or_default();
    let (failures, undelivered) = (number("failures"), number("undelivered"));
    let text = both(|lang| {
        lang.fill(
            "webhook_text.endpoint_disabled",
            &[("endpoint", &endpoint.name), ("n", &failures), ("m", &undelivered)],
        )
    });
    let path = format!("/webhooks/{id}");
    let (page, api) = links(app, &path, &path);
    let data = json!({ "endpoint": id, "failures": failures, "undelivered": undelivered });
    Ok(Told { project: Some(endpoint.project), text, data: object(data), page, api })
}

/// The fields of a JSON object, apart from those without a value.
fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields.into_iter().filter(|(_, value)| !value.is_null()).collect(),
        _ => Map::new(),
    }
}
