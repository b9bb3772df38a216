use axum::Json;
use axum::extract::{Path, State};
use sekisho_domain::webhook::EndpointState;

use super::webhook_deliveries::MessageView;
use super::webhooks::{Fresh, WebhookView, view};
use crate::service::webhooks;
use crate::{Actor, App, WebError};

/// Pauses a webhook
#[utoipa::path(
    post,
    path = "/webhooks/{id}/pause",
    operation_id = "pause_webhook",
    tag = "webhooks",
    responses((status = 200, description = "The answer.", body = WebhookView)),
    security(("token" = ["release"])),
)]
pub(super) async fn pause(
    State(app): State<App>,
    actor: Actor,
    Path(key): Path<String>,
) -> Result<Json<WebhookView>, WebError> {
    let endpoint = webhooks::find(&app, &key).await?;
    let endpoint = webhooks::set_state(&app, &actor, &endpoint, EndpointState::Paused).await?;
    Ok(Json(view(&app, endpoint).await?))
}

/// Lets a webhook go on
#[utoipa::path(
    post,
    path = "/webhooks/{id}/resume",
    operation_id = "resume_webhook",
    tag = "webhooks",
    responses((status = 200, description = "The answer.", body = WebhookView)),
    security(("token" = ["release"])),
)]
pub(super) async fn resume(
    State(app): State<App>,
    actor: Actor,
    Path(key): Path<String>,
) -> Result<Json<WebhookView>, WebError> {
    let endpoint = webhooks::find(&app, &key).await?;
    let endpoint = webhooks::set_state(&app, &actor, &endpoint, EndpointState::Active).await?;
    Ok(Json(view(&app, endpoint).await?))
}

/// Sends a message that says nothing
///
/// Answers the message.
#[utoipa::path(
    post,
    path = "/webhooks/{id}/ping",
    operation_id = "ping_webhook",
    tag = "webhooks",
    responses((status = 200, description = "The answer.", body = MessageView)),
    security(("token" = ["release"])),
)]
pub(super) async fn ping(
    State(app): State<App>,
    actor: Actor,
    Path(key): Path<String>,
) -> Result<Json<MessageView>, WebError> {
    let endpoint = webhooks::find(&app, &key).await?;
    Ok(Json(MessageView::of(webhooks::ping(&app, &actor, &endpoint).await?)))
}

/// Changes the secret of a webhook
///
/// For a day the one before it signs too. The secret is shown this once.
#[utoipa::path(
    post,
    path = "/webhooks/{id}/rotate",
    operation_id = "rotate_webhook_secret",
    tag = "webhooks",
    responses((status = 200, description = "The answer.", body = Fresh)),
    security(("token" = ["release"])),
)]
pub(super) async fn rotate(
    State(app): State<App>,
    actor: Actor,
    Path(key): Path<String>,
) -> Result<Json<Fresh>, WebError> {
    let endpoint = webhooks::find(&app, &key).await?;
    let (endpoint, secret) = webhooks::rotate(&app, &actor, &endpoint).await?;
    Ok(Json(Fresh { webhook: view(&app, endpoint).await?, secret }))
}
