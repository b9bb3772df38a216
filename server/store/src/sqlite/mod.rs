//! The repositories on SQLite: one file, one writer, any number of readers.
//!
//! - **WAL**: readers never wait for the writer, nor the writer for them.
//! - **One writing connection**, and every transaction on it begins `IMMEDIATE`: a transaction that has begun cannot fail half-way
//!   because another process (the command line beside the service) wrote first; it waits for up to 30 s before it begins.
//! - **`synchronous = FULL`**: a commit is on the disk when it returns. Workers drop their records and trainers their metrics once
//!   they are accepted, and an approval counts from then on; with `NORMAL` a power failure could take back the last of them.
//! - Decoding names table, column and row of what it cannot understand.

mod audit;
mod board;
mod channels;
mod checkpoints;
mod contamination;
mod corpora;
mod evaluations;
mod fields;
mod keyed;
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

use std::path::Path;
use std::time::{Duration, Instant};

use sqlx::migrate::Migrator;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteQueryResult,
    SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Connection as _, Sqlite, Transaction};

use crate::StoreError;

static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations/sqlite");

/// How long to wait for another process that is writing.
const BUSY: Duration = Duration::from_secs(30);

/// Between two tries to open a file that another process has.
const PAUSE: Duration = Duration::from_millis(10);

/// Rows that a reading connection is ahead of whoever reads.
const ROWS: usize = 4096;

/// Reading connections; each is a thread.
const READERS: u32 = 4;

/// The store on one SQLite file.
#[derive(Clone, Debug)]
pub struct SqliteStore {
    write: SqlitePool,
    read: SqlitePool,
}

impl SqliteStore {
    /// Opens the database in a file, given as a path or as `sqlite:///path`, makes it when it is not there, and brings it up to the
    /// newest migration. Either all missing migrations take effect or none.
    ///
    /// # Errors
    /// [`StoreError::Newer`] when a newer Sekisho wrote it, [`StoreError::Open`] when it is no database of ours or cannot be opened:
    /// nothing is changed then. [`StoreError::Migration`] when a migration fails.
    pub async fn open(database: &str) -> Result<Self, StoreError> {
        let open = |reason: String| StoreError::Open { what: "database", place: database.to_owned(), reason };
        let file = match database.split_once("://") {
            None => database.strip_prefix("sqlite:").unwrap_or(database),
            Some(("sqlite", file)) if !file.contains('?') => file,
            Some(_) => return Err(open("give a file, as a path or as sqlite:///path".to_owned())),
        };
        if file == ":memory:" {
            return Self::open_in_memory().await;
        }
        examine(database, Path::new(file)).await?;
        let options = SqliteConnectOptions::new().filename(file).busy_timeout(BUSY);
        let writer = options
            .clone()
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full);
        let write = patiently(async || one_connection().connect_with(writer.clone()).await);
        let write = write.await.map_err(|e| open(e.to_string()))?;
        migrate(&write).await?;
        // sqlx hands each row from a thread to the caller: with room for a page of them neither waits for the other.
        let reader = options.pragma("query_only", "ON").row_buffer_size(ROWS);
        let read = SqlitePoolOptions::new().max_connections(READERS).connect_lazy_with(reader);
        Ok(Self { write, read })
    }

    /// A database that is gone with the process, for tests. It has one connection, so its reads wait for its writes.
    ///
    /// # Errors
    /// [`StoreError::Database`], [`StoreError::Migration`].
    pub async fn open_in_memory() -> Result<Self, StoreError> {
        let write = one_connection().connect_with(SqliteConnectOptions::new()).await?;
        migrate(&write).await?;
        Ok(Self { read: write.clone(), write })
    }

    /// Closes all connections, after the calls under way, and folds the write-ahead log into the file.
    pub async fn close(&self) {
        self.read.close().await;
        self.write.close().await;
    }

    async fn begin(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        match self.write.begin_with("BEGIN IMMEDIATE").await {
            // SQLite ended a transaction by itself, as it does when the disk is full, and sqlx still counts it: the connection
            // would refuse every later one, and is replaced.
            Err(sqlx::Error::InvalidSavePointStatement) => {
                self.write.acquire().await?.close().await?;
                Ok(self.write.begin_with("BEGIN IMMEDIATE").await?)
            }
            begun => Ok(begun?),
        }
    }
}

