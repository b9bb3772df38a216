use axum::Json;
use axum::extract::{Path, State};
use sekisho_domain::webhook::{EventType, MessageState};
use sekisho_domain::{MessageId, Timestamp};
use sekisho_store::{Attempt, Message};
use serde::Serialize;

use super::paging::{Page, PageParams, Paging};
use crate::jobs::webhooks::wire_id;
use crate::service::webhooks;
use crate::{App, Viewer, WebError};

/// A message to a webhook, without its body.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = WebhookMessage)]
pub(super) struct MessageView {
    /// As the header `webhook-id` names it: the same on every attempt.
    id: String,
    #[serde(rename = "type")]
    kind: EventType,
    /// Id of what it is about.
    subject: String,
    state: MessageState,
    /// Attempts made in the present schedule.
    attempts: u32,
    /// When the next is due.
    next_at: Timestamp,
    created: Timestamp,
    updated: Timestamp,
}

impl MessageView {
    pub(super) fn of(message: Message) -> Self {
        Self {
            id: wire_id(message.id),
            kind: message.kind,
            subject: message.subject,
            state: message.state,
            attempts: message.attempt,
            next_at: message.next_at,
            created: message.created,
            updated: message.updated,
        }
    }
}

/// A message with its body and every attempt.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = WholeWebhookMessage)]
pub(super) struct WholeMessage {
    #[serde(flatten)]
    message: MessageView,
    /// As it is sent, byte for byte.
    body: String,
    /// Oldest first.
    tries: Vec<AttemptView>,
}

/// One try to deliver a message.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = WebhookAttempt)]
struct AttemptView {
    at: Timestamp,
    /// Of the answer; null without one.
    status: Option<u16>,
    /// How long it took [ms].
    ms: u64,
    /// Why there was no answer, or why nothing was sent.
    error: Option<String>,
    /// The beginning of the answer.
    answer: String,
}

impl AttemptView {
    fn of(attempt: Attempt) -> Self {
        let Attempt { at, status, ms, error, answer } = attempt;
        Self { at, status, ms, error, answer }
    }
}

/// Lists the messages to a webhook, newest first
#[utoipa::path(
    get,
    path = "/webhooks/{id}/deliveries",
    operation_id = "list_webhook_deliveries",
    tag = "webhooks",
    params(PageParams),
    responses((status = 200, description = "The answer.", body = Page<MessageView>)),
    security(("token" = ["read"]), ("session" = [])),
)]
pub(super) async fn list(
    State(app): State<App>,
    viewer: Viewer,
    Path(key): Path<String>,
    paging: Paging<(Timestamp, MessageId)>,
) -> Result<Page<MessageView>, WebError> {
    viewer.reader()?;
    let endpoint = webhooks::find(&app, &key).await?;
    let found = app.store.messages_part(endpoint.id, paging.after, paging.take()).await?;
    Ok(paging.page(found, |message| (message.created, message.id), MessageView::of))
}

/// Shows a message with its body as it was sent, and every attempt
#[utoipa::path(
    get,
    path = "/webhooks/{id}/deliveries/{message}",
    operation_id = "show_webhook_delivery",
    tag = "webhooks",
    responses((status = 200, description = "The answer.", body = WholeMessage)),
    security(("token" = ["read"]), ("session" = [])),
)]
pub(super) async fn show(
    State(app): State<App>,
    viewer: Viewer,
    Path((key, message)): Path<(String, String)>,
) -> Result<Json<WholeMessage>, WebError> {
    viewer.reader()?;
    let endpoint = webhooks::find(&app, &key).await?;
    let message = webhooks::find_message(&app, &endpoint, &message).await?;
    let tries = app.store.attempts(message.id).await?.into_iter().map(AttemptView::of).collect();
    let body = message.body.clone();
    Ok(Json(WholeMessage { message: MessageView::of(message), body, tries }))
}
