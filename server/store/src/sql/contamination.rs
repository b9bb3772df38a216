use std::collections::HashSet;

use async_trait::async_trait;
use sekisho_domain::RunId;
use sekisho_domain::wire::KeptContamination;
use serde_json::json;

use super::database::{self, Row};
use super::fields::Fields;
use super::{SqlStore, audit};
use crate::{AuditEntry, ContaminationRepository, StoreError};

#[async_trait]
impl ContaminationRepository for SqlStore {
    async fn put_contamination(
        &self,
        run: RunId,
        reports: &[KeptContamination],
        audit: &AuditEntry,
    ) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        for kept in reports {
            database::query(
                "INSERT INTO contamination_reports (run_id, profile, task, split, data, report, method, subsets, user_name, at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
                 ON CONFLICT (run_id, profile, task, split, data) DO UPDATE SET report = excluded.report,
                     method = excluded.method, subsets = excluded.subsets, user_name = excluded.user_name, at = excluded.at",
            )
            .bind(run.to_string())
            .bind(&kept.task.profile)
            .bind(&kept.task.task)
            .bind(&kept.task.split)
            .bind(kept.data.hex())
            .bind(json!(kept.task).to_string())
            .bind(json!(kept.method).to_string())
            .bind(json!(kept.subsets).to_string())
            .bind(&kept.by)
            .bind(kept.at.unix_ms())
            .execute(&mut transaction)
            .await?;
        }
        audit::append(&mut transaction, audit).await?;
        Ok(transaction.commit().await?)
    }

    async fn contamination(&self, run: RunId) -> Result<Vec<KeptContamination>, StoreError> {
        let query = database::query(
            "SELECT * FROM contamination_reports WHERE run_id = $1 ORDER BY profile, task, split, at DESC, data",
        );
        query.bind(run.to_string()).fetch_all(&self.database.read).await?.iter().map(kept).collect()
    }

    async fn runs_looked_through(&self, runs: &[RunId]) -> Result<HashSet<RunId>, StoreError> {
        let query = database::query(
            "SELECT DISTINCT run_id FROM contamination_reports WHERE run_id IN (SELECT value FROM json_each($1))",
        );
        let rows = query.bind(json!(runs).to_string()).fetch_all(&self.database.read).await?;
        rows.iter().map(|row| Fields::of("contamination_reports", &["run_id"], row).parse("run_id")).collect()
    }
}

fn kept(row: &Row) -> Result<KeptContamination, StoreError> {
    let fields = Fields::of("contamination_reports", &["run_id", "profile", "task", "split"], row);
    Ok(KeptContamination {
        task: fields.json("report")?,
        method: fields.json("method")?,
        subsets: fields.json("subsets")?,
        data: fields.parse("data")?,
        by: fields.get("user_name")?,
        at: fields.time("at")?,
    })
}
