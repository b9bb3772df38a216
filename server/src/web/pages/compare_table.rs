//! The sentences and the table of a comparison, and its bars.

use sekisho_bench::{Catalog, share_of_mean};
use sekisho_domain::evaluation::TaskRun;

use super::compare::Facts;
use super::drawn::Drawn;
use super::parts::{self, Cell, Figure, ScoreCell};
use super::scored;
use crate::service::comparisons::selection::{Align, Column, Found};
use crate::service::comparisons::table::{Against, Difference, TableCell, TableRow};
use crate::web::charts::{Bar, Bars};
use crate::web::format;
use crate::web::frame::{Frame, encode};
use crate::web::i18n::Words as _;

const LETTERS: [&str; 6] = ["A", "B", "C", "D", "E", "F"];

/// What a column stands for.
pub(super) struct ColumnHead {
    pub(super) letter: &'static str,
    pub(super) name: String,
    pub(super) href: String,
    /// Step and tokens of the checkpoint, and how it was chosen.
    pub(super) note: String,
    pub(super) is_base: bool,
    /// This page with it as the baseline, and without it.
    pub(super) as_base: String,
    pub(super) without: String,
}

/// A column against the baseline in a sentence.
pub(super) struct Sentence {
    pub(super) text: String,
    /// What it is about: the mean of so many tasks, a metric.
    pub(super) of: String,
}

/// A row of the table.
pub(super) struct RowView {
    pub(super) title: String,
    pub(super) note: String,
    pub(super) columns: Vec<GroupView>,
    /// Nothing in it may be compared with the baseline.
    pub(super) is_grey: bool,
}

/// A column's part of a row.
pub(super) struct GroupView {
    pub(super) is_base: bool,
    pub(super) score: ScoreCell,
    /// Why it may not be compared.
    pub(super) reason: String,
    pub(super) n: Cell,
    pub(super) difference: ScoreCell,
    pub(super) p: Cell,
    pub(super) corrected: Cell,
    pub(super) is_significant: bool,
    /// The items side by side.
    pub(super) samples: Option<String>,
}

/// The letter of a column.
pub(super) fn letter(number: usize) -> &'static str {
    LETTERS[number % LETTERS.len()]
}

pub(super) fn heads(frame: &Frame, facts: &Facts) -> Vec<ColumnHead> {
    let keys: Vec<&str> = facts.columns.iter().map(|column| column.named.key.as_str()).collect();
    let head = |(number, column): (usize, &Column)| {
        let others: Vec<&str> = keys.iter().copied().filter(|key| *key != column.named.key).collect();
        let mut without = frame.clone();
        without.query.retain(|(name, value)| name != "id" && !(name == "base" && *value == column.named.key));
        ColumnHead {
            letter: letter(number),
            name: column.named.run.name.clone(),
            href: column.checkpoint.as_ref().map_or_else(
                || format!("/runs/{}", column.named.run.name),
                |checkpoint| format!("/checkpoints/{}", checkpoint.id),
            ),
            note: note(frame, facts, column),
            is_base: number == facts.base && facts.table.is_some(),
            as_base: frame.with("base", &column.named.key),
            without: without.with("ids", &others.join(",")),
        }
    };
    facts.columns.iter().enumerate().map(head).collect()
}

/// `ステップ59,000・495B`; of a checkpoint that is only the nearest to the common number of tokens, that it is.
fn note(frame: &Frame, facts: &Facts, column: &Column) -> String {
    let Some(checkpoint) = &column.checkpoint else { return frame.t("missing.not_evaluated").to_owned() };
    let at = frame.fill("run.at_step", "step", checkpoint.step);
    let note = format!("{at}{}{}", frame.t("compare.dot"), checkpoint.tokens.short());
    let is_nearest =
        facts.align == Some(Align::Tokens) && facts.reached.is_some_and(|at| at != checkpoint.tokens);
    if is_nearest { format!("{note}{}{}", frame.t("compare.dot"), frame.t("compare.nearest")) } else { note }
}

pub(super) fn sentences(frame: &Frame, facts: &Facts) -> Vec<Sentence> {
    let sentence = |against: &Against| {
        let names = (letter(facts.base), letter(against.column));
        let Some((found, verdict)) = against.found.as_ref().zip(against.verdict.as_ref()) else {
            let values: [(&str, &dyn std::fmt::Display); 2] = [("a", &names.0), ("b", &names.1)];
            return Sentence { text: frame.lang.fill("compare.nothing_shared", &values), of: String::new() };
        };
        let of = match &found.mean {
            Some(mean) => frame.fill("compare.mean_of_tasks", "n", mean.tasks),
            None => found
                .rows
                .iter()
                .find(|row| row.primary)
                .map_or_else(String::new, |row| format!("{} {}", row.task, row.metric)),
        };
        Sentence { text: verdict.said(names.0, names.1).get(frame.lang).to_owned(), of }
    };
    facts.table.iter().flat_map(|table| &table.against).map(sentence).collect()
}

