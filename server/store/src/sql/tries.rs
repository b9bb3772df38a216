//! The tries of work items: written with what begins and ends them.

use sekisho_domain::{EvaluationId, Timestamp, WorkItemId};

use super::database::{self, On, Transaction};
use super::fields::Fields;
use super::int;
use crate::{StoreError, Try, WorkRow};

/// A lease begins a try. What held the item before it has fallen silent.
pub(super) async fn begin(
    connection: &mut Transaction,
    row: &WorkRow,
    now: Timestamp,
) -> Result<(), StoreError> {
    end(connection, row.work.id, Some(Try::SILENT), now).await?;
    database::query(
        "INSERT INTO work_tries (work_id, fence, worker, first, began) VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(row.work.id.to_string())
    .bind(int(row.fence)?)
    .bind(row.worker.as_deref().unwrap_or_default())
    .bind(int(row.finished)?)
    .bind(now.unix_ms())
    .execute(connection)
    .await?;
    Ok(())
}

/// Ends the try of an item that has not ended, if there is one.
pub(super) async fn end(
    connection: &mut Transaction,
    id: WorkItemId,
    cause: Option<&str>,
    now: Timestamp,
) -> Result<(), StoreError> {
    database::query(
        "UPDATE work_tries SET ended = $2, cause = $3, last = (SELECT finished FROM work_items WHERE id = work_id)
         WHERE work_id = $1 AND ended IS NULL",
    )
    .bind(id.to_string())
    .bind(now.unix_ms())
    .bind(cause)
    .execute(connection)
    .await?;
    Ok(())
}

/// Those of an evaluation, in suite order and then in time.
pub(super) async fn read(
    connection: impl Into<On<'_>>,
    evaluation: EvaluationId,
) -> Result<Vec<Try>, StoreError> {
    let query = database::query(
        "SELECT work_tries.* FROM work_items JOIN work_tries ON work_id = work_items.id
         WHERE evaluation_id = $1 ORDER BY position, fence",
    );
    let one = |row| {
        let fields = Fields::of("work_tries", &["work_id", "fence"], row);
        Ok(Try {
            work: fields.parse("work_id")?,
            worker: fields.get("worker")?,
            first: fields.count("first")?,
            last: fields.count_optional("last")?,
            began: fields.time("began")?,
            ended: fields.time_optional("ended")?,
            cause: fields.get("cause")?,
        })
    };
    query.bind(evaluation.to_string()).fetch_all(connection).await?.iter().map(one).collect()
}
