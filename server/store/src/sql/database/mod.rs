//! One face for both databases. sqlx knows the type of a database when it is compiled; the repositories are written once, in
//! statements that both understand, and here the pool, the transaction, the parameters and the rows of either become one type. That
//! is all there is: no statement is translated. What PostgreSQL lacks of SQLite's functions its migrations add (`json_each`,
//! `json_extract`, `instr`), so that the text of a statement can be the same.

pub(in crate::sql) mod postgres;
mod query;
mod row;
pub(in crate::sql) mod sqlite;
mod value;

use std::fmt::Display;

use sqlx::postgres::PgPool;
use sqlx::sqlite::SqlitePool;
use sqlx::{Postgres, Sqlite};

use crate::StoreError;

pub(in crate::sql) use query::{Done, On, Query, query, query_scalar};
pub(in crate::sql) use row::{Column, Row};

/// Connections that are shared.
#[derive(Clone, Debug)]
pub(in crate::sql) enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

/// Changes that take effect together or not at all.
#[derive(Debug)]
pub(in crate::sql) enum Transaction {
    Sqlite(sqlx::Transaction<'static, Sqlite>),
    Postgres(sqlx::Transaction<'static, Postgres>),
}

/// What transactions beside each other ([`Writers::Many`]) agree on; the schema is part of it. On SQLite there are none.
#[derive(Clone, Copy, Debug)]
pub(in crate::sql) enum Lock<'a> {
    /// The state of an evaluation, which follows its items. Whoever leases an item shares it, whoever counts items has it alone.
    Evaluation(&'a str),
    /// The numbers of the outbox, so that they are in the order of commits.
    Outbox,
}

impl Transaction {
    /// Waits for a lock; it ends with the transaction.
    pub(in crate::sql) async fn lock(&mut self, lock: Lock<'_>) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(transaction) => postgres::lock(transaction, lock).await,
        }
    }

    /// Likewise, beside others who share it.
    pub(in crate::sql) async fn share(&mut self, lock: Lock<'_>) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(transaction) => postgres::share(transaction, lock).await,
        }
    }

    pub(in crate::sql) async fn commit(self) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(transaction) => transaction.commit().await,
            Self::Postgres(transaction) => transaction.commit().await,
        }
    }
}

/// Who else may write meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sql) enum Writers {
    /// Nobody: what was read stays true until the commit.
    One,
    /// On PostgreSQL everybody: the transaction locks the rows that it relies on. On SQLite nobody, as always.
    Many,
}

/// The connections to one database.
#[derive(Clone, Debug)]
pub(in crate::sql) struct Database {
    /// On SQLite the one connection that writes.
    write: Pool,
    pub(in crate::sql) read: Pool,
}

impl Database {
    /// Opens `postgres://…`, else a file; see [`crate::SqlStore::open`].
    pub(in crate::sql) async fn open(database: &str) -> Result<Self, StoreError> {
        if postgres::is_url(database) { postgres::open(database).await } else { sqlite::open(database).await }
    }

    /// A database that is gone with the process.
    pub(in crate::sql) async fn open_in_memory() -> Result<Self, StoreError> {
        sqlite::open_in_memory().await
    }

    pub(in crate::sql) async fn close(&self) {
        for pool in [&self.read, &self.write] {
            match pool {
                Pool::Sqlite(pool) => pool.close().await,
                Pool::Postgres(pool) => pool.close().await,
            }
        }
    }

    /// Reads of one moment: what is committed meanwhile is not seen.
    pub(in crate::sql) async fn snapshot(&self) -> Result<Transaction, sqlx::Error> {
        match &self.read {
            Pool::Sqlite(pool) => pool.begin().await.map(Transaction::Sqlite),
            Pool::Postgres(pool) => postgres::snapshot(pool).await.map(Transaction::Postgres),
        }
    }

    /// The connections that write, past all rules.
    #[cfg(test)]
    pub(in crate::sql) const fn writers(&self) -> &Pool {
        &self.write
    }

    pub(in crate::sql) async fn begin(&self, writers: Writers) -> Result<Transaction, sqlx::Error> {
        match &self.write {
            Pool::Sqlite(pool) => Ok(Transaction::Sqlite(sqlite::begin(pool).await?)),
            Pool::Postgres(pool) => Ok(Transaction::Postgres(postgres::begin(pool, writers).await?)),
        }
    }
}

/// What a database that is opened holds.
enum Found {
    Nothing,
    Foreign,
    Ours { newest: Option<i64> },
}

impl Found {
    /// Whether it may be opened: it is ours and no newer than `known`, or there is nothing yet.
    fn examine(&self, shown: &str, known: i64, another: &str) -> Result<(), StoreError> {
        match *self {
            Self::Foreign => {
                Err(cannot_open(shown, format!("it belongs to another program; name {another}")))
            }
            Self::Ours { newest: Some(found) } if found > known => {
                Err(StoreError::Newer { database: shown.to_owned(), found, known })
            }
            Self::Nothing | Self::Ours { .. } => Ok(()),
        }
    }
}

fn cannot_open(shown: &str, reason: impl Display) -> StoreError {
    StoreError::Open { what: "database", place: shown.to_owned(), reason: reason.to_string() }
}
