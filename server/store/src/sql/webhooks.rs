mod rows;

use async_trait::async_trait;
use sekisho_domain::webhook::{EndpointState, EventType, MessageState};
use sekisho_domain::{EndpointId, MessageId, Timestamp};
use serde_json::{Value, json};

use super::database::{self, Done, Transaction};
use super::{SqlStore, audit, changed, conflict, int, outbox};
use crate::{
    Attempt, AuditEntry, Circuit, Endpoint, Happening, Message, Outcome, Resend, StoreError,
    WebhookRepository,
};
pub(super) use rows::message;
use rows::{attempt, endpoint, happening};

/// Claims of one call.
const CLAIMED: i64 = 64;

#[async_trait]
impl WebhookRepository for SqlStore {
    async fn happenings(&self, limit: u32) -> Result<Vec<Happening>, StoreError> {
        let query = database::query(
            "SELECT * FROM outbox WHERE seq > (SELECT seq FROM outbox_cursor) ORDER BY seq LIMIT $1",
        );
        query.bind(i64::from(limit)).fetch_all(&self.database.read).await?.iter().map(happening).collect()
    }

    async fn happened(
        &self,
        kind: EventType,
        since: Timestamp,
        limit: u32,
    ) -> Result<Vec<Happening>, StoreError> {
        let query = database::query(
            "SELECT * FROM outbox WHERE kind = $1 AND at >= $2 ORDER BY at DESC, seq DESC LIMIT $3",
        );
        let query = query.bind(kind.as_str()).bind(since.unix_ms()).bind(i64::from(limit));
        query.fetch_all(&self.database.read).await?.iter().map(happening).collect()
    }

    async fn fan_out(
        &self,
        seq: u64,
        messages: &[Message],
        follows: &[(EventType, String, Value)],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        let query = database::query("UPDATE outbox_cursor SET seq = $1 WHERE seq < $1").bind(int(seq)?);
        if query.execute(&mut transaction).await?.rows_affected() == 0 {
            return Ok(());
        }
        for message in messages {
            add(&mut transaction, message).await?;
        }
        for (kind, subject, detail) in follows {
            outbox::note(&mut transaction, *kind, subject, detail, now).await?;
        }
        Ok(transaction.commit().await?)
    }

