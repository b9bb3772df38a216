//! Areas: the interval along a curve, and a part of the horizontal axis that is set off.

use std::fmt::Write as _;

use super::{LETTER, Mapping, Paper, escape, paint, put};
use crate::web::charts::{Look, Point, Series};

/// Draws a series that is an area; answers whether it is one.
pub(super) fn draw(out: &mut String, series: &Series, paper: &Paper, x: &Mapping, y: &Mapping) -> bool {
    match series.look {
        Look::Band => band(out, series, x, y),
        Look::Region => region(out, series, paper, x),
        Look::Faint | Look::Line | Look::Points => return false,
    }
    true
}

fn band(out: &mut String, series: &Series, x: &Mapping, y: &Mapping) {
    let ends = |p: &Point| p.interval.filter(|(low, high)| [low, high].iter().all(|v| y.scale.holds(**v)));
    let points: Vec<(f64, (f64, f64))> = series
        .points
        .iter()
        .filter(|p| x.scale.holds(p.x))
        .filter_map(|p| Some((x.px(p.x), ends(p).map(|(low, high)| (y.px(low), y.px(high)))?)))
        .collect();
    if points.len() < 2 {
        return;
    }
    let _ = write!(out, r#"<g class="series {}"><path class="band" d=""#, paint::class(series.palette));
    let there = points.iter().map(|(x, (_, high))| (x, high));
    let back = points.iter().rev().map(|(x, (low, _))| (x, low));
    for (i, (x, y)) in there.chain(back).enumerate() {
        let _ = write!(out, "{}{x:.1} {y:.1}", if i == 0 { 'M' } else { 'L' });
    }
    out.push_str("Z\"/></g>\n");
}

/// From its first to its last point, over the whole height, with its name at the top.
fn region(out: &mut String, series: &Series, paper: &Paper, x: &Mapping) {
    let places: Vec<f64> = series.points.iter().filter(|p| x.scale.holds(p.x)).map(|p| x.px(p.x)).collect();
    let (Some(from), Some(to)) = (places.first(), places.last()) else { return };
    let (from, to) = (from.max(paper.left), to.min(paper.right));
    put(
        out,
        format_args!(
            r#"<rect class="region" x="{from:.1}" y="{}" width="{:.1}" height="{:.1}"/>"#,
            paper.top,
            (to - from).max(0.0),
            paper.bottom - paper.top
        ),
    );
    if let Some(note) = series.points.first().map(|point| &point.note).filter(|note| !note.is_empty()) {
        put(
            out,
            format_args!(
                r#"<text class="reference-name" x="{:.1}" y="{:.1}" text-anchor="end">{}</text>"#,
                to - 3.0,
                paper.top + LETTER,
                escape(note)
            ),
        );
    }
}
