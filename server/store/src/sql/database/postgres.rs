//! PostgreSQL, from version 13 on: any number of servers on one database.
//!
//! - **One writer at a time, as on SQLite**, for everything but the queue and what is reported to it: a transaction begins by taking
//!   an advisory lock ([`WRITER`]) that goes with it. So what a transaction has read stays true until it commits, the audit log and
//!   the outbox are numbered in the order of their commits, and one text of the repositories is right on both databases.
//! - **The queue locks what it relies on** ([`Writers::Many`]): items, then one evaluation ([`Lock::Evaluation`]), then the outbox
//!   ([`Lock::Outbox`]). That order is kept by all, so nobody waits in a circle; claims skip items that another one holds.
//! - `READ COMMITTED`: a statement behind a lock sees what was committed before the lock was given.

use std::str::FromStr as _;
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{Connection as _, Postgres};
use tokio::time::timeout;

use super::{Database, Found, Lock, Pool, Writers, cannot_open};
use crate::StoreError;

pub(in crate::sql) static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations/postgres");

/// First halves of advisory locks, `sek` in ASCII and a number; the schema is in the other one, with what else there is.
const WRITER: i32 = 0x73_65_6b_00;
const EVALUATION: i32 = 0x73_65_6b_01;
const OUTBOX: i32 = 0x73_65_6b_02;

/// The oldest version that is served, as `server_version_num` counts.
const OLDEST: i32 = 130_000;

/// Connections that write and connections that read, for each server.
const CONNECTIONS: u32 = 16;

/// How long to wait for a first connection, and for one of the pool's: a database that is restarted is back by then.
const PATIENCE: Duration = Duration::from_secs(30);

/// For every connection. A server that hangs in the middle of a transaction loses it, and with it the lock that others wait for.
const SETTINGS: [(&str, &str); 3] =
    [("lock_timeout", "30s"), ("idle_in_transaction_session_timeout", "30s"), ("timezone", "UTC")];

pub(super) fn is_url(database: &str) -> bool {
    database.starts_with("postgres://") || database.starts_with("postgresql://")
}

/// The address without its password, wherever that stands in it.
pub(in crate::sql) fn shown(database: &str) -> String {
    let (before, query) = database.split_once('?').map_or((database, None), |(a, b)| (a, Some(b)));
    let (scheme, rest) = before.split_once("://").unwrap_or(("postgres", before));
    let rest = match rest.rsplit_once('@') {
        Some((account, host)) => format!("{}@{host}", account.split(':').next().unwrap_or_default()),
        None => rest.to_owned(),
    };
    let kept = |pairs: &str| {
        let open: Vec<&str> = pairs.split('&').filter(|pair| !pair.starts_with("password=")).collect();
        if open.is_empty() { String::new() } else { format!("?{}", open.join("&")) }
    };
    format!("{scheme}://{rest}{}", query.map(kept).unwrap_or_default())
}

pub(super) async fn open(database: &str) -> Result<Database, StoreError> {
    let shown = shown(database);
    let options = PgConnectOptions::from_str(database)
        .map_err(|e| cannot_open(&shown, e))?
        .application_name("sekisho")
        .options(SETTINGS);
    let mut connection = timeout(PATIENCE, PgConnection::connect_with(&options))
        .await
        .map_err(|_| cannot_open(&shown, format!("no answer within {} s", PATIENCE.as_secs())))?
        .map_err(|e| cannot_open(&shown, reason(&e)))?;
    prepare(&shown, &mut connection).await?;
    connection.close().await?;
    let pool = PgPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(PATIENCE);
    let pool = Pool::Postgres(pool.connect_lazy_with(options));
    Ok(Database { write: pool.clone(), read: pool })
}

pub(super) async fn begin(
    pool: &PgPool,
    writers: Writers,
) -> Result<sqlx::Transaction<'static, Postgres>, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    if writers == Writers::One {
        advise(&mut transaction, EXCLUSIVE, WRITER, "").await?;
    }
    Ok(transaction)
}

pub(super) async fn snapshot(pool: &PgPool) -> Result<sqlx::Transaction<'static, Postgres>, sqlx::Error> {
    pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await
}

const EXCLUSIVE: &str = "SELECT pg_advisory_xact_lock($1, hashtext(current_schema() || $2))";
const SHARED: &str = "SELECT pg_advisory_xact_lock_shared($1, hashtext(current_schema() || $2))";

pub(super) async fn lock(connection: &mut PgConnection, lock: Lock<'_>) -> Result<(), sqlx::Error> {
    let (class, object) = key(lock);
    advise(connection, EXCLUSIVE, class, object).await
}

pub(super) async fn share(connection: &mut PgConnection, lock: Lock<'_>) -> Result<(), sqlx::Error> {
    let (class, object) = key(lock);
    advise(connection, SHARED, class, object).await
}

const fn key(lock: Lock<'_>) -> (i32, &str) {
    match lock {
        Lock::Evaluation(id) => (EVALUATION, id),
        Lock::Outbox => (OUTBOX, ""),
    }
}