    async fn add_endpoint(&self, endpoint: &Endpoint, audit: &AuditEntry) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        let query = "INSERT INTO webhook_endpoints (id, project, name, url, events, language, format, every_tokens, state, generation,
                 rotated, failures, failing_since, not_before, created, updated)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 0, NULL, 0, $12, $13)";
        write_endpoint(&mut transaction, query, endpoint).await?;
        audit::append(&mut transaction, audit).await?;
        Ok(transaction.commit().await?)
    }

    async fn endpoints(&self) -> Result<Vec<Endpoint>, StoreError> {
        let query = database::query("SELECT * FROM webhook_endpoints ORDER BY project, name");
        query.fetch_all(&self.database.read).await?.iter().map(endpoint).collect()
    }

    async fn endpoint(&self, id: EndpointId) -> Result<Option<Endpoint>, StoreError> {
        let query = database::query("SELECT * FROM webhook_endpoints WHERE id = $1").bind(id.to_string());
        query.fetch_optional(&self.database.read).await?.as_ref().map(endpoint).transpose()
    }

    async fn update_endpoint(&self, endpoint: &Endpoint, audit: &AuditEntry) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        // Neither the project ($2) nor the day of its making ($12) ever changes.
        let query = "UPDATE webhook_endpoints SET name = $3, url = $4, events = $5, language = $6, format = $7, every_tokens = $8,
                 failures = CASE WHEN state <> 'active' AND $9 = 'active' THEN 0 ELSE failures END,
                 failing_since = CASE WHEN state <> 'active' AND $9 = 'active' THEN NULL ELSE failing_since END,
                 not_before = CASE WHEN state <> 'active' AND $9 = 'active' THEN 0 ELSE not_before END,
                 state = $9, generation = $10, rotated = $11, updated = $13
             WHERE id = $1";
        let result = write_endpoint(&mut transaction, query, endpoint).await?;
        changed(result, "webhook endpoint", &endpoint.id)?;
        audit::append(&mut transaction, audit).await?;
        Ok(transaction.commit().await?)
    }

    async fn delete_endpoint(&self, id: EndpointId, audit: &AuditEntry) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        let query = database::query("DELETE FROM webhook_endpoints WHERE id = $1").bind(id.to_string());
        changed(query.execute(&mut transaction).await?, "webhook endpoint", &id)?;
        audit::append(&mut transaction, audit).await?;
        Ok(transaction.commit().await?)
    }

    async fn add_message(&self, message: &Message, audit: &AuditEntry) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        add(&mut transaction, message).await?;
        audit::append(&mut transaction, audit).await?;
        Ok(transaction.commit().await?)
    }

    async fn messages(&self, endpoint: EndpointId, limit: u32) -> Result<Vec<Message>, StoreError> {
        let query = database::query(
            "SELECT * FROM webhook_messages WHERE endpoint_id = $1 ORDER BY created DESC, seq DESC, id DESC LIMIT $2",
        );
        let query = query.bind(endpoint.to_string()).bind(i64::from(limit));
        query.fetch_all(&self.database.read).await?.iter().map(message).collect()
    }

    async fn message(&self, id: MessageId) -> Result<Option<Message>, StoreError> {
        let query = database::query("SELECT * FROM webhook_messages WHERE id = $1").bind(id.to_string());
        query.fetch_optional(&self.database.read).await?.as_ref().map(message).transpose()
    }

    async fn attempts(&self, id: MessageId) -> Result<Vec<Attempt>, StoreError> {
        let query = database::query("SELECT * FROM webhook_attempts WHERE message_id = $1 ORDER BY seq");
        query.bind(id.to_string()).fetch_all(&self.database.read).await?.iter().map(attempt).collect()
    }

    async fn dead_messages(&self, endpoint: EndpointId) -> Result<u64, StoreError> {
        let query = database::query_scalar(
            "SELECT COUNT(*) FROM webhook_messages WHERE endpoint_id = $1 AND state = 'dead' AND seq IS NOT NULL",
        );
        let count: i64 = query.bind(endpoint.to_string()).fetch_one(&self.database.read).await?;
        Ok(count.unsigned_abs())
    }

    async fn claim_messages(
        &self,
        at_once: u32,
        lease_seconds: i64,
        now: Timestamp,
    ) -> Result<Vec<Message>, StoreError> {
        // Most looks find nothing, and should not make a writer wait.
        let due = database::query(
            "SELECT 1 FROM webhook_messages WHERE state IN ('waiting', 'sending') AND next_at <= $1 LIMIT 1",
        );
        if due.bind(now.unix_ms()).fetch_optional(&self.database.read).await?.is_none() {
            return Ok(Vec::new());
        }
        let query = database::query(
            "UPDATE webhook_messages SET state = 'sending', lease_until = $2, updated = $1
             WHERE id IN (
                 SELECT id FROM (
                     SELECT due.id, due.next_at,
                         ROW_NUMBER() OVER (PARTITION BY due.endpoint_id ORDER BY due.next_at, due.seq, due.id) AS place,
                         (SELECT COUNT(*) FROM webhook_messages AS held
                          WHERE held.endpoint_id = due.endpoint_id AND held.state = 'sending' AND held.lease_until > $1) AS held
                     FROM webhook_messages AS due JOIN webhook_endpoints ON webhook_endpoints.id = due.endpoint_id
                     WHERE (due.state = 'waiting' AND due.next_at <= $1 OR due.state = 'sending' AND due.lease_until <= $1)
                         AND (due.kind = 'webhook.ping'
                              OR webhook_endpoints.state = 'active' AND webhook_endpoints.not_before <= $1)) AS mine
                 WHERE place + held <= $3 ORDER BY next_at, id LIMIT $4)
             RETURNING *",
        );
        let query = query
            .bind(now.unix_ms())
            .bind(now.plus_seconds(lease_seconds).unix_ms())
            .bind(i64::from(at_once))
            .bind(CLAIMED);
        query.fetch_all(&self.database).await?.iter().map(message).collect()
    }

    async fn free_messages(&self, now: Timestamp) -> Result<(), StoreError> {
        let query = database::query(
            "UPDATE webhook_messages SET state = 'waiting', lease_until = NULL, updated = $1 WHERE state = 'sending'",
        );
        query.bind(now.unix_ms()).execute(&self.database).await?;
        Ok(())
    }

    async fn settle_message(
        &self,
        id: MessageId,
        attempt: &Attempt,
        outcome: Outcome,
        circuit: Circuit,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        let Some(endpoint) = move_on(&mut transaction, id, outcome, now).await? else { return Ok(()) };
        database::query(
            "INSERT INTO webhook_attempts (message_id, at, status, ms, error, answer) VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(id.to_string())
        .bind(attempt.at.unix_ms())
        .bind(attempt.status)
        .bind(int(attempt.ms)?)
        .bind(&attempt.error)
        .bind(&attempt.answer)
        .execute(&mut transaction)
        .await?;
        count(&mut transaction, &endpoint, outcome, now).await?;
        if outcome != Outcome::Delivered {
            open_circuit(&mut transaction, &endpoint, outcome, circuit, now).await?;
        }
        Ok(transaction.commit().await?)
    }

    async fn resend(
        &self,
        endpoint: EndpointId,
        which: Resend,
        audit: &AuditEntry,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let mut transaction = self.begin().await?;
        let (one, since) = match which {
            Resend::One(id) => (Some(id.to_string()), None),
            Resend::DeadSince(since) => (None, Some(since.unix_ms())),
        };
        let query = database::query(
            "UPDATE webhook_messages SET state = 'waiting', attempt = 0, next_at = $2, lease_until = NULL, updated = $2
             WHERE endpoint_id = $1 AND (id = $3 AND state <> 'sending'
                 OR $4 IS NOT NULL AND state = 'dead' AND created >= $4 AND seq IS NOT NULL)",
        );
        let query = query.bind(endpoint.to_string()).bind(now.unix_ms()).bind(one).bind(since);
        let sent = query.execute(&mut transaction).await?.rows_affected();
        audit::append(&mut transaction, audit).await?;
        transaction.commit().await?;
        Ok(sent)
    }

    async fn prune_messages(&self, before: Timestamp) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        for sql in [
            "DELETE FROM webhook_messages WHERE created < $1 AND state IN ('delivered', 'dead')",
            // The newest row stays, so that its number never comes again.
            "DELETE FROM outbox WHERE at < $1 AND seq < (SELECT seq FROM outbox_cursor)",
        ] {
            database::query(sql).bind(before.unix_ms()).execute(&mut transaction).await?;
        }
        Ok(transaction.commit().await?)
    }
}

