mod bands;
pub(super) mod names;

use std::fmt::Write as _;

use super::ticks::{Tick, readable, rounded, ticks};
use super::{Chart, Look, Point, Scale, Series, Size, paint};

/// Where values lie on the paper.
pub(super) struct Mapping {
    pub(super) scale: Scale,
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) from: f64,
    pub(super) to: f64,
}

impl Mapping {
    pub(super) fn px(&self, value: f64) -> f64 {
        let (low, high) = (self.scale.position(self.low), self.scale.position(self.high));
        let share = (self.scale.position(value) - low) / (high - low);
        self.from + share * (self.to - self.from)
    }
}

/// The paper: its size and the frame that the data lie in.
pub(super) struct Paper {
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) top: f64,
    pub(super) bottom: f64,
}

/// Height of a letter.
pub(super) const LETTER: f64 = 12.0;
/// Room for the numbers of the vertical axis.
const LEFT: f64 = 46.0;

pub(super) fn draw(chart: &Chart, size: Size) -> String {
    let names_at_ends = size == Size::Wide && names::fit_at_ends(chart);
    let paper = paper(chart, size, names_at_ends);
    let mut out = String::with_capacity(16_384);
    let Paper { width, height, .. } = paper;
    put(
        &mut out,
        format_args!(
            r#"<svg viewBox="0 0 {width} {height}" role="img" aria-label="{}">"#,
            escape(&chart.label)
        ),
    );
    draw_on(&mut out, chart, size, &paper, names_at_ends);
    out.push_str("</svg>");
    out
}

/// As wide as a page, as a file.
pub(super) fn draw_alone(chart: &Chart, caption: &str) -> String {
    let names_at_ends = names::fit_at_ends(chart);
    let paper = paper(chart, Size::Wide, names_at_ends);
    let mut body = String::with_capacity(16_384);
    draw_on(&mut body, chart, Size::Wide, &paper, names_at_ends);
    alone(&chart.label, paper.width, paper.height, &body, caption)
}

