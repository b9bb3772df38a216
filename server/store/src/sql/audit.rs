use async_trait::async_trait;
use futures::TryStreamExt as _;
use sekisho_domain::audit::{AuditFault, AuditHead, AuditVerifier, BEGINNING, ChainedEntry, chained};
use sekisho_domain::{Sha256, Timestamp, canonical_json};
use serde_json::json;

use super::database::{self, Row, Transaction};
use super::fields::Fields;
use super::{SqlStore, int, outbox};
use crate::audit::AuditFilter;
use crate::{AuditEntry, AuditRepository, StoreError};

#[async_trait]
impl AuditRepository for SqlStore {
    async fn append_audit(&self, entry: &AuditEntry) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        append(&mut transaction, entry).await?;
        Ok(transaction.commit().await?)
    }

    async fn audit(
        &self,
        filter: &AuditFilter,
        below: Option<u64>,
        limit: u32,
    ) -> Result<Vec<ChainedEntry>, StoreError> {
        let query = database::query(
            "SELECT * FROM audit_log WHERE ($1 IS NULL OR seq < $1)
                 AND ($2 IS NULL OR json_extract(entry, '$.actor') = $2)
                 AND ($3 IS NULL OR substr(json_extract(entry, '$.action'), 1, length($3)) = $3)
                 AND ($4 IS NULL OR json_extract(entry, '$.object') = $4)
                 AND ($5 IS NULL OR json_extract(entry, '$.result') = $5)
                 AND ($6 IS NULL OR substr(json_extract(entry, '$.by'), 1, length($6)) = $6)
                 AND ($7 IS NULL OR substr(json_extract(entry, '$.at'), 1, 19) >= $7)
                 AND ($8 IS NULL OR substr(json_extract(entry, '$.at'), 1, 19) < $8)
             ORDER BY seq DESC LIMIT $9",
        )
        .bind(below.map(int).transpose()?)
        .bind(&filter.actor)
        .bind(&filter.action)
        .bind(&filter.object)
        .bind(&filter.result)
        .bind(&filter.by)
        .bind(filter.from.map(second))
        .bind(filter.until.map(second))
        .bind(i64::from(limit));
        query.fetch_all(&self.database.read).await?.iter().map(entry).collect()
    }

    async fn audit_after(&self, seq: u64, limit: u32) -> Result<Vec<ChainedEntry>, StoreError> {
        let query = database::query("SELECT * FROM audit_log WHERE seq > $1 ORDER BY seq LIMIT $2");
        let query = query.bind(int(seq)?).bind(i64::from(limit));
        query.fetch_all(&self.database.read).await?.iter().map(entry).collect()
    }

    async fn audit_end(&self) -> Result<Option<(u64, Sha256)>, StoreError> {
        let query = database::query("SELECT * FROM audit_log ORDER BY seq DESC LIMIT 1");
        let row = query.fetch_optional(&self.database.read).await?;
        row.map(|row| {
            let fields = Fields::of("audit_log", &["seq"], &row);
            Ok((fields.count("seq")?, fields.parse("hash")?))
        })
        .transpose()
    }

    async fn verify_audit(&self, heads: &[AuditHead]) -> Result<Result<u64, AuditFault>, StoreError> {
        let mut rows = database::query("SELECT * FROM audit_log ORDER BY seq").fetch(&self.database.read);
        let mut verifier = AuditVerifier::new(heads.to_vec());
        while let Some(row) = rows.try_next().await? {
            if let Err(fault) = verifier.next(&entry(&row)?) {
                return Ok(Err(fault));
            }
        }
        Ok(verifier.end().map(|(entries, _)| entries))
    }
}

/// `2026-11-21T05:03:00`: times in the entries are RFC 3339 in UTC, so that their first letters sort like the times.
fn second(at: Timestamp) -> String {
    at.to_string().chars().take(19).collect()
}

/// Appends an entry within a transaction, so that it commits with the change it tells of, and notes what it means to others.
pub(super) async fn append(connection: &mut Transaction, entry: &AuditEntry) -> Result<(), StoreError> {
    let last = database::query("SELECT * FROM audit_log ORDER BY seq DESC LIMIT 1")
        .fetch_optional(&mut *connection)
        .await?;
    let (seq, previous): (i64, Sha256) = match &last {
        Some(row) => {
            let fields = Fields::of("audit_log", &["seq"], row);
            (fields.get("seq")?, fields.parse("hash")?)
        }
        None => (0, BEGINNING),
    };
    let text = canonical_json(&json!(entry));
    database::query("INSERT INTO audit_log (seq, entry, hash) VALUES ($1, $2, $3)")
        .bind(seq + 1)
        .bind(&text)
        .bind(chained(previous, &text).hex())
        .execute(&mut *connection)
        .await?;
    outbox::of_audit(connection, entry).await
}

/// What cannot be read as an entry or a digest was changed; it is shown as something that no hash fits.
fn entry(row: &Row) -> Result<ChainedEntry, StoreError> {
    let fields = Fields::of("audit_log", &["seq"], row);
    let text: &str = fields.get("entry")?;
    let unreadable = |_| serde_json::Value::String(text.to_owned());
    let read = serde_json::from_str::<serde_json::Value>(text).unwrap_or_else(unreadable);
    // The chain is over the bytes that were written: another spelling of the same values is an edit.
    let entry = if canonical_json(&read) == text { read } else { serde_json::Value::String(text.to_owned()) };
    Ok(ChainedEntry {
        seq: fields.count("seq")?,
        hash: fields.get::<&str>("hash")?.parse().unwrap_or(BEGINNING),
        entry,
    })
}
