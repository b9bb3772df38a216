//! The tabs beside the table: bars by size, a radar over the tasks, size or training against the mean. Each shows the rows of the page,
//! says in a sentence what it shows, and has the table that says the same.

use std::collections::BTreeMap;

use sekisho_domain::Tokens;

use super::super::parts::{Cell, Figure};
use super::asked::View;
use super::board::Pick;
use super::cells::Words;
use super::rows::{self, Row};
use crate::web::charts::bars::{Bar, Bars, Group};
use crate::web::charts::radar::{Radar, Ring};
use crate::web::charts::scatter::{Dot, Scatter};
use crate::web::charts::{Axis, Numbers, Scale, Size};
use crate::web::format;
use crate::web::i18n::Words as _;

/// Models in one radar: more lines cannot be told apart.
const RINGS: usize = 6;

/// The figure of the tab that is chosen; none for the table itself.
pub(super) fn figure(words: &Words<'_>, rows: &[Row]) -> Option<Figure> {
    let rows = once(rows);
    match words.asked.view {
        View::Table => None,
        View::Bars => Some(bars(words, &rows)),
        View::Radar => Some(radar(words, &rows)),
        View::Scatter => Some(scatter(words, &rows)),
    }
}

/// A pinned row stands on the page a second time, and in a figure once.
fn once(rows: &[Row]) -> Vec<&Row> {
    let mut seen = Vec::new();
    rows.iter()
        .filter(|row| {
            let key = row.line.key();
            !seen.contains(&key) && {
                seen.push(key);
                true
            }
        })
        .collect()
}

/// Rows with comparable scores in every column: others would be drawn as what they are not.
fn whole<'r>(rows: &[&'r Row]) -> Vec<&'r Row> {
    rows.iter().copied().filter(|row| row.line.is_whole()).collect()
}

fn most(words: &Words<'_>) -> f64 {
    if words.asked.hundred { 100.0 } else { 1.0 }
}

fn interval_cell(words: &Words<'_>, interval: Option<(f64, f64)>) -> Cell {
    let told = interval.map(|(low, high)| format!("[{}, {}]", words.share(low), words.share(high)));
    Cell::of(told, words.frame.t("board.no_interval"))
}

/// F2: means as bars, grouped by size, the smallest first.
fn bars(words: &Words<'_>, rows: &[&Row]) -> Figure {
    let frame = words.frame;
    let shown = whole(rows);
    let mut groups: BTreeMap<(bool, u64), Vec<&Row>> = BTreeMap::new();
    for row in &shown {
        let size = row.line.facts.parameters.map(nominal);
        groups.entry((size.is_none(), size.unwrap_or_default())).or_default().push(row);
    }
    let title_of = |(is_unknown, size): &(bool, u64)| match is_unknown {
        true => frame.t("board.size_unknown").to_owned(),
        false => format::short(*size),
    };
    let bar = |row: &&Row| {
        let mean = row.mean.map_or(0.0, |mean| mean.value);
        let name = rows::named(&row.line);
        let scale = |share: f64| share * most(words);
        Bar {
            value: scale(mean),
            interval: row.mean.and_then(|mean| mean.interval).map(|(low, high)| (scale(low), scale(high))),
            is_reported: row.line.is_reported(),
            note: match row.line.is_reported() {
                true => format!("{name}: {} ({})", words.share(mean), frame.t("board.reported")),
                false => format!("{name}: {}", words.share(mean)),
            },
            name,
        }
    };
    let drawn: Vec<Group> = groups
        .iter()
        .map(|(key, rows)| Group { name: title_of(key), bars: rows.iter().map(bar).collect() })
        .collect();
    let summary = best(words, &shown, rows.len());
    let chart = Bars {
        label: format!("{}. {summary}", frame.t("board.bars_title")),
        x_title: frame.t("axis.mean").to_owned(),
        y_title: frame.t("board.models_by_size").to_owned(),
        groups: drawn,
        most: most(words),
    };
    let line = |key: &(bool, u64), row: &&Row| {
        let (mean, kind) = (row.mean.map(|mean| words.share(mean.value)), kind(words, row));
        vec![
            Cell::from(rows::named(&row.line)),
            Cell::from(title_of(key)),
            Cell::of(mean, frame.t("missing.incomplete")),
            interval_cell(words, row.mean.and_then(|mean| mean.interval)),
            Cell::from(kind),
        ]
    };
    let table = groups.iter().flat_map(|(key, rows)| rows.iter().map(move |row| line(key, row))).collect();
    Figure {
        id: "bars".to_owned(),
        title: frame.t("board.bars_title").to_owned(),
        summary,
        empty: shown.is_empty(),
        wide: chart.svg(Size::Wide),
        narrow: chart.svg(Size::Narrow),
        heads: ["board.model", "board.parameters", "axis.mean", "score.interval", "board.kind"]
            .map(|key| frame.t(key).to_owned())
            .to_vec(),
        rows: table,
        note: frame.t("board.bars_note").to_owned(),
        ..Figure::new(frame.lang)
    }
}

