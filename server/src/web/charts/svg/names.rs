//! The names in a chart: at the ends of the lines where they fit there, below the chart otherwise, and those of the horizontal lines.

use super::{LEFT, LETTER, Mapping, Paper, escape, paint, put, text_width};
use crate::web::charts::{Chart, Look, Series};

/// Longest name that stands beside the end of its line. Where one is longer, all stand below the chart: none is ever cut.
const LONGEST_AT_END: f64 = 150.0;

/// Whether every name fits beside the end of its line.
pub(in crate::web::charts) fn fit_at_ends(chart: &Chart) -> bool {
    longest(chart) <= LONGEST_AT_END
}

/// Width of the longest name of a series.
pub(super) fn longest(chart: &Chart) -> f64 {
    chart.series.iter().map(|s| text_width(&s.name)).fold(0.0, f64::max)
}

/// Names of the horizontal lines, above them at their right end.
pub(super) fn of_references(out: &mut String, chart: &Chart, paper: &Paper, y: &Mapping) {
    for reference in chart.references.iter().filter(|r| y.scale.holds(r.y)) {
        let (x, at) = (paper.right - 4.0, y.px(reference.y));
        // Under the line where there is no room above it.
        let at = if at - 4.0 - LETTER < paper.top { at + LETTER + 2.0 } else { at - 4.0 };
        put(
            out,
            format_args!(
                r#"<text class="reference-name" x="{x:.1}" y="{at:.1}" text-anchor="end">{}</text>"#,
                escape(&reference.name)
            ),
        );
    }
}

/// Names to the right of the last points, in their order, pushed apart where they would touch.
pub(super) fn at_ends(out: &mut String, chart: &Chart, paper: &Paper, x: &Mapping, y: &Mapping) {
    let mut ends: Vec<(f64, f64, &Series)> = chart
        .series
        .iter()
        .filter(|s| !s.name.is_empty())
        .filter_map(|s| {
            s.points
                .iter()
                .rfind(|p| x.scale.holds(p.x) && y.scale.holds(p.y))
                .map(|p| (y.px(p.y), x.px(p.x), s))
        })
        .collect();
    ends.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut free = paper.top;
    for (at, from, series) in ends {
        let to = at.max(free);
        free = to + 15.0;
        let palette = paint::class(series.palette);
        let text_x = paper.right + 14.0;
        put(
            out,
            format_args!(
                r#"<path class="lead" d="M{:.1} {at:.1}L{:.1} {to:.1}"/>"#,
                from + 5.0,
                text_x - 3.0
            ),
        );
        put(
            out,
            format_args!(
                r#"<text class="name {palette}" x="{text_x:.1}" y="{:.1}">{}</text>"#,
                to + 4.0,
                escape(&series.name)
            ),
        );
    }
}

/// Names below the chart, each with a piece of its line.
pub(super) fn below(out: &mut String, chart: &Chart, paper: &Paper) {
    for (x, row, series) in places(chart, paper.width) {
        let y = paper.bottom + 54.0 + 17.0 * row as f64;
        let palette = paint::class(series.palette);
        let class = if series.look == Look::Faint { "faint" } else { "line" };
        put(
            out,
            format_args!(
                r#"<g class="series {palette}"><path class="{class}" d="M{x:.1} {:.1}h20"/></g>"#,
                y - 4.0
            ),
        );
        put(
            out,
            format_args!(
                r#"<text class="name {palette}" x="{:.1}" y="{y:.1}">{}</text>"#,
                x + 25.0,
                escape(&series.name)
            ),
        );
    }
}

/// The named series in the order of their line ends from the top, as they are seen; those of one line stay together.
fn by_line_end(chart: &Chart) -> Vec<&Series> {
    let end = |series: &Series| {
        let of_line = chart.series.iter().filter(|s| s.palette == series.palette);
        let last = of_line.filter_map(|s| s.points.iter().rfind(|p| p.y.is_finite())).map(|p| p.y);
        last.reduce(f64::max).unwrap_or(f64::NEG_INFINITY)
    };
    let mut named: Vec<&Series> = chart.series.iter().filter(|s| !s.name.is_empty()).collect();
    named.sort_by(|a, b| end(b).total_cmp(&end(a)));
    named
}

/// Where each name below the chart begins: x and row, as many in a row as fit.
pub(super) fn places(chart: &Chart, width: f64) -> Vec<(f64, usize, &Series)> {
    let (mut x, mut row) = (LEFT, 0);
    let mut places = Vec::new();
    for series in by_line_end(chart) {
        let own = 26.0 + text_width(&series.name);
        if x > LEFT && x + own > width {
            (x, row) = (LEFT, row + 1);
        }
        places.push((x, row, series));
        x += own + 14.0;
    }
    places
}
