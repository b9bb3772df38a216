//! A schedule as a drawing: a row for each run, planned outline, what has been trained, the forecast, and a line for today.

use std::fmt::Write as _;

use jiff::ToSpan as _;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use sekisho_domain::Timestamp;

use super::svg::{escape, shortened};

const WIDTH: f64 = 1080.0;
const NAMES: f64 = 210.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 34.0;
const ROW: f64 = 30.0;
/// Narrowest bar that can be seen.
const LEAST: f64 = 2.0;
/// Room that the name of a month needs.
const MONTH: f64 = 58.0;

/// A row of the schedule.
#[derive(Clone, Debug, Default)]
pub(crate) struct GanttRow {
    /// What it is.
    pub(crate) name: String,
    /// Where its page is.
    pub(crate) href: String,
    /// From when to when it is planned; drawn open where the end is not known.
    pub(crate) planned: Option<(Timestamp, Option<Timestamp>)>,
    /// When it was trained, one bar for each process.
    pub(crate) done: Vec<(Timestamp, Timestamp)>,
    /// When it will have finished.
    pub(crate) forecast: Option<Timestamp>,
    /// Points in time: releases.
    pub(crate) marks: Vec<(Timestamp, String)>,
    /// All of it in words.
    pub(crate) note: String,
}

/// SVG of the rows; everything in it is also in the table beside it. Empty without rows.
pub(crate) fn draw(rows: &[GanttRow], now: Timestamp, zone: &TimeZone, label: &str, today: &str) -> String {
    let Some((from, to)) = span(rows, now) else { return String::new() };
    let x = |at: Timestamp| {
        let share = at.seconds_since(from) / to.seconds_since(from);
        NAMES + share.clamp(0.0, 1.0) * (WIDTH - NAMES - RIGHT)
    };
    let height = TOP + ROW * rows.len() as f64 + 8.0;
    let mut svg = format!(
        r#"<svg class="gantt" viewBox="0 0 {WIDTH} {height}" role="group" aria-label="{}">"#,
        escape(label)
    );
    months(&mut svg, from, to, zone, height, &x);
    for (i, row) in rows.iter().enumerate() {
        draw_row(&mut svg, row, TOP + ROW * i as f64, now, &x);
    }
    let at = x(now);
    let _ = write!(
        svg,
        r#"<path class="today" d="M{at:.1} {}V{}"/><text class="num today-name" x="{at:.1}" y="12" text-anchor="middle">{}</text></svg>"#,
        TOP - 6.0,
        height - 4.0,
        escape(today)
    );
    svg
}

/// From the first to the last of everything, with a little room.
fn span(rows: &[GanttRow], now: Timestamp) -> Option<(Timestamp, Timestamp)> {
    let of_row = |row: &GanttRow| {
        let planned = row.planned.into_iter().flat_map(|(from, to)| [Some(from), to]).flatten();
        let done = row.done.iter().flat_map(|(from, to)| [*from, *to]);
        let marks = row.marks.iter().map(|(at, _)| *at);
        planned.chain(done).chain(marks).chain(row.forecast).collect::<Vec<_>>()
    };
    let all: Vec<Timestamp> = rows.iter().flat_map(of_row).collect();
    let (first, last) = (*all.iter().min()?, *all.iter().max()?);
    let (first, last) = (first.min(now), last.max(now));
    #[expect(clippy::cast_possible_truncation, reason = "seconds of a schedule")]
    let room = (last.seconds_since(first) * 0.02).max(43_200.0) as i64;
    Some((first.plus_seconds(-room), last.plus_seconds(room)))
}

