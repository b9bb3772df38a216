//! How fast the service is on a lab's years of work: figures for docs/performance.md, and no verdicts. Ignored unless asked for:
//!
//! ```text
//! SEKISHO_BENCH_DIR=DIR cargo nextest run --release --workspace --run-ignored only --no-capture -E 'test(/^bench::/)'
//! ```
//!
//! needs `wrk`, and for the comparison `SEKISHO_BENCH_PYTHON` with `mlflow`. What was made in `DIR` is used again.

mod ingest;
mod inspection;
mod pages;
mod queue;
mod stream;
mod world;

use std::time::Instant;

use tests::service::Service;

use self::world::World;

/// One line of the table.
fn say(what: &str, figures: std::fmt::Arguments<'_>) {
    use std::io::Write as _;
    // Straight to the terminal: the figures are what this is run for.
    let _ = writeln!(std::io::stdout().lock(), "{what:<58} {figures}");
}

/// Resident memory of the service [MB].
fn resident(service: &Service) -> f64 {
    let status = fs_err::read_to_string(format!("/proc/{}/status", service.pid())).expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line of it");
    let kilobytes: f64 = line.split_whitespace().next().and_then(|n| n.parse().ok()).expect("a number");
    kilobytes / 1024.0
}

/// The value below which `share` of them lie.
fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
    let at = ((values.len() as f64 * share).ceil() as usize).clamp(1, values.len());
    values[at - 1]
}

#[test]
#[ignore = "minutes, gigabytes and two quiet cores"]
fn everything() {
    let world = World::at_hand();
    let begun = Instant::now();
    let service = world.serve();
    say(
        "start on the whole database",
        format_args!("{:.2} s, {:.0} MB resident", begun.elapsed().as_secs_f64(), resident(&service)),
    );
    pages::measure(&service);
    stream::measure(&service);
    ingest::measure(&service);
}
