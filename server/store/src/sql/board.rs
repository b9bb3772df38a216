use std::collections::HashMap;

use async_trait::async_trait;
use sekisho_domain::reported::ReportedModel;
use sekisho_domain::{CheckpointId, EvaluationId, Step, Tokens};
use serde_json::json;

use super::database::{self, Row};
use super::fields::Fields;
use super::{SqlStore, audit, evaluations, int};
use crate::{AuditEntry, BoardRepository, Candidates, Reported, Standing, StandingWork, StoreError};

#[async_trait]
impl BoardRepository for SqlStore {
    async fn evaluated_suites(&self) -> Result<Vec<(String, EvaluationId)>, StoreError> {
        // From suite to suite by the index: a plain DISTINCT would read one entry for each evaluation.
        let query = database::query(
            "WITH RECURSIVE found (suite) AS (
                 SELECT MIN(suite) FROM evaluations
                 UNION ALL
                 SELECT (SELECT MIN(suite) FROM evaluations WHERE suite > found.suite) FROM found WHERE found.suite IS NOT NULL)
             SELECT found.suite, evaluations.id FROM found
             JOIN evaluations ON evaluations.id = (
                 SELECT id FROM evaluations WHERE suite = found.suite ORDER BY created DESC, id DESC LIMIT 1)
             ORDER BY evaluations.created DESC, evaluations.id DESC",
        );
        let found = |row| {
            let fields = Fields::of("evaluations", &["id"], row);
            Ok((fields.get("suite")?, fields.parse("id")?))
        };
        query.fetch_all(&self.database.read).await?.iter().map(found).collect()
    }

    async fn standings(
        &self,
        tasks: &[(String, String)],
        suite: Option<&str>,
        which: Candidates<'_>,
    ) -> Result<Vec<Standing>, StoreError> {
        let tasks = json!(tasks).to_string();
        let ids = match which {
            Candidates::Latest => json!(self.latest(&tasks, suite).await?),
            Candidates::All(limit) => json!(self.newest(suite, limit).await?),
            Candidates::These(ids) => json!(ids),
        };
        let ids = ids.to_string();
        let mut work = self.work_on(&ids, &tasks, suite).await?;
        let query = database::query(
            "SELECT checkpoints.id, checkpoints.run_id, checkpoints.state, checkpoints.step, checkpoints.tokens, runs.name AS run_name,
                 CAST(json_extract(verification, '$.parameters') AS BIGINT) AS parameters, json_extract(verification, '$.config') AS config,
                 CASE WHEN runs.spec IS NULL THEN NULL
                      ELSE json_extract(runs.spec, '$.parent.run') IS NOT NULL OR json_extract(runs.spec, '$.init.from') IS NOT NULL END AS is_continued,
                 (SELECT lineage FROM releases
                  WHERE checkpoint_id = checkpoints.id AND releases.state IN ('published', 'superseded')
                  ORDER BY releases.updated DESC, releases.id LIMIT 1) AS released
             FROM checkpoints JOIN runs ON runs.id = checkpoints.run_id
             WHERE checkpoints.id IN (SELECT value FROM json_each($1)) ORDER BY checkpoints.id",
        );
        let rows = query.bind(&ids).fetch_all(&self.database.read).await?;
        let mut standings = Vec::with_capacity(rows.len());
        for row in &rows {
            let id: CheckpointId = Fields::of("checkpoints", &["id"], row).parse("id")?;
            // A checkpoint of the newest evaluations may have none of the tasks.
            if let Some(work) = work.remove(&id) {
                standings.push(standing(row, work)?);
            }
        }
        Ok(standings)
    }

    async fn board_version(&self) -> Result<u64, StoreError> {
        let row = database::query("SELECT 1 AS id, CAST(SUM(n) AS BIGINT) AS n FROM board_version")
            .fetch_one(&self.database.read)
            .await?;
        Fields::of("board_version", &["id"], &row).count("n")
    }

    async fn put_reported(&self, rows: &[Reported], audit: &AuditEntry) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        for Reported { row, by, at } in rows {
            database::query(
                "INSERT INTO reported (model, source, family, parameters, active, tokens, model_license, license, day,
                     remark, scores, by, at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
                 ON CONFLICT (model, source) DO UPDATE SET family = excluded.family, parameters = excluded.parameters,
                     active = excluded.active, tokens = excluded.tokens, model_license = excluded.model_license,
                     license = excluded.license, day = excluded.day, remark = excluded.remark, scores = excluded.scores,
                     by = excluded.by, at = excluded.at",
            )
            .bind(&row.model)
            .bind(&row.source)
            .bind(&row.family)
            .bind(row.parameters.map(int).transpose()?)
            .bind(row.active.map(int).transpose()?)
            .bind(row.tokens.map(|tokens| int(tokens.0)).transpose()?)
            .bind(&row.model_license)
            .bind(&row.license)
            .bind(row.day.to_string())
            .bind(&row.remark)
            .bind(json!(row.scores).to_string())
            .bind(by)
            .bind(at.unix_ms())
            .execute(&mut transaction)
            .await?;
        }
        audit::append(&mut transaction, audit).await?;
        Ok(transaction.commit().await?)
    }

    async fn reported(&self) -> Result<Vec<Reported>, StoreError> {
        let query = database::query("SELECT * FROM reported ORDER BY source, model");
        query.fetch_all(&self.database.read).await?.iter().map(reported).collect()
    }
}