/// Runs a query over the columns of an endpoint: `$1` its id, then project, name, address, events, language, format, tokens between
/// reports, state, generation of the secret and when that was renewed, created, updated.
async fn write_endpoint(
    connection: &mut Transaction,
    query: &'static str,
    endpoint: &Endpoint,
) -> Result<Done, StoreError> {
    database::query(query)
        .bind(endpoint.id.to_string())
        .bind(&endpoint.project)
        .bind(&endpoint.name)
        .bind(&endpoint.url)
        .bind(json!(endpoint.events).to_string())
        .bind(endpoint.language.as_str())
        .bind(endpoint.format.as_str())
        .bind(endpoint.every_tokens.map(|tokens| int(tokens.0)).transpose()?)
        .bind(endpoint.state.as_str())
        .bind(i64::from(endpoint.generation))
        .bind(endpoint.rotated.map(Timestamp::unix_ms))
        .bind(endpoint.created.unix_ms())
        .bind(endpoint.updated.unix_ms())
        .execute(connection)
        .await
        .map_err(|error| conflict(error, || taken(endpoint)))
}

fn taken(endpoint: &Endpoint) -> String {
    format!("project \"{}\" has a webhook with the name \"{}\" already", endpoint.project, endpoint.name)
}

async fn add(connection: &mut Transaction, message: &Message) -> Result<(), StoreError> {
    database::query(
        "INSERT INTO webhook_messages (id, endpoint_id, seq, kind, subject, body, state, attempt, next_at, lease_until, created,
             updated)
         SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, NULL, $10, $11
         WHERE EXISTS (SELECT 1 FROM webhook_endpoints WHERE id = $2)",
    )
    .bind(message.id.to_string())
    .bind(message.endpoint.to_string())
    .bind(message.seq.map(int).transpose()?)
    .bind(message.kind.as_str())
    .bind(&message.subject)
    .bind(&message.body)
    .bind(message.state.as_str())
    .bind(i64::from(message.attempt))
    .bind(message.next_at.unix_ms())
    .bind(message.created.unix_ms())
    .bind(message.updated.unix_ms())
    .execute(connection)
    .await?;
    Ok(())
}

