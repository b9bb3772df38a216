//! Bars from the left, in groups: one a model. Reported values are hatched, so that they differ by more than a colour.

use std::fmt::Write as _;

use super::Size;
use super::svg::{escape, text_width};
use super::ticks::{Numbers, Scale, ticks};

/// One bar.
#[derive(Clone, Debug)]
pub(crate) struct Bar {
    /// Whose it is.
    pub(crate) name: String,
    /// Its length, on the axis.
    pub(crate) value: f64,
    /// Ends of the interval, if it has one.
    pub(crate) interval: Option<(f64, f64)>,
    /// Hatched: the value was reported elsewhere.
    pub(crate) is_reported: bool,
    /// Shown when the pointer rests on it.
    pub(crate) note: String,
}

/// Bars that stand together under a name.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) bars: Vec<Bar>,
}

/// A chart of bars on an axis from 0.
#[derive(Clone, Debug)]
pub(crate) struct Bars {
    /// Title and summary in words.
    pub(crate) label: String,
    /// Title of the axis of values.
    pub(crate) x_title: String,
    /// Title of the axis of names.
    pub(crate) y_title: String,
    pub(crate) groups: Vec<Group>,
    /// Where the axis ends at least: 1, or 100.
    pub(crate) most: f64,
}

const LINE: f64 = 24.0;

