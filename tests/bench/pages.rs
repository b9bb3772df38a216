//! How long pages take at 50 requests a second, by `wrk`, and what they weigh.

use std::fmt::Write as _;
use std::process::Command;

use reqwest::blocking::Client;
use reqwest::header::ACCEPT_ENCODING;
use tests::service::Service;

use super::world;

const CONNECTIONS: u64 = 10;
const RATE: u64 = 50;
const SECONDS: u64 = 20;
/// Runs whose pages are asked in turn.
const VISITED: u64 = 40;

/// Each page with the addresses that are asked in turn.
fn pages() -> Vec<(&'static str, Vec<String>)> {
    let runs = |tail: &str| (0..VISITED).map(|run| format!("/runs/{}{tail}", world::name(run))).collect();
    vec![
        ("overview", vec!["/".to_owned()]),
        ("leaderboard", vec!["/leaderboard".to_owned()]),
        ("leaderboard, four pages in turn", (1..5).map(|page| format!("/leaderboard?page={page}")).collect()),
        ("list of runs", vec!["/runs".to_owned()]),
        ("run, in turn", runs("")),
        ("run, its curves, in turn", runs("?tab=curves")),
        ("run, its metrics, in turn", runs("?tab=metrics")),
        ("run, its checkpoints, in turn", runs("?tab=checkpoints")),
    ]
}

pub(super) fn measure(service: &Service) {
    for (what, addresses) in pages() {
        weigh(service, what, &addresses[0]);
        // Means and tests are computed once and kept: the first visit of each address is told apart.
        let first = first_visits(service, &addresses);
        super::say(what, format_args!("first visit {first}"));
        super::say(what, format_args!("{}", wrk(service, &addresses)));
    }
}

fn first_visits(service: &Service, addresses: &[String]) -> String {
    let mut seconds: Vec<f64> = addresses
        .iter()
        .map(|address| {
            let begun = std::time::Instant::now();
            let _ = service.visitor().get(address).has(200);
            begun.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    let middle = super::quantile(&mut seconds, 0.5);
    format!("{middle:.0} ms at the median, {:.0} ms at most", super::quantile(&mut seconds, 1.0))
}

/// The page and what it loads, as a browser gets them [kB].
fn weigh(service: &Service, what: &str, address: &str) {
    let http = Client::new();
    let size = |path: &str| {
        let request = http.get(format!("{}{path}", service.url())).header(ACCEPT_ENCODING, "gzip");
        request.send().and_then(reqwest::blocking::Response::bytes).expect("an answer").len() as f64 / 1e3
    };
    let page = service.visitor().get(address).has(200).text;
    let mut assets: Vec<&str> =
        page.split('"').filter(|part| part.starts_with("/static/") && !part.contains(' ')).collect();
    assets.sort_unstable();
    assets.dedup();
    let all: f64 = assets.iter().map(|path| size(path)).sum();
    let own = size(address);
    super::say(what, format_args!("{own:.1} kB and {all:.1} kB of styles and scripts, compressed"));
}

/// `wrk` keeps no rate by itself: each connection waits before its next request, for a random while, or all would ask at once.
fn wrk(service: &Service, addresses: &[String]) -> String {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let script = folder.path().join("paced.lua");
    let mut lua = "local paths = {".to_owned();
    for address in addresses {
        let _ = write!(lua, "\"{address}\",");
    }
    let _ = write!(
        lua,
        "}}\nlocal at = 0\nfunction delay() return math.random(0, {}) end\n\
         function request() at = at % #paths + 1; return wrk.format(\"GET\", paths[at], {{[\"Accept-Encoding\"] = \"gzip\"}}) end\n\
         function done(summary, latency, requests)\n\
         io.write(string.format(\"%.1f ms at the median, p99 %.1f ms, at most %.1f ms; %.1f requests/s, %d errors\", \
         latency:percentile(50) / 1000, latency:percentile(99) / 1000, latency.max / 1000, summary.requests / (summary.duration / 1e6), \
         summary.errors.status + summary.errors.timeout + summary.errors.read + summary.errors.connect))\nend\n",
        2 * CONNECTIONS * 1000 / RATE
    );
    fs_err::write(&script, lua).expect("written");
    let output = Command::new("wrk")
        .args(["-t1", &format!("-c{CONNECTIONS}"), &format!("-d{SECONDS}s"), "-s"])
        .arg(&script)
        .arg(service.url())
        .output()
        .expect("wrk is installed");
    let said = String::from_utf8_lossy(&output.stdout);
    said.lines().last().unwrap_or_default().to_owned()
}
