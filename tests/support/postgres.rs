//! PostgreSQL as the database of services under test.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{LazyLock, Mutex};

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use tokio::runtime::Runtime;

/// Services keep their data in PostgreSQL when this is `postgres`.
const DATABASE: &str = "SEKISHO_TEST_DATABASE";

/// A database of PostgreSQL in which the tests make schemas.
const SERVER: &str = "SEKISHO_TEST_POSTGRES";

/// Which data folder's service has which database.
static OF_FOLDERS: LazyLock<Mutex<BTreeMap<PathBuf, String>>> = LazyLock::new(Mutex::default);

/// Whether this run is about PostgreSQL.
#[must_use]
pub fn is_asked_for() -> bool {
    std::env::var(DATABASE).is_ok_and(|database| database == "postgres")
}

/// The server, when there is one; else says that a test is skipped.
///
/// # Panics
/// When there has to be one.
#[must_use]
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
pub fn server() -> Option<String> {
    let server = std::env::var(SERVER).ok();
    if server.is_none() {
        assert!(std::env::var_os("SEKISHO_TOOLS_INSTALLED").is_none(), "{SERVER} is not set");
        eprintln!("skipped: no PostgreSQL in {SERVER}; tests/run.sh starts one");
    }
    server
}

/// The address of a new, empty schema.
///
/// # Panics
/// When it cannot be made.
#[must_use]
pub fn schema(server: &str) -> String {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let name = format!("it_{}_{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
    execute(server, &format!("DROP SCHEMA IF EXISTS {name} CASCADE; CREATE SCHEMA {name}"));
    let first = if server.contains('?') { '&' } else { '?' };
    format!("{server}{first}options=-csearch_path%3D{name}")
}

/// Runs statements as somebody who knows nothing of Sekisho.
///
/// # Panics
/// When they fail.
pub fn execute(url: &str, sql: &str) {
    Runtime::new().expect("a runtime").block_on(async {
        let mut connection = PgConnection::connect(url).await.expect("connected");
        connection.execute(AssertSqlSafe(sql.to_owned())).await.expect(sql);
        connection.close().await.expect("closed");
    });
}

/// The database of the service with this data folder; a new one at the first time, none when services keep theirs in a file.
///
/// # Panics
/// When there has to be a server and is none.
#[must_use]
pub fn of_folder(dir: &Path) -> Option<String> {
    if !is_asked_for() {
        return None;
    }
    let server = server().expect("a server to be tested on");
    let mut known = OF_FOLDERS.lock().expect("whole");
    Some(known.entry(dir.to_owned()).or_insert_with(|| schema(&server)).clone())
}

/// A data folder has moved, and its service goes on with its database.
pub fn moved(from: &Path, to: PathBuf) {
    let mut known = OF_FOLDERS.lock().expect("whole");
    if let Some(url) = known.get(from).cloned() {
        known.insert(to, url);
    }
}
