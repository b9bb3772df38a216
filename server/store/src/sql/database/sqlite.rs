//! SQLite: one file, one writer, any number of readers.
//!
//! - **WAL**: readers never wait for the writer, nor the writer for them.
//! - **One writing connection**, and every transaction on it begins `IMMEDIATE`: a transaction that has begun cannot fail half-way
//!   because another process (the command line beside the service) wrote first; it waits for up to 30 s before it begins.
//! - **`synchronous = FULL`**: a commit is on the disk when it returns. Workers drop their records and trainers their metrics once
//!   they are accepted, and an approval counts from then on; with `NORMAL` a power failure could take back the last of them.

use std::path::Path;
use std::time::{Duration, Instant};

use sqlx::migrate::Migrator;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Connection as _, Sqlite};

use super::{Database, Found, Pool, Transaction, cannot_open};
use crate::StoreError;
use crate::sql::metrics;

pub(in crate::sql) static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations/sqlite");

/// How long to wait for another process that is writing.
const BUSY: Duration = Duration::from_secs(30);

/// Between two tries to open a file that another process has.
const PAUSE: Duration = Duration::from_millis(10);

/// Rows that a reading connection is ahead of whoever reads.
const ROWS: usize = 4096;

/// Reading connections; each is a thread.
const READERS: u32 = 4;

pub(super) async fn open(database: &str) -> Result<Database, StoreError> {
    let file = match database.split_once("://") {
        None => database.strip_prefix("sqlite:").unwrap_or(database),
        Some(("sqlite", file)) if !file.contains('?') => file,
        Some(_) => {
            let rule = "give a file, as a path or as sqlite:///path, or postgres://user@host/database";
            return Err(cannot_open(database, rule));
        }
    };
    if file == ":memory:" {
        return open_in_memory().await;
    }
    examine(database, Path::new(file)).await?;
    let options = SqliteConnectOptions::new().filename(file).busy_timeout(BUSY);
    let writer = options
        .clone()
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    let write = patiently(async || one_connection().connect_with(writer.clone()).await);
    let write = write.await.map_err(|e| cannot_open(database, e))?;
    migrate(&write).await?;
    // sqlx hands each row from a thread to the caller: with room for a page of them neither waits for the other.
    let reader = options.pragma("query_only", "ON").row_buffer_size(ROWS);
    let read = SqlitePoolOptions::new().max_connections(READERS).connect_lazy_with(reader);
    Ok(Database { write: Pool::Sqlite(write), read: Pool::Sqlite(read) })
}

pub(super) async fn open_in_memory() -> Result<Database, StoreError> {
    let write = one_connection().connect_with(SqliteConnectOptions::new()).await?;
    migrate(&write).await?;
    Ok(Database { read: Pool::Sqlite(write.clone()), write: Pool::Sqlite(write) })
}

pub(super) async fn begin(write: &SqlitePool) -> Result<sqlx::Transaction<'static, Sqlite>, sqlx::Error> {
    match write.begin_with("BEGIN IMMEDIATE").await {
        // SQLite ended a transaction by itself, as it does when the disk is full, and sqlx still counts it: the connection
        // would refuse every later one, and is replaced.
        Err(sqlx::Error::InvalidSavePointStatement) => {
            write.acquire().await?.close().await?;
            write.begin_with("BEGIN IMMEDIATE").await
        }
        begun => begun,
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

/// Looks into an existing file without changing it.
async fn examine(database: &str, file: &Path) -> Result<(), StoreError> {
    if fs_err::metadata(file).map_or(0, |found| found.len()) == 0 {
        return Ok(());
    }
    let found = patiently(async || look(file).await).await.map_err(|e| cannot_open(database, e))?;
    let known = MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or_default();
    found.examine(database, known, "another file")
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
pub(in crate::sql) async fn migrate(write: &SqlitePool) -> Result<(), StoreError> {
    let mut transaction = write.begin_with("BEGIN IMMEDIATE").await?;
    MIGRATIONS.run(&mut *transaction).await?;
    let mut transaction = Transaction::Sqlite(transaction);
    metrics::take_over(&mut transaction).await?;
    Ok(transaction.commit().await?)
}
