//! Who takes which work items. A claim costs the same however long the queue is and whatever has been finished: every look goes
//! through an index of what waits, or of what is held and until when.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use sekisho_domain::{CheckpointId, EvaluationId, Sha256, Timestamp, WorkItemId};
use serde_json::json;

use super::database::{self, Lock, On, Query, Transaction, Writers};
use super::fields::Fields;
use super::queue::{again, settle, work};
use super::{SqlStore, tries};
use crate::queue::MAX_ATTEMPTS;
use crate::{StoreError, Try, WorkRow};

/// Evaluations whose lost items one claim looks after; the rest is for the next.
const SWEEPS: usize = 100;

/// What may be taken at `$1`.
macro_rules! waits {
    () => {
        "state = 'waiting' AND not_before <= $1
             AND NOT EXISTS (SELECT 1 FROM checkpoints WHERE checkpoints.id = checkpoint_id AND checkpoints.state IN ('changed', 'gone'))"
    };
}
pub(super) use waits;

/// Who asks for work, and for how much.
#[derive(Clone, Copy)]
pub(super) struct Claim<'a> {
    pub(super) worker: &'a str,
    pub(super) pool: &'a str,
    pub(super) loaded: Option<Sha256>,
    pub(super) max: u32,
    pub(super) lease_until: Timestamp,
    pub(super) now: Timestamp,
}

impl Claim<'_> {
    /// Leases items to the worker.
    pub(super) async fn take(&self, transaction: &mut Transaction) -> Result<Vec<WorkRow>, StoreError> {
        let ids = self.choose(transaction).await?;
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let query = database::query(
            "UPDATE work_items
             SET state = 'running', attempt = attempt + 1, fence = fence + 1, batch = 0, worker = $1, lease_until = $2, updated = $3
             WHERE id IN (SELECT value FROM json_each($4)) RETURNING *",
        )
        .bind(self.worker)
        .bind(self.lease_until.unix_ms())
        .bind(self.now.unix_ms())
        .bind(json!(ids).to_string());
        let rows = query.fetch_all(&mut *transaction).await?;
        let mut leased = rows.iter().map(work).collect::<Result<Vec<_>, _>>()?;
        leased.sort_by_key(|row| (Reverse(row.work.priority), row.evaluation, row.work.position));
        for row in &leased {
            tries::begin(transaction, row, self.now).await?;
        }
        for evaluation in leased.iter().map(|row| row.evaluation).collect::<BTreeSet<_>>() {
            begin(transaction, evaluation, self.now).await?;
        }
        Ok(leased)
    }

    /// The items, held against other claims until the commit.
    async fn choose(&self, transaction: &mut Transaction) -> Result<Vec<WorkItemId>, StoreError> {
        let Some(next) = next(&mut *transaction, self.pool, self.now).await? else { return Ok(Vec::new()) };
        if let Some(loaded) = self.loaded.filter(|loaded| *loaded != next.digest) {
            let of_loaded = self.of_loaded(transaction, loaded, next.priority).await?;
            if !of_loaded.is_empty() {
                return Ok(of_loaded);
            }
        }
        let first = self.of(transaction, next.checkpoint).await?;
        if !first.is_empty() {
            return Ok(first);
        }
        // Others are just taking all that it has.
        match self.elsewhere(transaction, &next.pool).await? {
            Some(checkpoint) => self.of(transaction, checkpoint).await,
            None => Ok(Vec::new()),
        }
    }

    /// Items of the model that the worker has in memory.
    async fn of_loaded(
        &self,
        transaction: &mut Transaction,
        loaded: Sha256,
        priority: i64,
    ) -> Result<Vec<WorkItemId>, StoreError> {
        let query = database::query(concat!(
            "SELECT id FROM work_items WHERE digest = $4 AND priority = $5 AND pool IN ('', $2) AND ",
            waits!(),
            " ORDER BY queued, evaluation_id, position LIMIT $3"
        ));
        self.lock(transaction, self.with(query).bind(loaded.hex()).bind(priority)).await
    }

    /// Items of one checkpoint.
    async fn of(
        &self,
        transaction: &mut Transaction,
        checkpoint: CheckpointId,
    ) -> Result<Vec<WorkItemId>, StoreError> {
        let query = database::query(concat!(
            "SELECT id FROM work_items WHERE checkpoint_id = $4 AND pool IN ('', $2) AND ",
            waits!(),
            " ORDER BY priority DESC, queued, evaluation_id, position LIMIT $3"
        ));
        self.lock(transaction, self.with(query).bind(checkpoint.to_string())).await
    }

    /// The checkpoint of the first item of a pool that nobody else is taking.
    async fn elsewhere(
        &self,
        transaction: &mut Transaction,
        pool: &str,
    ) -> Result<Option<CheckpointId>, StoreError> {
        let query = database::query(concat!(
            "SELECT id, checkpoint_id FROM work_items WHERE pool = $2 AND ",
            waits!(),
            " ORDER BY priority DESC, queued, evaluation_id, position LIMIT 1"
        ));
        let query = query.bind(self.now.unix_ms()).bind(pool).locking_free();
        let free = query.fetch_optional(&mut *transaction).await?;
        free.map(|row| Fields::of("work_items", &["id"], &row).parse("checkpoint_id")).transpose()
    }

    /// `$1` to `$3`.
    fn with<'q>(&'q self, query: Query<'q>) -> Query<'q> {
        query.bind(self.now.unix_ms()).bind(self.pool).bind(self.max)
    }

    async fn lock(
        &self,
        transaction: &mut Transaction,
        query: Query<'_>,
    ) -> Result<Vec<WorkItemId>, StoreError> {
        let rows = query.locking_free().fetch_all(&mut *transaction).await?;
        rows.iter().map(|row| Fields::of("work_items", &["id"], row).parse("id")).collect()
    }
}

