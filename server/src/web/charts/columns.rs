//! Bars side by side in groups, each with its interval: benchmarks before and after.

use std::fmt::Write as _;

use super::svg::{self, LETTER, Mapping, escape, put, text_width};
use super::ticks::{rounded, ticks};
use super::{Numbers, Scale, Size, paint};

/// Bars in groups.
#[derive(Clone, Debug)]
pub(crate) struct Bars {
    /// Title and summary in words.
    pub(crate) label: String,
    /// Title of the vertical axis with its unit.
    pub(crate) y: String,
    /// Title of the horizontal axis.
    pub(crate) x: String,
    /// What the bars of a group are, in order.
    pub(crate) names: Vec<String>,
    /// Name of each group, and its bars: value and interval, or nothing where there is none.
    pub(crate) groups: Vec<(String, Vec<Option<Bar>>)>,
}

/// One bar.
#[derive(Clone, Debug)]
pub(crate) struct Bar {
    /// How high it is.
    pub(crate) value: f64,
    /// Ends of its interval.
    pub(crate) interval: (f64, f64),
    /// Shown when the pointer rests on it.
    pub(crate) note: String,
}

/// Room for the numbers of the vertical axis.
const LEFT: f64 = 46.0;
const TOP: f64 = 30.0;
/// Height of the bars' field.
const FIELD: f64 = 220.0;

