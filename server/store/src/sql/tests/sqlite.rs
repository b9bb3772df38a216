use std::path::Path;

use sekisho_domain::RunId;
use sekisho_domain::audit::AuditFault;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _, Executor as _, SqlitePool};
use tempfile::TempDir;

use crate::sql::database::sqlite::{MIGRATIONS, migrate};
use crate::sql::database::{self, Pool};
use crate::{
    AuditRepository as _, PeopleRepository as _, ReportRepository as _, RunRepository as _, SqlStore,
    StoreError, story,
};

/// A new database in a folder of its own.
pub(super) async fn new() -> (TempDir, SqlStore) {
    let folder = tempfile::tempdir().expect("temporary folder");
    let store = open(&folder).await.expect("open");
    (folder, store)
}

pub(super) async fn open(folder: &TempDir) -> Result<SqlStore, StoreError> {
    SqlStore::open(&format!("sqlite://{}", file(folder).display())).await
}

fn file(folder: &TempDir) -> std::path::PathBuf {
    folder.path().join("sekisho.db")
}

/// The connection that writes.
fn pool(store: &SqlStore) -> &SqlitePool {
    match store.database.writers() {
        Pool::Sqlite(pool) => pool,
        Pool::Postgres(_) => panic!("SQLite"),
    }
}

/// A connection that knows nothing of Sekisho.
async fn foreign(file: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(file).create_if_missing(true);
    options.connect().await.expect("connect")
}

#[tokio::test]
async fn a_full_disk_is_said_and_passes() {
    let (_folder, store) = new().await;
    sqlx::query("PRAGMA max_page_count = 1").execute(pool(&store)).await.expect("no more pages");
    let add = async |n: u32| {
        let user = story::user(n, &format!("user {n} {}", "x".repeat(1000)), &[]);
        let token = story::token(n, user.id);
        store.add_user_with_token(&user, &token, &story::entry("user.add")).await
    };
    let mut n = 0;
    let error = loop {
        n += 1;
        assert!(n < 1000, "no end of room");
        if let Err(error) = add(n).await {
            break error;
        }
    };
    assert!(error.is_disk_full(), "{error}");
    assert!(error.to_string().contains("make room and try again"), "{error}");
    sqlx::query("PRAGMA max_page_count = 1000000").execute(pool(&store)).await.expect("room");
    add(n).await.expect("the same again");
}

#[tokio::test]
async fn what_was_written_is_there_after_a_restart() {
    let (folder, store) = new().await;
    let user = story::user(1, "林", &[]);
    store.add_user(&user, &story::entry("user.add")).await.expect("add");
    store.close().await;
    let left: Vec<_> = std::fs::read_dir(folder.path())
        .expect("folder")
        .map(|entry| entry.expect("entry").file_name())
        .collect();
    assert_eq!(left, ["sekisho.db"], "the write-ahead log is folded into the file");
    let again = open(&folder).await.expect("open again");
    assert_eq!(again.users().await.expect("list"), [user]);
}

#[tokio::test]
async fn writes_are_durable_and_readers_cannot_write() {
    let (_folder, store) = new().await;
    let pragma = async |name: &'static str| -> String {
        let value = sqlx::query_scalar::<_, String>(name).fetch_one(pool(&store)).await;
        match value {
            Ok(text) => text,
            Err(_) => {
                sqlx::query_scalar::<_, i64>(name).fetch_one(pool(&store)).await.expect("pragma").to_string()
            }
        }
    };
    assert_eq!(pragma("PRAGMA journal_mode").await, "wal");
    assert_eq!(pragma("PRAGMA synchronous").await, "2", "FULL");
    assert_eq!(pragma("PRAGMA foreign_keys").await, "1");
    let error =
        database::query("DELETE FROM users").execute(&store.database.read).await.expect_err("a reader");
    assert!(error.to_string().contains("readonly"), "{error}");
}

async fn schema(store: &SqlStore) -> Vec<String> {
    sqlx::query_scalar("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE '\\_sqlx%' ESCAPE '\\' ORDER BY name")
        .fetch_all(pool(store))
        .await
        .expect("schema")
}

