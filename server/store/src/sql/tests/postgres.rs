use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};

use crate::sql::database::postgres::{MIGRATIONS, shown};
use crate::{AuditRepository as _, PeopleRepository as _, SqlStore, StoreError, story};

/// A database of PostgreSQL in which the tests make schemas.
const VARIABLE: &str = "SEKISHO_TEST_POSTGRES";

/// A schema of its own, for as long as it is held.
pub(super) struct Schema {
    server: String,
    name: String,
}

static MADE: AtomicU32 = AtomicU32::new(0);

impl Schema {
    /// None, with a word of it, where no server is named.
    pub(super) async fn new() -> Option<Self> {
        let Ok(server) = std::env::var(VARIABLE) else {
            assert!(std::env::var_os("SEKISHO_TOOLS_INSTALLED").is_none(), "{VARIABLE} is not set");
            eprintln!("skipped: no PostgreSQL in {VARIABLE}; tests/run.sh starts one");
            return None;
        };
        let name = format!("store_{}_{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        let schema = Self { server, name };
        schema.execute(&format!("CREATE SCHEMA {}", schema.name)).await;
        Some(schema)
    }

    pub(super) fn url(&self) -> String {
        let first = if self.server.contains('?') { '&' } else { '?' };
        format!("{}{first}options=-csearch_path%3D{}", self.server, self.name)
    }

    pub(super) async fn open(&self) -> Result<SqlStore, StoreError> {
        SqlStore::open(&self.url()).await
    }

    async fn connect(&self) -> PgConnection {
        PgConnection::connect(&self.url()).await.expect("connect")
    }

    async fn execute(&self, sql: &str) {
        let mut connection = PgConnection::connect(&self.server).await.expect("connect");
        connection.execute(AssertSqlSafe(sql.to_owned())).await.expect(sql);
        connection.close().await.expect("close");
    }
}

/// Names of everything in the schema.
async fn everything(connection: &mut PgConnection) -> Vec<String> {
    sqlx::query_scalar(
        "SELECT * FROM (
             SELECT relkind::text || ' ' || relname || ' ' || COALESCE(pg_get_indexdef(indexrelid), '') FROM pg_class
                 LEFT JOIN pg_index ON indexrelid = pg_class.oid WHERE relnamespace = current_schema()::regnamespace
             UNION ALL SELECT 'column ' || table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable
                 FROM information_schema.columns WHERE table_schema = current_schema()
             UNION ALL SELECT 'function ' || oid::regprocedure::text FROM pg_proc WHERE pronamespace = current_schema()::regnamespace
             UNION ALL SELECT 'trigger ' || tgname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
                 WHERE NOT tgisinternal AND relnamespace = current_schema()::regnamespace
         ) AS found (name) WHERE name NOT LIKE '%\\_sqlx%' ORDER BY name",
    )
    .fetch_all(connection)
    .await
    .expect("names")
}

#[tokio::test]
async fn migrations_go_up_down_and_up() {
    let Some(schema) = Schema::new().await else { return };
    let store = schema.open().await.expect("open");
    story::the_audit_log_is_a_chain(&store).await;
    let mut connection = schema.connect().await;
    let up = everything(&mut connection).await;
    assert!(up.len() > 100, "{up:?}");
    MIGRATIONS.undo(&mut connection, 0).await.expect("down");
    assert_eq!(everything(&mut connection).await, Vec::<String>::new(), "nothing stays behind");
    store.close().await;
    let store = schema.open().await.expect("up");
    assert_eq!(everything(&mut connection).await, up);
    story::the_audit_log_is_a_chain(&store).await;
}

