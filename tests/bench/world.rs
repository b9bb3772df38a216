//! 200 runs of 50 checkpoints with 30 scores each, and 5,000,000 points of metrics.
//!
//! What cannot be told from real work is real: one run is registered, its checkpoints are examined, and its evaluations are answered
//! through the API, twenty times with more right answers each time. The other runs are copies of its rows under other ids, each checkpoint
//! of one of those twenty; their metrics are reported through the API.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, Row as _, SqliteConnection};
use tests::benchmark::{Benchmark, PROFILE, TASK};
use tests::checkpoints::Recipe;
use tests::service::{Options, Service, text};

use super::ingest;

pub(super) const RUNS: u64 = 200;
pub(super) const CHECKPOINTS: u64 = 50;
/// Tasks of the suite; each has two metrics.
const TASKS: usize = 15;
/// Items of a task.
const ITEMS: u64 = 100;
/// Evaluations that are answered through the API.
const LEVELS: u64 = 20;
/// Rows of metrics of a run; each has five values.
pub(super) const ROWS: u64 = 5_000;
const SUITE: &str = "bench";

pub(super) struct World {
    root: PathBuf,
    /// Where it lies when nobody has named a place.
    _own: Option<tempfile::TempDir>,
}

impl World {
    /// Made where it is not there yet.
    pub(super) fn at_hand() -> Self {
        let (root, own) = match std::env::var_os("SEKISHO_BENCH_DIR") {
            Some(root) => (PathBuf::from(root), None),
            None => {
                let own = tempfile::tempdir().expect("a temporary folder");
                (own.path().to_owned(), Some(own))
            }
        };
        let world = Self { root, _own: own };
        if !world.root.join("made").exists() {
            world.make();
        }
        world
    }

    /// The service on it, with nothing at work but itself.
    pub(super) fn serve(&self) -> Service {
        let config = format!(
            "[evaluate]\nsuite = \"{SUITE}\"\ndata = {:?}\ntasks = {:?}\n",
            self.root.join("benchmark/data"),
            self.root.join("benchmark/tasks")
        );
        Service::with(Options { config, dir: Some(self.root.join("data")), ..Options::default() })
    }

    fn make(&self) {
        fs_err::create_dir_all(&self.root).expect("a folder");
        write_benchmark(&self.root.join("benchmark"));
        let model = self.root.join("model");
        Recipe::default().write(&model);
        let service = self.serve();
        evaluate(&service, &model);
        for run in 1..RUNS {
            service.api().post("/api/v1/runs", &json!({ "name": name(run) })).has(201);
        }
        ingest::fill(&service);
        drop(service);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(multiply(&self.root.join("data/sekisho.db")));
        fs_err::write(self.root.join("made"), "").expect("written");
    }
}

pub(super) fn name(run: u64) -> String {
    format!("bench-{run:03}")
}

fn task(number: usize) -> String {
    format!("{TASK}{number:02}")
}

/// The tests' own task under fifteen names, and a suite of them.
fn write_benchmark(folder: &Path) {
    let benchmark = Benchmark::write(folder, ITEMS, 80);
    let one = fs_err::read_to_string(benchmark.tasks.join("gates.toml")).expect("the task file");
    let mut suite = format!("name = \"{SUITE}\"\ntitle_en = \"Bench\"\ntitle_ja = \"計測\"\n");
    for number in 0..TASKS {
        let own = one.replace(&format!("task = \"{TASK}\""), &format!("task = \"{}\"", task(number)));
        fs_err::write(benchmark.tasks.join(format!("{}.toml", task(number))), own).expect("written");
        let _ = write!(
            suite,
            "[[task]]\nprofile = \"{PROFILE}\"\ntask = \"{}\"\nsplit = \"test\"\n",
            task(number)
        );
    }
    fs_err::write(benchmark.tasks.join("suites/bench.toml"), suite).expect("written");
}

/// The first run: as many checkpoints as there are levels, each evaluated by a worker that gets more right than the one before.
fn evaluate(service: &Service, model: &Path) {
    service.api().post("/api/v1/runs", &json!({ "name": name(0) })).has(201);
    for level in 1..=LEVELS {
        let _ = service.ingest(model, &name(0), level, level << 29);
    }
    let claim = json!({ "worker": "bench", "max": 64 });
    loop {
        let items = service.api().post("/api/v1/work/claim", &claim).has(200).json();
        let items = items["items"].as_array().cloned().unwrap_or_default();
        if items.is_empty() {
            break;
        }
        for item in &items {
            let level = level_of(service, text(&item["checkpoint"]));
            let records: Vec<Value> = (0..ITEMS).map(|number| record(item, number, level)).collect();
            let batch = json!({
                "id": item["id"], "fence": item["fence"], "batch": 1, "records": records, "total": ITEMS, "done": true,
                "environment": { "device": "cpu", "dtype": "f32", "engine": "bench" },
            });
            service.api().post("/api/v1/work/results", &batch).has(200);
        }
    }
}

fn level_of(service: &Service, checkpoint: &str) -> u64 {
    service.api().get(&format!("/api/v1/checkpoints/{checkpoint}")).has(200).json()["step"]
        .as_u64()
        .expect("a step")
}

