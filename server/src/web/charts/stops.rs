//! What the arrow keys read of a chart: where its points stand, and in words what they say there.

use std::fmt::Write as _;

use super::svg::{self, Mapping, Paper};
use super::ticks::label;
use super::{Axis, Chart, Look, Point, Series};

/// Most places at which the keys stop; a longer line is read at every so many of its points.
const MOST: usize = 80;

/// The attributes that `static/cursor.js` reads: ` data-plot="left top width height" data-stops="px|x|values;…"`, in pixels of the drawing.
/// Empty where nothing is drawn. The charts share the horizontal axis.
pub(super) fn attributes(charts: &[Chart], x: &Mapping, paper: &Paper, height: f64) -> String {
    let Some(axis) = charts.last().map(|chart| &chart.x) else { return String::new() };
    let lines: Vec<(&Chart, &Series)> = charts.iter().flat_map(read).collect();
    let mut places: Vec<f64> =
        lines.iter().flat_map(|(_, series)| series.points.iter().map(|p| p.x)).collect();
    places.retain(|place| axis.scale.holds(*place));
    places.sort_by(f64::total_cmp);
    places.dedup();
    let Some(last) = places.last().copied() else { return String::new() };
    let every = places.len().div_ceil(MOST);
    let mut kept: Vec<f64> = places.into_iter().step_by(every).collect();
    if kept.last() != Some(&last) {
        kept.push(last);
    }
    let mut stops = String::new();
    for place in kept {
        let values: Vec<String> =
            lines.iter().filter_map(|(chart, series)| value(chart, series, place)).collect();
        let at = format!("{} {}", axis.title, number(axis, place));
        let separator = if stops.is_empty() { "" } else { ";" };
        let _ = write!(stops, "{separator}{:.1}|{}|{}", x.px(place), plain(&at), plain(&values.join(" · ")));
    }
    let (left, top, width) = (paper.left, paper.top, paper.right - paper.left);
    format!(r#" data-plot="{left:.1} {top:.1} {width:.1} {height:.1}" data-stops="{}""#, svg::escape(&stops))
}

/// The series that say something of their own: a pale line only where there is no other.
fn read(chart: &Chart) -> Vec<(&Chart, &Series)> {
    let of = |looks: &[Look]| -> Vec<(&Chart, &Series)> {
        let drawn =
            chart.series.iter().filter(|series| looks.contains(&series.look) && !series.points.is_empty());
        drawn.map(|series| (chart, series)).collect()
    };
    let strong = of(&[Look::Line, Look::Points]);
    if strong.is_empty() { of(&[Look::Faint]) } else { strong }
}

/// What a series says at a place: its nearest point, from its first to its last one.
fn value(chart: &Chart, series: &Series, place: f64) -> Option<String> {
    let is_within = series.points.first()?.x <= place && place <= series.points.last()?.x;
    let distance = |point: &&Point| (point.x - place).abs();
    let nearest = series.points.iter().min_by(|a, b| distance(a).total_cmp(&distance(b)))?;
    if !is_within || !nearest.y.is_finite() {
        return None;
    }
    let name = if series.name.is_empty() { &chart.y.title } else { &series.name };
    let interval = nearest.interval.map_or_else(String::new, |(low, high)| {
        format!(" [{}, {}]", number(&chart.y, low), number(&chart.y, high))
    });
    Some(format!("{name} {}{interval}", number(&chart.y, nearest.y)))
}

/// With as many digits as a reader needs to tell neighbours apart: three decimals for a score.
fn number(axis: &Axis, value: f64) -> String {
    let size = value.abs();
    label(axis.numbers, value, if size < 1.0 { size / 300.0 } else { size / 1000.0 })
}

/// Without what separates.
fn plain(text: &str) -> String {
    text.replace('|', "/").replace(';', ",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::charts::{Numbers, Scale, Size};

    fn axis(title: &str) -> Axis {
        Axis { title: title.to_owned(), scale: Scale::Linear, numbers: Numbers::Plain, range: None }
    }

    fn chart(series: Vec<Series>) -> Chart {
        let (references, flags) = (Vec::new(), Vec::new());
        Chart { label: String::new(), x: axis("tokens"), y: axis("score"), series, references, flags }
    }

    fn series(name: &str, look: Look, points: &[(f64, f64)]) -> Series {
        let points = points.iter().copied().map(Point::from).collect();
        Series { name: name.to_owned(), look, palette: 0, points }
    }

    fn stops(chart: &Chart) -> Vec<String> {
        let svg = chart.svg(Size::Wide);
        let all = svg.split("data-stops=\"").nth(1).and_then(|rest| rest.split('"').next());
        all.unwrap_or_default().split(';').map(ToOwned::to_owned).collect()
    }

    #[test]
    fn every_place_says_what_each_line_has_there_and_nothing_beyond_its_ends() {
        let mut first = series("a | b", Look::Points, &[(1.0, 0.412), (2.0, 0.5)]);
        first.points[0].interval = Some((0.373, 0.451));
        let found = stops(&chart(vec![first, series("", Look::Line, &[(2.0, 3.2141), (3.0, 3.0)])]));
        let words: Vec<&str> =
            found.iter().filter_map(|stop| stop.split_once('|').map(|(_, words)| words)).collect();
        assert_eq!(
            words,
            [
                "tokens 1.000|a / b 0.412 [0.373, 0.451]",
                "tokens 2.000|a / b 0.500 · score 3.214",
                "tokens 3.000|score 3.000"
            ]
        );
        let px: Vec<f64> = found.iter().filter_map(|stop| stop.split('|').next()?.parse().ok()).collect();
        assert!(px.windows(2).all(|pair| pair[0] < pair[1]), "{px:?}");
    }

    #[test]
    fn a_long_line_has_as_many_stops_as_one_walks_through_and_its_end() {
        let points: Vec<(f64, f64)> = (0..5000).map(|i| (f64::from(i), 1.0)).collect();
        let faint = series("raw", Look::Faint, &points);
        let found = stops(&chart(vec![faint.clone(), series("smooth", Look::Line, &points)]));
        assert!(found.len() > 40 && found.len() <= MOST + 1, "{}", found.len());
        assert!(found.last().is_some_and(|stop| stop.contains("4999") && !stop.contains("raw")), "{found:?}");
        assert!(stops(&chart(vec![faint]))[0].contains("raw"), "where there is no other");
    }
}
