use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use sekisho_domain::webhook::{EndpointState, EventType, MessageLanguage, PayloadFormat};
use sekisho_domain::{EndpointId, Language, Text, Timestamp, Tokens};
use sekisho_store::{Endpoint, Resend};
use serde::{Deserialize, Serialize};

use super::body::JsonBody;
use super::paging::Page;
use crate::service::webhooks::{self, Settings};
use crate::web::i18n::Words as _;
use crate::{Actor, App, Viewer, WebError};

/// An endpoint as the API shows it; its secret is in no answer but those that make one.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Webhook)]
pub(super) struct WebhookView {
    id: EndpointId,
    project: String,
    name: String,
    /// Of a chat, in part: who has it may write there.
    url: String,
    events: Vec<String>,
    language: MessageLanguage,
    format: PayloadFormat,
    every_tokens: Option<Tokens>,
    state: EndpointState,
    /// Attempts that failed in a row, and since when.
    failures: u32,
    failing_since: Option<Timestamp>,
    /// Messages that no attempt is left for.
    undelivered: u64,
    /// When the secret was changed last; for a day from then on the one before it signs too.
    rotated: Option<Timestamp>,
    created: Timestamp,
    updated: Timestamp,
}

/// An endpoint with its secret.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = WebhookWithSecret)]
pub(super) struct Fresh {
    #[serde(flatten)]
    pub(super) webhook: WebhookView,
    pub(super) secret: String,
}

/// `POST /api/v1/webhooks`.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewWebhook)]
pub(super) struct Add {
    name: String,
    url: String,
    /// Globs; all events where it is absent.
    #[serde(default = "all")]
    events: Vec<String>,
    #[serde(default = "both")]
    language: MessageLanguage,
    #[serde(default = "standard")]
    format: PayloadFormat,
    #[serde(default)]
    every_tokens: Option<Tokens>,
    /// `default` where it is absent.
    #[serde(default)]
    project: Option<String>,
}

fn all() -> Vec<String> {
    vec!["*".to_owned()]
}

const fn both() -> MessageLanguage {
    MessageLanguage::Both
}

const fn standard() -> PayloadFormat {
    PayloadFormat::Standard
}

/// `POST /api/v1/webhooks/{id}`: what is absent stays.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WebhookChange)]
pub(super) struct Change {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    url: Option<String>,
    #[serde(default)]
    events: Option<Vec<String>>,
    #[serde(default)]
    language: Option<MessageLanguage>,
    #[serde(default)]
    format: Option<PayloadFormat>,
    /// 0 for none.
    #[serde(default)]
    every_tokens: Option<Tokens>,
}

/// `POST /api/v1/webhooks/{id}/resend`: one message, or all that were given up since.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ResendRequest)]
pub(super) struct Again {
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    since: Option<Timestamp>,
}

/// How many go out again.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Resent {
    resent: u64,
}

/// What can be told of.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = WebhookEventType)]
pub(super) struct EventTypeView {
    #[serde(rename = "type")]
    kind: EventType,
    /// When it is told.
    when: Text,
}

/// Lists webhooks by project and name
#[utoipa::path(
    get,
    path = "/webhooks",
    operation_id = "list_webhooks",
    tag = "webhooks",
    responses((status = 200, description = "The answer.", body = Page<WebhookView>)),
    security(("token" = ["read"]), ("session" = [])),
)]
pub(super) async fn list(State(app): State<App>, viewer: Viewer) -> Result<Page<WebhookView>, WebError> {
    viewer.reader()?;
    let mut views = Vec::new();
    for endpoint in app.store.endpoints().await? {
        views.push(view(&app, endpoint).await?);
    }
    Ok(Page::whole(views))
}

/// Lists what webhooks can be told of
#[utoipa::path(
    get,
    path = "/webhooks/events",
    operation_id = "list_webhook_events",
    tag = "webhooks",
    responses((status = 200, description = "The answer.", body = Page<EventTypeView>)),
    security((), ("token" = []), ("session" = [])),
)]
pub(super) async fn events(viewer: Viewer) -> Result<Page<EventTypeView>, WebError> {
    viewer.may_read()?;
    let one = |kind: &EventType| {
        let when = |lang: Language| lang.t(&format!("webhook_event.{}", kind.key())).to_owned();
        EventTypeView { kind: *kind, when: Text { en: when(Language::En), ja: when(Language::Ja) } }
    };
    Ok(Page::whole(EventType::ALL.iter().map(one).collect()))
}

