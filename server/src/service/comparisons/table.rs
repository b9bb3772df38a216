//! The table of a comparison: one row for each task under one kind of settings, one cell for each column, and how each column differs
//! from the baseline.

use std::sync::Arc;

use sekisho_bench::Record;
use sekisho_bench::compare::{self as items, Verdict};
use sekisho_bench::stats::{ALPHA, holm};
use sekisho_domain::score::Interval;
use sekisho_store::ScoreRow;

use super::selection::{Column, Found, same_settings};
use super::settings::{Setting, differing};
use crate::service::{computed, evaluations};
use crate::{App, WebError};

/// A task under one kind of settings.
#[derive(Clone, Debug)]
pub struct TableRow {
    /// The score whose settings the row is of.
    pub anchor: Found,
    /// One for each column.
    pub cells: Vec<TableCell>,
}

/// What a column has of a row.
#[derive(Clone, Debug)]
pub enum TableCell {
    /// A score under the row's settings, and how it differs from the baseline's where that has one too.
    Score(Found, Option<Difference>),
    /// A score of the same task that may not be compared, and why.
    Other(Found, Vec<Setting>),
    /// None.
    Missing,
}

/// A column's score less the baseline's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    /// Shared items.
    pub n: usize,
    /// With its 95 % interval.
    pub difference: Interval,
    /// Two-sided p-value of no difference.
    pub p: f64,
    /// After Holm's correction over all differences of the table.
    pub p_corrected: f64,
}

impl Difference {
    /// Whether it is more than chance.
    #[must_use]
    pub fn is_significant(&self) -> bool {
        self.p_corrected < ALPHA
    }
}

/// A column against the baseline.
#[derive(Clone, Debug)]
pub struct Against {
    /// Position of the column.
    pub column: usize,
    /// The comparison item by item, A being the baseline; or why there is none.
    pub found: Option<items::Comparison>,
    /// Its sentence, corrected over the columns.
    pub verdict: Option<Verdict>,
}

/// The table and the sentences above it.
#[derive(Clone, Debug)]
pub struct Table {
    /// By task, in the order of the baseline.
    pub rows: Vec<TableRow>,
    /// Every column but the baseline.
    pub against: Vec<Against>,
}

/// Compares every column with the one at `base`.
///
/// # Errors
/// When store or blobs fail.
pub async fn table(app: &App, columns: &[Column], base: usize) -> Result<Table, WebError> {
    let mut against = Vec::new();
    for (number, column) in columns.iter().enumerate().filter(|(number, _)| *number != base) {
        let (a, b) = comparable(&columns[base], column);
        let found = if a.is_empty() { None } else { pair(app, a, b).await? };
        against.push(Against { column: number, verdict: None, found });
    }
    correct(&mut against);
    Ok(Table { rows: rows(columns, base, &against), against })
}

/// The scores of both under the same settings.
fn comparable(a: &Column, b: &Column) -> (Vec<ScoreRow>, Vec<ScoreRow>) {
    let partner = |ours: &Found| b.scores.iter().find(|theirs| same_settings(&ours.row, &theirs.row));
    a.scores.iter().filter_map(|ours| Some((ours.row.clone(), partner(ours)?.row.clone()))).unzip()
}

/// The comparison of two lists of scores under the same settings, made once and then kept: it draws ten thousand times for each metric.
async fn pair(app: &App, a: Vec<ScoreRow>, b: Vec<ScoreRow>) -> Result<Option<items::Comparison>, WebError> {
    let key = format!("pairs/{}-{}.json", evaluations::identity(&a), evaluations::identity(&b));
    let kept = |bytes: Option<Arc<[u8]>>| bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    if let Some(found) = kept(computed::get(app, &key).await?) {
        return Ok(found);
    }
    // One page at a time computes, and finds what the one before it has kept.
    let _one = app.comparing.lock().await;
    if let Some(found) = kept(computed::get(app, &key).await?) {
        return Ok(found);
    }
    let (a, b) = (records(app, &a).await?, records(app, &b).await?);
    let shared = app.clone();
    let job = tokio::task::spawn_blocking(move || items::compare(&a, &b, &shared.catalog).ok());
    let found = job.await.map_err(WebError::internal)?;
    computed::put(app, &key, serde_json::to_vec(&found).map_err(WebError::internal)?).await?;
    Ok(found)
}

