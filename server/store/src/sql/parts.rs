use async_trait::async_trait;
use sekisho_domain::run::{KeptEvent, MetricRow};
use sekisho_domain::{CheckpointId, EndpointId, EventId, MessageId, ReleaseId, RunId, Step, Timestamp};

use super::database::{self, Transaction};
use super::fields::Fields;
use super::{SqlStore, checkpoints, corpora, int, metrics, releases, reports, runs, webhooks};
use crate::{Checkpoint, Message, PartRepository, RegisteredSubset, Release, Run, StoreError};

const RUNS: &str = "SELECT * FROM runs WHERE id < $1 ORDER BY id DESC LIMIT $2";
const RELEASES: &str = "SELECT * FROM releases WHERE id < $1 ORDER BY id DESC LIMIT $2";
const CHECKPOINTS: &str = "SELECT checkpoints.*, runs.name AS run_name FROM checkpoints JOIN runs ON runs.id = run_id
     WHERE run_id = $1 AND (checkpoints.step, checkpoints.id) > ($2, $3) ORDER BY checkpoints.step, checkpoints.id LIMIT $4";
const EVENTS: &str =
    "SELECT * FROM run_events WHERE run_id = $1 AND (step, id) > ($2, $3) ORDER BY step, id LIMIT $4";
const SUBSETS: &str = "SELECT * FROM subsets WHERE (corpus, id) > ($1, $2) ORDER BY corpus, id LIMIT $3";
const MESSAGES: &str = "SELECT * FROM webhook_messages WHERE endpoint_id = $1 AND (created, id) < ($2, $3)
     ORDER BY created DESC, id DESC LIMIT $4";

/// Above every id.
const ABOVE: &str = "~";

#[async_trait]
impl PartRepository for SqlStore {
    async fn runs_part(&self, after: Option<RunId>, limit: u32) -> Result<Vec<Run>, StoreError> {
        let query = database::query(RUNS).bind(below(after)).bind(i64::from(limit));
        query.fetch_all(&self.database.read).await?.iter().map(runs::run).collect()
    }

    async fn releases_part(&self, after: Option<ReleaseId>, limit: u32) -> Result<Vec<Release>, StoreError> {
        let query = database::query(RELEASES).bind(below(after)).bind(i64::from(limit));
        query.fetch_all(&self.database.read).await?.iter().map(releases::release).collect()
    }

    async fn checkpoints_part(
        &self,
        run: RunId,
        after: Option<(Step, CheckpointId)>,
        limit: u32,
    ) -> Result<Vec<Checkpoint>, StoreError> {
        let (step, id) = behind(after)?;
        let query =
            database::query(CHECKPOINTS).bind(run.to_string()).bind(step).bind(id).bind(i64::from(limit));
        query.fetch_all(&self.database.read).await?.iter().map(checkpoints::checkpoint).collect()
    }

    async fn events_part(
        &self,
        run: RunId,
        after: Option<(Step, EventId)>,
        limit: u32,
    ) -> Result<Vec<KeptEvent>, StoreError> {
        let (step, id) = behind(after)?;
        let query = database::query(EVENTS).bind(run.to_string()).bind(step).bind(id).bind(i64::from(limit));
        query.fetch_all(&self.database.read).await?.iter().map(reports::event).collect()
    }

    async fn metrics_part(
        &self,
        run: RunId,
        first: Step,
        last: Step,
        limit: u32,
    ) -> Result<Vec<MetricRow>, StoreError> {
        // One snapshot, as everywhere that chunks are read.
        let mut snapshot = self.database.snapshot().await?;
        rows(&mut snapshot, run, (first, last), limit as usize).await
    }

    async fn subsets_part(
        &self,
        after: Option<(String, String)>,
        limit: u32,
    ) -> Result<Vec<RegisteredSubset>, StoreError> {
        let (corpus, id) = after.unwrap_or_default();
        let query = database::query(SUBSETS).bind(corpus).bind(id).bind(i64::from(limit));
        query.fetch_all(&self.database.read).await?.iter().map(corpora::subset).collect()
    }

