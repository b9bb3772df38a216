//! How fast work items are claimed while a million wait: on SQLite, and on PostgreSQL where `SEKISHO_BENCH_POSTGRES` names a database
//! with an empty schema (its commits have to reach the disk, or the figures say nothing).

use std::sync::Arc;
use std::time::{Duration, Instant};

use sekisho_domain::Timestamp;
use sekisho_domain::wire::HeldItem;
use sekisho_store::{QueueRepository as _, SqlStore};
use sqlx::{Connection as _, Executor as _, PgConnection, SqliteConnection};
use tokio::runtime::Runtime;

use super::{quantile, say};

const WORKERS: usize = 64;
const SECONDS: Duration = Duration::from_secs(10);
const NOW: Timestamp = Timestamp::from_unix_ms(1_800_000_000_000);

/// 20,000 evaluations of fifty items, in words of both databases. Ids are numbers with 26 digits.
const WORLD: &str = "
    INSERT INTO runs (id, name, state, step, tokens, created, updated)
        VALUES ('00000000000000000000000001', 'queue', 'running', 0, 0, 0, 0);
    CREATE TABLE numbers (i BIGINT NOT NULL, id TEXT NOT NULL);
    INSERT INTO numbers (i, id)
        WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000)
        SELECT i, substr('00000000000000000000000000' || i, length('' || i) + 1) FROM n;
    INSERT INTO checkpoints (id, run_id, step, tokens, state, path, owned, digest, created, updated)
        SELECT id, '00000000000000000000000001', i, i, 'verified', '/' || i, FALSE, id, i, i FROM numbers WHERE i <= 20000;
    INSERT INTO evaluations (id, checkpoint_id, suite, state, environment, created, updated)
        SELECT id, id, 'suite', 'waiting', '{}', i, i FROM numbers WHERE i <= 20000;
    INSERT INTO work_items (id, evaluation_id, checkpoint_id, run, digest, position, priority, pool, queued, not_before, state,
            attempt, fence, finished, seconds, prompt, prefilled, generated, updated, profile, task)
        SELECT own.id, of.id, of.id, '{\"profile\":\"p\",\"task\":\"t\",\"split\":\"test\",\"limit\":null,\"shots\":null}',
            'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',
            own.i, own.i % 3, '', of.i, 0, 'waiting', 0, 0, 0, 0, 0, 0, 0, 0, 'p', 't'
        FROM numbers AS own JOIN numbers AS of ON of.i = (own.i - 1) / 50 + 1;
    DROP TABLE numbers;
";

#[test]
#[ignore = "a benchmark"]
fn claims() {
    let runtime = Runtime::new().expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    let file = format!("sqlite://{}", folder.path().join("queue.db").display());
    runtime.block_on(async {
        let store = SqlStore::open(&file).await.expect("a store");
        let mut connection = SqliteConnection::connect(&file).await.expect("connected");
        connection.execute(WORLD).await.expect("a queue");
        measure("SQLite", store).await;
    });
    let Ok(url) = std::env::var("SEKISHO_BENCH_POSTGRES") else { return };
    runtime.block_on(async {
        let store = SqlStore::open(&url).await.expect("a store");
        let mut connection = PgConnection::connect(&url).await.expect("connected");
        connection.execute(WORLD).await.expect("a queue");
        connection.execute("ANALYZE").await.expect("statistics");
        measure("PostgreSQL", store).await;
    });
}

/// Workers that take one item after the other, and such that finish each.
async fn measure(database: &str, store: SqlStore) {
    let store = Arc::new(store);
    for finish in [false, true, false] {
        let begun = Instant::now();
        let workers = (0..WORKERS).map(|n| tokio::spawn(work(Arc::clone(&store), n, finish)));
        let times = futures::future::try_join_all(workers).await.expect("joined");
        let mut times: Vec<f64> = times.into_iter().flatten().collect();
        let rate = times.len() as f64 / begun.elapsed().as_secs_f64();
        let (middle, late) = (quantile(&mut times, 0.5) * 1e3, quantile(&mut times, 0.99) * 1e3);
        let what = if finish { "claims, each item finished" } else { "claims" };
        say(
            &format!("{database}: {what}, {WORKERS} workers"),
            format_args!("{rate:.0}/s, p50 {middle:.1} ms, p99 {late:.1} ms"),
        );
    }
    let mut alone: Vec<f64> = Vec::new();
    for _ in 0..200 {
        let begun = Instant::now();
        store.claim("alone", "", None, 1, 600, NOW).await.expect("claimed");
        alone.push(begun.elapsed().as_secs_f64());
    }
    let late = quantile(&mut alone, 0.99) * 1e3;
    say(&format!("{database}: a claim, one worker"), format_args!("p99 {late:.1} ms"));
}

/// Seconds of each claim.
async fn work(store: Arc<SqlStore>, worker: usize, finish: bool) -> Vec<f64> {
    let (name, end) = (format!("w{worker}"), Instant::now() + SECONDS);
    let mut times = Vec::new();
    while Instant::now() < end {
        let begun = Instant::now();
        let leased = store.claim(&name, "", None, 1, 600, NOW).await.expect("claimed");
        times.push(begun.elapsed().as_secs_f64());
        for row in leased.iter().filter(|_| finish) {
            let held = HeldItem { id: row.work.id, fence: row.fence };
            store.finish(held, &[], NOW).await.expect("finished");
        }
    }
    times
}