/// A drawing as a file: with its colours, a light ground of its own, and what it was made from in a line below.
pub(super) fn alone(label: &str, width: f64, height: f64, body: &str, caption: &str) -> String {
    let mut below = String::new();
    let mut whole = height;
    if !caption.is_empty() {
        let y = height + LETTER;
        put(&mut below, format_args!(r#"<text class="caption" x="4" y="{y:.1}">{}</text>"#, escape(caption)));
        whole += 2.0 * LETTER;
    }
    let label: String = label.chars().filter(|c| !c.is_control()).collect();
    let (label, style) = (escape(&label), paint::style());
    format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{whole}" viewBox="0 0 {width} {whole}" role="img" aria-label="{label}">
<style>{style}</style>
<rect class="ground" width="{width}" height="{whole}"/>
{body}{below}</svg>
"#
    )
}

pub(super) fn draw_on(out: &mut String, chart: &Chart, size: Size, paper: &Paper, names_at_ends: bool) {
    let (many_x, many_y) = match size {
        Size::Wide => (8, 6),
        Size::Narrow => (5, 5),
        Size::Small => (4, 4),
    };
    let (low, high) = extent(chart, Direction::X);
    let x = Mapping { scale: chart.x.scale, low, high, from: paper.left, to: paper.right };
    let (low, high) = extent(chart, Direction::Y);
    let (low, high) = rounded(low, high, many_y);
    let y = Mapping { scale: chart.y.scale, low, high, from: paper.bottom, to: paper.top };
    let x_ticks = ticks(chart.x.scale, chart.x.numbers, x.low, x.high, many_x);
    let y_ticks = ticks(chart.y.scale, chart.y.numbers, y.low, y.high, many_y);
    axes(out, chart, paper, (&x, &x_ticks), (&y, &y_ticks));
    references(out, chart, paper, &y);
    flags(out, chart, paper, &x);
    for series in &chart.series {
        if !bands::draw(out, series, paper, &x, &y) {
            draw_series(out, series, &x, &y);
        }
    }
    // Above the points, on a ground of their own.
    names::of_references(out, chart, paper, &y);
    if names_at_ends {
        names::at_ends(out, chart, paper, &x, &y);
    } else {
        names::below(out, chart, paper);
    }
}

pub(super) fn paper(chart: &Chart, size: Size, names_at_ends: bool) -> Paper {
    let (width, height) = match size {
        Size::Wide => (680.0, 320.0),
        Size::Narrow => (360.0, 270.0),
        Size::Small => (320.0, 190.0),
    };
    let (right, below) = if names_at_ends {
        (width - (names::longest(chart) + 22.0).max(14.0), 0.0)
    } else {
        (width - 12.0, names::places(chart, width).last().map_or(0.0, |last| 17.0 * (last.1 + 1) as f64))
    };
    Paper { width, height: height + below, left: LEFT, right, top: 30.0, bottom: height - 40.0 }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    X,
    Y,
}

/// The range of all that is drawn, and of the axis's own range where it has one: a value that lay outside would be drawn where it is
/// not. Never empty.
pub(super) fn extent(chart: &Chart, direction: Direction) -> (f64, f64) {
    let axis = if direction == Direction::X { &chart.x } else { &chart.y };
    let points = chart.series.iter().flat_map(|s| &s.points);
    let mut values: Vec<f64> = match direction {
        Direction::X => points.map(|p| p.x).collect(),
        Direction::Y => points
            .flat_map(|p| [Some(p.y), p.interval.map(|i| i.0), p.interval.map(|i| i.1)])
            .flatten()
            .chain(chart.references.iter().map(|r| r.y))
            .collect(),
    };
    values.extend(axis.range.into_iter().flat_map(|(low, high)| [low, high]));
    let held = values.into_iter().filter(|v| axis.scale.holds(*v));
    let (low, high) = held.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
    match axis.scale {
        // What differs in its last digits is one value that was reckoned with.
        _ if high - low > 1e-9 * low.abs().max(high.abs()) => (low, high),
        _ if !low.is_finite() => (1.0, 10.0),
        Scale::Log => (low / 2.0, low * 2.0),
        Scale::Linear if low == 0.0 => (-0.5, 0.5),
        Scale::Linear => (low - low.abs(), low + low.abs()),
    }
}

fn axes(out: &mut String, chart: &Chart, paper: &Paper, x: (&Mapping, &[Tick]), y: (&Mapping, &[Tick])) {
    let Paper { left, right, top, bottom, .. } = *paper;
    let readable_y = readable(chart.y.scale, y.1, |at| -y.0.px(at), |_| LETTER);
    for (tick, is_written) in y.1.iter().zip(readable_y) {
        let at = y.0.px(tick.at);
        put(out, format_args!(r#"<path class="grid" d="M{left} {at:.1}H{right}"/>"#));
        if is_written {
            let (text_x, text_y) = (left - 7.0, at + 4.0);
            put(
                out,
                format_args!(
                    r#"<text class="num" x="{text_x:.1}" y="{text_y:.1}" text-anchor="end">{}</text>"#,
                    tick.label
                ),
            );
        }
    }
    put(out, format_args!(r#"<path class="axis" d="M{left} {bottom}H{right}"/>"#));
    let readable_x = readable(chart.x.scale, x.1, |at| x.0.px(at), |label| text_width(label) + 6.0);
    for (tick, is_written) in x.1.iter().zip(readable_x) {
        let (at, text_y) = (x.0.px(tick.at), bottom + 17.0);
        put(out, format_args!(r#"<path class="axis" d="M{at:.1} {bottom}v4"/>"#));
        if is_written {
            put(
                out,
                format_args!(
                    r#"<text class="num" x="{at:.1}" y="{text_y:.1}" text-anchor="middle">{}</text>"#,
                    tick.label
                ),
            );
        }
    }
    put(
        out,
        format_args!(r#"<text class="title" x="4" y="{:.1}">{}</text>"#, top - 14.0, escape(&chart.y.title)),
    );
    put(
        out,
        format_args!(
            r#"<text class="title" x="{right:.1}" y="{:.1}" text-anchor="end">{}</text>"#,
            bottom + 34.0,
            escape(&chart.x.title)
        ),
    );
}

fn references(out: &mut String, chart: &Chart, paper: &Paper, y: &Mapping) {
    for reference in chart.references.iter().filter(|r| y.scale.holds(r.y)) {
        let at = y.px(reference.y);
        put(out, format_args!(r#"<path class="reference" d="M{} {at:.1}H{}"/>"#, paper.left, paper.right));
    }
}

fn flags(out: &mut String, chart: &Chart, paper: &Paper, x: &Mapping) {
    for flag in chart.flags.iter().filter(|f| f.x >= x.low && f.x <= x.high) {
        let (at, top) = (x.px(flag.x), paper.top - 4.0);
        put(out, format_args!(r#"<g class="flag"><title>{}</title>"#, escape(&flag.note)));
        put(
            out,
            format_args!(
                r#"<path d="M{at:.1} {}V{top}"/><path class="cloth" d="M{at:.1} {top}h8l-2 3.5l2 3.5h-8z"/></g>"#,
                paper.bottom
            ),
        );
    }
}

fn draw_series(out: &mut String, series: &Series, x: &Mapping, y: &Mapping) {
    let shown: Vec<&Point> =
        series.points.iter().filter(|p| x.scale.holds(p.x) && y.scale.holds(p.y)).collect();
    let class = if series.look == Look::Faint { "faint" } else { "line" };
    put(out, format_args!(r#"<g class="series {}">"#, paint::class(series.palette)));
    let joined: Vec<&Point> = shown.iter().copied().filter(|point| !point.hollow).collect();
    for part in joined.chunk_by(|a, b| a.group == b.group).filter(|part| part.len() > 1) {
        let _ = write!(out, r#"<path class="{class}" d=""#);
        for (i, point) in part.iter().enumerate() {
            let letter = if i == 0 { 'M' } else { 'L' };
            let _ = write!(out, "{letter}{:.1} {:.1}", x.px(point.x), y.px(point.y));
        }
        out.push_str("\"/>\n");
    }
    if series.look == Look::Points {
        for point in shown {
            draw_point(out, point, series.palette, x, y);
        }
    }
    out.push_str("</g>\n");
}

fn draw_point(out: &mut String, point: &Point, palette: usize, x: &Mapping, y: &Mapping) {
    let (px, py) = (x.px(point.x), y.px(point.y));
    out.push_str("<g>");
    if !point.note.is_empty() {
        let _ = write!(out, "<title>{}</title>", escape(&point.note));
    }
    if let Some((low, high)) = point.interval {
        let (low, high) = (y.px(low), y.px(high));
        let _ = write!(
            out,
            r#"<path class="bar" d="M{px:.1} {low:.1}V{high:.1}M{:.1} {low:.1}h6M{:.1} {high:.1}h6"/>"#,
            px - 3.0,
            px - 3.0
        );
    }
    let class = if point.hollow { "mark hollow" } else { "mark" };
    put(out, format_args!(r#"{}</g>"#, marker(palette, px, py, class)));
}

/// Circle, square, triangle, diamond: told apart without colour.
fn marker(palette: usize, x: f64, y: f64, class: &str) -> String {
    match paint::marker(palette) {
        0 => format!(r#"<circle class="{class}" cx="{x:.1}" cy="{y:.1}" r="3.5"/>"#),
        1 => format!(r#"<rect class="{class}" x="{:.1}" y="{:.1}" width="6" height="6"/>"#, x - 3.0, y - 3.0),
        2 => format!(r#"<path class="{class}" d="M{x:.1} {:.1}l4 7h-8z"/>"#, y - 4.5),
        _ => format!(r#"<path class="{class}" d="M{x:.1} {:.1}l4 4l-4 4l-4-4z"/>"#, y - 4.0),
    }
}

/// About how wide a text is: a Japanese letter is as wide as it is high, a Latin one a little more than half.
pub(super) fn text_width(text: &str) -> f64 {
    text.chars().map(|c| if c.is_ascii() { 0.56 * LETTER } else { LETTER }).sum()
}

/// A text that fits so much room, with an ellipsis where it is cut.
pub(super) fn shortened(text: &str, room: f64) -> String {
    if text_width(text) <= room {
        return text.to_owned();
    }
    let mut short = String::new();
    for letter in text.chars() {
        short.push(letter);
        if text_width(&short) > room - LETTER {
            break;
        }
    }
    short + "…"
}

pub(super) fn put(out: &mut String, line: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(line);
    out.push('\n');
}

pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::charts::{Axis, Flag, Numbers, Reference};

    fn sample() -> Chart {
        let point = |x: f64, y: f64| Point {
            x,
            y,
            interval: Some((y - 0.05, y + 0.05)),
            hollow: x > 4e6,
            group: 0,
            note: format!("{y} <&> \"{x}\""),
        };
        Chart {
            label: "学習曲線: 0.412 [0.373, 0.451]".to_owned(),
            x: Axis {
                title: "学習トークン数（対数）".to_owned(),
                scale: Scale::Log,
                numbers: Numbers::Short,
                range: None,
            },
            y: Axis {
                title: "サブタスクスコアの平均".to_owned(),
                scale: Scale::Linear,
                numbers: Numbers::Plain,
                range: None,
            },
            series: vec![
                Series {
                    name: "NIILC".to_owned(),
                    look: Look::Points,
                    palette: 1,
                    points: vec![point(51_200.0, 0.11), point(512_000.0, 0.22)],
                },
                Series {
                    name: "平均".to_owned(),
                    look: Look::Points,
                    palette: 0,
                    points: vec![point(51_200.0, 0.1), point(512_000.0, 0.21), point(5_120_000.0, 0.41)],
                },
            ],
            references: vec![Reference { name: "チャンスレベル".to_owned(), y: 0.2 }],
            flags: vec![Flag { x: 100_000.0, note: "再開".to_owned() }],
        }
    }

    #[test]
    fn a_chart_is_drawn_the_same_every_time() {
        insta::assert_snapshot!(sample().svg(Size::Wide));
    }

    #[test]
    fn a_value_outside_the_shared_range_widens_it() {
        let mut chart = sample();
        chart.y.range = Some((0.0, 0.2));
        let heights = |chart: &Chart| -> Vec<String> {
            let svg = chart.svg(Size::Small);
            let marks = svg.split("cy=\"").skip(1);
            marks.filter_map(|rest| rest.split('"').next()).map(ToOwned::to_owned).collect()
        };
        let found = heights(&chart);
        assert_eq!(found.len(), 3);
        assert!(found[0] != found[1] && found[1] != found[2], "{found:?}");
        chart.references[0].y = 0.9;
        assert_ne!(heights(&chart), found, "the reference line is in the range");
    }

    #[test]
    fn lines_join_only_what_may_be_compared() {
        let point = |x: f64, group: usize, hollow: bool| Point { x, y: x, group, hollow, ..Point::default() };
        let mut chart = sample();
        chart.series.truncate(1);
        let lines = |points: Vec<Point>| {
            let mut chart = chart.clone();
            chart.series[0].points = points;
            let svg = chart.svg(Size::Small);
            let paths: Vec<usize> = svg
                .split(r#"<path class="line" d=""#)
                .skip(1)
                .filter_map(|rest| rest.split('"').next().map(|d| d.matches(['M', 'L']).count()))
                .collect();
            // The last is the legend's.
            paths[..paths.len() - 1].to_vec()
        };
        let incomplete = vec![point(1.0, 0, false), point(2.0, 0, true), point(3.0, 0, false)];
        assert_eq!(lines(incomplete), [2], "past the point that stands for less");
        let settings = [(1.0, 0), (2.0, 0), (3.0, 1), (4.0, 1), (5.0, 2)];
        let settings = settings.map(|(x, group)| point(x, group, false)).to_vec();
        assert_eq!(lines(settings), [2, 2], "and not across other settings");
    }

    #[test]
    fn no_name_is_cut() {
        let mut chart = sample();
        for name in ["平滑化（半減期 最大4096ステップ）とても長い名前", "短い"] {
            chart.series[0].name = name.to_owned();
            for size in [Size::Wide, Size::Narrow] {
                let svg = chart.svg(size);
                let width: f64 = if size == Size::Wide { 680.0 } else { 360.0 };
                let at = svg.find(&format!(">{name}<")).expect("named");
                let x = svg[..at].rsplit("x=\"").next().and_then(|rest| rest.split('"').next());
                let x: f64 = x.and_then(|x| x.parse().ok()).expect("a number");
                assert!(x + text_width(name) <= width, "{name} ends at {}", x + text_width(name));
            }
        }
    }

    #[test]
    fn nothing_is_drawn_outside_the_paper_and_no_number_is_broken() {
        let mut chart = sample();
        chart.series[0].points.push(Point::from((0.0, f64::NAN)));
        for size in [Size::Wide, Size::Narrow, Size::Small] {
            let svg = chart.svg(size);
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
        for series in &mut chart.series {
            series.points.clear();
        }
        assert!(chart.svg(Size::Small).ends_with("</svg>"));
    }
}
