use async_trait::async_trait;
use sekisho_domain::{ChannelId, CheckpointId, ReleaseId, Sha256, Timestamp};

use super::database::{self, Row, Transaction};
use super::fields::Fields;
use super::{SqlStore, audit, conflict, int, releases};
use crate::{Approval, ApprovalKind, AuditEntry, Channel, ChannelRepository, Release, StoreError};

#[async_trait]
impl ChannelRepository for SqlStore {
    async fn add_channel(&self, channel: &Channel, audit: &AuditEntry) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        database::query(
            "INSERT INTO channels (id, project, name, state, author_id, reference_id, runs, takes, revision, until, digest,
                 approvals_needed, active_since, version, created, updated)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
        )
        .bind(channel.id.to_string())
        .bind(&channel.project)
        .bind(&channel.name)
        .bind(channel.state.as_str())
        .bind(channel.author.to_string())
        .bind(channel.reference.to_string())
        .bind(&channel.runs)
        .bind(channel.takes.as_str())
        .bind(&channel.revision)
        .bind(channel.until.unix_ms())
        .bind(channel.digest.hex())
        .bind(i64::from(channel.approvals_needed))
        .bind(channel.active_since.map(Timestamp::unix_ms))
        .bind(int(channel.version)?)
        .bind(channel.created.unix_ms())
        .bind(channel.updated.unix_ms())
        .execute(&mut transaction)
        .await?;
        audit::append(&mut transaction, audit).await?;
        Ok(transaction.commit().await?)
    }

    async fn channel(&self, id: ChannelId) -> Result<Option<Channel>, StoreError> {
        let query = database::query("SELECT * FROM channels WHERE id = $1").bind(id.to_string());
        query.fetch_optional(&self.database.read).await?.as_ref().map(channel).transpose()
    }

    async fn channels(&self) -> Result<Vec<Channel>, StoreError> {
        let query = database::query("SELECT * FROM channels ORDER BY created DESC, id DESC");
        query.fetch_all(&self.database.read).await?.iter().map(channel).collect()
    }

    async fn update_channel(&self, channel: &Channel, audit: &AuditEntry) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        write(&mut transaction, channel).await?;
        audit::append(&mut transaction, audit).await?;
        Ok(transaction.commit().await?)
    }

    async fn approve_channel(
        &self,
        channel: &Channel,
        approval: &Approval,
        audit: &AuditEntry,
    ) -> Result<(), StoreError> {
        if channel.digest != approval.digest {
            return Err(StoreError::Stale);
        }
        let mut transaction = self.begin().await?;
        write(&mut transaction, channel).await?;
        database::query(
            "INSERT INTO channel_approvals (channel_id, user_id, user_name, digest, comment, at)
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(channel.id.to_string())
        .bind(approval.user.to_string())
        .bind(&approval.user_name)
        .bind(approval.digest.hex())
        .bind(&approval.comment)
        .bind(approval.at.unix_ms())
        .execute(&mut transaction)
        .await
        .map_err(|error| {
            conflict(error, || format!("{} has approved this channel already", approval.user_name))
        })?;
        audit::append(&mut transaction, audit).await?;
        Ok(transaction.commit().await?)
    }

    async fn channel_approvals(&self, id: ChannelId) -> Result<Vec<Approval>, StoreError> {
        let query = database::query("SELECT * FROM channel_approvals WHERE channel_id = $1 ORDER BY seq")
            .bind(id.to_string());
        query.fetch_all(&self.database.read).await?.iter().map(approval).collect()
    }

    async fn add_channel_release(
        &self,
        id: ChannelId,
        release: &Release,
        audit: &AuditEntry,
    ) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        releases::add(&mut transaction, release).await?;
        database::query(
            "INSERT INTO channel_releases (channel_id, checkpoint_id, release_id) VALUES ($1, $2, $3)",
        )
        .bind(id.to_string())
        .bind(release.checkpoint.to_string())
        .bind(release.id.to_string())
        .execute(&mut transaction)
        .await
        .map_err(|error| conflict(error, || "the channel has taken this checkpoint already".to_owned()))?;
        audit::append(&mut transaction, audit).await?;
        Ok(transaction.commit().await?)
    }

    async fn channel_releases(&self, id: ChannelId) -> Result<Vec<(CheckpointId, ReleaseId)>, StoreError> {
        let query =
            database::query("SELECT * FROM channel_releases WHERE channel_id = $1 ORDER BY release_id DESC");
        let rows = query.bind(id.to_string()).fetch_all(&self.database.read).await?;
        let taken = |row| {
            let fields = Fields::of("channel_releases", &["channel_id", "checkpoint_id"], row);
            Ok((fields.parse("checkpoint_id")?, fields.parse("release_id")?))
        };
        rows.iter().map(taken).collect()
    }
}

/// Writes what may change of a channel if nobody did since it was read, and raises its version.
async fn write(connection: &mut Transaction, channel: &Channel) -> Result<(), StoreError> {
    let query = database::query(
        "UPDATE channels SET state = $2, active_since = $3, updated = $4, version = version + 1
         WHERE id = $1 AND version = $5",
    )
    .bind(channel.id.to_string())
    .bind(channel.state.as_str())
    .bind(channel.active_since.map(Timestamp::unix_ms))
    .bind(channel.updated.unix_ms())
    .bind(int(channel.version)?);
    match query.execute(connection).await?.rows_affected() {
        0 => Err(StoreError::Stale),
        _ => Ok(()),
    }
}

fn channel(row: &Row) -> Result<Channel, StoreError> {
    let fields = Fields::of("channels", &["id"], row);
    Ok(Channel {
        id: fields.parse("id")?,
        project: fields.get("project")?,
        name: fields.get("name")?,
        state: fields.parse("state")?,
        author: fields.parse("author_id")?,
        reference: fields.parse("reference_id")?,
        runs: fields.get("runs")?,
        takes: fields.parse("takes")?,
        revision: fields.get("revision")?,
        until: fields.time("until")?,
        digest: fields.parse::<Sha256>("digest")?,
        approvals_needed: fields.count("approvals_needed")?,
        active_since: fields.time_optional("active_since")?,
        version: fields.count("version")?,
        created: fields.time("created")?,
        updated: fields.time("updated")?,
    })
}

fn approval(row: &Row) -> Result<Approval, StoreError> {
    let fields = Fields::of("channel_approvals", &["channel_id", "seq"], row);
    Ok(Approval {
        user: fields.parse("user_id")?,
        user_name: fields.get("user_name")?,
        kind: ApprovalKind::Approval,
        digest: fields.parse("digest")?,
        comment: fields.get("comment")?,
        at: fields.time("at")?,
    })
}
