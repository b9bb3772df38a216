use async_trait::async_trait;
use sekisho_domain::{RunId, Sha256, Step, Timestamp, Tokens, UploadId};
use serde_json::json;

use super::database::{self, Row};
use super::fields::Fields;
use super::{SqlStore, changed, int};
use crate::{StoreError, Upload, UploadFile, UploadRepository};

#[async_trait]
impl UploadRepository for SqlStore {
    async fn add_upload(&self, upload: &Upload) -> Result<Upload, StoreError> {
        let mut transaction = self.begin().await?;
        let added = database::query(
            "INSERT INTO uploads (id, run_id, step, tokens, key, who, created, updated)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (run_id, key) DO NOTHING",
        )
        .bind(upload.id.to_string())
        .bind(upload.run.to_string())
        .bind(int(upload.step.0)?)
        .bind(int(upload.tokens.0)?)
        .bind(upload.key.hex())
        .bind(&upload.who)
        .bind(upload.created.unix_ms())
        .bind(upload.updated.unix_ms())
        .execute(&mut transaction)
        .await?;
        if added.rows_affected() == 0 {
            let first = database::query_scalar("SELECT id FROM uploads WHERE run_id = $1 AND key = $2")
                .bind(upload.run.to_string())
                .bind(upload.key.hex());
            let first: String = first.fetch_one(&mut transaction).await?;
            drop(transaction);
            let found = match first.parse() {
                Ok(id) => self.upload(id).await?,
                Err(_) => None,
            };
            return found.ok_or(StoreError::Missing { kind: "upload", id: first });
        }
        for file in &upload.files {
            database::query(
                "INSERT INTO upload_files (upload_id, path, size, sha256, received, done)
                 VALUES ($1, $2, $3, $4, $5, $6)",
            )
            .bind(upload.id.to_string())
            .bind(&file.path)
            .bind(int(file.size)?)
            .bind(file.sha256.hex())
            .bind(int(file.received)?)
            .bind(file.done)
            .execute(&mut transaction)
            .await?;
        }
        transaction.commit().await?;
        Ok(upload.clone())
    }

    async fn upload(&self, id: UploadId) -> Result<Option<Upload>, StoreError> {
        let query = database::query("SELECT * FROM uploads WHERE id = $1").bind(id.to_string());
        match query.fetch_optional(&self.database.read).await? {
            Some(row) => self.with_files(&row).await.map(Some),
            None => Ok(None),
        }
    }

    async fn uploads_of(&self, run: RunId) -> Result<Vec<Upload>, StoreError> {
        let query = database::query("SELECT * FROM uploads WHERE run_id = $1 ORDER BY created, id");
        self.all_with_files(query.bind(run.to_string()).fetch_all(&self.database.read).await?).await
    }

    async fn uploads_silent_since(&self, then: Timestamp) -> Result<Vec<Upload>, StoreError> {
        let query = database::query("SELECT * FROM uploads WHERE updated < $1 ORDER BY updated, id");
        self.all_with_files(query.bind(then.unix_ms()).fetch_all(&self.database.read).await?).await
    }

    async fn uploads_holding(
        &self,
        project: &str,
        digests: &[Sha256],
    ) -> Result<Vec<(UploadId, UploadFile)>, StoreError> {
        let digests: Vec<String> = digests.iter().map(Sha256::hex).collect();
        let query = database::query(
            "SELECT upload_files.* FROM upload_files
             JOIN uploads ON uploads.id = upload_id JOIN runs ON runs.id = uploads.run_id
             WHERE done AND runs.project = $1 AND sha256 IN (SELECT value FROM json_each($2))
             ORDER BY upload_id, path",
        );
        let rows =
            query.bind(project).bind(json!(digests).to_string()).fetch_all(&self.database.read).await?;
        let held = |row: &Row| Ok((file_fields(row).parse("upload_id")?, file(row)?));
        rows.iter().map(held).collect()
    }

    async fn set_received(
        &self,
        id: UploadId,
        path: &str,
        from: u64,
        to: u64,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.begin().await?;
        let moved = database::query(
            "UPDATE upload_files SET received = $4
             WHERE upload_id = $1 AND path = $2 AND received = $3 AND NOT done",
        )
        .bind(id.to_string())
        .bind(path)
        .bind(int(from)?)
        .bind(int(to)?)
        .execute(&mut transaction)
        .await?;
        if moved.rows_affected() == 1 {
            let touched = database::query("UPDATE uploads SET updated = $2 WHERE id = $1");
            touched.bind(id.to_string()).bind(now.unix_ms()).execute(&mut transaction).await?;
        }
        transaction.commit().await?;
        Ok(moved.rows_affected() == 1)
    }

    async fn set_file_done(&self, id: UploadId, path: &str, now: Timestamp) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        let done = database::query("UPDATE upload_files SET done = TRUE WHERE upload_id = $1 AND path = $2");
        let done = done.bind(id.to_string()).bind(path).execute(&mut transaction).await?;
        let touched = database::query("UPDATE uploads SET updated = $2 WHERE id = $1");
        touched.bind(id.to_string()).bind(now.unix_ms()).execute(&mut transaction).await?;
        transaction.commit().await?;
        changed(done, "file of an upload", &path)
    }

    async fn remove_upload(&self, id: UploadId) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        let files = database::query("DELETE FROM upload_files WHERE upload_id = $1");
        files.bind(id.to_string()).execute(&mut transaction).await?;
        let row = database::query("DELETE FROM uploads WHERE id = $1");
        row.bind(id.to_string()).execute(&mut transaction).await?;
        Ok(transaction.commit().await?)
    }
}

impl SqlStore {
    async fn all_with_files(&self, rows: Vec<Row>) -> Result<Vec<Upload>, StoreError> {
        let mut all = Vec::with_capacity(rows.len());
        for row in &rows {
            all.push(self.with_files(row).await?);
        }
        Ok(all)
    }

    async fn with_files(&self, row: &Row) -> Result<Upload, StoreError> {
        let fields = Fields::of("uploads", &["id"], row);
        let id: UploadId = fields.parse("id")?;
        let query = database::query("SELECT * FROM upload_files WHERE upload_id = $1 ORDER BY path");
        let files = query.bind(id.to_string()).fetch_all(&self.database.read).await?;
        Ok(Upload {
            id,
            run: fields.parse("run_id")?,
            step: Step(fields.count("step")?),
            tokens: Tokens(fields.count("tokens")?),
            key: fields.parse("key")?,
            who: fields.get("who")?,
            files: files.iter().map(file).collect::<Result<_, _>>()?,
            created: fields.time("created")?,
            updated: fields.time("updated")?,
        })
    }
}

fn file_fields(row: &Row) -> Fields<'_> {
    Fields::of("upload_files", &["upload_id", "path"], row)
}

fn file(row: &Row) -> Result<UploadFile, StoreError> {
    let fields = file_fields(row);
    Ok(UploadFile {
        path: fields.get("path")?,
        size: fields.count("size")?,
        sha256: fields.parse("sha256")?,
        received: fields.count("received")?,
        done: fields.get("done")?,
    })
}
