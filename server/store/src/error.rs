use sekisho_domain::is_disk_full;

/// What can go wrong below a repository.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database itself failed.
    #[error("{}", database_sentence(.0))]
    Database(#[from] sqlx::Error),
    /// A database or blob store that cannot be used.
    #[error("the {what} {place} could not be opened: {reason}")]
    Open {
        /// `database` or `blob store`.
        what: &'static str,
        /// Its path or URL, as given.
        place: String,
        /// What is wrong, and the way on.
        reason: String,
    },
    /// The database was written by a newer Sekisho.
    #[error(
        "the database {database} was written by a newer Sekisho (migration {found}; this one knows up to {known}); \
         start that version, or restore a backup made before the upgrade"
    )]
    Newer {
        /// Which database.
        database: String,
        /// Newest migration found in it.
        found: i64,
        /// Newest migration known here.
        known: i64,
    },
    /// A migration failed.
    #[error("migrating the database failed: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// A row that cannot be understood.
    #[error("the database holds something unreadable in {table}.{column} of row {row}: {message}")]
    Inconsistent {
        /// Table.
        table: &'static str,
        /// Column.
        column: &'static str,
        /// Key of the row.
        row: String,
        /// What is wrong with it.
        message: String,
    },
    /// Something to be changed is not there.
    #[error("there is no {kind} {id}")]
    Missing {
        /// What it is: `run`, `checkpoint` …
        kind: &'static str,
        /// Its id.
        id: String,
    },
    /// A number that the database cannot hold.
    #[error("the number {0} is too large; the largest that is kept is 9223372036854775807")]
    TooLarge(u64),
    /// The row changed since it was read.
    #[error("this changed after it was read; look at the changes and act again")]
    Stale,
    /// The lease of a work item has passed to another worker.
    #[error("the lease on work item {0} has passed to another worker; its results are not taken")]
    LeaseLost(sekisho_domain::WorkItemId),
    /// Something with that unique name or key is there already.
    #[error("{0}")]
    Conflict(String),
    /// The only admin would be one no longer.
    #[error("{name} is the only admin; make somebody else one first")]
    LastAdmin {
        /// The account.
        name: String,
    },
    /// The blob store failed.
    #[error("the blob store failed at {key}: {source}")]
    Blob {
        /// Key of the blob.
        key: String,
        /// Why.
        source: object_store::Error,
    },
    /// A blob whose bytes are not those that were kept.
    #[error("the blob {key} has changed since it was kept (now {found}); restore it from a backup")]
    Corrupt {
        /// Key of the blob.
        key: String,
        /// Digest of the bytes, or why they cannot be read.
        found: String,
    },
    /// A file could not be read or written.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl StoreError {
    /// Whether there was no room on the disk for it.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        match self {
            Self::Database(error) => is_full(error),
            Self::Blob { source, .. } => is_disk_full(source),
            Self::Io(error) => is_disk_full(error),
            _ => false,
        }
    }
}

impl StoreError {
    /// Whether the database was not there, or gave up on a transaction for the sake of another: the same may be asked again.
    #[must_use]
    pub fn is_away(&self) -> bool {
        match self {
            Self::Database(sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed) => true,
            Self::Database(error) => {
                let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
                code.is_some_and(|code| POSTGRES_AWAY.iter().any(|away| code.starts_with(away)))
            }
            _ => false,
        }
    }
}

/// Codes of PostgreSQL (<https://www.postgresql.org/docs/current/errcodes-appendix.html>) by how they begin: the connection broke, it
/// has too many, it is stopping or starting; two transactions stood in each other's way, one waited too long for a lock.
const POSTGRES_AWAY: [&str; 9] =
    ["08", "53300", "57P01", "57P02", "57P03", "40001", "40P01", "55P03", "25P03"];

/// PostgreSQL's code for a disk without room.
const POSTGRES_FULL: &str = "53100";

/// SQLite's result code for a disk, or a quota, without room (<https://sqlite.org/rescode.html#full>).
const SQLITE_FULL: &str = "13";

/// The index of the write-ahead log could not grow (`SQLITE_IOERR_SHMSIZE`), and a write that a limit on the size of files cut
/// short (`SQLITE_IOERR_WRITE`).
const SQLITE_CUT_SHORT: [&str; 2] = ["4874", "778"];

fn is_full(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| {
        code == SQLITE_FULL || code == POSTGRES_FULL || SQLITE_CUT_SHORT.contains(&&*code)
    })
}

fn database_sentence(error: &sqlx::Error) -> String {
    if is_full(error) {
        return "the disk that holds the database is full; nothing of this was written; make room and try again".to_owned();
    }
    match error {
        sqlx::Error::PoolTimedOut => {
            "the database gives no connection: it is down, or has too many".to_owned()
        }
        other => format!("the database failed: {other}"),
    }
}
