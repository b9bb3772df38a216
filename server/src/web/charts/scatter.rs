//! Size or training against score: one point a model, on a logarithmic axis.

use super::{Axis, Chart, Look, Point, Series, Size};

/// One model.
#[derive(Clone, Debug)]
pub(crate) struct Dot {
    pub(crate) name: String,
    /// Above zero.
    pub(crate) x: f64,
    pub(crate) y: f64,
    /// Ends of the interval, if it has one.
    pub(crate) interval: Option<(f64, f64)>,
    /// Hollow: the value was reported elsewhere.
    pub(crate) is_reported: bool,
    /// What it shares a colour, dash and marker with.
    pub(crate) family: usize,
}

/// Points on two axes.
#[derive(Clone, Debug)]
pub(crate) struct Scatter {
    /// Title and summary in words.
    pub(crate) label: String,
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    pub(crate) dots: Vec<Dot>,
}

impl Scatter {
    /// The drawing as one `<svg>` element.
    pub(crate) fn svg(&self, size: Size) -> String {
        let series = |dot: &Dot| Series {
            name: dot.name.clone(),
            look: Look::Points,
            palette: dot.family,
            points: vec![Point {
                x: dot.x,
                y: dot.y,
                interval: dot.interval,
                hollow: dot.is_reported,
                group: 0,
                note: dot.name.clone(),
            }],
        };
        let chart = Chart {
            label: self.label.clone(),
            x: self.x.clone(),
            y: self.y.clone(),
            series: self.dots.iter().map(series).collect(),
            references: Vec::new(),
            flags: Vec::new(),
        };
        chart.svg(size)
    }
}
