use std::collections::HashMap;
use std::ops::RangeInclusive;

use async_trait::async_trait;
use sekisho_domain::run::{RunState, Sketch};
use sekisho_domain::{CheckpointId, EvaluationId, RunId, Step, Timestamp};
use serde_json::json;

use super::database::{self, Row};
use super::fields::Fields;
use super::{SqlStore, checkpoints, evaluations, int, queue, runs};
use crate::{
    Checkpoint, CheckpointSummary, Evaluation, ListRepository, QueueHealth, Run, RunFilter, StoreError,
    WorkRow,
};

#[async_trait]
impl ListRepository for SqlStore {
    async fn checkpoints_by_id(&self, ids: &[CheckpointId]) -> Result<Vec<Checkpoint>, StoreError> {
        let query = database::query(
            "SELECT checkpoints.*, runs.name AS run_name FROM checkpoints JOIN runs ON runs.id = run_id
             WHERE checkpoints.id IN (SELECT value FROM json_each($1))",
        );
        let rows = query.bind(json!(ids).to_string()).fetch_all(&self.database.read).await?;
        rows.iter().map(checkpoints::checkpoint).collect()
    }

    async fn scored_checkpoints(&self, run: RunId) -> Result<Vec<Checkpoint>, StoreError> {
        let query = database::query(
            "SELECT checkpoints.*, runs.name AS run_name FROM checkpoints JOIN runs ON runs.id = run_id
             WHERE run_id = $1 AND EXISTS (
                 SELECT 1 FROM work_items JOIN scores ON scores.work_id = work_items.id AND scores.is_primary
                 WHERE work_items.checkpoint_id = checkpoints.id)
             ORDER BY tokens, step",
        );
        query
            .bind(run.to_string())
            .fetch_all(&self.database.read)
            .await?
            .iter()
            .map(checkpoints::checkpoint)
            .collect()
    }

    async fn runs_found(&self, filter: &RunFilter, limit: u32) -> Result<Vec<Run>, StoreError> {
        let query = database::query(
            "SELECT * FROM runs
             WHERE ($1 = '' OR instr(lower(name), lower($1)) > 0) AND ($2 IS NULL OR state = $2)
                 AND ($3 IS NULL OR (updated, id) < ($3, $4))
             ORDER BY updated DESC, id DESC LIMIT $5",
        );
        let query = query
            .bind(&filter.name)
            .bind(filter.state.map(RunState::as_str))
            .bind(filter.before.map(|(updated, _)| updated.unix_ms()))
            .bind(filter.before.map(|(_, id)| id.to_string()))
            .bind(i64::from(limit));
        query.fetch_all(&self.database.read).await?.iter().map(runs::run).collect()
    }

    async fn evaluations_of_all(&self, ids: &[CheckpointId]) -> Result<Vec<Evaluation>, StoreError> {
        let query = database::query(
            "SELECT * FROM evaluations WHERE checkpoint_id IN (SELECT value FROM json_each($1))
             ORDER BY created DESC, id DESC",
        );
        let rows = query.bind(json!(ids).to_string()).fetch_all(&self.database.read).await?;
        rows.iter().map(evaluations::evaluation).collect()
    }

    async fn work_of_all(&self, ids: &[EvaluationId]) -> Result<Vec<WorkRow>, StoreError> {
        let query = database::query(
            "SELECT * FROM work_items WHERE evaluation_id IN (SELECT value FROM json_each($1))
             ORDER BY evaluation_id, position",
        );
        let rows = query.bind(json!(ids).to_string()).fetch_all(&self.database.read).await?;
        rows.iter().map(queue::work).collect()
    }

    async fn checkpoint_summaries(
        &self,
        ids: &[RunId],
    ) -> Result<HashMap<RunId, CheckpointSummary>, StoreError> {
        let query = database::query(
            "SELECT newest.run_id, newest.step, newest.created,
                 (SELECT COUNT(*) FROM checkpoints WHERE run_id = asked.value) AS number
             FROM json_each($1) AS asked
             JOIN checkpoints AS newest ON newest.id = (
                 SELECT id FROM checkpoints WHERE run_id = asked.value ORDER BY step DESC, created DESC LIMIT 1)",
        );
        let rows = query.bind(json!(ids).to_string()).fetch_all(&self.database.read).await?;
        let summary = |row| {
            let fields = Fields::of("checkpoints", &["run_id"], row);
            let summary = CheckpointSummary {
                number: fields.count("number")?,
                last_step: Step(fields.count("step")?),
                last_received: fields.time("created")?,
            };
            Ok((fields.parse("run_id")?, summary))
        };
        rows.iter().map(summary).collect()
    }