async fn advise(
    connection: &mut PgConnection,
    how: &'static str,
    class: i32,
    object: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query(how).bind(class).bind(object).execute(connection).await?;
    Ok(())
}

/// Examines the database and brings it up to the newest migration, in one transaction and as the only one who writes.
async fn prepare(shown: &str, connection: &mut PgConnection) -> Result<(), StoreError> {
    let wrong = |e: sqlx::Error| cannot_open(shown, reason(&e));
    let mut transaction = connection.begin().await.map_err(wrong)?;
    advise(&mut transaction, EXCLUSIVE, WRITER, "").await.map_err(wrong)?;
    let known = MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or_default();
    usable(shown, &mut transaction).await?;
    let found = look(&mut transaction).await.map_err(wrong)?;
    found.examine(shown, known, "another database, or another schema with ?options=-csearch_path%3DNAME")?;
    if !matches!(found, Found::Ours { newest: Some(newest) } if newest == known) {
        MIGRATIONS.run(&mut *transaction).await.map_err(|e| refused(shown, e))?;
    }
    writable(shown, &mut transaction).await?;
    transaction.commit().await.map_err(wrong)
}

/// Version, encoding, and whether it takes writes at all.
async fn usable(shown: &str, connection: &mut PgConnection) -> Result<(), StoreError> {
    let setting = "SELECT current_setting('server_version_num')::int4, current_setting('server_encoding'), pg_is_in_recovery()";
    let found: (i32, String, bool) =
        sqlx::query_as(setting).fetch_one(connection).await.map_err(|e| cannot_open(shown, reason(&e)))?;
    match found {
        (version, ..) if version < OLDEST => Err(cannot_open(
            shown,
            format!("it is PostgreSQL {}; version {} or newer is needed", version / 10_000, OLDEST / 10_000),
        )),
        (_, encoding, _) if encoding != "UTF8" => Err(cannot_open(
            shown,
            format!("its encoding is {encoding}; make it anew with ENCODING 'UTF8' TEMPLATE template0"),
        )),
        (.., true) => Err(cannot_open(shown, "it is a read-only replica; name the primary")),
        _ => Ok(()),
    }
}

async fn look(connection: &mut PgConnection) -> Result<Found, sqlx::Error> {
    let tables =
        sqlx::query_scalar("SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema()");
    let tables: Vec<String> = tables.fetch_all(&mut *connection).await?;
    if tables.iter().any(|name| name == "_sqlx_migrations") {
        let newest = sqlx::query_scalar("SELECT MAX(version) FROM _sqlx_migrations");
        return Ok(Found::Ours { newest: newest.fetch_one(connection).await? });
    }
    Ok(if tables.is_empty() { Found::Nothing } else { Found::Foreign })
}

/// Whether the account may write: found when the service starts, not at the first report of a run.
async fn writable(shown: &str, connection: &mut PgConnection) -> Result<(), StoreError> {
    let wrong = |e: sqlx::Error| cannot_open(shown, reason(&e));
    let barred = sqlx::query_scalar(
        "SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema()
             AND EXISTS (
                 SELECT 1 FROM unnest('{SELECT, INSERT, UPDATE, DELETE}'::text[]) AS needed
                 WHERE NOT has_table_privilege(format('%I.%I', schemaname, tablename), needed))
         ORDER BY tablename LIMIT 1",
    );
    let barred: Option<String> = barred.fetch_optional(&mut *connection).await.map_err(wrong)?;
    let read_only = sqlx::query_scalar("SELECT current_setting('default_transaction_read_only') = 'on'");
    let read_only: bool = read_only.fetch_one(connection).await.map_err(wrong)?;
    match barred {
        Some(table) => Err(cannot_open(
            shown,
            format!(
                "the account may not write to the table {table}; let it own the tables, or GRANT SELECT, INSERT, UPDATE, \
                 DELETE ON ALL TABLES and USAGE ON ALL SEQUENCES of the schema"
            ),
        )),
        None if read_only => Err(cannot_open(
            shown,
            "the account is read-only (default_transaction_read_only is on); use one that may write",
        )),
        None => Ok(()),
    }
}

/// `insufficient_privilege` (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
const NO_PRIVILEGE: &str = "42501";

fn refused(shown: &str, error: sqlx::migrate::MigrateError) -> StoreError {
    use sqlx::migrate::MigrateError::{Execute, ExecuteMigration};
    match &error {
        Execute(e) | ExecuteMigration(e, _)
            if e.as_database_error().and_then(sqlx::error::DatabaseError::code).as_deref()
                == Some(NO_PRIVILEGE) =>
        {
            cannot_open(
                shown,
                format!("{e}; the account must own the database, or be given CREATE on its schema"),
            )
        }
        _ => error.into(),
    }
}

/// What the server said, or why it was not reached.
fn reason(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(said) => said.message().to_owned(),
        other => other.to_string(),
    }
}