fn kind(words: &Words<'_>, row: &Row) -> String {
    let key = if row.line.is_reported() { "board.reported" } else { "board.measured" };
    words.frame.t(key).to_owned()
}

/// The size that a model is called by: whole billions, tens of billions from 20B on.
fn nominal(parameters: u64) -> u64 {
    let step: u64 = match parameters {
        0..1_000_000 => return parameters,
        1_000_000..20_000_000 => 1_000_000,
        20_000_000..1_000_000_000 => 10_000_000,
        1_000_000_000..4_000_000_000 => 100_000_000,
        4_000_000_000..20_000_000_000 => 1_000_000_000,
        _ => 10_000_000_000,
    };
    match parameters.saturating_add(step / 2) / step * step {
        0 => parameters,
        rounded => rounded,
    }
}

/// `Highest: best · 1000 with 0.550. 5 of 8 rows are drawn …`.
fn best(words: &Words<'_>, shown: &[&Row], of: usize) -> String {
    let frame = words.frame;
    let mean = |row: &&&Row| row.mean.map_or(f64::NEG_INFINITY, |mean| mean.value);
    let ours = shown.iter().filter(|row| !row.line.is_reported());
    let Some(best) = ours.max_by(|a, b| mean(a).total_cmp(&mean(b))) else {
        return frame.t("board.figure_empty").to_owned();
    };
    let value = words.share(mean(&best));
    frame.lang.fill(
        "board.figure_summary",
        &[("name", &rows::named(&best.line)), ("value", &value), ("n", &shown.len()), ("of", &of)],
    )
}

/// One axis a task, each row a line; pinned rows first.
fn radar(words: &Words<'_>, rows: &[&Row]) -> Figure {
    let frame = words.frame;
    let columns = &words.board.columns;
    let has_scores = |row: &&&Row| shares(row).iter().filter(|share| share.is_some()).count() >= 3;
    let shown: Vec<&Row> = rows.iter().filter(has_scores).take(RINGS).copied().collect();
    let ring = |row: &&Row| Ring {
        name: rows::named(&row.line),
        shares: shares(row),
        is_reported: row.line.is_reported(),
    };
    let names: Vec<String> = columns.iter().map(|run| run.task.clone()).collect();
    let summary = match columns.len() {
        0..3 => frame.t("board.radar_few").to_owned(),
        n => {
            frame.lang.fill("board.radar_summary", &[("n", &shown.len()), ("of", &rows.len()), ("tasks", &n)])
        }
    };
    let chart = Radar {
        label: format!("{}. {summary}", frame.t("board.radar_title")),
        axes: names.clone(),
        rings: shown.iter().map(ring).collect(),
        most: most(words),
    };
    let mut heads = vec![frame.t("board.model").to_owned()];
    heads.extend(names);
    let line = |row: &&Row| {
        let cell = |share: Option<f64>| {
            Cell::of(share.map(|share| words.share(share)), frame.t("missing.not_evaluated"))
        };
        std::iter::once(Cell::from(rows::named(&row.line))).chain(shares(row).into_iter().map(cell)).collect()
    };
    Figure {
        id: "radar".to_owned(),
        title: frame.t("board.radar_title").to_owned(),
        summary,
        empty: shown.is_empty() || columns.len() < 3,
        wide: chart.svg(Size::Wide),
        narrow: chart.svg(Size::Narrow),
        heads,
        rows: shown.iter().map(line).collect(),
        note: frame.t("board.radar_note").to_owned(),
        ..Figure::new(frame.lang)
    }
}

/// What a row has on each axis; a score that was made otherwise stands on none.
fn shares(row: &Row) -> Vec<Option<f64>> {
    let share = |pick: &Pick| match pick {
        Pick::Same(_) | Pick::Reported(_) => pick.share(),
        Pick::Missing(_) | Pick::Other(..) => None,
    };
    row.line.picks.iter().map(share).collect()
}

