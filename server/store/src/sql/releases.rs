use std::collections::HashMap;

use async_trait::async_trait;
use sekisho_domain::release::ReleaseState;
use sekisho_domain::{CheckpointId, ReleaseId, Sha256, Text, Timestamp, canonical_json};
use serde_json::json;

use super::database::{self, Query, Row, Transaction};
use super::fields::Fields;
use super::{SqlStore, audit, conflict, int, outbox};
use crate::{Approval, AuditEntry, Comment, HubCommit, PublishStep, Release, ReleaseRepository, StoreError};

#[async_trait]
impl ReleaseRepository for SqlStore {
    async fn add_release(&self, release: &Release, audit: &AuditEntry) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        add(&mut transaction, release).await?;
        audit::append(&mut transaction, audit).await?;
        Ok(transaction.commit().await?)
    }

    async fn release(&self, id: ReleaseId) -> Result<Option<Release>, StoreError> {
        let query = database::query("SELECT * FROM releases WHERE id = $1").bind(id.to_string());
        query.fetch_optional(&self.database.read).await?.as_ref().map(release).transpose()
    }

    async fn releases(&self, limit: u32) -> Result<Vec<Release>, StoreError> {
        let query = database::query(
            "SELECT * FROM releases
             ORDER BY CASE WHEN state = 'in_review' THEN 0 ELSE 1 END, created DESC, id DESC LIMIT $1",
        );
        query.bind(i64::from(limit)).fetch_all(&self.database.read).await?.iter().map(release).collect()
    }

    async fn releases_in(&self, states: &[ReleaseState]) -> Result<Vec<Release>, StoreError> {
        let query = database::query(
            "SELECT * FROM releases WHERE state IN (SELECT value FROM json_each($1)) ORDER BY created DESC, id DESC",
        );
        query
            .bind(json!(states).to_string())
            .fetch_all(&self.database.read)
            .await?
            .iter()
            .map(release)
            .collect()
    }

    async fn releases_of(&self, checkpoint: CheckpointId) -> Result<Vec<Release>, StoreError> {
        let query =
            database::query("SELECT * FROM releases WHERE checkpoint_id = $1 ORDER BY created DESC, id DESC");
        query.bind(checkpoint.to_string()).fetch_all(&self.database.read).await?.iter().map(release).collect()
    }

    async fn releases_of_all(&self, ids: &[CheckpointId]) -> Result<Vec<Release>, StoreError> {
        let query = database::query(
            "SELECT * FROM releases WHERE checkpoint_id IN (SELECT value FROM json_each($1)) ORDER BY created DESC, id DESC",
        );
        query.bind(json!(ids).to_string()).fetch_all(&self.database.read).await?.iter().map(release).collect()
    }

    async fn update_release(
        &self,
        release: &Release,
        audit: &AuditEntry,
        comment: Option<&Comment>,
    ) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        write(&mut transaction, release).await?;
        if let Some(comment) = comment {
            add_comment(&mut transaction, release.id, comment).await?;
        }
        audit::append(&mut transaction, audit).await?;
        Ok(transaction.commit().await?)
    }

    async fn complete_release(
        &self,
        release: &Release,
        superseded: &[Release],
        audit: &[AuditEntry],
    ) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        for written in std::iter::once(release).chain(superseded) {
            write(&mut transaction, written).await?;
        }
        for entry in audit {
            audit::append(&mut transaction, entry).await?;
        }
        Ok(transaction.commit().await?)
    }

    async fn approve(
        &self,
        release: &Release,
        approval: &Approval,
        audit: &AuditEntry,
    ) -> Result<(), StoreError> {
        if release.digest != Some(approval.digest) {
            return Err(StoreError::Stale);
        }
        let mut transaction = self.begin().await?;
        write(&mut transaction, release).await?;
        database::query(
            "INSERT INTO approvals (release_id, user_id, user_name, digest, comment, at, kind, void)
             VALUES ($1, $2, $3, $4, $5, $6, $7, FALSE)",
        )
        .bind(release.id.to_string())
        .bind(approval.user.to_string())
        .bind(&approval.user_name)
        .bind(approval.digest.hex())
        .bind(&approval.comment)
        .bind(approval.at.unix_ms())
        .bind(approval.kind.as_str())
        .execute(&mut transaction)
        .await
        .map_err(|error| {
            conflict(error, || format!("{} has approved exactly this content already", approval.user_name))
        })?;
        audit::append(&mut transaction, audit).await?;
        Ok(transaction.commit().await?)
    }

    async fn approvals(&self, id: ReleaseId) -> Result<Vec<Approval>, StoreError> {
        let query = database::query("SELECT * FROM approvals WHERE release_id = $1 ORDER BY seq")
            .bind(id.to_string());
        query.fetch_all(&self.database.read).await?.iter().map(approval).collect()
    }

    async fn valid_approvals(
        &self,
        ids: &[ReleaseId],
    ) -> Result<HashMap<ReleaseId, Vec<Approval>>, StoreError> {
        let query = database::query(
            "SELECT approvals.* FROM approvals JOIN releases ON releases.id = approvals.release_id
             WHERE releases.id IN (SELECT value FROM json_each($1)) AND approvals.void = FALSE
                 AND approvals.digest = releases.digest
             ORDER BY approvals.seq",
        );
        let mut valid: HashMap<ReleaseId, Vec<Approval>> = HashMap::new();
        for row in &query.bind(json!(ids).to_string()).fetch_all(&self.database.read).await? {
            let release = Fields::of("approvals", &["release_id", "seq"], row).parse("release_id")?;
            valid.entry(release).or_default().push(approval(row)?);
        }
        Ok(valid)
    }

    async fn comments(&self, id: ReleaseId) -> Result<Vec<Comment>, StoreError> {
        let query =
            database::query("SELECT * FROM comments WHERE release_id = $1 ORDER BY seq").bind(id.to_string());
        query.fetch_all(&self.database.read).await?.iter().map(comment).collect()
    }

    async fn add_comment(
        &self,
        id: ReleaseId,
        comment: &Comment,
        audit: &AuditEntry,
    ) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        add_comment(&mut transaction, id, comment).await?;
        audit::append(&mut transaction, audit).await?;
        Ok(transaction.commit().await?)
    }

    async fn put_step(&self, id: ReleaseId, step: &PublishStep) -> Result<(), StoreError> {
        database::query(
            "INSERT INTO publish_steps (release_id, name, state, detail, detail_ja, at) VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (release_id, name) DO UPDATE SET state = excluded.state, detail = excluded.detail,
                 detail_ja = excluded.detail_ja, at = excluded.at",
        )
        .bind(id.to_string())
        .bind(&step.name)
        .bind(step.state.as_str())
        .bind(&step.detail.en)
        .bind(&step.detail.ja)
        .bind(step.at.unix_ms())
        .execute(&self.database)
        .await?;
        Ok(())
    }

    async fn steps(&self, id: ReleaseId) -> Result<Vec<PublishStep>, StoreError> {
        let query = database::query("SELECT * FROM publish_steps WHERE release_id = $1 ORDER BY seq")
            .bind(id.to_string());
        query.fetch_all(&self.database.read).await?.iter().map(step).collect()
    }

    async fn add_hub_commit(&self, id: ReleaseId, commit: &HubCommit) -> Result<bool, StoreError> {
        let query = database::query(
            "INSERT INTO hub_commits (release_id, digest, place) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        );
        let query = query.bind(id.to_string()).bind(commit.digest.hex()).bind(&commit.place);
        Ok(query.execute(&self.database).await?.rows_affected() == 1)
    }

    async fn drop_hub_commit(&self, id: ReleaseId, commit: &HubCommit) -> Result<(), StoreError> {
        database::query("DELETE FROM hub_commits WHERE release_id = $1 AND digest = $2 AND place = $3")
            .bind(id.to_string())
            .bind(commit.digest.hex())
            .bind(&commit.place)
            .execute(&self.database)
            .await?;
        Ok(())
    }

    async fn hub_commits(&self, id: ReleaseId) -> Result<Vec<HubCommit>, StoreError> {
        let query = database::query("SELECT * FROM hub_commits WHERE release_id = $1 ORDER BY digest, place");
        let rows = query.bind(id.to_string()).fetch_all(&self.database.read).await?;
        let commit = |row| {
            let fields = Fields::of("hub_commits", &["release_id"], row);
            Ok(HubCommit { digest: fields.parse("digest")?, place: fields.get("place")? })
        };
        rows.iter().map(commit).collect()
    }
}

