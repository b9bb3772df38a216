//! The service's database, seen from beside it.

use std::path::{Path, PathBuf};

use sekisho_domain::EvaluationId;
use sekisho_domain::audit::ChainedEntry;
use sekisho_store::SqlStore;
use sekisho_store::{
    AuditEntry, AuditRepository as _, EvaluationRepository as _, QueueRepository as _, WorkRow,
};
use serde_json::Value;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, Executor as _};
use tokio::runtime::Runtime;

/// A database, opened as a second process would.
pub struct Database {
    store: SqlStore,
    file: PathBuf,
    runtime: Runtime,
}

impl Database {
    /// That of the service with this data folder.
    ///
    /// # Panics
    /// When it cannot be opened.
    #[must_use]
    pub fn open(dir: &Path) -> Self {
        let (runtime, file) = (Runtime::new().expect("a runtime"), dir.join("sekisho.db"));
        let store = runtime.block_on(SqlStore::open(&file.display().to_string())).expect("a database");
        Self { store, file, runtime }
    }

    /// Changes it behind the service's back.
    ///
    /// # Panics
    /// When the statement fails.
    pub fn execute(&self, sql: &'static str) {
        self.runtime.block_on(async {
            let options = SqliteConnectOptions::new().filename(&self.file);
            let mut connection = options.connect().await.expect("connected");
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
        self.runtime.block_on(async {
            let options = SqliteConnectOptions::new().filename(&self.file);
            let mut connection = options.connect().await.expect("connected");
            let codes =
                sqlx::query_scalar("SELECT code FROM login_requests").fetch_all(&mut connection).await;
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
