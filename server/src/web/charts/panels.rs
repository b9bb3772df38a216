//! Charts above one another with one horizontal axis: what happens at a step is read from top to bottom.

use std::fmt::Write as _;

use super::svg::{self, Direction, Paper};
use super::{Chart, Size, names, stops};

/// Charts, the first on top.
#[derive(Clone, Debug)]
pub(crate) struct Panels {
    /// Title and summary in words.
    pub(crate) label: String,
    /// Their horizontal axes are made one: the widest range, titled below the last.
    pub(crate) charts: Vec<Chart>,
}

impl Panels {
    /// The drawing as one `<svg>` element.
    pub(crate) fn svg(&self, size: Size) -> String {
        let (body, width, height, stops) = self.body(size);
        let label = svg::escape(&self.label);
        format!(r#"<svg viewBox="0 0 {width} {height}" role="img" aria-label="{label}"{stops}>{body}</svg>"#)
    }

    /// The drawing as a file of its own.
    pub(crate) fn standalone(&self) -> String {
        let (body, width, height, _) = self.body(Size::Wide);
        svg::alone(&self.label, width, height, &body, "")
    }

    /// What is drawn, how wide and high it is, and what the arrow keys read of it.
    fn body(&self, size: Size) -> (String, f64, f64, String) {
        let charts = self.aligned();
        let at_ends = size == Size::Wide && charts.iter().all(names::fit_at_ends);
        let papers: Vec<Paper> = charts.iter().map(|chart| svg::paper(chart, size, at_ends)).collect();
        let right = papers.iter().map(|paper| paper.right).fold(f64::INFINITY, f64::min);
        let width = papers.first().map_or(0.0, |paper| paper.width);
        let (mut body, mut top, mut stops) = (String::new(), 0.0, String::new());
        let last = charts.len().saturating_sub(1);
        for (number, (mut chart, paper)) in charts.into_iter().zip(papers).enumerate() {
            if number != last {
                chart.x.title.clear();
                if !at_ends {
                    for series in &mut chart.series {
                        series.name.clear();
                    }
                }
            }
            let paper = Paper { right, ..paper };
            // Without a title there is less below the axis.
            let height = if number == last { paper.height } else { paper.bottom + 24.0 };
            if number == last {
                // One line through all of them.
                let whole = Paper { top: 30.0, ..paper };
                let x = svg::horizontal(&chart, &paper);
                stops = stops::attributes(&self.charts, &x, &whole, top + paper.bottom - 30.0);
            }
            let _ = write!(body, r#"<g transform="translate(0 {top})">"#);
            svg::draw_on(&mut body, &chart, size, &paper, at_ends);
            body.push_str("</g>");
            top += height;
        }
        (body, width, top, stops)
    }

    /// All with the widest of their horizontal ranges.
    pub(crate) fn aligned(&self) -> Vec<Chart> {
        let drawn = self.charts.iter().filter(|chart| chart.series.iter().any(|s| !s.points.is_empty()));
        let range = drawn
            .map(|chart| svg::extent(chart, Direction::X))
            .reduce(|(low, high), (l, h)| (low.min(l), high.max(h)));
        let mut charts = self.charts.clone();
        for chart in &mut charts {
            chart.x.range = range;
        }
        charts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::charts::{Axis, Look, Numbers, Point, Scale, Series};

    #[test]
    fn what_happens_at_a_step_stands_above_itself() {
        let axis = |title: &str| Axis {
            title: title.to_owned(),
            scale: Scale::Linear,
            numbers: Numbers::Short,
            range: None,
        };
        let chart = |title: &str, from: f64, name: &str| Chart {
            label: String::new(),
            x: axis("steps"),
            y: axis(title),
            series: vec![Series {
                name: name.to_owned(),
                look: Look::Points,
                palette: 0,
                points: vec![Point::from((from, 1.0)), Point::from((100.0, 2.0)), Point::from((400.0, 2.0))],
            }],
            references: Vec::new(),
            flags: Vec::new(),
        };
        for long in ["", "a name that is much too long to stand beside the end of its line"] {
            let panels = Panels {
                label: "both".to_owned(),
                charts: vec![chart("rate", 0.0, "short"), chart("loss", 50.0, long)],
            };
            let svg = panels.svg(Size::Wide);
            let places: Vec<&str> =
                svg.split("cx=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
            assert_eq!(places.len(), 6, "{svg}");
            assert_eq!(places[1..3], places[4..6], "100 and 400 are at the same place in both");
            assert_eq!(svg.matches(">steps<").count(), 1, "one title below");
        }
    }
}