/// Adds a release in whatever state it is.
pub(super) async fn add(connection: &mut Transaction, release: &Release) -> Result<(), StoreError> {
    let query = database::query(
        "INSERT INTO releases (id, checkpoint_id, name, state, lineage, card_en, card_ja, files, decision, digest,
             approvals_needed, hub_commit, hub_url, updated, path, parents, given, missing, card_edits, generated, prepared,
             successor, yank, publish_at, channel, version, author_id, created, project)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23,
             $24, $25, $26, $27, $28, $29)",
    );
    with_content(query, release)
        .bind(int(release.version)?)
        .bind(release.author.to_string())
        .bind(release.created.unix_ms())
        .bind(&release.project)
        .execute(connection)
        .await?;
    Ok(())
}

/// Binds `$1` to `$25`: the id and everything about a release that may change.
fn with_content<'q>(query: Query<'q>, release: &'q Release) -> Query<'q> {
    query
        .bind(release.id.to_string())
        .bind(release.checkpoint.to_string())
        .bind(&release.name)
        .bind(release.state.as_str())
        .bind(&release.lineage)
        .bind(&release.card_en)
        .bind(&release.card_ja)
        .bind(json!(release.files).to_string())
        .bind(release.decision.as_ref().map(canonical_json))
        .bind(release.digest.as_ref().map(Sha256::hex))
        .bind(i64::from(release.approvals_needed))
        .bind(&release.commit)
        .bind(&release.url)
        .bind(release.updated.unix_ms())
        .bind(&release.path)
        .bind(json!(release.parents).to_string())
        .bind(json!(release.given).to_string())
        .bind(json!(release.missing).to_string())
        .bind(json!(release.card_edits).to_string())
        .bind(json!(release.generated).to_string())
        .bind(release.prepared.as_ref().map(|prepared| json!(prepared).to_string()))
        .bind(release.successor.map(|successor| successor.to_string()))
        .bind(release.yank.as_ref().map(|yank| json!(yank).to_string()))
        .bind(release.publish_at.map(Timestamp::unix_ms))
        .bind(release.channel.map(|channel| channel.to_string()))
}

