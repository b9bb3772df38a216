//! A chart as numbers, for the script that draws it close up: what the drawing shows and no more.

use serde_json::{Value, json};

use super::ticks::{Numbers, Scale};
use super::{Axis, Chart, Look, Series, paint, svg};

/// Charts as JSON, from the top down, each: `x` and `y` with title, scale, way of writing numbers and ends; `series` as columns, a line broken by a point
/// without a value; `references` and `flags`.
pub(crate) fn data(charts: &[Chart]) -> Value {
    charts.iter().map(one).collect()
}

fn one(chart: &Chart) -> Value {
    let axis = |axis: &Axis, direction| {
        let (from, to) = svg::extent(chart, direction);
        let numbers = match axis.numbers {
            Numbers::Plain => "plain",
            Numbers::Short => "short",
            Numbers::Billions => "billions",
            Numbers::Millions => "millions",
            Numbers::Scientific => "scientific",
        };
        json!({ "title": axis.title, "log": axis.scale == Scale::Log, "numbers": numbers, "from": from, "to": to })
    };
    let drawn = chart.series.iter().filter(|series| !matches!(series.look, Look::Band | Look::Region));
    let references = chart.references.iter().map(|line| json!({ "name": line.name, "y": line.y }));
    let flags = chart.flags.iter().map(|flag| json!({ "x": flag.x, "note": flag.note }));
    json!({
        "label": chart.label,
        "x": axis(&chart.x, svg::Direction::X),
        "y": axis(&chart.y, svg::Direction::Y),
        "series": drawn.map(|one| series(one, chart.x.scale)).collect::<Vec<_>>(),
        "references": references.collect::<Vec<_>>(),
        "flags": flags.collect::<Vec<_>>(),
    })
}

fn series(series: &Series, scale: Scale) -> Value {
    let (mut x, mut y, mut low, mut high, mut hollow) = (vec![], vec![], vec![], vec![], vec![]);
    let mut last: Option<(f64, usize)> = None;
    for point in series.points.iter().filter(|point| scale.holds(point.x) && point.y.is_finite()) {
        if let Some((before, group)) = last
            && group != point.group
        {
            x.push(f64::midpoint(before, point.x));
            y.push(None);
            low.push(None);
            high.push(None);
            hollow.push(false);
        }
        last = Some((point.x, point.group));
        x.push(point.x);
        y.push(Some(point.y));
        low.push(point.interval.map(|interval| interval.0));
        high.push(point.interval.map(|interval| interval.1));
        hollow.push(point.hollow);
    }
    let look = match series.look {
        Look::Faint => "faint",
        Look::Points => "points",
        Look::Line | Look::Band | Look::Region => "line",
    };
    let mut found =
        json!({ "name": series.name, "look": look, "class": paint::class(series.palette), "x": x, "y": y });
    if series.look == Look::Points {
        (found["low"], found["high"], found["hollow"]) = (json!(low), json!(high), json!(hollow));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::charts::Point;

    #[test]
    fn a_broken_line_has_a_hole_and_nothing_that_is_no_number() {
        let point = |x: f64, y: f64, group| Point { group, ..Point::from((x, y)) };
        let axis = |scale| Axis { title: "t".to_owned(), scale, numbers: Numbers::Billions, range: None };
        let chart = Chart {
            label: String::new(),
            x: axis(Scale::Log),
            y: axis(Scale::Linear),
            series: vec![Series {
                name: "loss".to_owned(),
                look: Look::Line,
                palette: 1,
                points: vec![
                    point(0.0, 9.0, 0),
                    point(1.0, 3.0, 0),
                    point(2.0, f64::NAN, 0),
                    point(3.0, 2.0, 1),
                ],
            }],
            references: Vec::new(),
            flags: Vec::new(),
        };
        let found = &data(&[chart])[0];
        assert_eq!(
            (&found["series"][0]["x"], &found["series"][0]["y"]),
            (&json!([1.0, 2.0, 3.0]), &json!([3.0, null, 2.0]))
        );
        assert_eq!(
            json!([found["x"]["log"], found["x"]["numbers"], found["series"][0]["class"]]),
            json!([true, "billions", "p2"])
        );
    }
}