impl Bars {
    /// The drawing as one `<svg>` element.
    pub(crate) fn svg(&self, size: Size) -> String {
        let (body, width, height) = self.body(size);
        let label = escape(&self.label);
        format!(r#"<svg viewBox="0 0 {width} {height:.0}" role="img" aria-label="{label}">{body}</svg>"#)
    }

    /// The drawing as a file of its own.
    pub(crate) fn standalone(&self) -> String {
        let (body, width, height) = self.body(Size::Wide);
        svg::alone(&self.label, width, height, &body, "")
    }

    fn body(&self, size: Size) -> (String, f64, f64) {
        let width = if size == Size::Wide { 680.0 } else { 360.0 };
        let (left, right, bottom) = (LEFT, width - 12.0, TOP + FIELD);
        let mut out = String::new();
        let y = self.mapping(bottom);
        self.axis(&mut out, &y, right);
        let room = (right - left) / self.groups.len().max(1) as f64;
        let turned = self.groups.iter().any(|(name, _)| text_width(name) > room - 6.0);
        for (number, (name, bars)) in self.groups.iter().enumerate() {
            let from = left + room * number as f64;
            group(&mut out, bars, &y, (from, room));
            let (x, at) = (from + room / 2.0, bottom + 15.0);
            let turn =
                if turned { format!(r#" transform="rotate(-32 {x:.1} {at:.1})""#) } else { String::new() };
            let anchor = if turned { "end" } else { "middle" };
            put(
                &mut out,
                format_args!(
                    r#"<text class="num" x="{x:.1}" y="{at:.1}" text-anchor="{anchor}"{turn}>{}</text>"#,
                    escape(name)
                ),
            );
        }
        let longest = self.groups.iter().map(|(name, _)| text_width(name)).fold(0.0, f64::max);
        let below = bottom + if turned { 22.0 + 0.53 * longest } else { 22.0 } + LETTER;
        put(
            &mut out,
            format_args!(
                r#"<text class="title" x="{right:.1}" y="{below:.1}" text-anchor="end">{}</text>"#,
                escape(&self.x)
            ),
        );
        let height = self.legend(&mut out, below + 20.0, width);
        (out, width, height)
    }

    /// From zero, or from below it where a correlation is negative.
    fn mapping(&self, bottom: f64) -> Mapping {
        let bars = self.groups.iter().flat_map(|(_, bars)| bars).flatten();
        let ends = bars.flat_map(|bar| [bar.value, bar.interval.0, bar.interval.1]).filter(|v| v.is_finite());
        let (low, high) = ends.fold((0.0_f64, 1e-9_f64), |(low, high), v| (low.min(v), high.max(v)));
        let (low, high) = rounded(low, high, 5);
        Mapping { scale: Scale::Linear, low, high, from: bottom, to: TOP }
    }

    fn axis(&self, out: &mut String, y: &Mapping, right: f64) {
        for tick in ticks(Scale::Linear, Numbers::Plain, y.low, y.high, 5) {
            let at = y.px(tick.at);
            put(out, format_args!(r#"<path class="grid" d="M{LEFT} {at:.1}H{right}"/>"#));
            put(
                out,
                format_args!(
                    r#"<text class="num" x="{:.1}" y="{:.1}" text-anchor="end">{}</text>"#,
                    LEFT - 7.0,
                    at + 4.0,
                    tick.label
                ),
            );
        }
        put(out, format_args!(r#"<path class="axis" d="M{LEFT} {:.1}H{right}"/>"#, y.px(0.0)));
        put(
            out,
            format_args!(r#"<text class="title" x="4" y="{:.1}">{}</text>"#, TOP - 14.0, escape(&self.y)),
        );
    }

    /// The names, each with its bar, as many in a row as fit. Answers where the drawing ends.
    fn legend(&self, out: &mut String, top: f64, width: f64) -> f64 {
        let (mut x, mut y) = (LEFT, top);
        for (number, name) in self.names.iter().enumerate() {
            let own = 20.0 + text_width(name);
            if x > LEFT && x + own > width {
                (x, y) = (LEFT, y + 17.0);
            }
            let class = paint::class(number);
            put(
                out,
                format_args!(
                    r#"<g class="series {class}"><rect class="fill{}" x="{x:.1}" y="{:.1}" width="12" height="10"/></g><text class="name {class}" x="{:.1}" y="{y:.1}">{}</text>"#,
                    second(number),
                    y - 9.0,
                    x + 17.0,
                    escape(name)
                ),
            );
            x += own + 14.0;
        }
        y + 8.0
    }
}

/// Every other bar is paler: neighbours are told apart without colour.
fn second(number: usize) -> &'static str {
    if number.is_multiple_of(2) { "" } else { " second" }
}

fn group(out: &mut String, bars: &[Option<Bar>], y: &Mapping, (from, room): (f64, f64)) {
    let wide = (room * 0.76 / bars.len().max(1) as f64).min(34.0);
    let first = from + (room - wide * bars.len() as f64) / 2.0;
    for (number, bar) in bars.iter().enumerate() {
        let Some(bar) = bar else { continue };
        let (x, zero, top) = (first + wide * number as f64, y.px(0.0), y.px(bar.value));
        let _ =
            write!(out, r#"<g class="series {}"><title>{}</title>"#, paint::class(number), escape(&bar.note));
        let _ = write!(
            out,
            r#"<rect class="fill{}" x="{:.1}" y="{:.1}" width="{:.1}" height="{:.1}"/>"#,
            second(number),
            x + 1.0,
            top.min(zero),
            wide - 2.0,
            (zero - top).abs()
        );
        let (middle, low, high) = (x + wide / 2.0, y.px(bar.interval.0), y.px(bar.interval.1));
        put(
            out,
            format_args!(
                r#"<path class="bar" d="M{middle:.1} {low:.1}V{high:.1}M{:.1} {low:.1}h6M{:.1} {high:.1}h6"/></g>"#,
                middle - 3.0,
                middle - 3.0
            ),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bar_has_its_height_and_interval() {
        let bar =
            |value: f64| Some(Bar { value, interval: (value - 0.1, value + 0.1), note: "a <b>".to_owned() });
        let bars = Bars {
            label: "both".to_owned(),
            y: "Score".to_owned(),
            x: "Benchmark".to_owned(),
            names: vec!["before".to_owned(), "after".to_owned()],
            groups: vec![
                ("one".to_owned(), vec![bar(0.2), bar(0.4)]),
                ("a task with a long name".to_owned(), vec![bar(0.4), None]),
                ("a correlation below zero".to_owned(), vec![bar(-0.2), bar(0.0)]),
            ],
        };
        for svg in [bars.svg(Size::Wide), bars.svg(Size::Narrow), bars.standalone()] {
            assert_eq!(
                (svg.matches("class=\"bar\"").count(), svg.matches("<title>a &lt;b&gt;</title>").count()),
                (5, 5)
            );
            // Five bars and two of the legend.
            assert_eq!(svg.matches("<rect class=\"fill").count(), 7, "{svg}");
            let heights: Vec<f64> =
                svg.split("height=\"").filter_map(|rest| rest.split('"').next()?.parse().ok()).collect();
            assert!(heights.iter().all(|height| *height >= 0.0), "{heights:?}");
        }
    }
}