/// Writes a release if nobody did since it was read, raises its version, and voids the approvals of another content.
async fn write(connection: &mut Transaction, release: &Release) -> Result<(), StoreError> {
    outbox::approvals_fall(&mut *connection, release).await?;
    let query = database::query(
        "UPDATE releases SET checkpoint_id = $2, name = $3, state = $4, lineage = $5, card_en = $6, card_ja = $7, files = $8,
             decision = $9, digest = $10, approvals_needed = $11, hub_commit = $12, hub_url = $13, updated = $14,
             path = $15, parents = $16, given = $17, missing = $18, card_edits = $19, generated = $20, prepared = $21,
             successor = $22, yank = $23, publish_at = $24, channel = $25, version = version + 1
         WHERE id = $1 AND version = $26",
    );
    let query = with_content(query, release).bind(int(release.version)?);
    if query.execute(&mut *connection).await?.rows_affected() == 0 {
        return Err(StoreError::Stale);
    }
    database::query("UPDATE approvals SET void = TRUE WHERE release_id = $1 AND digest IS DISTINCT FROM $2")
        .bind(release.id.to_string())
        .bind(release.digest.as_ref().map(Sha256::hex))
        .execute(connection)
        .await?;
    Ok(())
}

async fn add_comment(
    connection: &mut Transaction,
    id: ReleaseId,
    comment: &Comment,
) -> Result<(), StoreError> {
    database::query("INSERT INTO comments (release_id, user_id, user_name, action, text, at) VALUES ($1, $2, $3, $4, $5, $6)")
        .bind(id.to_string())
        .bind(comment.user.to_string())
        .bind(&comment.user_name)
        .bind(&comment.action)
        .bind(&comment.text)
        .bind(comment.at.unix_ms())
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) fn release(row: &Row) -> Result<Release, StoreError> {
    let fields = Fields::of("releases", &["id"], row);
    Ok(Release {
        id: fields.parse("id")?,
        project: fields.get("project")?,
        checkpoint: fields.parse("checkpoint_id")?,
        name: fields.get("name")?,
        state: fields.parse("state")?,
        author: fields.parse("author_id")?,
        lineage: fields.get("lineage")?,
        path: fields.get("path")?,
        parents: fields.json("parents")?,
        card_en: fields.get("card_en")?,
        card_ja: fields.get("card_ja")?,
        files: fields.json("files")?,
        given: fields.json("given")?,
        missing: fields.json("missing")?,
        card_edits: fields.json("card_edits")?,
        generated: fields.json("generated")?,
        prepared: fields.json_optional("prepared")?,
        successor: fields.parse_optional("successor")?,
        yank: fields.json_optional("yank")?,
        publish_at: fields.time_optional("publish_at")?,
        channel: fields.parse_optional("channel")?,
        decision: fields.json_optional("decision")?,
        digest: fields.parse_optional("digest")?,
        approvals_needed: fields.count("approvals_needed")?,
        commit: fields.get("hub_commit")?,
        url: fields.get("hub_url")?,
        version: fields.count("version")?,
        created: fields.time("created")?,
        updated: fields.time("updated")?,
    })
}

fn approval(row: &Row) -> Result<Approval, StoreError> {
    let fields = Fields::of("approvals", &["release_id", "seq"], row);
    Ok(Approval {
        user: fields.parse("user_id")?,
        user_name: fields.get("user_name")?,
        kind: fields.parse("kind")?,
        digest: fields.parse("digest")?,
        comment: fields.get("comment")?,
        at: fields.time("at")?,
    })
}

fn comment(row: &Row) -> Result<Comment, StoreError> {
    let fields = Fields::of("comments", &["release_id", "seq"], row);
    Ok(Comment {
        user: fields.parse("user_id")?,
        user_name: fields.get("user_name")?,
        action: fields.get("action")?,
        text: fields.get("text")?,
        at: fields.time("at")?,
    })
}

fn step(row: &Row) -> Result<PublishStep, StoreError> {
    let fields = Fields::of("publish_steps", &["release_id", "name"], row);
    Ok(PublishStep {
        name: fields.get("name")?,
        state: fields.parse("state")?,
        detail: Text { en: fields.get("detail")?, ja: fields.get("detail_ja")? },
        at: fields.time("at")?,
    })
}
