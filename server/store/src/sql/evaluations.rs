use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use sekisho_domain::score::{ResultEntry, TokenCounts};
use sekisho_domain::{CheckpointId, EvaluationId, Timestamp, WorkItemId};
use serde_json::json;

use super::database::{self, Row, Transaction};
use super::fields::Fields;
use super::{SqlStore, int, queue};
use crate::{Evaluation, EvaluationRepository, NewWork, RecordChunk, ScoreRow, StoreError};

#[async_trait]
impl EvaluationRepository for SqlStore {
    async fn add_evaluation(
        &self,
        evaluation: &Evaluation,
        work: &[NewWork],
    ) -> Result<Evaluation, StoreError> {
        let mut transaction = self.begin().await?;
        let added = database::query(
            "INSERT INTO evaluations (id, checkpoint_id, suite, state, environment, created, updated)
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (checkpoint_id, suite) DO NOTHING",
        )
        .bind(evaluation.id.to_string())
        .bind(evaluation.checkpoint.to_string())
        .bind(&evaluation.suite)
        .bind(evaluation.state.as_str())
        .bind(json!(evaluation.environment).to_string())
        .bind(evaluation.created.unix_ms())
        .bind(evaluation.updated.unix_ms())
        .execute(&mut transaction)
        .await?;
        if added.rows_affected() == 1 {
            for item in work {
                queue::add(&mut transaction, evaluation, item).await?;
            }
        }
        let kept = database::query("SELECT * FROM evaluations WHERE checkpoint_id = $1 AND suite = $2")
            .bind(evaluation.checkpoint.to_string())
            .bind(&evaluation.suite)
            .fetch_one(&mut transaction)
            .await?;
        transaction.commit().await?;
        self::evaluation(&kept)
    }

    async fn evaluation(&self, id: EvaluationId) -> Result<Option<Evaluation>, StoreError> {
        let query = database::query("SELECT * FROM evaluations WHERE id = $1").bind(id.to_string());
        query.fetch_optional(&self.database.read).await?.as_ref().map(evaluation).transpose()
    }

    async fn evaluations_of(&self, checkpoint: CheckpointId) -> Result<Vec<Evaluation>, StoreError> {
        let query = database::query(
            "SELECT * FROM evaluations WHERE checkpoint_id = $1 ORDER BY created DESC, id DESC",
        );
        query
            .bind(checkpoint.to_string())
            .fetch_all(&self.database.read)
            .await?
            .iter()
            .map(evaluation)
            .collect()
    }

    async fn evaluations(&self, limit: u32) -> Result<Vec<Evaluation>, StoreError> {
        let query = database::query("SELECT * FROM evaluations ORDER BY created DESC, id DESC LIMIT $1");
        query.bind(i64::from(limit)).fetch_all(&self.database.read).await?.iter().map(evaluation).collect()
    }

    async fn merge_environment(
        &self,
        id: EvaluationId,
        environment: &BTreeMap<String, String>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        let row = database::query("SELECT * FROM evaluations WHERE id = $1").bind(id.to_string());
        let Some(row) = row.fetch_optional(&mut transaction).await? else {
            return Err(StoreError::Missing { kind: "evaluation", id: id.to_string() });
        };
        let mut known = evaluation(&row)?.environment;
        let before = known.clone();
        for (name, value) in environment {
            merge(known.entry(name.clone()).or_default(), value);
        }
        if known != before {
            database::query("UPDATE evaluations SET environment = $2, updated = $3 WHERE id = $1")
                .bind(id.to_string())
                .bind(json!(known).to_string())
                .bind(now.unix_ms())
                .execute(&mut transaction)
                .await?;
        }
        Ok(transaction.commit().await?)
    }

    async fn scores(&self, id: EvaluationId) -> Result<Vec<ScoreRow>, StoreError> {
        let query = database::query(
            "SELECT scores.*, work_items.evaluation_id, work_items.checkpoint_id
             FROM work_items JOIN scores ON scores.work_id = work_items.id
             WHERE work_items.evaluation_id = $1 ORDER BY work_items.position, scores.seq",
        );
        query.bind(id.to_string()).fetch_all(&self.database.read).await?.iter().map(score).collect()
    }

    async fn scores_of_checkpoints(&self, ids: &[CheckpointId]) -> Result<Vec<ScoreRow>, StoreError> {
        let query = database::query(
            "SELECT scores.*, work_items.evaluation_id, work_items.checkpoint_id
             FROM work_items JOIN scores ON scores.work_id = work_items.id
             WHERE work_items.checkpoint_id IN (SELECT value FROM json_each($1))
             ORDER BY work_items.checkpoint_id, work_items.evaluation_id, work_items.position, scores.seq",
        );
        query.bind(json!(ids).to_string()).fetch_all(&self.database.read).await?.iter().map(score).collect()
    }

    async fn primary_scores_of(&self, ids: &[EvaluationId]) -> Result<Vec<ScoreRow>, StoreError> {
        let query = database::query(
            "SELECT scores.*, work_items.evaluation_id, work_items.checkpoint_id
             FROM work_items JOIN scores ON scores.work_id = work_items.id AND scores.is_primary
             WHERE work_items.evaluation_id IN (SELECT value FROM json_each($1))
             ORDER BY work_items.evaluation_id, work_items.position",
        );
        query.bind(json!(ids).to_string()).fetch_all(&self.database.read).await?.iter().map(score).collect()
    }