impl SqlStore {
    /// Of each run its newest checkpoint with a score on one of the tasks and none outstanding, else the newest with any work on them.
    async fn latest(&self, tasks: &str, suite: Option<&str>) -> Result<Vec<String>, StoreError> {
        // By the index from the newest step down, so that a run costs as much as its newest checkpoint that has work. The empty text keeps
        // the index by state from being chosen, which would read the work of all checkpoints for each.
        let query = database::query_scalar(
            "WITH wanted AS MATERIALIZED (SELECT json_extract(value, '$[0]') AS profile, json_extract(value, '$[1]') AS task FROM json_each($1)),
             asked AS NOT MATERIALIZED (
                 SELECT work_items.checkpoint_id, work_items.state || '' AS state
                 FROM work_items CROSS JOIN evaluations
                 WHERE evaluations.id = work_items.evaluation_id AND ($2 IS NULL OR evaluations.suite = $2)
                     AND (work_items.profile, work_items.task) IN (SELECT profile, task FROM wanted))
             SELECT checkpoint_id FROM (SELECT COALESCE(
                 (SELECT id FROM checkpoints
                  WHERE run_id = runs.id AND EXISTS (SELECT 1 FROM asked WHERE checkpoint_id = checkpoints.id AND state = 'finished')
                      AND NOT EXISTS (SELECT 1 FROM asked WHERE checkpoint_id = checkpoints.id AND state IN ('waiting', 'running'))
                  ORDER BY step DESC LIMIT 1),
                 (SELECT id FROM checkpoints
                  WHERE run_id = runs.id AND EXISTS (SELECT 1 FROM asked WHERE checkpoint_id = checkpoints.id)
                  ORDER BY step DESC LIMIT 1)) AS checkpoint_id
             FROM runs) AS newest WHERE checkpoint_id IS NOT NULL",
        );
        Ok(query.bind(tasks).bind(suite).fetch_all(&self.database.read).await?)
    }

    /// Checkpoints of the newest so many evaluations.
    async fn newest(&self, suite: Option<&str>, limit: u32) -> Result<Vec<String>, StoreError> {
        let query = database::query_scalar(
            "SELECT DISTINCT checkpoint_id FROM (
                 SELECT checkpoint_id FROM evaluations WHERE $1 IS NULL OR suite = $1 ORDER BY created DESC, id DESC LIMIT $2) AS newest",
        );
        Ok(query.bind(suite).bind(i64::from(limit)).fetch_all(&self.database.read).await?)
    }

    /// The work of these checkpoints on the tasks, the last changed first, with the primary scores.
    async fn work_on(
        &self,
        ids: &str,
        tasks: &str,
        suite: Option<&str>,
    ) -> Result<HashMap<CheckpointId, Vec<StandingWork>>, StoreError> {
        let query = database::query(
            "WITH wanted AS MATERIALIZED (SELECT json_extract(value, '$[0]') AS profile, json_extract(value, '$[1]') AS task FROM json_each($2))
             SELECT work_items.id AS work_item, work_items.run, work_items.state, work_items.updated, work_items.evaluation_id,
                 work_items.checkpoint_id, scores.*
             FROM work_items JOIN evaluations ON evaluations.id = work_items.evaluation_id
             LEFT JOIN scores ON scores.work_id = work_items.id AND scores.is_primary
             WHERE work_items.checkpoint_id IN (SELECT value FROM json_each($1)) AND ($3 IS NULL OR evaluations.suite = $3)
                 AND (work_items.profile, work_items.task) IN (SELECT profile, task FROM wanted)
             ORDER BY work_items.checkpoint_id, work_items.updated DESC, work_items.id",
        );
        let mut work: HashMap<CheckpointId, Vec<StandingWork>> = HashMap::new();
        for row in &query.bind(ids).bind(tasks).bind(suite).fetch_all(&self.database.read).await? {
            let fields = Fields::of("work_items", &["work_item"], row);
            let has_score = fields.get::<Option<&str>>("work_id")?.is_some();
            let found = StandingWork {
                id: fields.parse("work_item")?,
                evaluation: fields.parse("evaluation_id")?,
                run: fields.json("run")?,
                state: fields.parse("state")?,
                updated: fields.time("updated")?,
                score: if has_score { Some(evaluations::score(row)?) } else { None },
            };
            work.entry(fields.parse("checkpoint_id")?).or_default().push(found);
        }
        Ok(work)
    }
}

fn standing(row: &Row, work: Vec<StandingWork>) -> Result<Standing, StoreError> {
    let fields = Fields::of("checkpoints", &["id"], row);
    Ok(Standing {
        checkpoint: fields.parse("id")?,
        run: fields.parse("run_id")?,
        run_name: fields.get("run_name")?,
        state: fields.parse("state")?,
        step: Step(fields.count("step")?),
        tokens: Tokens(fields.count("tokens")?),
        parameters: fields.count_optional("parameters")?,
        config: fields.json_optional("config")?,
        is_continued: fields.get("is_continued")?,
        released: fields.get("released")?,
        work,
    })
}

fn reported(row: &Row) -> Result<Reported, StoreError> {
    let fields = Fields::of("reported", &["source", "model"], row);
    Ok(Reported {
        row: ReportedModel {
            model: fields.get("model")?,
            source: fields.get("source")?,
            day: fields.parse("day")?,
            license: fields.get("license")?,
            family: fields.get("family")?,
            parameters: fields.count_optional("parameters")?,
            active: fields.count_optional("active")?,
            tokens: fields.count_optional("tokens")?.map(Tokens),
            model_license: fields.get("model_license")?,
            remark: fields.get("remark")?,
            scores: fields.json("scores")?,
        },
        by: fields.get("by")?,
        at: fields.time("at")?,
    })
}
