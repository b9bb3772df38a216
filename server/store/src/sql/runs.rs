use std::collections::HashMap;

use async_trait::async_trait;
use sekisho_domain::run::{Planned, RunState};
use sekisho_domain::{RunId, Step, Timestamp, Tokens, canonical_json};

use super::database::{self, Row};
use super::fields::Fields;
use super::{SqlStore, audit, changed, conflict, int};
use crate::{AuditEntry, Run, RunRepository, StoreError};

#[async_trait]
impl RunRepository for SqlStore {
    async fn add_run(&self, run: &Run) -> Result<(), StoreError> {
        database::query(
            "INSERT INTO runs (id, name, state, spec, spec_digest, planned_tokens, suite, step, tokens, loss, created, updated, project,
                 owner, issue)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
        )
        .bind(run.id.to_string())
        .bind(&run.name)
        .bind(run.state.as_str())
        .bind(run.spec.as_ref().map(canonical_json))
        .bind(run.spec_digest.map(|digest| digest.hex()))
        .bind(run.planned_tokens.map(|tokens| int(tokens.0)).transpose()?)
        .bind(&run.suite)
        .bind(int(run.step.0)?)
        .bind(int(run.tokens.0)?)
        .bind(run.loss)
        .bind(run.created.unix_ms())
        .bind(run.updated.unix_ms())
        .bind(&run.project)
        .bind(&run.owner)
        .bind(&run.issue)
        .execute(&self.database)
        .await
        .map_err(|error| conflict(error, || format!("a run with the name \"{}\" is there already", run.name)))?;
        Ok(())
    }

    async fn run(&self, id: RunId) -> Result<Option<Run>, StoreError> {
        let query = database::query("SELECT * FROM runs WHERE id = $1").bind(id.to_string());
        query.fetch_optional(&self.database.read).await?.as_ref().map(run).transpose()
    }

    async fn run_by_name(&self, name: &str) -> Result<Option<Run>, StoreError> {
        let query = database::query("SELECT * FROM runs WHERE name = $1").bind(name);
        query.fetch_optional(&self.database.read).await?.as_ref().map(run).transpose()
    }

    async fn runs(&self, limit: u32) -> Result<Vec<Run>, StoreError> {
        let query = database::query("SELECT * FROM runs ORDER BY updated DESC, id DESC LIMIT $1")
            .bind(i64::from(limit));
        query.fetch_all(&self.database.read).await?.iter().map(run).collect()
    }

    async fn branches_of(&self, parent: &Run) -> Result<Vec<Run>, StoreError> {
        let query = database::query(
            "SELECT * FROM runs WHERE json_extract(spec, '$.parent.run') IN ($1, $2) AND id <> $2 ORDER BY created, id",
        );
        let query = query.bind(&parent.name).bind(parent.id.to_string());
        query.fetch_all(&self.database.read).await?.iter().map(run).collect()
    }

    async fn set_run_state(&self, id: RunId, state: RunState, now: Timestamp) -> Result<(), StoreError> {
        let query = database::query("UPDATE runs SET state = $2, updated = $3 WHERE id = $1");
        let query = query.bind(id.to_string()).bind(state.as_str()).bind(now.unix_ms());
        changed(query.execute(&self.database).await?, "run", &id)
    }

    async fn runs_in(&self, state: RunState) -> Result<Vec<Run>, StoreError> {
        let query =
            database::query("SELECT * FROM runs WHERE state = $1 ORDER BY updated, id").bind(state.as_str());
        query.fetch_all(&self.database.read).await?.iter().map(run).collect()
    }

    async fn add_plan(&self, id: RunId, planned: &Planned, entry: &AuditEntry) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        database::query("INSERT INTO run_plans (run_id, plan, reason, by, at) VALUES ($1, $2, $3, $4, $5)")
            .bind(id.to_string())
            .bind(canonical_json(&serde_json::to_value(&planned.plan).unwrap_or_default()))
            .bind(&planned.reason)
            .bind(&planned.by)
            .bind(planned.at.unix_ms())
            .execute(&mut transaction)
            .await?;
        audit::append(&mut transaction, entry).await?;
        Ok(transaction.commit().await?)
    }

    async fn plans(&self, id: RunId) -> Result<Vec<Planned>, StoreError> {
        let query = database::query("SELECT * FROM run_plans WHERE run_id = $1 ORDER BY seq DESC")
            .bind(id.to_string());
        query.fetch_all(&self.database.read).await?.iter().map(|row| Ok(plan(row)?.1)).collect()
    }

    async fn plans_in_force(&self) -> Result<HashMap<RunId, Planned>, StoreError> {
        let query = database::query(
            "SELECT * FROM run_plans WHERE seq IN (SELECT MAX(seq) FROM run_plans GROUP BY run_id)",
        );
        query.fetch_all(&self.database.read).await?.iter().map(plan).collect()
    }
}

fn plan(row: &Row) -> Result<(RunId, Planned), StoreError> {
    let fields = Fields::of("run_plans", &["seq"], row);
    let planned = Planned {
        plan: fields.json("plan")?,
        reason: fields.get("reason")?,
        by: fields.get("by")?,
        at: fields.time("at")?,
    };
    Ok((fields.parse("run_id")?, planned))
}

pub(super) fn run(row: &Row) -> Result<Run, StoreError> {
    let fields = Fields::of("runs", &["id"], row);
    Ok(Run {
        id: fields.parse("id")?,
        project: fields.get("project")?,
        name: fields.get("name")?,
        state: fields.parse("state")?,
        spec: fields.json_optional("spec")?,
        spec_digest: fields.parse_optional("spec_digest")?,
        planned_tokens: fields.count_optional("planned_tokens")?.map(Tokens),
        suite: fields.get("suite")?,
        step: Step(fields.count("step")?),
        tokens: Tokens(fields.count("tokens")?),
        loss: fields.get("loss")?,
        owner: fields.get("owner")?,
        issue: fields.get("issue")?,
        created: fields.time("created")?,
        updated: fields.time("updated")?,
    })
}