#[tokio::test]
async fn migrations_go_up_down_and_up() {
    let (_folder, store) = new().await;
    story::the_audit_log_is_a_chain(&store).await;
    let up = schema(&store).await;
    assert!(up.len() > 20, "{up:?}");
    MIGRATIONS.undo(pool(&store), 0).await.expect("down");
    assert_eq!(schema(&store).await, Vec::<String>::new(), "nothing stays behind");
    migrate(pool(&store)).await.expect("up");
    assert_eq!(schema(&store).await, up);
    story::the_audit_log_is_a_chain(&store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_first_starts_at_once_are_one() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let starts = (0..4).map(|_| open(&folder));
    for started in futures::future::join_all(starts).await {
        started.expect("open").runs(1).await.expect("query");
    }
}

#[tokio::test]
async fn a_newer_database_is_refused_untouched() {
    let (folder, store) = new().await;
    sqlx::query("INSERT INTO _sqlx_migrations VALUES (9999, 'future', CURRENT_TIMESTAMP, TRUE, x'00', 1)")
        .execute(pool(&store))
        .await
        .expect("insert");
    store.close().await;
    let before = fs_err::read(file(&folder)).expect("read");
    let error = open(&folder).await.expect_err("newer");
    let known = MIGRATIONS.iter().map(|migration| migration.version).max().expect("migrations");
    assert_eq!(
        error.to_string(),
        format!(
            "the database sqlite://{} was written by a newer Sekisho (migration 9999; this one knows up to {known}); \
             start that version, or restore a backup made before the upgrade",
            file(&folder).display()
        )
    );
    assert_eq!(fs_err::read(file(&folder)).expect("read"), before);
}

#[tokio::test]
async fn what_is_no_database_of_ours_is_refused_untouched() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let path = file(&folder);
    let mut other = foreign(&path).await;
    other.execute("CREATE TABLE runs (id)").await.expect("create");
    other.close().await.expect("close");
    let text = folder.path().join("notes.db");
    fs_err::write(&text, "not a database at all, but long enough to have a header of its own\n".repeat(20))
        .expect("write");
    for (path, sentence) in
        [(&path, "it belongs to another program; name another file"), (&text, "file is not a database")]
    {
        let before = fs_err::read(path).expect("read");
        let error = SqlStore::open(path.to_str().expect("UTF-8")).await.expect_err("not ours");
        assert!(error.to_string().contains(&path.display().to_string()), "{error}");
        assert!(error.to_string().contains(sentence), "{error}");
        assert_eq!(fs_err::read(path).expect("read"), before);
    }
    for wrong in
        ["postgres://localhost/sekisho", "sqlite://sekisho.db?mode=rwc", "/no/such/folder/sekisho.db"]
    {
        let error = SqlStore::open(wrong).await.expect_err("cannot be opened");
        assert!(
            error.to_string().starts_with(&format!("the database {wrong} could not be opened: ")),
            "{error}"
        );
    }
}

#[tokio::test]
async fn what_cannot_be_understood_is_named() {
    let (_folder, store) = new().await;
    story::a_run_reports(&store).await;
    let spoil = async |sql: &'static str| sqlx::query(sql).execute(pool(&store)).await.expect("update");
    let run: RunId = story::id(1);

    spoil("UPDATE runs SET state = 'asleep' WHERE name = 'run-1'").await;
    let error = store.run(run).await.expect_err("no such state");
    assert_eq!(
        error.to_string(),
        format!(
            "the database holds something unreadable in runs.state of row {run}: \
             \"asleep\" is none of registered, running, finished, failed"
        )
    );
    spoil("UPDATE metric_chunks SET body = x'00' WHERE id = (SELECT MIN(id) FROM metric_chunks)").await;
    let error = store.metrics(run).await.expect_err("no chunk").to_string();
    assert!(
        error.starts_with(&format!(
            "the database holds something unreadable in metric_chunks.body of row {run} "
        )),
        "{error}"
    );
}