/// Writes what becomes of a message; answers its endpoint, or none when both are gone by now.
async fn move_on(
    connection: &mut Transaction,
    id: MessageId,
    outcome: Outcome,
    now: Timestamp,
) -> Result<Option<String>, StoreError> {
    let (state, next) = match outcome {
        Outcome::Delivered => (MessageState::Delivered, now),
        Outcome::Failed { next: Some(next), .. } => (MessageState::Waiting, next),
        Outcome::Failed { next: None, .. } | Outcome::Gone => (MessageState::Dead, now),
    };
    let query = database::query_scalar(
        // An attempt that was under way when its endpoint was left alone is followed by none.
        "UPDATE webhook_messages SET next_at = $3, attempt = attempt + 1, lease_until = NULL, updated = $4,
             state = CASE WHEN $2 = 'waiting' AND EXISTS (
                 SELECT 1 FROM webhook_endpoints WHERE id = endpoint_id AND webhook_endpoints.state = 'disabled')
                 THEN 'dead' ELSE $2 END
         WHERE id = $1 RETURNING endpoint_id",
    );
    let query = query.bind(id.to_string()).bind(state.as_str()).bind(next.unix_ms()).bind(now.unix_ms());
    Ok(query.fetch_optional(connection).await?)
}

/// Counts an attempt for its endpoint.
async fn count(
    connection: &mut Transaction,
    endpoint: &str,
    outcome: Outcome,
    now: Timestamp,
) -> Result<(), StoreError> {
    let not_before = match outcome {
        Outcome::Failed { not_before, .. } => not_before.map(Timestamp::unix_ms),
        Outcome::Delivered | Outcome::Gone => None,
    };
    let query = database::query(
        "UPDATE webhook_endpoints SET
             failures = CASE WHEN $2 THEN 0 ELSE failures + 1 END,
             failing_since = CASE WHEN $2 THEN NULL ELSE COALESCE(failing_since, $3) END,
             not_before = MAX(not_before, COALESCE($4, 0))
         WHERE id = $1",
    );
    let query = query.bind(endpoint).bind(outcome == Outcome::Delivered).bind(now.unix_ms()).bind(not_before);
    query.execute(connection).await?;
    Ok(())
}

/// Leaves an endpoint alone that wants nothing any more or has failed for too long: what waits for it is kept for people to send again.
async fn open_circuit(
    connection: &mut Transaction,
    endpoint: &str,
    outcome: Outcome,
    circuit: Circuit,
    now: Timestamp,
) -> Result<(), StoreError> {
    let query = database::query_scalar(
        "UPDATE webhook_endpoints SET state = $2, updated = $3
         WHERE id = $1 AND state = 'active' AND ($4 OR failures >= $5 OR failing_since <= $6) RETURNING failures",
    );
    let failures: Option<i64> = query
        .bind(endpoint)
        .bind(EndpointState::Disabled.as_str())
        .bind(now.unix_ms())
        .bind(outcome == Outcome::Gone)
        .bind(i64::from(circuit.failures))
        .bind(now.plus_seconds(-circuit.seconds).unix_ms())
        .fetch_optional(&mut *connection)
        .await?;
    let Some(failures) = failures else { return Ok(()) };
    let query = database::query(
        "UPDATE webhook_messages SET state = 'dead', updated = $2 WHERE endpoint_id = $1 AND state = 'waiting'",
    );
    query.bind(endpoint).bind(now.unix_ms()).execute(&mut *connection).await?;
    let query = database::query_scalar(
        "SELECT COUNT(*) FROM webhook_messages WHERE endpoint_id = $1 AND state = 'dead' AND seq IS NOT NULL",
    );
    let undelivered: i64 = query.bind(endpoint).fetch_one(&mut *connection).await?;
    let detail =
        json!({ "failures": failures, "undelivered": undelivered, "gone": outcome == Outcome::Gone });
    outbox::note(connection, EventType::EndpointDisabled, endpoint, &detail, now).await
}
