//! The table of an evaluation's tasks, as the pages of evaluations and checkpoints show it.

use std::collections::HashMap;

use sekisho_bench::Catalog;
use sekisho_domain::{Text, WorkItemId};
use sekisho_store::{ScoreRow, WorkRow};

use super::parts::{self, Cell, ScoreCell};
use super::scored;
use crate::service::contamination::Looked;
use crate::web::format;
use crate::web::frame::Frame;
use crate::web::i18n::Words as _;

/// What is known of items in the training text, by the task that asked them; or why nothing is.
pub(super) type Standings = HashMap<WorkItemId, Result<Looked, Text>>;

/// One task: what was run, how far it is, and its scores.
pub(super) struct TaskRow {
    pub(super) title: String,
    pub(super) task: String,
    pub(super) profile: String,
    pub(super) split: String,
    pub(super) samples: String,
    pub(super) state: &'static str,
    /// `812 / 1,119`.
    pub(super) progress: String,
    pub(super) share: Option<f64>,
    pub(super) attempt: u32,
    pub(super) worker: String,
    pub(super) error: Option<String>,
    /// Why there is no score.
    pub(super) missing: &'static str,
    /// Items found in the training text, of those that were looked for.
    pub(super) contaminated: ScoreCell,
    /// The primary metric first.
    pub(super) scores: Vec<MetricRow>,
}

/// One metric of a task.
pub(super) struct MetricRow {
    pub(super) metric: String,
    pub(super) is_primary: bool,
    pub(super) shots: u32,
    pub(super) n: String,
    pub(super) value: String,
    pub(super) interval: String,
    pub(super) stderr: Cell,
    pub(super) truncated: u64,
    pub(super) seconds: String,
    pub(super) fingerprint: String,
    pub(super) fingerprint_short: String,
}

/// Rows in suite order.
pub(super) fn rows(
    frame: &Frame,
    catalog: &Catalog,
    work: &[WorkRow],
    scores: &[ScoreRow],
    standings: &Standings,
) -> Vec<TaskRow> {
    let row = |row: &WorkRow| TaskRow {
        contaminated: contaminated(frame, standings.get(&row.work.id)),
        ..task_row(frame, catalog, row, scores)
    };
    work.iter().map(row).collect()
}

/// `3 / 196`, or why nobody knows.
fn contaminated(frame: &Frame, standing: Option<&Result<Looked, Text>>) -> ScoreCell {
    let lang = frame.lang;
    match standing {
        Some(Ok(looked)) => {
            let found = format::count(looked.found.len() as u64);
            ScoreCell::plain(format!("{found} / {}", format::count(looked.looked_for)))
        }
        Some(Err(why)) => ScoreCell::missing(&lang.fill("task.not_looked_for", &[("why", &why.get(lang))])),
        None => ScoreCell::missing(lang.t("missing.not_looked_for")),
    }
}

fn task_row(frame: &Frame, catalog: &Catalog, row: &WorkRow, scores: &[ScoreRow]) -> TaskRow {
    let run = &row.work.run;
    let mut own: Vec<&ScoreRow> = scores.iter().filter(|score| score.work == row.work.id).collect();
    own.sort_by_key(|score| !score.primary);
    let done = format::count(row.finished);
    TaskRow {
        title: scored::title(frame.lang, catalog, run),
        task: run.task.clone(),
        profile: run.profile.clone(),
        split: match run.limit {
            Some(limit) => format!("{}, {}", run.split, frame.lang.fill("task.limit", &[("n", &limit)])),
            None => run.split.clone(),
        },
        samples: format!("/evals/{}/samples?work={}", row.evaluation, row.work.id),
        state: row.state.as_str(),
        progress: row
            .total
            .map_or_else(|| done.clone(), |total| format!("{done} / {}", format::count(total))),
        share: row.total.filter(|total| *total > 0).map(|total| row.finished as f64 / total as f64),
        attempt: row.attempt,
        worker: row.worker.clone().unwrap_or_default(),
        error: row.error.clone(),
        missing: parts::missing_reason(frame.lang, Some(row.state)),
        contaminated: ScoreCell::default(),
        scores: own.into_iter().map(metric_row(frame)).collect(),
    }
}

fn metric_row(frame: &Frame) -> impl Fn(&ScoreRow) -> MetricRow {
    let lang = frame.lang;
    move |row| MetricRow {
        metric: row.entry.metric.clone(),
        is_primary: row.primary,
        shots: row.entry.shots,
        n: format::count(row.entry.n),
        value: format::score(row.entry.value),
        interval: format::interval(row.entry.low, row.entry.high),
        stderr: Cell::of(row.entry.stderr.map(format::score), lang.t("missing.no_stderr")),
        truncated: row.entry.truncated,
        seconds: format::duration(lang, row.entry.seconds),
        fingerprint: row.entry.fingerprint.to_string(),
        fingerprint_short: row.entry.fingerprint.short(),
    }
}
