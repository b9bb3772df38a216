use std::marker::PhantomData;

use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use sqlx::postgres::PgArguments;
use sqlx::sqlite::SqliteArguments;
use sqlx::{AssertSqlSafe, Postgres, SqlSafeStr, SqlStr, Sqlite};

use super::value::Value;
use super::{Column, Database, Pool, Row, Transaction, Writers};

/// A statement with its parameters `$1`, `$2` …, for whichever database it is run on.
pub(in crate::sql) struct Query<'q> {
    sql: SqlStr,
    values: Vec<Value<'q>>,
    rows: Rows,
}

/// What becomes of the rows that a statement reads. SQLite, with its one writer, needs none of it.
#[derive(Clone, Copy)]
enum Rows {
    Read,
    Locked,
    LockedWhereFree,
}

/// A statement in words that both databases understand.
pub(in crate::sql) fn query<'q>(sql: impl SqlSafeStr) -> Query<'q> {
    Query { sql: sql.into_sql_str(), values: Vec::new(), rows: Rows::Read }
}

/// A statement whose answers have one column that matters, the first.
pub(in crate::sql) fn query_scalar<'q, T>(sql: impl SqlSafeStr) -> Scalar<'q, T> {
    Scalar { query: query(sql), of: PhantomData }
}

/// What a statement is run on.
pub(in crate::sql) enum On<'c> {
    Pool(&'c Pool),
    Transaction(&'c mut Transaction),
    /// A transaction that begins and ends with the statement.
    Database(&'c Database),
}

impl<'c> From<&'c Database> for On<'c> {
    fn from(database: &'c Database) -> Self {
        Self::Database(database)
    }
}

impl<'c> From<&'c Pool> for On<'c> {
    fn from(pool: &'c Pool) -> Self {
        Self::Pool(pool)
    }
}

impl<'c> From<&'c mut Transaction> for On<'c> {
    fn from(transaction: &'c mut Transaction) -> Self {
        Self::Transaction(transaction)
    }
}

/// What a change met.
#[derive(Clone, Copy, Debug)]
pub(in crate::sql) struct Done {
    rows: u64,
}

impl Done {
    pub(in crate::sql) const fn rows_affected(self) -> u64 {
        self.rows
    }
}

/// Runs `$method` of sqlx on what `$on` is, with every row, or count of rows, put into the type for both databases.
macro_rules! run {
    ($query:expr, $on:expr, $method:ident, |$found:ident| $sqlite:expr, $postgres:expr) => {{
        let query = $query;
        match $on.into() {
            On::Pool(Pool::Sqlite(pool)) => {
                let $found = sqlite(query).$method(pool).await?;
                Ok($sqlite)
            }
            On::Pool(Pool::Postgres(pool)) => {
                let $found = postgres(query).$method(pool).await?;
                Ok($postgres)
            }
            On::Transaction(transaction) => {
                within!(transaction, query, $method, |$found| $sqlite, $postgres)
            }
            On::Database(database) => {
                let mut transaction = database.begin(Writers::One).await?;
                let found = within!(&mut transaction, query, $method, |$found| $sqlite, $postgres)?;
                transaction.commit().await?;
                Ok(found)
            }
        }
    }};
}

macro_rules! within {
    ($transaction:expr, $query:ident, $method:ident, |$found:ident| $sqlite:expr, $postgres:expr) => {
        match $transaction {
            Transaction::Sqlite(transaction) => {
                let $found = sqlite($query).$method(&mut **transaction).await?;
                Ok::<_, sqlx::Error>($sqlite)
            }
            Transaction::Postgres(transaction) => {
                let $found = postgres($query).$method(&mut **transaction).await?;
                Ok($postgres)
            }
        }
    };
}