impl Bars {
    /// The drawing as one `<svg>` element.
    pub(crate) fn svg(&self, size: Size) -> String {
        let (width, most_name) = if size == Size::Wide { (680.0, 220.0) } else { (360.0, 120.0) };
        let names = self.groups.iter().flat_map(|group| &group.bars).map(|bar| text_width(&bar.name));
        let left = (names.fold(40.0, f64::max) + 12.0).min(most_name);
        let right = width - 52.0;
        let lines = self.groups.iter().map(|group| group.bars.len() + 1).sum::<usize>();
        let (top, bottom) = (26.0, 30.0 + LINE * lines as f64);
        let x = |value: f64| left + (right - left) * (value / self.most).clamp(0.0, 1.0);
        let mut out = format!(
            r#"<svg viewBox="0 0 {width} {:.0}" role="img" aria-label="{}">"#,
            bottom + 40.0,
            escape(&self.label)
        );
        // Each drawing has stripes of its own: those of one that is not shown on this screen would not be drawn.
        let hatch = if size == Size::Wide { "hatch-wide" } else { "hatch-narrow" };
        let _ = write!(out, r#"<defs><pattern id="{hatch}" {STRIPES}</pattern></defs>"#);
        let many = if size == Size::Wide { 6 } else { 4 };
        for tick in ticks(Scale::Linear, Numbers::Plain, 0.0, self.most, many) {
            let at = x(tick.at);
            let _ = write!(
                out,
                r#"<path class="grid" d="M{at:.1} {top}V{bottom:.1}"/><text class="num" x="{at:.1}" y="{:.1}" text-anchor="middle">{}</text>"#,
                bottom + 15.0,
                tick.label
            );
        }
        let _ = write!(
            out,
            r#"<text class="title" x="4" y="14">{}</text><text class="title" x="{right:.1}" y="{:.1}" text-anchor="end">{}</text>"#,
            escape(&self.y_title),
            bottom + 33.0,
            escape(&self.x_title)
        );
        let mut at = top + 4.0;
        for (number, group) in self.groups.iter().enumerate() {
            let _ = write!(
                out,
                r#"<text class="name" x="4" y="{:.1}">{}</text>"#,
                at + 15.0,
                escape(&group.name)
            );
            at += LINE;
            for bar in &group.bars {
                self.bar(&mut out, bar, (number % 8 + 1, hatch), at, (left, &x));
                at += LINE;
            }
        }
        let _ = write!(out, r#"<path class="axis" d="M{left:.1} {top}V{bottom:.1}"/></svg>"#);
        out
    }

    fn bar(
        &self,
        out: &mut String,
        bar: &Bar,
        (palette, hatch): (usize, &str),
        at: f64,
        (left, x): (f64, &dyn Fn(f64) -> f64),
    ) {
        let middle = at + 9.0;
        let look = match bar.is_reported {
            true => format!(r#"class="hatched" fill="url(#{hatch})""#),
            false => r#"class="solid""#.to_owned(),
        };
        let _ = write!(
            out,
            r#"<g class="series p{palette}"><title>{}</title><text x="{:.1}" y="{:.1}" text-anchor="end">{}</text>"#,
            escape(&bar.note),
            left - 6.0,
            middle + 4.0,
            escape(&fitted(&bar.name, left - 14.0))
        );
        let _ = write!(
            out,
            r#"<rect {look} x="{left:.1}" y="{:.1}" width="{:.1}" height="14"/>"#,
            middle - 7.0,
            (x(bar.value) - left).max(0.0)
        );
        let mut end = x(bar.value);
        if let Some((low, high)) = bar.interval {
            end = end.max(x(high));
            let _ = write!(
                out,
                r#"<path class="error" d="M{:.1} {middle:.1}H{:.1}M{:.1} {:.1}v6M{:.1} {:.1}v6"/>"#,
                x(low),
                x(high),
                x(low),
                middle - 3.0,
                x(high),
                middle - 3.0
            );
        }
        let digits = if self.most > 1.0 { 1 } else { 3 };
        let _ = write!(
            out,
            r#"<text class="num" x="{:.1}" y="{:.1}">{:.digits$}</text></g>"#,
            end + 6.0,
            middle + 4.0,
            bar.value
        );
    }
}

/// Stripes at half a right angle.
const STRIPES: &str = r#"width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><path class="stripe" d="M1.5 0V6"/>"#;

/// A name cut to a width; the whole of it stands in the note and in the table.
fn fitted(name: &str, width: f64) -> String {
    if text_width(name) <= width {
        return name.to_owned();
    }
    let mut cut = name.to_owned();
    while text_width(&cut) + 10.0 > width && cut.pop().is_some() {}
    cut + "…"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(most: f64) -> Bars {
        let bar = |name: &str, value: f64, is_reported: bool| Bar {
            name: name.to_owned(),
            value,
            interval: (!is_reported).then_some((value - 0.1 * most, value + 0.1 * most)),
            is_reported,
            note: format!("{name} <note>"),
        };
        Bars {
            label: "bars".to_owned(),
            x_title: "mean".to_owned(),
            y_title: "models".to_owned(),
            groups: vec![
                Group { name: "7B".to_owned(), bars: vec![bar("ours & theirs", 0.5 * most, false)] },
                Group { name: "70B".to_owned(), bars: vec![bar("a".repeat(80).as_str(), 0.25 * most, true)] },
            ],
            most,
        }
    }

    #[test]
    fn reported_bars_are_hatched_and_have_no_interval() {
        for (most, value) in [(1.0, ">0.500<"), (100.0, ">50.0<")] {
            let svg = chart(most).svg(Size::Wide);
            assert_eq!(svg.matches("class=\"hatched\"").count(), 1);
            assert_eq!(svg.matches("class=\"solid\"").count(), 1);
            assert_eq!(svg.matches("class=\"error\"").count(), 1);
            assert!(
                svg.contains(value) && svg.contains("&lt;note&gt;") && !svg.contains("ours & theirs"),
                "{svg}"
            );
        }
    }

    #[test]
    fn a_bar_half_as_long_stands_for_half_the_value() {
        let svg = chart(1.0).svg(Size::Narrow);
        let widths: Vec<f64> = svg
            .split("<rect class=\"")
            .skip(1)
            .filter_map(|rect| rect.split("width=\"").nth(1)?.split('"').next()?.parse().ok())
            .collect();
        assert!(matches!(widths.as_slice(), [a, b] if (a - 2.0 * b).abs() < 0.2), "{widths:?}");
        assert!(svg.contains("…</text>"), "a long name is cut");
    }
}
