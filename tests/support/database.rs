//! The service's database, seen from beside it.

use std::path::Path;

use sekisho_domain::EvaluationId;
use sekisho_domain::audit::ChainedEntry;
use sekisho_store::SqlStore;
use sekisho_store::{
    AuditEntry, AuditRepository as _, EvaluationRepository as _, QueueRepository as _, WorkRow,
};
use serde_json::Value;
use sqlx::{Connection as _, Executor as _, PgConnection, SqliteConnection};
use tokio::runtime::Runtime;

use crate::postgres;

/// A database, opened as a second process would.
pub struct Database {
    store: SqlStore,
    /// Its file, or its address.
    url: String,
    runtime: Runtime,
}

impl Database {
    /// That of the service with this data folder.
    ///
    /// # Panics
    /// When it cannot be opened.
    #[must_use]
    pub fn open(dir: &Path) -> Self {
        let file = || format!("sqlite://{}", dir.join("sekisho.db").display());
        let (runtime, url) =
            (Runtime::new().expect("a runtime"), postgres::of_folder(dir).unwrap_or_else(file));
        let store = runtime.block_on(SqlStore::open(&url)).expect("a database");
        Self { store, url, runtime }
    }

    /// Changes it behind the service's back.
    ///
    /// # Panics
    /// When the statement fails.
    pub fn execute(&self, sql: &'static str) {
        if self.url.starts_with("postgres") {
            postgres::execute(&self.url, sql);
            return;
        }
        self.runtime.block_on(async {
            let mut connection = SqliteConnection::connect(&self.url).await.expect("connected");
            connection.execute(sql).await.expect("executed");
            connection.close().await.expect("closed");
        });
    }

    /// The audit log, oldest first, after its chain of hashes was found whole.
    ///
    /// # Panics
    /// When it is broken.
    #[must_use]
    pub fn audit(&self) -> Vec<AuditEntry> {
        self.runtime.block_on(async {
            let entries = self.store.audit_after(0, 10_000).await.expect("an audit log");
            let whole = self.store.verify_audit(&[]).await.expect("an audit log");
            assert_eq!(whole, Ok(entries.len() as u64), "every entry fits the one before");
            let read = |line: ChainedEntry| serde_json::from_value(line.entry).expect("an entry of ours");
            entries.into_iter().map(read).collect()
        })
    }

    /// The codes of sign-ins that wait for a person.
    ///
    /// # Panics
    /// When the database cannot be read.
    #[must_use]
    pub fn login_codes(&self) -> Vec<String> {
        const CODES: &str = "SELECT code FROM login_requests";
        self.runtime.block_on(async {
            if self.url.starts_with("postgres") {
                let mut connection = PgConnection::connect(&self.url).await.expect("connected");
                return sqlx::query_scalar(CODES).fetch_all(&mut connection).await.expect("codes");
            }
            let mut connection = SqliteConnection::connect(&self.url).await.expect("connected");
            let codes = sqlx::query_scalar(CODES).fetch_all(&mut connection).await;
            connection.close().await.expect("closed");
            codes.expect("codes")
        })
    }

    /// The only work item of an evaluation.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn work(&self, evaluation: &Value) -> WorkRow {
        let id: EvaluationId = evaluation["id"].as_str().expect("an id").parse().expect("an id");
        let work = self.runtime.block_on(self.store.work_of(id)).expect("work items");
        work.into_iter().next().expect("a work item")
    }

    /// The items of each batch of records of a work item, in the order of arrival.
    ///
    /// # Panics
    /// When they cannot be read.
    #[must_use]
    pub fn batches(&self, work: &WorkRow) -> Vec<Vec<u64>> {
        let chunks = self.runtime.block_on(self.store.chunks(work.work.id)).expect("chunks");
        chunks.into_iter().map(|chunk| chunk.items).collect()
    }

    /// Closes it, so that the file holds everything.
    pub fn close(self) {
        self.runtime.block_on(self.store.close());
    }
}
