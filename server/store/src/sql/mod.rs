//! The repositories in SQL, on SQLite or PostgreSQL ([`database`]). Decoding names table, column and row of what it cannot understand.

mod audit;
mod board;
mod channels;
mod checkpoints;
mod claims;
mod cluster;
mod contamination;
mod corpora;
mod database;
mod evaluations;
mod fields;
mod keyed;
mod launches;
mod lists;
mod metrics;
mod outbox;
mod parts;
mod people;
mod policies;
mod projects;
mod queue;
mod releases;
mod reports;
mod runs;
mod sign_in;
mod standing;
mod tries;
mod uploads;
mod webhooks;

#[cfg(test)]
mod tests;

use database::{Database, Done, Transaction, Writers};

use crate::StoreError;

/// The store on a database.
#[derive(Clone, Debug)]
pub struct SqlStore {
    database: Database,
}

impl SqlStore {
    /// Opens a database and brings it up to the newest migration. Either all missing migrations take effect or none.
    ///
    /// `database` is a file for SQLite, as a path or as `sqlite:///path`, made when it is not there; or
    /// `postgres://account:password@host/database`, with the parameters of libpq behind `?`.
    ///
    /// # Errors
    /// [`StoreError::Newer`] when a newer Sekisho wrote it, [`StoreError::Open`] when it is no database of ours, cannot be opened or
    /// takes no writes: nothing is changed then. [`StoreError::Migration`] when a migration fails.
    pub async fn open(database: &str) -> Result<Self, StoreError> {
        Ok(Self { database: Database::open(database).await? })
    }

    /// A database that is gone with the process, for tests. It has one connection, so its reads wait for its writes.
    ///
    /// # Errors
    /// [`StoreError::Database`], [`StoreError::Migration`].
    pub async fn open_in_memory() -> Result<Self, StoreError> {
        Ok(Self { database: Database::open_in_memory().await? })
    }

    /// Closes all connections, after the calls under way. SQLite folds the write-ahead log into the file.
    pub async fn close(&self) {
        self.database.close().await;
    }

    /// Begins to change something, as the only one who does.
    async fn begin(&self) -> Result<Transaction, StoreError> {
        Ok(self.database.begin(Writers::One).await?)
    }

    /// Begins to change something of the queue, beside others who do.
    async fn beside(&self) -> Result<Transaction, StoreError> {
        Ok(self.database.begin(Writers::Many).await?)
    }
}

/// The database keeps signed numbers.
fn int(value: u64) -> Result<i64, StoreError> {
    i64::try_from(value).map_err(|_| StoreError::TooLarge(value))
}

/// [`StoreError::Missing`] when a change met no row.
fn changed(result: Done, kind: &'static str, id: &impl ToString) -> Result<(), StoreError> {
    if result.rows_affected() == 0 {
        return Err(StoreError::Missing { kind, id: id.to_string() });
    }
    Ok(())
}

/// [`StoreError::Conflict`] with that sentence when a unique key was there already.
fn conflict(error: sqlx::Error, sentence: impl FnOnce() -> String) -> StoreError {
    if error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation) {
        return StoreError::Conflict(sentence());
    }
    error.into()
}
