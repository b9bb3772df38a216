//! A thousand browsers that listen to one run: how long until each has heard of a report, and what they cost.

use std::time::{Duration, Instant};

use futures::StreamExt as _;
use serde_json::json;
use tests::service::Service;
use tokio::sync::mpsc;

use super::world;

const CLIENTS: usize = 1000;
const REPORTS: u64 = 50;

pub(super) fn measure(service: &Service) {
    let before = super::resident(service);
    // Another run each time: one process at a time writes a run.
    let run = world::name(u64::from(std::process::id()) % world::RUNS);
    let id = service.api().get(&format!("/api/v1/runs/{run}")).has(200).json()["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut waits = runtime.block_on(listen_and_report(service, &run, &id));
    let heard = waits.len();
    let middle = super::quantile(&mut waits, 0.5);
    let worst = super::quantile(&mut waits, 0.99);
    super::say(
        &format!("{CLIENTS} listeners, from the report sent to the event received"),
        format_args!("{middle:.0} ms at the median, p99 {worst:.0} ms; {heard} events heard"),
    );
    let after = super::resident(service);
    super::say(
        &format!("{CLIENTS} listeners"),
        format_args!("{after:.0} MB resident, {:.0} MB more than before", after - before),
    );
}

/// Waits of all listeners for all reports [ms].
async fn listen_and_report(service: &Service, run: &str, id: &str) -> Vec<f64> {
    let (heard, mut told) = mpsc::unbounded_channel();
    let http = reqwest::Client::new();
    let mut listeners = Vec::new();
    for _ in 0..CLIENTS {
        let url = format!("{}/events?topics=run:{id}", service.url());
        let answer = http.get(url).send().await.expect("a stream");
        let heard = heard.clone();
        listeners.push(tokio::spawn(async move {
            let mut stream = answer.bytes_stream();
            while let Some(Ok(bytes)) = stream.next().await {
                if bytes.windows(5).any(|part| part == b"event") {
                    let _ = heard.send(Instant::now());
                }
            }
        }));
    }
    let mut waits = Vec::new();
    for seq in 0..REPORTS {
        let row = json!({ "step": 1_000_000 + seq, "tokens": (1_000_000 + seq) * 524_288, "loss": 2.0 });
        let body = json!({ "seq": seq, "writer": format!("stream-{}", std::process::id()), "follows": "bench", "rows": [row] });
        let begun = Instant::now();
        let url = format!("{}/api/v1/runs/{run}/metrics", service.url());
        let answer = http.post(url).bearer_auth(service.token()).json(&body).send().await.expect("an answer");
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap_or_default());
        for _ in 0..CLIENTS {
            let Ok(Some(at)) = tokio::time::timeout(Duration::from_secs(10), told.recv()).await else {
                break;
            };
            waits.push(at.duration_since(begun).as_secs_f64() * 1e3);
        }
    }
    listeners.iter().for_each(tokio::task::JoinHandle::abort);
    waits
}