    async fn messages_part(
        &self,
        endpoint: EndpointId,
        after: Option<(Timestamp, MessageId)>,
        limit: u32,
    ) -> Result<Vec<Message>, StoreError> {
        let created = after.map_or(i64::MAX, |(created, _)| created.unix_ms());
        let id = below(after.map(|(_, id)| id));
        let query = database::query(MESSAGES)
            .bind(endpoint.to_string())
            .bind(created)
            .bind(id)
            .bind(i64::from(limit));
        query.fetch_all(&self.database.read).await?.iter().map(webhooks::message).collect()
    }
}

/// The first rows that are shown between two updates, so many at most. Chunks are decoded as far as it takes, however many there are behind them.
async fn rows(
    connection: &mut Transaction,
    id: RunId,
    (first, last): (Step, Step),
    limit: usize,
) -> Result<Vec<MetricRow>, StoreError> {
    let bound = |step: Step| i64::try_from(step.0).unwrap_or(i64::MAX);
    let query = database::query(
        "SELECT run_id, id, last_step, rows FROM metric_chunks WHERE run_id = $1 AND last_step >= $2 AND first_step <= $3
         ORDER BY last_step",
    );
    let query = query.bind(id.to_string()).bind(bound(first)).bind(bound(last));
    let mut chunks: Vec<(Step, usize)> = Vec::new();
    for row in query.fetch_all(&mut *connection).await? {
        let fields = Fields::of("metric_chunks", &["run_id", "id"], &row);
        chunks.push((Step(fields.count("last_step")?), fields.count("rows")?));
    }
    // Rows that a later process reported again are counted twice, so what looks like enough may be too few.
    let mut wanted = limit;
    loop {
        let mut counted = 0;
        let enough = chunks.iter().find(|(_, rows)| {
            counted += rows;
            counted >= wanted
        });
        let end = enough.map_or(last, |(end, _)| last.min(*end));
        let mut rows = metrics::read(connection, id, first, end).await?;
        if rows.len() >= limit || end == last {
            rows.truncate(limit);
            return Ok(rows);
        }
        wanted = wanted.saturating_mul(2);
    }
}

/// The id that a list which goes down continues below.
fn below(id: Option<impl ToString>) -> String {
    id.map_or_else(|| ABOVE.to_owned(), |id| id.to_string())
}

/// The place that a list by step continues behind.
fn behind(after: Option<(Step, impl ToString)>) -> Result<(i64, String), StoreError> {
    match after {
        Some((step, id)) => Ok((int(step.0)?, id.to_string())),
        None => Ok((-1, String::new())),
    }
}

#[cfg(test)]
mod tests {

    use super::*;

    #[tokio::test]
    async fn every_part_is_sought_in_an_index() {
        let store = SqlStore::open_in_memory().await.expect("a store");
        for (sql, of) in [
            (RUNS, "runs"),
            (RELEASES, "releases"),
            (CHECKPOINTS, "checkpoints"),
            (EVENTS, "run_events"),
            (SUBSETS, "subsets"),
            (MESSAGES, "webhook_messages"),
        ] {
            let rows = database::query(sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}")));
            let rows = rows.fetch_all(&store.database.read).await.expect("a plan");
            let plan: Vec<String> =
                rows.iter().map(|row| row.try_get::<String>("detail").expect("text")).collect();
            assert!(
                plan.iter().any(|step| step.starts_with(&format!("SEARCH {of} USING"))),
                "{of} is searched: {plan:?}"
            );
            let sorts = |step: &String| step.contains("TEMP B-TREE") && !step.contains("LAST TERM");
            assert!(!plan.iter().any(|step| step.starts_with("SCAN") || sorts(step)), "{of}: {plan:?}");
        }
    }
}