/// A database of before chunks, with rows of metrics one by one.
#[tokio::test]
async fn rows_of_an_older_version_come_into_chunks() {
    let (folder, store) = new().await;
    MIGRATIONS.undo(pool(&store), 20).await.expect("down");
    let run: RunId = story::id(1);
    let old = format!(
        "INSERT INTO runs (id, name, state, step, tokens, created, updated, project)
             VALUES ('{run}', 'old', 'running', 300, 3000, 1000, 5000, 'default');
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
             INSERT INTO metrics (run_id, step, tokens, loss, lr) SELECT '{run}', i, 10 * i, 4.0 - i / 100.0, 3e-4 FROM n;
         INSERT INTO metric_batches (run_id, writer, seq) VALUES ('{run}', 'w', 0);
         INSERT INTO run_events (run_id, step, kind, note, at) VALUES ('{run}', 7, 'spike', 'x', 2000);"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(old)).execute(pool(&store)).await.expect("old rows");
    store.close().await;
    let store = open(&folder).await.expect("open");
    let rows = store.metrics(run).await.expect("rows");
    assert_eq!((rows.len(), rows[299].tokens.0, rows[99].loss), (300, 3000, Some(3.0)));
    assert_eq!(store.segments(run).await.expect("segments").len(), 1);
    let events = store.events(run).await.expect("events");
    assert_eq!((events.len(), events[0].note.as_str(), events[0].version), (1, "x", 1));
    let repeated = sekisho_domain::wire::MetricsBatch { writer: "w".to_owned(), ..Default::default() };
    assert_eq!(story::append(&store, run, &repeated, 9).await, crate::Appended::Repeated, "of any content");
    store.close().await;
    let again = open(&folder).await.expect("open").metrics(run).await.expect("rows");
    assert_eq!(again, rows);
}

#[tokio::test]
async fn the_audit_log_resists_and_shows_tampering() {
    let (_folder, store) = new().await;
    story::the_audit_log_is_a_chain(&store).await;
    for change in [
        "UPDATE audit_log SET entry = '{}' WHERE seq = 2",
        "DELETE FROM audit_log WHERE seq = 3",
        "REPLACE INTO audit_log (seq, entry, hash) VALUES (2, '{}', '')",
        "INSERT INTO audit_log (seq, entry, hash) VALUES (9, '{}', '')",
    ] {
        let error = sqlx::query(change).execute(pool(&store)).await.expect_err(change);
        assert!(error.to_string().contains("the audit log is append-only"), "{error}");
    }
    assert_eq!(store.verify_audit(&[]).await.expect("verify"), Ok(3));

    // Somebody who writes to the file by other means.
    for trigger in ["audit_log_is_never_changed", "audit_log_is_never_shortened"] {
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!("DROP TRIGGER {trigger}")))
            .execute(pool(&store))
            .await
            .expect("drop");
    }
    let tamper = async |sql: &'static str| {
        let mut transaction = store.begin().await.expect("begin");
        database::query(sql).execute(&mut transaction).await.expect("tamper");
        transaction.commit().await.expect("commit");
        store.verify_audit(&[]).await.expect("verify").expect_err(sql)
    };
    let fault = tamper("UPDATE audit_log SET hash = 'x' WHERE seq = 3").await;
    assert!(matches!(fault, AuditFault::Hash { seq: 3, .. }), "{fault}");
    let fault = tamper("UPDATE audit_log SET entry = replace(entry, '林', '森') WHERE seq = 2").await;
    assert!(matches!(fault, AuditFault::Hash { seq: 2, .. }), "{fault}");
    let fault = tamper("DELETE FROM audit_log WHERE seq = 1").await;
    assert_eq!(fault, AuditFault::Gap { expected: 1, found: 2 });
}

#[tokio::test]
async fn a_full_disk_is_said_and_nothing_is_half_written() {
    let (_folder, store) = new().await;
    story::a_run_reports(&store).await;
    let rows = store.metrics(story::id(1)).await.expect("rows");
    let pages: i64 = sqlx::query_scalar("PRAGMA page_count").fetch_one(pool(&store)).await.expect("count");
    let limit = sqlx::AssertSqlSafe(format!("PRAGMA max_page_count = {pages}"));
    sqlx::query(limit).execute(pool(&store)).await.expect("limit");
    let mut batch =
        sekisho_domain::wire::MetricsBatch { writer: "c".to_owned(), seq: 999, ..Default::default() };
    // Losses that do not compress.
    let mut loss = 0.5_f64;
    for step in 1000..11_000 {
        loss = 3.99 * loss * (1.0 - loss);
        let step = sekisho_domain::Step(step);
        batch.rows.push(sekisho_domain::run::MetricRow { step, loss: Some(loss), ..Default::default() });
    }
    let error = story::try_append(&store, story::id(1), &batch, 140).await;
    assert_eq!(
        error.expect_err("full").to_string(),
        "the disk that holds the database is full; nothing of this was written; make room and try again"
    );
    assert_eq!(store.metrics(story::id(1)).await.expect("rows"), rows);
}