impl<'q> Query<'q> {
    /// The next parameter.
    #[must_use]
    pub(in crate::sql) fn bind(mut self, value: impl Into<Value<'q>>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Its rows stay as they are until the transaction ends. Waits for whoever changes them.
    #[must_use]
    pub(in crate::sql) fn locking(mut self) -> Self {
        self.rows = Rows::Locked;
        self
    }

    /// Likewise, of those rows that nobody else has locked.
    #[must_use]
    pub(in crate::sql) fn locking_free(mut self) -> Self {
        self.rows = Rows::LockedWhereFree;
        self
    }

    pub(in crate::sql) async fn execute(self, on: impl Into<On<'_>>) -> Result<Done, sqlx::Error> {
        run!(
            self,
            on,
            execute,
            |done| Done { rows: done.rows_affected() },
            Done { rows: done.rows_affected() }
        )
    }

    pub(in crate::sql) async fn fetch_all(self, on: impl Into<On<'_>>) -> Result<Vec<Row>, sqlx::Error> {
        run!(
            self,
            on,
            fetch_all,
            |rows| rows.into_iter().map(Row::Sqlite).collect(),
            rows.into_iter().map(Row::Postgres).collect()
        )
    }

    pub(in crate::sql) async fn fetch_optional(
        self,
        on: impl Into<On<'_>>,
    ) -> Result<Option<Row>, sqlx::Error> {
        run!(self, on, fetch_optional, |row| row.map(Row::Sqlite), row.map(Row::Postgres))
    }

    pub(in crate::sql) async fn fetch_one(self, on: impl Into<On<'_>>) -> Result<Row, sqlx::Error> {
        run!(self, on, fetch_one, |row| Row::Sqlite(row), Row::Postgres(row))
    }

    /// Row by row, for answers that are not to be held as a whole.
    pub(in crate::sql) fn fetch<'p>(self, pool: &'p Pool) -> BoxStream<'p, Result<Row, sqlx::Error>>
    where
        'q: 'p,
    {
        match pool {
            Pool::Sqlite(pool) => sqlite(self).fetch(pool).map_ok(Row::Sqlite).boxed(),
            Pool::Postgres(pool) => postgres(self).fetch(pool).map_ok(Row::Postgres).boxed(),
        }
    }
}

/// See [`query_scalar`].
pub(in crate::sql) struct Scalar<'q, T> {
    query: Query<'q>,
    of: PhantomData<fn() -> T>,
}

impl<'q, T: for<'r> Column<'r>> Scalar<'q, T> {
    /// The next parameter.
    #[must_use]
    pub(in crate::sql) fn bind(mut self, value: impl Into<Value<'q>>) -> Self {
        self.query = self.query.bind(value);
        self
    }

    pub(in crate::sql) async fn fetch_all(self, on: impl Into<On<'_>>) -> Result<Vec<T>, sqlx::Error> {
        self.query.fetch_all(on).await?.iter().map(|row| row.try_get(0)).collect()
    }

    pub(in crate::sql) async fn fetch_optional(
        self,
        on: impl Into<On<'_>>,
    ) -> Result<Option<T>, sqlx::Error> {
        self.query.fetch_optional(on).await?.map(|row| row.try_get(0)).transpose()
    }

    pub(in crate::sql) async fn fetch_one(self, on: impl Into<On<'_>>) -> Result<T, sqlx::Error> {
        self.query.fetch_one(on).await?.try_get(0)
    }
}

/// Gives every value to sqlx in its own type.
macro_rules! bound {
    ($query:expr, $values:expr) => {
        $values.fold($query, |query, value| match value {
            Value::Integer(value) => query.bind(value),
            Value::Real(value) => query.bind(value),
            Value::Text(value) => query.bind(value),
            Value::Bytes(value) => query.bind(value.map(std::borrow::Cow::into_owned)),
            Value::Truth(value) => query.bind(value),
        })
    };
}

fn sqlite(query: Query<'_>) -> sqlx::query::Query<'_, Sqlite, SqliteArguments> {
    bound!(sqlx::query(query.sql), query.values.into_iter())
}

fn postgres(query: Query<'_>) -> sqlx::query::Query<'_, Postgres, PgArguments> {
    let locked = |how: &str| AssertSqlSafe(format!("{} {how}", query.sql.as_str())).into_sql_str();
    let sql = match query.rows {
        Rows::Read => query.sql,
        Rows::Locked => locked("FOR UPDATE"),
        Rows::LockedWhereFree => locked("FOR UPDATE SKIP LOCKED"),
    };
    bound!(sqlx::query(sql), query.values.into_iter().map(without_nul))
}

/// PostgreSQL keeps no NUL in a text; the sign for it stands in its place, so that such a name is found nowhere and such a remark is kept.
fn without_nul(value: Value<'_>) -> Value<'_> {
    match value {
        Value::Text(Some(text)) if text.contains('\0') => Value::from(text.replace('\0', "\u{2400}")),
        other => other,
    }
}
