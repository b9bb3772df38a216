//! How fast metrics are taken. A point is a value of a metric at a step, as MLflow counts them.

use std::fmt::Write as _;
use std::process::Command;
use std::time::Instant;

use reqwest::blocking::Client;
use tests::service::Service;

use super::world::{self, ROWS, RUNS};

/// Values of a row.
const VALUES: u64 = 5;

/// Reports the metrics of all runs, in batches of a thousand rows.
pub(super) fn fill(service: &Service) {
    let bodies: Vec<(String, String)> = (0..RUNS)
        .flat_map(|run| (0..ROWS / 1000).map(move |seq| (world::name(run), batch(run, seq, 1000))))
        .collect();
    let seconds = send(service, &bodies);
    tell("metrics of all runs, batches of 1,000 rows", RUNS * ROWS * VALUES, seconds);
}

/// Batches of different sizes to runs of their own, and the same points to MLflow.
pub(super) fn measure(service: &Service) {
    for (rows, batches) in [(1000, 100), (100, 500), (10, 500)] {
        let name = format!("ingest-{rows}-{}", std::process::id());
        service.api().post("/api/v1/runs", &serde_json::json!({ "name": name })).has(201);
        let bodies: Vec<(String, String)> =
            (0..batches).map(|seq| (name.clone(), batch(7, seq, rows))).collect();
        let seconds = send(service, &bodies);
        tell(&format!("metrics, batches of {rows} rows, each on the disk"), rows * batches * VALUES, seconds);
    }
    let Some(python) = std::env::var_os("SEKISHO_BENCH_PYTHON") else {
        super::say("MLflow", format_args!("not measured: SEKISHO_BENCH_PYTHON names no Python with mlflow"));
        return;
    };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/bench/mlflow_store.py");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let output = Command::new(python).arg(script).arg(folder.path()).output().expect("Python runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for line in text.lines() {
        super::say("MLflow", format_args!("{line}"));
    }
}

fn tell(what: &str, points: u64, seconds: f64) {
    super::say(what, format_args!("{:.0} points/s ({points} in {seconds:.1} s)", points as f64 / seconds));
}

/// One request after the other on one connection, as a trainer sends them.
fn send(service: &Service, bodies: &[(String, String)]) -> f64 {
    let http = Client::new();
    let begun = Instant::now();
    for (run, body) in bodies {
        let url = format!("{}/api/v1/runs/{run}/metrics", service.url());
        let request = http.post(url).bearer_auth(service.token()).body(body.clone());
        let answer = request.send().expect("an answer");
        assert!(answer.status().is_success(), "{}", answer.text().unwrap_or_default());
    }
    begun.elapsed().as_secs_f64()
}

/// A loss that falls and wavers, and what stands beside it.
fn batch(run: u64, seq: u64, rows: u64) -> String {
    let mut body = format!("{{\"seq\":{seq},\"writer\":\"bench\",\"rows\":[");
    for i in 0..rows {
        let step = seq * rows + i + 1;
        let noise = ((step * 7919 + run * 104_729) % 1000) as f64 / 1000.0;
        let loss = 2.0 + 8.0 / (step as f64).sqrt() + 0.05 * noise;
        let _ = write!(
            body,
            "{}{{\"step\":{step},\"tokens\":{},\"loss\":{loss},\"ce\":{},\"lr\":{},\"grad_norm\":{},\"seconds\":{}}}",
            if i == 0 { "" } else { "," },
            step * 524_288,
            loss - 1e-3,
            3e-4 * (1.0 - step as f64 / 1e6),
            0.3 + 0.2 * noise,
            0.9 + 0.2 * noise,
        );
    }
    body.push_str("]}");
    body
}
