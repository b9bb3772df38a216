use crate::sql::database::Row;
use sekisho_domain::Tokens;

use super::super::fields::Fields;
use crate::{Attempt, Endpoint, Happening, Message, StoreError};

pub(super) fn happening(row: &Row) -> Result<Happening, StoreError> {
    let fields = Fields::of("outbox", &["seq"], row);
    Ok(Happening {
        seq: fields.count("seq")?,
        kind: fields.parse("kind")?,
        subject: fields.get("subject")?,
        detail: fields.json("detail")?,
        at: fields.time("at")?,
    })
}

pub(super) fn endpoint(row: &Row) -> Result<Endpoint, StoreError> {
    let fields = Fields::of("webhook_endpoints", &["id"], row);
    Ok(Endpoint {
        id: fields.parse("id")?,
        project: fields.get("project")?,
        name: fields.get("name")?,
        url: fields.get("url")?,
        events: fields.json("events")?,
        language: fields.parse("language")?,
        format: fields.parse("format")?,
        every_tokens: fields.count_optional("every_tokens")?.map(Tokens),
        state: fields.parse("state")?,
        generation: fields.count("generation")?,
        rotated: fields.time_optional("rotated")?,
        failures: fields.count("failures")?,
        failing_since: fields.time_optional("failing_since")?,
        not_before: fields.time("not_before")?,
        created: fields.time("created")?,
        updated: fields.time("updated")?,
    })
}

pub(in crate::sql) fn message(row: &Row) -> Result<Message, StoreError> {
    let fields = Fields::of("webhook_messages", &["id"], row);
    Ok(Message {
        id: fields.parse("id")?,
        endpoint: fields.parse("endpoint_id")?,
        seq: fields.count_optional("seq")?,
        kind: fields.parse("kind")?,
        subject: fields.get("subject")?,
        body: fields.get("body")?,
        state: fields.parse("state")?,
        attempt: fields.count("attempt")?,
        next_at: fields.time("next_at")?,
        created: fields.time("created")?,
        updated: fields.time("updated")?,
    })
}

pub(super) fn attempt(row: &Row) -> Result<Attempt, StoreError> {
    let fields = Fields::of("webhook_attempts", &["message_id", "seq"], row);
    Ok(Attempt {
        at: fields.time("at")?,
        status: fields.count_optional("status")?,
        ms: fields.count("ms")?,
        error: fields.get("error")?,
        answer: fields.get("answer")?,
    })
}