/// A line at the first of each month, of each week where the whole is short.
fn months(
    svg: &mut String,
    from: Timestamp,
    to: Timestamp,
    zone: &TimeZone,
    height: f64,
    x: &impl Fn(Timestamp) -> f64,
) {
    let day = |at: Timestamp| at.to_jiff().to_zoned(zone.clone()).date();
    let by_week = to.seconds_since(from) < 70.0 * 86_400.0;
    let (mut next, step) =
        if by_week { (monday(day(from)), 1.week()) } else { (day(from).first_of_month(), 1.month()) };
    let mut free = NAMES;
    while next <= day(to) {
        let begin =
            next.to_zoned(zone.clone()).map(|at| Timestamp::from_unix_ms(at.timestamp().as_millisecond()));
        if let Ok(begin) = begin
            && begin >= from
        {
            let at = x(begin);
            let _ = write!(svg, r#"<path class="grid" d="M{at:.1} {TOP}V{}"/>"#, height - 4.0);
            if at >= free {
                let name = if by_week { next.strftime("%m-%d") } else { next.strftime("%Y-%m") };
                let _ = write!(svg, r#"<text class="num" x="{at:.1}" y="{}">{name}</text>"#, TOP - 8.0);
                free = at + MONTH;
            }
        }
        let Ok(later) = next.checked_add(step) else { break };
        next = later;
    }
}

fn monday(day: Date) -> Date {
    let since = i64::from(day.weekday().to_monday_zero_offset());
    day.checked_sub(since.days()).unwrap_or(day)
}

fn draw_row(svg: &mut String, row: &GanttRow, top: f64, now: Timestamp, x: &impl Fn(Timestamp) -> f64) {
    let middle = top + ROW / 2.0;
    let name = escape(&shortened(&row.name, NAMES - 16.0));
    let _ = write!(svg, r#"<g class="gantt-row"><title>{}</title>"#, escape(&row.note));
    let text = format!(r#"<text class="name" x="4" y="{:.1}">{name}</text>"#, middle + 4.0);
    if row.href.is_empty() {
        svg.push_str(&text);
    } else {
        let _ = write!(svg, r#"<a href="{}">{text}</a>"#, escape(&row.href));
    }
    if let Some((from, to)) = row.planned {
        let (left, top) = (x(from), middle - 10.0);
        // An open end: no line on the right.
        let (right, close) = to.map_or((WIDTH - RIGHT, ""), |to| (x(to).max(left + LEAST), "V"));
        let bottom = top + 20.0;
        let _ = match close {
            "" => write!(
                svg,
                r#"<path class="planned" d="M{right:.1} {top:.1}H{left:.1}V{bottom:.1}H{right:.1}"/>"#
            ),
            _ => write!(
                svg,
                r#"<path class="planned" d="M{left:.1} {top:.1}H{right:.1}V{bottom:.1}H{left:.1}Z"/>"#
            ),
        };
    }
    for (from, to) in &row.done {
        let (left, right) = (x(*from), x(*to));
        let width = (right - left).max(LEAST);
        let _ = write!(
            svg,
            r#"<rect class="done" x="{left:.1}" y="{:.1}" width="{width:.1}" height="10"/>"#,
            middle - 5.0
        );
    }
    if let Some(end) = row.forecast {
        let (left, right) = (x(now), x(end));
        let _ = write!(svg, r#"<path class="forecast" d="M{left:.1} {middle:.1}H{right:.1}m0 -5v10"/>"#);
    }
    for (at, what) in &row.marks {
        let at = x(*at);
        let _ = write!(
            svg,
            r#"<path class="mark" d="M{at:.1} {:.1}l5 6l-5 6l-5 -6z"><title>{}</title></path>"#,
            middle - 6.0,
            escape(what)
        );
    }
    svg.push_str("</g>");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::try_from(text.to_owned()).expect("a time")
    }

    fn rows() -> Vec<GanttRow> {
        let first = GanttRow {
            name: "v3-172b <final>".to_owned(),
            href: "/runs/v3-172b".to_owned(),
            planned: Some((at("2024-04-01T00:00:00Z"), Some(at("2024-08-31T00:00:00Z")))),
            done: vec![
                (at("2024-04-05T00:00:00Z"), at("2024-06-20T00:00:00Z")),
                (at("2024-06-22T00:00:00Z"), at("2024-08-01T00:00:00Z")),
            ],
            forecast: Some(at("2024-10-01T00:00:00Z")),
            marks: vec![(at("2024-05-01T00:00:00Z"), "v3-beta1".to_owned())],
            note: "172B".to_owned(),
        };
        let open = GanttRow {
            name: "open".to_owned(),
            planned: Some((at("2024-07-01T00:00:00Z"), None)),
            ..GanttRow::default()
        };
        vec![first, open]
    }

    #[test]
    fn each_run_is_a_row_with_what_is_planned_done_and_foreseen() {
        let now = at("2024-08-01T00:00:00Z");
        let svg = draw(&rows(), now, &TimeZone::UTC, "工程表", "今日");
        for (what, n) in [
            ("class=\"planned\"", 2),
            ("class=\"done\"", 2),
            ("class=\"forecast\"", 1),
            ("class=\"mark\"", 1),
        ] {
            assert_eq!(svg.matches(what).count(), n, "{what}: {svg}");
        }
        assert!(svg.contains("2024-04") && svg.contains("2024-10") && svg.contains("今日"), "{svg}");
        assert!(svg.contains("v3-172b &lt;final&gt;") && svg.contains("href=\"/runs/v3-172b\""));
        assert!(svg.contains("class=\"planned\" d=\"M1066.0 "), "the open one has no end: {svg}");
        assert_eq!(draw(&[], now, &TimeZone::UTC, "", ""), "");
    }

    #[test]
    fn a_short_schedule_is_in_weeks() {
        let row = GanttRow {
            done: vec![(at("2026-11-02T00:00:00Z"), at("2026-11-20T00:00:00Z"))],
            ..GanttRow::default()
        };
        let svg = draw(&[row], at("2026-11-21T00:00:00Z"), &TimeZone::UTC, "", "");
        assert!(svg.contains(">11-02<") && svg.contains(">11-16<"), "{svg}");
    }
}
