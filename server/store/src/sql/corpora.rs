use async_trait::async_trait;
use sekisho_domain::corpus::Subset;
use sekisho_domain::lineage::Level;
use sekisho_domain::{Sha256, Timestamp, Tokens};
use serde_json::json;

use super::database::{self, Row, Transaction};
use super::fields::Fields;
use super::{SqlStore, audit, int};
use crate::{AuditEntry, CorpusRepository, RegisteredSubset, StoreError, SubsetChange};

#[async_trait]
impl CorpusRepository for SqlStore {
    async fn put_subsets(
        &self,
        subsets: &[(Subset, u64)],
        change: &SubsetChange,
        audit: &AuditEntry,
    ) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        for (subset, version) in subsets {
            let before = find(&mut transaction, &subset.id).await?;
            if before.as_ref().map_or(0, |before| before.version) != *version {
                return Err(StoreError::Stale);
            }
            put(&mut transaction, subset, *version, change.at).await?;
            let before = before.map(|before| before.subset);
            add_change(&mut transaction, subset, before.as_ref(), change).await?;
        }
        audit::append(&mut transaction, audit).await?;
        Ok(transaction.commit().await?)
    }

    async fn subset(&self, id: &str) -> Result<Option<RegisteredSubset>, StoreError> {
        let query = database::query("SELECT * FROM subsets WHERE id = $1").bind(id);
        query.fetch_optional(&self.database.read).await?.as_ref().map(subset).transpose()
    }

    async fn subsets(&self) -> Result<Vec<RegisteredSubset>, StoreError> {
        let query = database::query("SELECT * FROM subsets ORDER BY corpus, id");
        query.fetch_all(&self.database.read).await?.iter().map(subset).collect()
    }

    async fn subset_changes(&self, id: &str) -> Result<Vec<SubsetChange>, StoreError> {
        let query =
            database::query("SELECT * FROM subset_changes WHERE subset_id = $1 ORDER BY seq").bind(id);
        query.fetch_all(&self.database.read).await?.iter().map(change).collect()
    }
}

async fn find(connection: &mut Transaction, id: &str) -> Result<Option<RegisteredSubset>, StoreError> {
    let query = database::query("SELECT * FROM subsets WHERE id = $1").bind(id);
    query.fetch_optional(connection).await?.as_ref().map(subset).transpose()
}

async fn put(
    connection: &mut Transaction,
    subset: &Subset,
    version: u64,
    now: Timestamp,
) -> Result<(), StoreError> {
    database::query(
        "INSERT INTO subsets (id, corpus, language, tokens, tokenizer, level, license, evidence, evidence_sha256, generator,
             generator_license, version, created, updated)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $13)
         ON CONFLICT (id) DO UPDATE SET corpus = excluded.corpus, language = excluded.language, tokens = excluded.tokens,
             tokenizer = excluded.tokenizer, level = excluded.level, license = excluded.license, evidence = excluded.evidence,
             evidence_sha256 = excluded.evidence_sha256, generator = excluded.generator,
             generator_license = excluded.generator_license, version = excluded.version, updated = excluded.updated",
    )
    .bind(&subset.id)
    .bind(&subset.corpus)
    .bind(&subset.language)
    .bind(subset.tokens.map(|tokens| int(tokens.0)).transpose()?)
    .bind(&subset.tokenizer)
    .bind(subset.level.map(Level::as_str))
    .bind(&subset.license)
    .bind(&subset.evidence)
    .bind(subset.evidence_sha256.as_ref().map(Sha256::hex))
    .bind(&subset.generator)
    .bind(&subset.generator_license)
    .bind(int(version + 1)?)
    .bind(now.unix_ms())
    .execute(connection)
    .await?;
    Ok(())
}

async fn add_change(
    connection: &mut Transaction,
    subset: &Subset,
    before: Option<&Subset>,
    change: &SubsetChange,
) -> Result<(), StoreError> {
    database::query(
        "INSERT INTO subset_changes (subset_id, user_name, level, before, reason, at) VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(&subset.id)
    .bind(&change.user_name)
    .bind(subset.level.map(Level::as_str))
    .bind(before.map(|before| json!(before).to_string()))
    .bind(&change.reason)
    .bind(change.at.unix_ms())
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) fn subset(row: &Row) -> Result<RegisteredSubset, StoreError> {
    let fields = Fields::of("subsets", &["id"], row);
    let subset = Subset {
        id: fields.get("id")?,
        corpus: fields.get("corpus")?,
        language: fields.get("language")?,
        tokens: fields.count_optional("tokens")?.map(Tokens),
        tokenizer: fields.get("tokenizer")?,
        level: fields.parse_optional("level")?,
        license: fields.get("license")?,
        evidence: fields.get("evidence")?,
        evidence_sha256: fields.parse_optional("evidence_sha256")?,
        generator: fields.get("generator")?,
        generator_license: fields.get("generator_license")?,
    };
    Ok(RegisteredSubset {
        subset,
        version: fields.count("version")?,
        created: fields.time("created")?,
        updated: fields.time("updated")?,
    })
}

fn change(row: &Row) -> Result<SubsetChange, StoreError> {
    let fields = Fields::of("subset_changes", &["subset_id", "seq"], row);
    Ok(SubsetChange {
        user_name: fields.get("user_name")?,
        level: fields.parse_optional("level")?,
        before: fields.json_optional("before")?,
        reason: fields.get("reason")?,
        at: fields.time("at")?,
    })
}