/// One row for each task, and the means below them.
pub(super) fn rows(frame: &Frame, catalog: &Catalog, facts: &Facts) -> Vec<RowView> {
    let Some(table) = &facts.table else { return Vec::new() };
    let mut rows: Vec<RowView> = table.rows.iter().map(|row| row_view(frame, catalog, facts, row)).collect();
    if table.against.iter().any(|against| against.found.as_ref().is_some_and(|found| found.mean.is_some())) {
        rows.push(mean_row(frame, facts, &table.against));
    }
    rows
}

fn row_view(frame: &Frame, catalog: &Catalog, facts: &Facts, row: &TableRow) -> RowView {
    let run = TaskRun { shots: Some(row.anchor.row.entry.shots), ..row.anchor.run.clone() };
    let group = |(number, cell): (usize, &TableCell)| group(frame, facts, row, (number, cell));
    let columns: Vec<GroupView> = row.cells.iter().enumerate().map(group).collect();
    let compares = |cell: &TableCell| matches!(cell, TableCell::Score(_, Some(_)));
    RowView {
        title: scored::title(frame.lang, catalog, &run),
        note: format!("{} · {}", parts::run_note(frame.lang, &run), row.anchor.row.entry.metric),
        is_grey: !row.cells.iter().any(compares),
        columns,
    }
}

fn group(frame: &Frame, facts: &Facts, row: &TableRow, (number, cell): (usize, &TableCell)) -> GroupView {
    let is_base = number == facts.base;
    let score = |found: &Found| ScoreCell {
        href: Some(format!("/evals/{}", found.evaluation.id)),
        ..ScoreCell::of(frame.lang, &found.row.entry)
    };
    let no = frame.t("compare.no_difference");
    let empty = |score: ScoreCell, reason: String| GroupView {
        is_base,
        score,
        reason,
        n: Cell::missing(no),
        difference: ScoreCell::missing(no),
        p: Cell::missing(no),
        corrected: Cell::missing(no),
        is_significant: false,
        samples: None,
    };
    match cell {
        TableCell::Missing => empty(ScoreCell::missing(frame.t("missing.not_evaluated")), String::new()),
        TableCell::Other(found, settings) => {
            let words: Vec<&str> = settings.iter().map(|part| frame.word("setting", part.as_str())).collect();
            let reason =
                frame.fill("compare.other_settings", "settings", words.join(frame.t("common.comma")));
            empty(score(found), reason)
        }
        TableCell::Score(found, None) => empty(score(found), String::new()),
        TableCell::Score(found, Some(difference)) => GroupView {
            samples: samples_link(facts, number, row),
            ..compared(frame, score(found), difference)
        },
    }
}

fn compared(frame: &Frame, score: ScoreCell, difference: &Difference) -> GroupView {
    let Difference { n, difference: interval, p, p_corrected } = *difference;
    let p_text = |p: f64| {
        Cell::from(format::p_value(p).trim_start_matches("p = ").trim_start_matches("p ").to_owned())
    };
    GroupView {
        is_base: false,
        score,
        reason: String::new(),
        n: format::count(n as u64).into(),
        difference: ScoreCell {
            value: format::difference(interval.value),
            interval: format::interval(interval.low, interval.high),
            note: frame
                .t(if difference.is_significant() {
                    "compare.significant"
                } else {
                    "compare.not_significant"
                })
                .to_owned(),
            ..ScoreCell::default()
        },
        p: p_text(p),
        corrected: p_text(p_corrected),
        is_significant: difference.is_significant(),
        samples: None,
    }
}

fn samples_link(facts: &Facts, number: usize, row: &TableRow) -> Option<String> {
    let id = |number: usize| facts.columns[number].checkpoint.as_ref().map(|checkpoint| checkpoint.id);
    let task = encode(&row.anchor.run.task);
    Some(format!("/compare/samples?a={}&b={}&task={task}", id(facts.base)?, id(number)?))
}

/// The means over the tasks that each column shares with the baseline. The baseline has one only where all share the same.
fn mean_row(frame: &Frame, facts: &Facts, against: &[Against]) -> RowView {
    let means: Vec<_> =
        against.iter().filter_map(|one| Some((one, one.found.as_ref()?.mean.as_ref()?))).collect();
    let first = means.first().map(|(_, mean)| (mean.tasks, mean.a));
    let same = means.iter().all(|(_, mean)| Some((mean.tasks, mean.a)) == first);
    let group = |number: usize| {
        let base = GroupView {
            is_base: number == facts.base,
            ..compared(frame, ScoreCell::missing(frame.t("compare.no_mean")), &NOTHING)
        };
        if number == facts.base {
            let value = first.filter(|_| same).map(|(_, a)| ScoreCell::plain(format::score(a)));
            return GroupView { score: value.unwrap_or(base.score), ..base };
        }
        let Some((one, mean)) = means.iter().find(|(one, _)| one.column == number) else {
            let no = frame.t("compare.no_difference");
            let (n, p, corrected) = (Cell::missing(no), Cell::missing(no), Cell::missing(no));
            return GroupView { n, p, corrected, difference: ScoreCell::missing(no), ..base };
        };
        let difference = Difference {
            n: 0,
            difference: mean.difference,
            p: mean.p,
            p_corrected: one.verdict.as_ref().map_or(mean.p, |verdict| verdict.p_corrected),
        };
        let tasks = frame.fill("compare.mean_of_tasks", "n", mean.tasks);
        GroupView { n: tasks.into(), ..compared(frame, ScoreCell::plain(format::score(mean.b)), &difference) }
    };
    RowView {
        title: frame.t("run.mean_short").to_owned(),
        note: frame.t("compare.mean_note").to_owned(),
        columns: (0..facts.columns.len()).map(group).collect(),
        is_grey: false,
    }
}

