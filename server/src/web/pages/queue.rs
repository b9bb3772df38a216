//! `/queue`: what waits, what runs, what gave up.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use sekisho_store::{QueueHealth, WorkRow};

use super::parts::{self, Readout, When};
use super::queue_launches::Launching;
use crate::web::format;
use crate::web::frame::Frame;
use crate::web::i18n::Words as _;
use crate::{App, WebError};

/// Items on the page.
const ITEMS: u32 = 500;
/// A worker asks for work every few seconds; work that nobody has taken for so long has no worker.
const TAKEN_WITHIN: f64 = 30.0;

#[derive(Template)]
#[template(path = "queue/queue.html")]
struct QueuePage {
    frame: Frame,
    how: Vec<String>,
    readouts: Vec<Readout>,
    alarm: Option<String>,
    launching: Launching,
    rows: Vec<QueueRow>,
    /// Said when there are more.
    cut: Option<String>,
}

struct QueueRow {
    state: &'static str,
    task: String,
    profile: String,
    evaluation_href: String,
    suite: String,
    progress: String,
    share: Option<f64>,
    attempt: u32,
    worker: String,
    when: When,
    error: Option<String>,
}

/// How many items wait, run and gave up, and whether anybody works on them.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) waiting: u64,
    pub(super) running: u64,
    pub(super) failed: u64,
    pub(super) health: QueueHealth,
}

impl Counts {
    pub(super) async fn load(app: &App) -> Result<Self, WebError> {
        let (waiting, running, failed) = app.store.queue_counts().await?;
        Ok(Self { waiting, running, failed, health: app.store.queue_health(app.now()).await? })
    }

    pub(super) fn readouts(&self, frame: &Frame) -> Vec<Readout> {
        [
            ("work_state.waiting", self.waiting),
            ("work_state.running", self.running),
            ("work_state.failed", self.failed),
        ]
        .map(|(key, n)| Readout::new(frame.t(key), format::count(n), ""))
        .to_vec()
    }

    /// Said when work waits and no worker has prolonged a lease: what runs on paper may belong to a worker that is gone.
    pub(super) fn alarm(&self, frame: &Frame) -> Option<String> {
        let waits = self.health.ready_since.map_or(0.0, |since| frame.now.seconds_since(since));
        let is_idle = self.health.held == 0 && self.health.ready > 0 && waits > TAKEN_WITHIN;
        let lost = self.health.held == 0 && self.running > 0;
        if !is_idle && !lost {
            return None;
        }
        let n = self.waiting + self.running;
        Some(match self.health.last_lease.filter(|_| lost) {
            Some(lease) => frame
                .lang
                .fill("overview.worker_lost", &[("n", &n), ("ago", &frame.ago(&lease.plus_seconds(-LEASE)))]),
            None => frame.fill("overview.no_worker", "n", n),
        })
    }
}

/// A heartbeat prolongs a lease to so many seconds after it.
const LEASE: i64 = crate::service::work::LEASE_SECONDS;

/// `GET /queue`.
pub(crate) async fn show(State(app): State<App>, frame: Frame) -> Result<Response, WebError> {
    let counts = Counts::load(&app).await?;
    let mut work = app.store.open_work(ITEMS + 1).await?;
    let cut = parts::cut(&frame, &mut work, ITEMS);
    let launching = Launching::load(&app, &frame).await?;
    parts::page(&view(frame, &counts, launching, work, cut))
}

fn view(
    frame: Frame,
    counts: &Counts,
    launching: Launching,
    work: Vec<(WorkRow, String)>,
    cut: Option<String>,
) -> QueuePage {
    QueuePage {
        how: vec!["sekisho worker --server URL".to_owned(), "POST /api/v1/work/claim".to_owned()],
        readouts: counts.readouts(&frame),
        alarm: counts.alarm(&frame),
        launching,
        rows: work.into_iter().map(|(row, suite)| queue_row(&frame, row, suite)).collect(),
        cut,
        frame,
    }
}

fn queue_row(frame: &Frame, row: WorkRow, suite: String) -> QueueRow {
    let done = format::count(row.finished);
    QueueRow {
        state: row.state.as_str(),
        evaluation_href: format!("/evals/{}", row.evaluation),
        suite,
        progress: row
            .total
            .map_or_else(|| done.clone(), |total| format!("{done} / {}", format::count(total))),
        share: row.total.filter(|total| *total > 0).map(|total| row.finished as f64 / total as f64),
        attempt: row.attempt,
        worker: row.worker.unwrap_or_default(),
        when: frame.when(row.updated),
        error: row.error,
        task: row.work.run.task,
        profile: row.work.run.profile,
    }
}

#[cfg(test)]
pub(super) fn samples(frame: &Frame) -> Vec<String> {
    use sekisho_domain::evaluation::WorkState;
    let work: Vec<(WorkRow, String)> = super::fixtures::half_done()
        .found
        .work
        .iter()
        .filter(|row| row.state != WorkState::Finished)
        .map(|row| (row.clone(), "demo".to_owned()))
        .collect();
    assert!(!work.is_empty());
    let idle = super::fixtures::counts(12, 0, 1);
    let cut = Some(frame.fill("table.cut", "n", ITEMS));
    let launching = Launching::of(frame, vec![super::fixtures::launcher()], vec![super::fixtures::launch()]);
    [
        view(frame.clone(), &idle, launching, work, cut),
        view(frame.clone(), &Counts::default(), Launching::default(), Vec::new(), None),
    ]
    .map(|page| page.render().expect("renders"))
    .to_vec()
}

#[cfg(test)]
mod tests {
    use sekisho_domain::Language;

    use super::super::fixtures;
    use super::*;

    #[test]
    fn the_alarm_follows_the_workers_last_heartbeat() {
        let frame = fixtures::frame(Language::En, "/queue");
        let counts = |ready: u64, running: u64, held: u64, waits: i64| Counts {
            waiting: ready,
            running,
            failed: 0,
            health: QueueHealth {
                ready,
                ready_since: (ready > 0).then(|| frame.now.plus_seconds(-waits)),
                held,
                last_lease: (running > 0).then(|| frame.now.plus_seconds(if held > 0 { 40 } else { -240 })),
            },
        };
        assert_eq!(counts(12, 1, 1, 600).alarm(&frame), None, "one works, the others wait their turn");
        assert_eq!(counts(3, 0, 0, 5).alarm(&frame), None, "a worker has a moment to come");
        assert_eq!(counts(0, 0, 0, 0).alarm(&frame), None);
        assert!(counts(12, 0, 0, 600).alarm(&frame).is_some_and(|text| text.contains("12")));
        // Running on paper: its worker was last heard of 300 s ago.
        let lost = counts(0, 2, 0, 0).alarm(&frame).expect("an alarm");
        assert!(lost.contains("5 min ago"), "{lost}");
    }
}
