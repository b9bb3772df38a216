//! A small SVG writer: lines, points with intervals, reference lines and event flags on linear or logarithmic axes.
//!
//! Colours come from the style sheet by class, so one drawing serves both themes (a drawing that leaves as a file carries its own);
//! kinds differ by dash and marker too, never by colour alone. A chart is drawn twice, for wide and for narrow screens, so that its letters stay readable without JavaScript.

use sekisho_domain::{Language, Tokens};

use super::i18n::Words as _;
use svg::names;

pub(crate) mod bars;
mod columns;
mod data;
pub(crate) mod gantt;
pub(crate) mod lineage;
pub(crate) mod paint;
mod panels;
pub(crate) mod radar;
pub(crate) mod scatter;
mod series;
mod small;
mod stops;
mod svg;
mod ticks;

pub(crate) use columns::{Bar, Bars};
pub(crate) use data::data;
pub(crate) use panels::Panels;
pub(crate) use series::{half_life, smoothed, thinned, thinned_within};
pub(crate) use small::{sparkline, stack, whisker};
pub(crate) use ticks::{Numbers, Scale};

/// Most points that a line is drawn with.
pub(crate) const MAX_POINTS: usize = 2000;

/// A chart, ready to be drawn.
#[derive(Clone, Debug)]
pub(crate) struct Chart {
    /// Title and summary in words, for those who do not see the drawing.
    pub(crate) label: String,
    /// Horizontal axis.
    pub(crate) x: Axis,
    /// Vertical axis.
    pub(crate) y: Axis,
    /// What is drawn, the first at the bottom.
    pub(crate) series: Vec<Series>,
    /// Horizontal dotted lines.
    pub(crate) references: Vec<Reference>,
    /// Vertical marks of events.
    pub(crate) flags: Vec<Flag>,
}

/// An axis: its title with the unit, its scale, and how its numbers are written.
#[derive(Clone, Debug)]
pub(crate) struct Axis {
    /// Title with unit.
    pub(crate) title: String,
    /// Linear or logarithmic.
    pub(crate) scale: Scale,
    /// How numbers are written.
    pub(crate) numbers: Numbers,
    /// The least range, where charts side by side share one. What lies outside widens it.
    pub(crate) range: Option<(f64, f64)>,
}

impl Axis {
    /// Trained tokens of a run that has come so far. The title carries the unit, as in the field's figures: billions of tokens from a
    /// billion on, millions below.
    pub(crate) fn tokens(lang: Language, scale: Scale, furthest: Tokens, range: Option<(f64, f64)>) -> Self {
        let billions = furthest.0 >= 1_000_000_000;
        let title = match (scale, billions) {
            (Scale::Log, true) => lang.t("axis.tokens_billion_log"),
            (Scale::Log, false) => lang.t("axis.tokens_million_log"),
            (Scale::Linear, true) => lang.t("axis.tokens_billion"),
            (Scale::Linear, false) => lang.t("axis.tokens_million"),
        };
        let numbers = if billions { Numbers::Billions } else { Numbers::Millions };
        Self { title: title.to_owned(), scale, numbers, range }
    }
}

/// How a series is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// A thin pale line behind the others.
    Faint,
    /// A line.
    Line,
    /// Points, joined by a line, with their intervals.
    Points,
    /// The intervals of its points as one area.
    Band,
    /// The part of the horizontal axis between its first and its last point; the first one's note is its name.
    Region,
}

/// One series.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    /// Name at the end of the line.
    pub(crate) name: String,
    /// How it is drawn.
    pub(crate) look: Look,
    /// Which of the palette's eight colours, dashes and markers; or a number of `paint`.
    pub(crate) palette: usize,
    /// Points by ascending x.
    pub(crate) points: Vec<Point>,
}

/// One point.
#[derive(Clone, Debug, Default)]
pub(crate) struct Point {
    /// Horizontal.
    pub(crate) x: f64,
    /// Vertical.
    pub(crate) y: f64,
    /// Ends of the interval, if it has one.
    pub(crate) interval: Option<(f64, f64)>,
    /// Drawn hollow: it stands for less than the others (a mean over some of the tasks). No line leads to it.
    pub(crate) hollow: bool,
    /// Points are joined only with others of the same group: those that were made under the same settings.
    pub(crate) group: usize,
    /// Shown when the pointer rests on it; empty for none.
    pub(crate) note: String,
}

impl From<(f64, f64)> for Point {
    fn from((x, y): (f64, f64)) -> Self {
        Self { x, y, ..Self::default() }
    }
}

/// A horizontal dotted line: the chance level, a reported value.
#[derive(Clone, Debug)]
pub(crate) struct Reference {
    /// What it is.
    pub(crate) name: String,
    /// Where it is.
    pub(crate) y: f64,
}

/// A vertical mark.
#[derive(Clone, Debug)]
pub(crate) struct Flag {
    /// Where it is.
    pub(crate) x: f64,
    /// What happened.
    pub(crate) note: String,
}

/// How large a chart is drawn. Units are pixels where the drawing is as wide as its frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    /// Half of a desktop window.
    Wide,
    /// A telephone.
    Narrow,
    /// One of several side by side, also on a telephone.
    Small,
}

impl Chart {
    /// The drawing as one `<svg>` element.
    pub(crate) fn svg(&self, size: Size) -> String {
        svg::draw(self, size)
    }

    /// The drawing as a file of its own, with its colours and a light ground of its own: it is read where no style sheet of ours is,
    /// before light and dark. Below it stands what it was made from.
    pub(crate) fn standalone(&self, caption: &str) -> String {
        svg::draw_alone(self, caption)
    }

    /// The same between two places of the horizontal axis.
    pub(crate) fn within(mut self, span: Option<(f64, f64)>) -> Self {
        if let Some((from, to)) = span {
            self.series.iter_mut().for_each(|series| series.points.retain(|p| (from..=to).contains(&p.x)));
            self.x.range = span;
        }
        self
    }
}