/// Adds a webhook
///
/// Its secret is shown this once.
#[utoipa::path(
    post,
    path = "/webhooks",
    operation_id = "create_webhook",
    tag = "webhooks",
    request_body = Add,
    responses((status = 201, description = "Made.", body = Fresh)),
    security(("token" = ["release"])),
)]
pub(super) async fn add(
    State(app): State<App>,
    actor: Actor,
    JsonBody(request): JsonBody<Add>,
) -> Result<(StatusCode, Json<Fresh>), WebError> {
    let Add { name, url, events, language, format, every_tokens, project } = request;
    let settings = Settings { name, url, events, language, format, every_tokens };
    let (endpoint, secret) = webhooks::add(&app, &actor, project.as_deref(), &settings).await?;
    Ok((StatusCode::CREATED, Json(Fresh { webhook: view(&app, endpoint).await?, secret })))
}

/// Shows a webhook
#[utoipa::path(
    get,
    path = "/webhooks/{id}",
    operation_id = "show_webhook",
    tag = "webhooks",
    responses((status = 200, description = "The answer.", body = WebhookView)),
    security(("token" = ["read"]), ("session" = [])),
)]
pub(super) async fn show(
    State(app): State<App>,
    viewer: Viewer,
    Path(key): Path<String>,
) -> Result<Json<WebhookView>, WebError> {
    viewer.reader()?;
    let endpoint = webhooks::find(&app, &key).await?;
    Ok(Json(view(&app, endpoint).await?))
}

/// Changes a webhook
///
/// What is absent stays.
#[utoipa::path(
    post,
    path = "/webhooks/{id}",
    operation_id = "change_webhook",
    tag = "webhooks",
    request_body = Change,
    responses((status = 200, description = "The answer.", body = WebhookView)),
    security(("token" = ["release"])),
)]
pub(super) async fn change(
    State(app): State<App>,
    actor: Actor,
    Path(key): Path<String>,
    JsonBody(request): JsonBody<Change>,
) -> Result<Json<WebhookView>, WebError> {
    let endpoint = webhooks::find(&app, &key).await?;
    let now = Settings::of(&endpoint);
    let settings = Settings {
        name: request.name.unwrap_or(now.name),
        url: request.url.unwrap_or(now.url),
        events: request.events.unwrap_or(now.events),
        language: request.language.unwrap_or(now.language),
        format: request.format.unwrap_or(now.format),
        every_tokens: request.every_tokens.or(now.every_tokens).filter(|tokens| tokens.0 > 0),
    };
    let endpoint = webhooks::change(&app, &actor, &endpoint, &settings).await?;
    Ok(Json(view(&app, endpoint).await?))
}

/// Removes a webhook with its messages
#[utoipa::path(
    delete,
    path = "/webhooks/{id}",
    operation_id = "delete_webhook",
    tag = "webhooks",
    responses((status = 204, description = "Done; nothing is answered.")),
    security(("token" = ["release"])),
)]
pub(super) async fn delete(
    State(app): State<App>,
    actor: Actor,
    Path(key): Path<String>,
) -> Result<StatusCode, WebError> {
    let endpoint = webhooks::find(&app, &key).await?;
    webhooks::delete(&app, &actor, &endpoint).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Sends messages again
///
/// One, or all that were given up since a time.
#[utoipa::path(
    post,
    path = "/webhooks/{id}/resend",
    operation_id = "resend_webhook_messages",
    tag = "webhooks",
    request_body = Again,
    responses((status = 200, description = "The answer.", body = Resent)),
    security(("token" = ["release"])),
)]
pub(super) async fn resend(
    State(app): State<App>,
    actor: Actor,
    Path(key): Path<String>,
    JsonBody(request): JsonBody<Again>,
) -> Result<Json<Resent>, WebError> {
    let endpoint = webhooks::find(&app, &key).await?;
    let which = match (&request.message, request.since) {
        (Some(key), None) => Resend::One(webhooks::find_message(&app, &endpoint, key).await?.id),
        (None, Some(since)) => Resend::DeadSince(since),
        _ => {
            let detail =
                "Say which: \"message\" for one, or \"since\" (a time) for all that were given up since.";
            let ja = "message（1件）か since（日時。それ以降の未配信すべて）のどちらかを指定してください。";
            return Err(WebError::bad_request("webhook-resend", detail).or_ja(ja));
        }
    };
    let resent = webhooks::resend(&app, &actor, &endpoint, which).await?;
    Ok(Json(Resent { resent }))
}

pub(super) async fn view(app: &App, endpoint: Endpoint) -> Result<WebhookView, WebError> {
    Ok(WebhookView {
        undelivered: app.store.dead_messages(endpoint.id).await?,
        url: webhooks::shown_url(&endpoint),
        id: endpoint.id,
        project: endpoint.project,
        name: endpoint.name,
        events: endpoint.events,
        language: endpoint.language,
        format: endpoint.format,
        every_tokens: endpoint.every_tokens,
        state: endpoint.state,
        failures: endpoint.failures,
        failing_since: endpoint.failing_since,
        rotated: endpoint.rotated,
        created: endpoint.created,
        updated: endpoint.updated,
    })
}