/// The item that is next for a pool.
pub(super) struct Next {
    pub(super) checkpoint: CheckpointId,
    digest: Sha256,
    priority: i64,
    pool: String,
}

/// What is next for a pool, or was held by a worker that has fallen silent: one look into an index for each.
pub(super) async fn next(
    connection: impl Into<On<'_>>,
    pool: &str,
    now: Timestamp,
) -> Result<Option<Next>, StoreError> {
    macro_rules! first {
        ($pool:literal) => {
            concat!(
                "SELECT * FROM (SELECT id, checkpoint_id, digest, pool, priority, queued, evaluation_id, position FROM work_items WHERE pool = ",
                $pool,
                " AND ",
                waits!(),
                " ORDER BY priority DESC, queued, evaluation_id, position LIMIT 1) AS first"
            )
        };
    }
    let query = database::query(concat!(
        first!("''"),
        " UNION ALL ",
        first!("$2"),
        " UNION ALL SELECT * FROM (
             SELECT id, checkpoint_id, digest, pool, priority, queued, evaluation_id, position FROM work_items
             WHERE state = 'running' AND lease_until <= $1 AND pool IN ('', $2) LIMIT 1) AS lost
         ORDER BY priority DESC, queued, evaluation_id, position LIMIT 1",
    ));
    let row = query.bind(now.unix_ms()).bind(pool).fetch_optional(connection).await?;
    let next = |row| {
        let fields = Fields::of("work_items", &["id"], &row);
        Ok(Next {
            checkpoint: fields.parse("checkpoint_id")?,
            digest: fields.parse("digest")?,
            priority: fields.get("priority")?,
            pool: fields.get("pool")?,
        })
    };
    row.map(next).transpose()
}

/// An item of it is leased: it runs, unless something of it has failed.
async fn begin(
    transaction: &mut Transaction,
    evaluation: EvaluationId,
    now: Timestamp,
) -> Result<(), StoreError> {
    let id = evaluation.to_string();
    transaction.share(Lock::Evaluation(&id)).await?;
    let query = database::query(
        "UPDATE evaluations SET state = 'running', updated = $2 WHERE id = $1 AND state = 'waiting'",
    );
    query.bind(id.as_str()).bind(now.unix_ms()).execute(transaction).await?;
    Ok(())
}

impl SqlStore {
    /// Lets go of items whose lease has run out: they wait again, or fail when it was the last try. One evaluation at a time, since
    /// an evaluation that has failed is told to others, after which no other one may be waited for.
    pub(super) async fn sweep(&self, now: Timestamp) -> Result<(), StoreError> {
        for _ in 0..SWEEPS {
            let lost = database::query(
                "SELECT id, evaluation_id FROM work_items WHERE state = 'running' AND lease_until <= $1 LIMIT 1",
            );
            let lost = lost.bind(now.unix_ms()).fetch_optional(&self.database.read).await?;
            let Some(row) = lost else { break };
            let evaluation = Fields::of("work_items", &["id"], &row).parse("evaluation_id")?;
            let mut transaction = self.database.begin(Writers::Many).await?;
            sweep(&mut transaction, evaluation, now).await?;
            transaction.commit().await?;
        }
        Ok(())
    }
}

async fn sweep(
    transaction: &mut Transaction,
    evaluation: EvaluationId,
    now: Timestamp,
) -> Result<(), StoreError> {
    let query = database::query(
        "SELECT id FROM work_items WHERE evaluation_id = $1 AND state = 'running' AND lease_until <= $2 ORDER BY id",
    );
    let query = query.bind(evaluation.to_string()).bind(now.unix_ms()).locking_free();
    for row in query.fetch_all(&mut *transaction).await? {
        let id = Fields::of("work_items", &["id"], &row).parse("id")?;
        tries::end(transaction, id, Some(Try::SILENT), now).await?;
        let query = database::query(concat!(
            "UPDATE work_items SET lease_until = NULL, updated = $2,
                 state = CASE WHEN attempt >= $3 THEN 'failed' ELSE 'waiting' END,
                 error = CASE WHEN attempt >= $3
                     THEN 'gave up after ' || attempt || ' tries: ' || worker || ' stopped answering.' || ",
            again!(),
            " ELSE worker || ' stopped answering' END
             WHERE id = $1",
        ));
        let query = query.bind(id.to_string()).bind(now.unix_ms()).bind(MAX_ATTEMPTS);
        query.execute(&mut *transaction).await?;
    }
    settle(transaction, evaluation, now).await
}