/// Parameters, or trained tokens where the URL says `x=tokens`, against the mean.
fn scatter(words: &Words<'_>, rows: &[&Row]) -> Figure {
    let frame = words.frame;
    let by_tokens = words.asked.by_tokens;
    let x = |row: &Row| {
        let facts = &row.line.facts;
        let n = if by_tokens { facts.tokens } else { facts.parameters };
        n.filter(|n| *n > 0)
    };
    let shown: Vec<(&Row, u64)> = whole(rows).into_iter().filter_map(|row| Some((row, x(row)?))).collect();
    let furthest = shown.iter().map(|(_, n)| *n).max().unwrap_or_default();
    let x_axis = x_axis(words, furthest);
    let mut families: Vec<Option<&String>> =
        shown.iter().map(|(row, _)| row.line.facts.family.as_ref()).collect();
    families.sort();
    families.dedup();
    let scale = |share: f64| share * most(words);
    let dot = |(row, n): &(&Row, u64)| Dot {
        name: rows::named(&row.line),
        x: *n as f64,
        y: scale(row.mean.map_or(f64::NAN, |mean| mean.value)),
        interval: row.mean.and_then(|mean| mean.interval).map(|(low, high)| (scale(low), scale(high))),
        is_reported: row.line.is_reported(),
        family: families.iter().position(|f| *f == row.line.facts.family.as_ref()).unwrap_or_default(),
    };
    let summary = best(words, &shown.iter().map(|(row, _)| *row).collect::<Vec<_>>(), rows.len());
    let title = frame.t(if by_tokens { "board.scatter_tokens" } else { "board.scatter_size" });
    let x_title = x_axis.title.clone();
    let chart = Scatter {
        label: format!("{title}. {summary}"),
        x: x_axis,
        y: Axis {
            title: frame.t("axis.mean").to_owned(),
            scale: Scale::Linear,
            numbers: Numbers::Plain,
            range: None,
        },
        dots: shown.iter().map(dot).collect(),
    };
    let line = |(row, n): &(&Row, u64)| {
        vec![
            Cell::from(rows::named(&row.line)),
            Cell::from(format::short(*n)),
            Cell::of(row.mean.map(|mean| words.share(mean.value)), frame.t("missing.incomplete")),
            interval_cell(words, row.mean.and_then(|mean| mean.interval)),
            Cell::from(kind(words, row)),
        ]
    };
    Figure {
        id: "scatter".to_owned(),
        title: title.to_owned(),
        summary,
        empty: shown.is_empty(),
        wide: chart.svg(Size::Wide),
        narrow: chart.svg(Size::Narrow),
        heads: vec![
            frame.t("board.model").to_owned(),
            x_title,
            frame.t("axis.mean").to_owned(),
            frame.t("score.interval").to_owned(),
            frame.t("board.kind").to_owned(),
        ],
        rows: shown.iter().map(line).collect(),
        note: frame.t("board.scatter_note").to_owned(),
        ..Figure::new(frame.lang)
    }
}

/// Billions from a billion on, millions below.
fn x_axis(words: &Words<'_>, furthest: u64) -> Axis {
    let lang = words.frame.lang;
    if words.asked.by_tokens {
        return Axis::tokens(lang, Scale::Log, Tokens(furthest), None);
    }
    let (title, numbers) = match furthest {
        1_000_000_000.. => ("axis.parameters_billion_log", Numbers::Billions),
        _ => ("axis.parameters_million_log", Numbers::Millions),
    };
    Axis { title: lang.t(title).to_owned(), scale: Scale::Log, numbers, range: None }
}

#[cfg(test)]
mod tests {
    use sekisho_bench::Catalog;
    use sekisho_domain::Language;

    use super::super::asked::Asked;
    use super::super::fixtures;
    use super::*;

    fn drawn(view: View) -> Figure {
        let catalog = Catalog::builtin();
        let frame = fixtures::frame(Language::En, "/leaderboard");
        let asked = Asked { view, ..Asked::default() };
        let (board, rows) = fixtures::board_rows();
        let words = Words::new(&frame, &catalog, &asked, &board, &rows);
        figure(&words, &rows).expect("a figure")
    }

    #[test]
    fn bars_stand_by_size_and_reported_ones_are_hatched() {
        let figure = drawn(View::Bars);
        let svg = &figure.wide;
        assert_eq!(svg.matches("class=\"hatched\"").count(), 1);
        assert!(svg.find(">7B<") < svg.find(">8B<") && svg.contains(">7B<"), "{svg}");
        // What is half done, or asks other items, has no bar and no line in the table.
        assert_eq!(figure.rows.len(), svg.matches("<rect").count());
        assert!(!svg.contains("half") && !svg.contains("other-limit"));
        assert!(figure.summary.contains("best"), "{}", figure.summary);
    }

    #[test]
    fn a_radar_needs_three_axes() {
        let figure = drawn(View::Radar);
        assert!(figure.empty, "two columns");
        assert!(!figure.summary.is_empty());
    }

    #[test]
    fn a_scatter_has_one_point_a_row_with_a_mean() {
        let figure = drawn(View::Scatter);
        assert_eq!(figure.rows.len(), 5);
        assert_eq!(figure.wide.matches("class=\"mark hollow").count(), 1, "{}", figure.wide);
        assert_eq!(figure.heads[1], "Parameters [billion, log]");
    }

    #[test]
    fn sizes_are_called_by_round_numbers() {
        let of =
            [6_738_415_616, 13_015_864_320, 68_976_648_192, 1_826_000_000, 151_000_000, 7_000].map(nominal);
        let b = 1_000_000_000;
        assert_eq!(of, [7 * b, 13 * b, 70 * b, 1_800_000_000, 150_000_000, 7_000]);
    }
}