const NOTHING: Difference = Difference {
    n: 0,
    difference: sekisho_domain::score::Interval { value: 0.0, low: 0.0, high: 0.0 },
    p: 1.0,
    p_corrected: 1.0,
};

/// The scores of every task side by side.
pub(super) fn bars(frame: &Frame, catalog: &Catalog, facts: &Facts) -> Drawn {
    let lang = frame.lang;
    let table = facts.table.iter().flat_map(|table| &table.rows);
    let drawn: Vec<&TableRow> =
        table.filter(|row| matches!(row.cells.get(facts.base), Some(TableCell::Score(..)))).collect();
    let share = |found: &Found, value: f64| share_of_mean(&found.row.entry.metric, value);
    let name = |number: usize, column: &Column| {
        let step = column.checkpoint.as_ref().map_or_else(String::new, |c| format!(" {}", c.step));
        format!("{} {}{step}", letter(number), column.named.run.name)
    };
    let names: Vec<String> = facts.columns.iter().enumerate().map(|(i, column)| name(i, column)).collect();
    let bar = |(number, cell): (usize, &TableCell)| {
        let TableCell::Score(found, _) = cell else { return None };
        let entry = &found.row.entry;
        let interval = (share(found, entry.low)?, share(found, entry.high)?);
        let note = format!(
            "{}: {} {}, n = {}",
            names[number],
            format::score(entry.value),
            format::interval(entry.low, entry.high),
            entry.n
        );
        Some(Bar { value: share(found, entry.value)?, interval, note })
    };
    let group = |row: &&TableRow| {
        let bars: Vec<Option<Bar>> = row.cells.iter().enumerate().map(bar).collect();
        (scored::title(lang, catalog, &row.anchor.run), bars)
    };
    let chart = Bars {
        label: String::new(),
        y: lang.t("axis.share").to_owned(),
        x: lang.t("axis.benchmark").to_owned(),
        groups: drawn.iter().map(group).filter(|(_, bars)| bars.iter().any(Option::is_some)).collect(),
        names: names.clone(),
    };
    let heads =
        ["task.task", "compare.column", "score.metric", "score.score", "score.low", "score.high", "score.n"];
    let row = |row: &&TableRow| -> Vec<Vec<Cell>> {
        let cell = |(number, cell): (usize, &TableCell)| {
            let TableCell::Score(found, _) = cell else { return None };
            let entry = &found.row.entry;
            let cells = [
                row.anchor.run.task.clone(),
                names[number].clone(),
                entry.metric.clone(),
                format::score(entry.value),
                format::score(entry.low),
                format::score(entry.high),
                format::count(entry.n),
            ];
            Some(cells.map(Cell::from).to_vec())
        };
        row.cells.iter().enumerate().filter_map(cell).collect()
    };
    let figure = Figure {
        id: "bars".to_owned(),
        title: lang.t("compare.bars_title").to_owned(),
        summary: bars_summary(frame, facts),
        heads: heads.map(|key| lang.t(key).to_owned()).to_vec(),
        rows: drawn.iter().flat_map(row).collect(),
        ..Figure::new(lang)
    };
    Drawn::of_bars(frame, figure, &chart)
}

/// On how many tasks each column is better and worse than the baseline.
fn bars_summary(frame: &Frame, facts: &Facts) -> String {
    let said = |against: &Against| {
        let rows: Vec<_> =
            against.found.iter().flat_map(|found| &found.rows).filter(|row| row.primary).collect();
        let count = |better: bool| {
            let side = if better { sekisho_bench::compare::Side::B } else { sekisho_bench::compare::Side::A };
            rows.iter().filter(|row| row.better == Some(side)).count()
        };
        let values: [(&str, &dyn std::fmt::Display); 5] = [
            ("b", &letter(against.column)),
            ("a", &letter(facts.base)),
            ("n", &rows.len()),
            ("better", &count(true)),
            ("worse", &count(false)),
        ];
        frame.lang.fill("compare.bars_summary", &values)
    };
    let all: Vec<String> = facts.table.iter().flat_map(|table| &table.against).map(said).collect();
    all.join(" ")
}