/// The records behind scores.
async fn records(app: &App, scores: &[ScoreRow]) -> Result<Vec<Record>, WebError> {
    let mut all = Vec::new();
    for score in scores {
        all.extend(evaluations::records(app, score.work).await?);
    }
    Ok(all)
}

/// Holm over the sentences, and over all primary differences of the table.
fn correct(against: &mut [Against]) {
    let verdicts: Vec<f64> =
        against.iter().filter_map(|one| one.found.as_ref()).map(|found| found.verdict.p_corrected).collect();
    let mut verdicts = holm(&verdicts).into_iter();
    for one in against.iter_mut() {
        let Some(found) = &one.found else { continue };
        one.verdict = verdicts.next().map(|p| found.verdict.clone().corrected(p));
    }
    let primary = |one: &Against| -> Vec<f64> {
        one.found.iter().flat_map(|found| &found.rows).filter(|row| row.primary).map(|row| row.p).collect()
    };
    let mut corrected = holm(&against.iter().flat_map(primary).collect::<Vec<_>>()).into_iter();
    for row in against.iter_mut().filter_map(|one| one.found.as_mut()).flat_map(|found| &mut found.rows) {
        if let Some(p) = row.primary.then(|| corrected.next()).flatten() {
            row.p_corrected = p;
            row.better = row.better.filter(|_| p < ALPHA);
        }
    }
}

/// Every kind of settings that a column has, the baseline's first; a score that stands in a row as another's is not shown again.
fn rows(columns: &[Column], base: usize, against: &[Against]) -> Vec<TableRow> {
    let mut rows: Vec<TableRow> = Vec::new();
    let order = std::iter::once(base).chain((0..columns.len()).filter(|number| *number != base));
    for anchor in order.flat_map(|number| &columns[number].scores) {
        let shown = |row: &TableRow| {
            row.cells.iter().any(|cell| {
                matches!(cell, TableCell::Score(found, _) | TableCell::Other(found, _) if same_settings(&found.row, &anchor.row))
            })
        };
        if rows.iter().any(shown) {
            continue;
        }
        let cell = |(number, column): (usize, &Column)| {
            if let Some(found) = column.scores.iter().find(|found| same_settings(&found.row, &anchor.row)) {
                let difference = difference(against, number, &found.row);
                return TableCell::Score(found.clone(), difference);
            }
            let other = column.scores.iter().find(|found| same_task(found, anchor));
            other.map_or(TableCell::Missing, |found| {
                TableCell::Other(found.clone(), differing(anchor.settings(), found.settings()))
            })
        };
        rows.push(TableRow { cells: columns.iter().enumerate().map(cell).collect(), anchor: anchor.clone() });
    }
    rows
}

fn difference(against: &[Against], column: usize, score: &ScoreRow) -> Option<Difference> {
    let entry = &score.entry;
    let found = against.iter().find(|one| one.column == column)?.found.as_ref()?;
    let row = found.rows.iter().find(|row| {
        (&row.profile, &row.task, &row.split, &row.metric)
            == (&entry.profile, &entry.task, &entry.split, &entry.metric)
    })?;
    Some(Difference { n: row.n, difference: row.difference, p: row.p, p_corrected: row.p_corrected })
}

/// The same task of the same harness, in whatever version.
fn same_task(a: &Found, b: &Found) -> bool {
    let harness = |found: &Found| found.run.profile.split('@').next().map(ToOwned::to_owned);
    a.run.task == b.run.task && harness(a) == harness(b)
}
