use std::collections::HashMap;

use async_trait::async_trait;
use sekisho_domain::{LaunchId, Timestamp};
use serde_json::json;

use super::claims::waits;
use super::database::{self, Row};
use super::fields::Fields;
use super::{SqlStore, audit, changed, int};
use crate::{AuditEntry, Launch, LaunchRepository, LauncherStanding, StoreError};

#[async_trait]
impl LaunchRepository for SqlStore {
    async fn add_launch(&self, launch: &Launch) -> Result<(), StoreError> {
        database::query(
            "INSERT INTO launches (id, launcher, pool, job, state, tasks, message, folder, asked, created, updated)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        )
        .bind(launch.id.to_string())
        .bind(&launch.launcher)
        .bind(&launch.pool)
        .bind(&launch.job)
        .bind(launch.state.as_str())
        .bind(json!(launch.tasks).to_string())
        .bind(&launch.message)
        .bind(&launch.folder)
        .bind(&launch.asked)
        .bind(launch.created.unix_ms())
        .bind(launch.updated.unix_ms())
        .execute(&self.database)
        .await?;
        Ok(())
    }

    async fn set_launch(&self, launch: &Launch) -> Result<(), StoreError> {
        let query = database::query(
            "UPDATE launches SET job = $2, state = $3, tasks = $4, message = $5, updated = $6 WHERE id = $1",
        );
        let query = query
            .bind(launch.id.to_string())
            .bind(&launch.job)
            .bind(launch.state.as_str())
            .bind(json!(launch.tasks).to_string())
            .bind(&launch.message)
            .bind(launch.updated.unix_ms());
        changed(query.execute(&self.database).await?, "launch", &launch.id)
    }

    async fn ask_launch(&self, id: LaunchId, asked: &str, audit: &AuditEntry) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        let query = database::query("UPDATE launches SET asked = $2 WHERE id = $1");
        let query = query.bind(id.to_string()).bind(asked);
        changed(query.execute(&mut transaction).await?, "launch", &id)?;
        audit::append(&mut transaction, audit).await?;
        Ok(transaction.commit().await?)
    }

    async fn launch_answered(&self, id: LaunchId, asked: &str) -> Result<(), StoreError> {
        let query = database::query("UPDATE launches SET asked = '' WHERE id = $1 AND asked = $2");
        query.bind(id.to_string()).bind(asked).execute(&self.database).await?;
        Ok(())
    }

    async fn launch(&self, id: LaunchId) -> Result<Option<Launch>, StoreError> {
        let query = database::query("SELECT * FROM launches WHERE id = $1").bind(id.to_string());
        query.fetch_optional(&self.database.read).await?.as_ref().map(launch).transpose()
    }

    async fn open_launches(&self) -> Result<Vec<Launch>, StoreError> {
        let query = database::query(
            "SELECT * FROM launches WHERE state IN ('starting', 'active') OR asked <> '' ORDER BY id",
        );
        query.fetch_all(&self.database.read).await?.iter().map(launch).collect()
    }

    async fn launches(&self, before: Option<LaunchId>, limit: u32) -> Result<Vec<Launch>, StoreError> {
        // Behind every id, which are letters and digits.
        let before = before.map_or_else(|| "~".to_owned(), |id| id.to_string());
        let query = database::query("SELECT * FROM launches WHERE id < $1 ORDER BY id DESC LIMIT $2");
        let query = query.bind(before).bind(limit);
        query.fetch_all(&self.database.read).await?.iter().map(launch).collect()
    }

    async fn launchers(&self) -> Result<HashMap<String, LauncherStanding>, StoreError> {
        let rows = database::query("SELECT * FROM launchers").fetch_all(&self.database.read).await?;
        let standing = |row: &Row| {
            let fields = Fields::of("launchers", &["name"], row);
            let not_before = fields.time("not_before")?;
            let standing = LauncherStanding {
                paused: fields.get::<i64>("paused")? != 0,
                refusals: fields.count("refusals")?,
                not_before: (not_before.unix_ms() > 0).then_some(not_before),
                message: fields.get("message")?,
            };
            Ok((fields.get("name")?, standing))
        };
        rows.iter().map(standing).collect()
    }

    async fn set_launcher(&self, name: &str, standing: &LauncherStanding) -> Result<(), StoreError> {
        database::query(
            "INSERT INTO launchers (name, paused, refusals, not_before, message) VALUES ($1, 0, $2, $3, $4)
             ON CONFLICT (name) DO UPDATE SET refusals = $2, not_before = $3, message = $4",
        )
        .bind(name)
        .bind(standing.refusals)
        .bind(standing.not_before.map_or(0, Timestamp::unix_ms))
        .bind(&standing.message)
        .execute(&self.database)
        .await?;
        Ok(())
    }

    async fn pause_launcher(&self, name: &str, paused: bool, audit: &AuditEntry) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        database::query(
            "INSERT INTO launchers (name, paused, refusals, not_before, message) VALUES ($1, $2, 0, 0, '')
             ON CONFLICT (name) DO UPDATE SET paused = $2, refusals = 0, not_before = 0, message = ''",
        )
        .bind(name)
        .bind(i64::from(paused))
        .execute(&mut transaction)
        .await?;
        audit::append(&mut transaction, audit).await?;
        Ok(transaction.commit().await?)
    }

    async fn waiting_in(&self, pool: &str, most: u64, now: Timestamp) -> Result<u64, StoreError> {
        // What is held under a lease that has run out waits too: the next claim lets go of it.
        let query = database::query(concat!(
            "SELECT COUNT(*) AS items FROM (
                 SELECT * FROM (SELECT id FROM work_items WHERE pool = $2 AND ",
            waits!(),
            " LIMIT $3) AS waiting
                 UNION ALL
                 SELECT id FROM work_items WHERE state = 'running' AND lease_until <= $1 AND pool = $2) AS ready",
        ));
        let row =
            query.bind(now.unix_ms()).bind(pool).bind(int(most)?).fetch_one(&self.database.read).await?;
        Ok(Fields::of("work_items", &[], &row).count::<u64>("items")?.min(most))
    }

    async fn expire(&self, worker: &str, now: Timestamp) -> Result<(), StoreError> {
        let query = database::query(
            "UPDATE work_items SET lease_until = $2 WHERE worker = $1 AND state = 'running' AND lease_until > $2",
        );
        query.bind(worker).bind(now.unix_ms()).execute(&self.database).await?;
        Ok(())
    }

    async fn held_by(&self, now: Timestamp) -> Result<HashMap<String, u64>, StoreError> {
        let query = database::query(
            "SELECT worker, COUNT(*) AS items FROM work_items WHERE state = 'running' AND lease_until > $1 GROUP BY worker",
        );
        let rows = query.bind(now.unix_ms()).fetch_all(&self.database.read).await?;
        let count = |row: &Row| {
            let fields = Fields::of("work_items", &[], row);
            Ok((fields.get::<Option<String>>("worker")?.unwrap_or_default(), fields.count("items")?))
        };
        rows.iter().map(count).collect()
    }
}

fn launch(row: &Row) -> Result<Launch, StoreError> {
    let fields = Fields::of("launches", &["id"], row);
    Ok(Launch {
        id: fields.parse("id")?,
        launcher: fields.get("launcher")?,
        pool: fields.get("pool")?,
        job: fields.get("job")?,
        state: fields.parse("state")?,
        tasks: fields.json("tasks")?,
        message: fields.get("message")?,
        folder: fields.get("folder")?,
        asked: fields.get("asked")?,
        created: fields.time("created")?,
        updated: fields.time("updated")?,
    })
}