#[test]
fn both_databases_have_the_same_migrations() {
    let names = |migrations: &sqlx::migrate::Migrator| -> Vec<(i64, String)> {
        migrations.iter().map(|one| (one.version, one.description.to_string())).collect()
    };
    assert_eq!(names(&MIGRATIONS), names(&crate::sql::database::sqlite::MIGRATIONS));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_first_starts_at_once_are_one() {
    let Some(schema) = Schema::new().await else { return };
    for started in futures::future::join_all((0..4).map(|_| schema.open())).await {
        started.expect("open").users().await.expect("query");
    }
}

#[tokio::test]
async fn a_newer_database_is_refused() {
    let Some(schema) = Schema::new().await else { return };
    schema.open().await.expect("open").close().await;
    let mut connection = schema.connect().await;
    let newer = "INSERT INTO _sqlx_migrations VALUES (9999, 'future', now(), TRUE, '\\x00', 1)";
    connection.execute(newer).await.expect("insert");
    let error = schema.open().await.expect_err("newer").to_string();
    assert!(error.contains("was written by a newer Sekisho (migration 9999;"), "{error}");
}

#[tokio::test]
async fn what_is_no_database_of_ours_is_refused() {
    let Some(schema) = Schema::new().await else { return };
    let mut connection = schema.connect().await;
    connection.execute("CREATE TABLE runs (id text)").await.expect("create");
    let error = schema.open().await.expect_err("foreign").to_string();
    assert!(error.contains("it belongs to another program; name another database"), "{error}");
    let tables = everything(&mut connection).await;
    assert_eq!(tables.len(), 2, "nothing was added: {tables:?}");
}

#[tokio::test]
async fn an_account_that_may_not_write_is_told_so() {
    let Some(schema) = Schema::new().await else { return };
    schema.open().await.expect("open").close().await;
    let reader = format!("{}_reader", schema.name);
    schema.execute(&format!("CREATE ROLE {reader} LOGIN")).await;
    schema.execute(&format!("GRANT USAGE ON SCHEMA {} TO {reader}", schema.name)).await;
    schema.execute(&format!("GRANT SELECT ON ALL TABLES IN SCHEMA {} TO {reader}", schema.name)).await;
    let url = format!("{}&user={reader}", schema.url());
    let error = SqlStore::open(&url).await.expect_err("a reader").to_string();
    assert!(error.contains("the account may not write to the table"), "{error}");

    let empty = Schema::new().await.expect("a schema");
    schema.execute(&format!("GRANT USAGE ON SCHEMA {} TO {reader}", empty.name)).await;
    let error = SqlStore::open(&format!("{}&user={reader}", empty.url())).await.expect_err("a reader");
    assert!(error.to_string().contains("the account must own the database"), "{error}");
    for schema in [&schema, &empty] {
        schema.execute(&format!("DROP OWNED BY {reader}")).await;
    }
    schema.execute(&format!("DROP ROLE {reader}")).await;
}

#[tokio::test]
async fn an_address_that_leads_nowhere_is_named_without_its_password() {
    let url = "postgres://someone:secret@127.0.0.1:1/nowhere?sslmode=disable&password=secret";
    let error = SqlStore::open(url).await.expect_err("nobody there").to_string();
    let named = "the database postgres://someone@127.0.0.1:1/nowhere?sslmode=disable could not be opened: ";
    assert!(error.starts_with(named) && !error.contains("secret"), "{error}");
    assert_eq!(shown("postgres://host/db"), "postgres://host/db");
    assert_eq!(shown("postgresql:///db?host=/run&password=x"), "postgresql:///db?host=/run");
}

#[tokio::test]
async fn the_audit_log_resists() {
    let Some(schema) = Schema::new().await else { return };
    let store = schema.open().await.expect("open");
    story::the_audit_log_is_a_chain(&store).await;
    let mut connection = schema.connect().await;
    for change in [
        "UPDATE audit_log SET entry = '{}' WHERE seq = 2",
        "DELETE FROM audit_log WHERE seq = 3",
        "TRUNCATE audit_log",
        "INSERT INTO audit_log (seq, entry, hash) VALUES (9, '{}', '')",
    ] {
        let error = connection.execute(change).await.expect_err(change);
        assert!(error.to_string().contains("the audit log is append-only"), "{error}");
    }
    assert_eq!(store.verify_audit(&[]).await.expect("verify"), Ok(3));
}
