use axum::Json;
use axum::extract::{Path, State};
use sekisho_store::{Attempt, Message};
use serde_json::{Value, json};

use crate::jobs::webhooks::wire_id;
use crate::service::webhooks;
use crate::{App, Viewer, WebError};

/// Messages in one answer, newest first.
const MESSAGES: u32 = 200;

/// `GET /api/v1/webhooks/{id}/deliveries`.
pub(super) async fn list(
    State(app): State<App>,
    viewer: Viewer,
    Path(key): Path<String>,
) -> Result<Json<Vec<Value>>, WebError> {
    viewer.reader()?;
    let endpoint = webhooks::find(&app, &key).await?;
    let messages = app.store.messages(endpoint.id, MESSAGES).await?;
    Ok(Json(messages.iter().map(summary).collect()))
}

/// `GET /api/v1/webhooks/{id}/deliveries/{message}`: with the body as it was sent, and every attempt.
pub(super) async fn show(
    State(app): State<App>,
    viewer: Viewer,
    Path((key, message)): Path<(String, String)>,
) -> Result<Json<Value>, WebError> {
    viewer.reader()?;
    let endpoint = webhooks::find(&app, &key).await?;
    let message = webhooks::find_message(&app, &endpoint, &message).await?;
    let mut whole = summary(&message);
    whole["body"] = json!(message.body);
    whole["tries"] = app.store.attempts(message.id).await?.iter().map(attempt).collect();
    Ok(Json(whole))
}

/// A message without its body.
pub(super) fn summary(message: &Message) -> Value {
    json!({
        "id": wire_id(message.id), "type": message.kind, "subject": message.subject, "state": message.state,
        "attempts": message.attempt, "next_at": message.next_at, "created": message.created, "updated": message.updated,
    })
}

fn attempt(attempt: &Attempt) -> Value {
    json!({
        "at": attempt.at, "status": attempt.status, "ms": attempt.ms, "error": attempt.error, "answer": attempt.answer,
    })
}
