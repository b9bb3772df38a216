//! Rows of the tables below a run's curves: the same numbers to read and to copy.

use sekisho_domain::Language;

use super::parts::Cell;
use super::scored::{Mean, Scored};
use crate::web::format;
use crate::web::i18n::Words as _;

/// A checkpoint's mean: tokens, step, mean, its ends, items, tasks.
pub(super) fn mean_row(lang: Language, scored: &Scored, mean: &Mean) -> Vec<Cell> {
    let end = |pick: fn((f64, f64)) -> f64| match mean.interval {
        Some(interval) => Cell::from(format::score(pick(interval))),
        None => Cell::missing(lang.t("missing.incomplete")),
    };
    vec![
        scored.checkpoint.tokens.to_string().into(),
        scored.checkpoint.step.to_string().into(),
        format::score(mean.value).into(),
        end(|i| i.0),
        end(|i| i.1),
        format::count(mean.n).into(),
        format!("{}/{}", mean.done, mean.of).into(),
    ]
}

/// A checkpoint's score on one task: tokens, step, score, its ends, items.
pub(super) fn task_row(scored: &Scored, row: &sekisho_store::ScoreRow) -> Vec<Cell> {
    let cells = [
        scored.checkpoint.tokens.to_string(),
        scored.checkpoint.step.to_string(),
        format::score(row.entry.value),
        format::score(row.entry.low),
        format::score(row.entry.high),
        format::count(row.entry.n),
    ];
    cells.map(Cell::from).to_vec()
}