/// An answer that is right as often as the level says, for other items in each task.
fn record(item: &Value, number: u64, level: u64) -> Value {
    let task = text(&item["run"]["task"]);
    let salt: u64 = task.bytes().map(u64::from).sum();
    // A fixed order of difficulty for each task: higher levels answer what lower ones did, and some more.
    let difficulty = (number * 37 + salt * 11) % ITEMS;
    let right = f64::from(u8::from(difficulty < 25 + level * 3));
    json!({
        "profile": PROFILE, "task": task, "split": "test", "item": number, "prompt_sha256": "0".repeat(64), "prompt_tokens": 40,
        "truncated": 0, "loglikelihoods": [-1.0, -2.0, -3.0, -4.0], "choice_tokens": [1, 1, 1, 1],
        "prediction": 0, "gold": if right > 0.0 { 0 } else { 1 }, "score": { "acc": right, "acc_norm": right },
    })
}

/// Copies the first run's checkpoints to all the others, and adds to itself until it has as many.
async fn multiply(database: &Path) {
    let url = format!("sqlite://{}", database.display());
    let mut connection = SqliteConnection::connect(&url).await.expect("the database");
    let runs: Vec<(String, String)> = sqlx::query_as("SELECT name, id FROM runs ORDER BY name")
        .fetch_all(&mut connection)
        .await
        .expect("runs");
    let template: Vec<(String, i64)> = sqlx::query_as("SELECT id, step FROM checkpoints ORDER BY step")
        .fetch_all(&mut connection)
        .await
        .expect("checkpoints");
    for (r, (_, run)) in runs.iter().enumerate() {
        let mut transaction = connection.begin().await.expect("a transaction");
        for c in 0..CHECKPOINTS as usize {
            if r == 0 && c < template.len() {
                continue;
            }
            // Runs differ, and get better.
            let level =
                (c * template.len() / CHECKPOINTS as usize + r % 5).saturating_sub(2).min(template.len() - 1);
            copy(&mut transaction, &template[level].0, run, (r, c)).await;
        }
        transaction.commit().await.expect("written");
    }
    for table in ["runs", "checkpoints", "scores", "record_chunks"] {
        let count = format!("SELECT COUNT(*) FROM {table}");
        let count: i64 =
            sqlx::query(AssertSqlSafe(count)).fetch_one(&mut connection).await.expect("a count").get(0);
        super::say(table, format_args!("{count}"));
    }
    connection.close().await.expect("closed");
}

/// One checkpoint with its evaluation, under other ids.
async fn copy(connection: &mut SqliteConnection, from: &str, run: &str, (r, c): (usize, usize)) {
    let place = format!("{r:03}{c:03}");
    let (id, work) = (
        format!("substr(id, 1, 20) || '{place}'"),
        format!("substr(id, 1, 18) || printf('%02d', position) || '{place}'"),
    );
    let of_work = format!(
        "(SELECT substr(id, 1, 18) || printf('%02d', position) || '{place}' FROM work_items WHERE work_items.id = work_id)"
    );
    let (step, tokens) = (format!("{}", (c + 1) * 100), format!("{}", (c as u64 + 1) * 100 * 524_288));
    let at = format!("created + {}", (r * 50 + c) * 60_000);
    let evaluation = "substr(evaluation_id, 1, 20) || ".to_owned() + &format!("'{place}'");
    let checkpoint = "substr(checkpoint_id, 1, 20) || ".to_owned() + &format!("'{place}'");
    let own = format!("id = '{from}'");
    let its = format!("checkpoint_id = '{from}'");
    let of_its_work = format!("work_id IN (SELECT id FROM work_items WHERE checkpoint_id = '{from}')");
    let run = format!("'{run}'");
    let tables: [(&str, &str, &[(&str, &str)]); 5] = [
        (
            "checkpoints",
            &own,
            &[
                ("id", &id),
                ("run_id", &run),
                ("step", &step),
                ("tokens", &tokens),
                ("created", &at),
                ("updated", &at),
            ],
        ),
        ("evaluations", &its, &[("id", &id), ("checkpoint_id", &checkpoint), ("created", &at)]),
        (
            "work_items",
            &its,
            &[("id", &work), ("evaluation_id", &evaluation), ("checkpoint_id", &checkpoint)],
        ),
        ("record_chunks", &of_its_work, &[("work_id", &of_work)]),
        ("scores", &of_its_work, &[("work_id", &of_work)]),
    ];
    for (table, of, changed) in tables {
        copy_rows(connection, table, of, changed).await;
    }
}

/// The rows of a table that a condition names, with other values in some columns.
async fn copy_rows(connection: &mut SqliteConnection, table: &str, of: &str, changed: &[(&str, &str)]) {
    let columns: Vec<String> = sqlx::query_scalar("SELECT name FROM pragma_table_info($1)")
        .bind(table)
        .fetch_all(&mut *connection)
        .await
        .expect("columns");
    let value = |column: &String| {
        let other = changed.iter().find(|(name, _)| name == column);
        other.map_or_else(|| column.clone(), |(_, expression)| (*expression).to_owned())
    };
    let values: Vec<String> = columns.iter().map(value).collect();
    let insert = format!(
        "INSERT INTO {table} ({}) SELECT {} FROM {table} WHERE {of}",
        columns.join(", "),
        values.join(", ")
    );
    sqlx::query(AssertSqlSafe(insert)).execute(connection).await.expect("copied");
}