/// A pool that never closes its only connection: an in-memory database lives and dies with it.
fn one_connection() -> SqlitePoolOptions {
    SqlitePoolOptions::new().max_connections(1).idle_timeout(None).max_lifetime(None)
}

/// Tries again for as long as another process has the file. SQLite itself does not wait where two would wait for each other, as in the
/// change to WAL that several first starts ask for at once.
async fn patiently<T>(mut attempt: impl AsyncFnMut() -> Result<T, sqlx::Error>) -> Result<T, sqlx::Error> {
    let began = Instant::now();
    loop {
        match attempt().await {
            Err(error) if is_busy(&error) && began.elapsed() < BUSY => tokio::time::sleep(PAUSE).await,
            done => return done,
        }
    }
}

/// `SQLITE_BUSY`, whatever its extended code.
fn is_busy(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code()?.parse::<u32>().ok());
    code.is_some_and(|code| code & 0xff == 5)
}

/// Looks into an existing file without changing it: is it ours, and not from a newer version?
async fn examine(database: &str, file: &Path) -> Result<(), StoreError> {
    if fs_err::metadata(file).map_or(0, |found| found.len()) == 0 {
        return Ok(());
    }
    let open = |reason: String| StoreError::Open { what: "database", place: database.to_owned(), reason };
    let newest = match patiently(async || look(file).await).await.map_err(|e| open(e.to_string()))? {
        Found::Nothing => return Ok(()),
        Found::Foreign => return Err(open("it belongs to another program; name another file".to_owned())),
        Found::Ours { newest } => newest,
    };
    let known = MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or_default();
    match newest {
        Some(found) if found > known => {
            Err(StoreError::Newer { database: database.to_owned(), found, known })
        }
        _ => Ok(()),
    }
}

/// Whose tables a file has.
enum Found {
    Nothing,
    Foreign,
    Ours { newest: Option<i64> },
}

async fn look(file: &Path) -> Result<Found, sqlx::Error> {
    let options = SqliteConnectOptions::new().filename(file).read_only(true).busy_timeout(BUSY);
    let mut connection = options.connect().await?;
    let tables = sqlx::query_scalar("SELECT name FROM sqlite_schema WHERE type = 'table'");
    let tables: Vec<String> = tables.fetch_all(&mut connection).await?;
    let found = if tables.iter().any(|name| name == "_sqlx_migrations") {
        let newest = sqlx::query_scalar("SELECT MAX(version) FROM _sqlx_migrations");
        Found::Ours { newest: newest.fetch_one(&mut connection).await? }
    } else if tables.is_empty() {
        Found::Nothing
    } else {
        Found::Foreign
    };
    connection.close().await?;
    Ok(found)
}

/// All in one transaction: two processes that start at once migrate one after the other, and a failure leaves nothing behind.
async fn migrate(write: &SqlitePool) -> Result<(), StoreError> {
    let mut transaction = write.begin_with("BEGIN IMMEDIATE").await?;
    MIGRATIONS.run(&mut *transaction).await?;
    metrics::take_over(&mut transaction).await?;
    Ok(transaction.commit().await?)
}

/// The database keeps signed numbers.
fn int(value: u64) -> Result<i64, StoreError> {
    i64::try_from(value).map_err(|_| StoreError::TooLarge(value))
}

/// [`StoreError::Missing`] when a change met no row.
fn changed(result: &SqliteQueryResult, kind: &'static str, id: &impl ToString) -> Result<(), StoreError> {
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