    async fn chunks(&self, work: WorkItemId) -> Result<Vec<RecordChunk>, StoreError> {
        let mut snapshot = self.database.snapshot().await?;
        chunks(&mut snapshot, work).await
    }
}

/// Workers of one evaluation may differ, and the BOS rule does between profiles: what differs is kept side by side.
fn merge(known: &mut String, value: &str) {
    const BETWEEN: &str = " | ";
    if known.is_empty() {
        value.clone_into(known);
    } else if !known.split(BETWEEN).any(|one| one == value) {
        known.push_str(BETWEEN);
        known.push_str(value);
    }
}

/// The record chunks of a work item, in the order they came.
pub(super) async fn chunks(
    connection: &mut Transaction,
    work: WorkItemId,
) -> Result<Vec<RecordChunk>, StoreError> {
    let query =
        database::query("SELECT * FROM record_chunks WHERE work_id = $1 ORDER BY seq").bind(work.to_string());
    query.fetch_all(connection).await?.iter().map(chunk).collect()
}

/// Adds a chunk and answers how many items it brought; none when every one of them was there before: then the batch is a repetition.
pub(super) async fn add_chunk(
    connection: &mut Transaction,
    work: WorkItemId,
    chunk: &RecordChunk,
) -> Result<Option<u64>, StoreError> {
    let earlier = chunks(connection, work).await?;
    let answered: BTreeSet<u64> = earlier.iter().flat_map(|chunk| chunk.items.iter().copied()).collect();
    let items: BTreeSet<u64> = chunk.items.iter().copied().collect();
    if items.is_subset(&answered) {
        return Ok(None);
    }
    if items.len() < chunk.items.len() || !items.is_disjoint(&answered) {
        let sentence = format!(
            "the batch for work item {work} holds items that were answered before; send the others alone"
        );
        return Err(StoreError::Conflict(sentence));
    }
    database::query("INSERT INTO record_chunks (work_id, seq, blob, items) VALUES ($1, $2, $3, $4)")
        .bind(work.to_string())
        .bind(int(earlier.len() as u64)?)
        .bind(&chunk.blob)
        .bind(json!(chunk.items).to_string())
        .execute(connection)
        .await?;
    Ok(Some(items.len() as u64))
}

/// Adds the scores of a finished work item (entry, primary), in that order.
pub(super) async fn add_scores(
    connection: &mut Transaction,
    work: WorkItemId,
    scores: &[(ResultEntry, bool)],
) -> Result<(), StoreError> {
    for (seq, (entry, primary)) in scores.iter().enumerate() {
        database::query(
            "INSERT INTO scores (work_id, seq, is_primary, profile, task, split, metric, value, stderr, low, high, n, shots,
                 truncated, fingerprint, seconds, prompt, prefilled, generated)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)",
        )
        .bind(work.to_string())
        .bind(int(seq as u64)?)
        .bind(*primary)
        .bind(&entry.profile)
        .bind(&entry.task)
        .bind(&entry.split)
        .bind(&entry.metric)
        .bind(entry.value)
        .bind(entry.stderr)
        .bind(entry.low)
        .bind(entry.high)
        .bind(int(entry.n)?)
        .bind(i64::from(entry.shots))
        .bind(int(entry.truncated)?)
        .bind(entry.fingerprint.hex())
        .bind(entry.seconds)
        .bind(int(entry.tokens.prompt)?)
        .bind(int(entry.tokens.prefilled)?)
        .bind(int(entry.tokens.generated)?)
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

pub(super) fn evaluation(row: &Row) -> Result<Evaluation, StoreError> {
    let fields = Fields::of("evaluations", &["id"], row);
    Ok(Evaluation {
        id: fields.parse("id")?,
        checkpoint: fields.parse("checkpoint_id")?,
        suite: fields.get("suite")?,
        state: fields.parse("state")?,
        environment: fields.json("environment")?,
        created: fields.time("created")?,
        updated: fields.time("updated")?,
    })
}

fn chunk(row: &Row) -> Result<RecordChunk, StoreError> {
    let fields = Fields::of("record_chunks", &["work_id", "seq"], row);
    Ok(RecordChunk {
        work: fields.parse("work_id")?,
        blob: fields.get("blob")?,
        items: fields.json("items")?,
    })
}

pub(super) fn score(row: &Row) -> Result<ScoreRow, StoreError> {
    let fields = Fields::of("scores", &["work_id", "seq"], row);
    // SQLite keeps what is not a number as null.
    let number = |column| Ok::<_, StoreError>(fields.get::<Option<f64>>(column)?.unwrap_or(f64::NAN));
    Ok(ScoreRow {
        evaluation: fields.parse("evaluation_id")?,
        checkpoint: fields.parse("checkpoint_id")?,
        work: fields.parse("work_id")?,
        primary: fields.get("is_primary")?,
        entry: ResultEntry {
            profile: fields.get("profile")?,
            task: fields.get("task")?,
            split: fields.get("split")?,
            metric: fields.get("metric")?,
            value: number("value")?,
            stderr: fields.get("stderr")?,
            low: number("low")?,
            high: number("high")?,
            n: fields.count("n")?,
            shots: fields.count("shots")?,
            truncated: fields.count("truncated")?,
            fingerprint: fields.parse("fingerprint")?,
            seconds: fields.get("seconds")?,
            tokens: TokenCounts {
                prompt: fields.count("prompt")?,
                prefilled: fields.count("prefilled")?,
                generated: fields.count("generated")?,
            },
        },
    })
}