    async fn newest_scored(
        &self,
        asked: &[(RunId, String)],
    ) -> Result<HashMap<RunId, Evaluation>, StoreError> {
        // From the newest step down, so that a run costs as much as its newest checkpoint with scores.
        let query = database::query(
            "SELECT evaluations.*, json_extract(asked.value, '$[0]') AS run_id FROM json_each($1) AS asked
             JOIN evaluations ON evaluations.id = (
                 SELECT own.id FROM checkpoints
                 JOIN evaluations AS own ON own.checkpoint_id = checkpoints.id AND own.suite = json_extract(asked.value, '$[1]')
                 WHERE checkpoints.run_id = json_extract(asked.value, '$[0]')
                     AND EXISTS (SELECT 1 FROM work_items JOIN scores ON scores.work_id = work_items.id
                                 WHERE work_items.evaluation_id = own.id)
                 ORDER BY checkpoints.step DESC LIMIT 1)",
        );
        let rows = query.bind(json!(asked).to_string()).fetch_all(&self.database.read).await?;
        let found = |row| {
            let run = Fields::of("checkpoints", &["run_id"], row).parse("run_id")?;
            Ok((run, evaluations::evaluation(row)?))
        };
        rows.iter().map(found).collect()
    }

    async fn loss_sketches(&self, ids: &[RunId]) -> Result<HashMap<RunId, Vec<f64>>, StoreError> {
        let query = database::query(
            "SELECT run_id, sketch FROM run_watches WHERE run_id IN (SELECT value FROM json_each($1))",
        );
        let rows = query.bind(json!(ids).to_string()).fetch_all(&self.database.read).await?;
        let sketch = |row: &Row| {
            let fields = Fields::of("run_watches", &["run_id"], row);
            let sketch: Sketch = fields.json("sketch")?;
            Ok((fields.parse("run_id")?, sketch.means()))
        };
        rows.iter().map(sketch).collect()
    }

    async fn open_work(&self, limit: u32) -> Result<Vec<(WorkRow, String)>, StoreError> {
        let query = database::query(
            "SELECT work_items.*, evaluations.suite FROM work_items JOIN evaluations ON evaluations.id = evaluation_id
             WHERE work_items.state <> 'finished'
             ORDER BY CASE work_items.state WHEN 'failed' THEN 0 WHEN 'running' THEN 1 ELSE 2 END,
                 work_items.priority DESC, work_items.queued, work_items.evaluation_id, work_items.position
             LIMIT $1",
        );
        let rows = query.bind(i64::from(limit)).fetch_all(&self.database.read).await?;
        rows.iter()
            .map(|row| Ok((queue::work(row)?, Fields::of("evaluations", &["id"], row).get("suite")?)))
            .collect()
    }

    async fn queue_health(&self, now: Timestamp) -> Result<QueueHealth, StoreError> {
        let query = database::query(
            "WITH lost AS (SELECT id FROM checkpoints WHERE state IN ('changed', 'gone'))
             SELECT COUNT(*) FILTER (WHERE state = 'waiting' AND not_before <= $1 AND checkpoint_id NOT IN (SELECT id FROM lost)) AS ready,
                    MIN(updated) FILTER (WHERE state = 'waiting' AND not_before <= $1 AND checkpoint_id NOT IN (SELECT id FROM lost)) AS ready_since,
                    COUNT(*) FILTER (WHERE state = 'running' AND lease_until > $1) AS held,
                    MAX(lease_until) AS last_lease
             FROM work_items WHERE state <> 'finished'",
        );
        let row = query.bind(now.unix_ms()).fetch_one(&self.database.read).await?;
        let fields = Fields::of("work_items", &[], &row);
        Ok(QueueHealth {
            ready: fields.count("ready")?,
            ready_since: fields.time_optional("ready_since")?,
            held: fields.count("held")?,
            last_lease: fields.time_optional("last_lease")?,
        })
    }

    async fn runs_like(&self, text: &str, limit: u32) -> Result<Vec<Run>, StoreError> {
        let query = database::query(
            "SELECT * FROM runs WHERE instr(lower(name), lower($1)) > 0 ORDER BY updated DESC, id DESC LIMIT $2",
        );
        let rows = query.bind(text).bind(i64::from(limit)).fetch_all(&self.database.read).await?;
        rows.iter().map(runs::run).collect()
    }

    async fn checkpoints_by_digest_prefix(
        &self,
        prefix: &str,
        limit: u32,
    ) -> Result<Vec<Checkpoint>, StoreError> {
        // A range, so that the index serves it; no hexadecimal digit is above `g`.
        let query = database::query(
            "SELECT checkpoints.*, runs.name AS run_name FROM checkpoints JOIN runs ON runs.id = run_id
             WHERE checkpoints.digest >= $1 AND checkpoints.digest < $1 || 'g'
             ORDER BY checkpoints.created DESC, checkpoints.id DESC LIMIT $2",
        );
        let rows = query.bind(prefix).bind(i64::from(limit)).fetch_all(&self.database.read).await?;
        rows.iter().map(checkpoints::checkpoint).collect()
    }

    async fn checkpoints_at(
        &self,
        steps: RangeInclusive<u64>,
        limit: u32,
    ) -> Result<Vec<Checkpoint>, StoreError> {
        let query = database::query(
            "SELECT checkpoints.*, runs.name AS run_name FROM checkpoints JOIN runs ON runs.id = run_id
             WHERE checkpoints.step BETWEEN $1 AND $2
             ORDER BY checkpoints.created DESC, checkpoints.id DESC LIMIT $3",
        );
        let query = query.bind(int(*steps.start())?).bind(int(*steps.end())?).bind(i64::from(limit));
        query.fetch_all(&self.database.read).await?.iter().map(checkpoints::checkpoint).collect()
    }
}
