//! Figures that are drawn on a page and leave it as files: the same drawing, titles and numbers in both.

use askama::filters::HtmlSafe;
use axum::Json;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};

use super::axis::Ends;
use super::parts::{self, Cell, Figure};
use crate::web::charts::{self, Bars, Chart, Panels, Size};
use crate::web::frame::Frame;

/// A figure, and its drawing as a file.
pub(super) struct Drawn {
    pub(super) figure: Figure,
    /// SVG.
    pub(super) file: String,
    /// What a script draws close up; none for what is no curve.
    charts: Vec<Chart>,
}

impl Drawn {
    /// One chart.
    pub(super) fn of_chart(frame: &Frame, figure: Figure, chart: &Chart) -> Self {
        let chart = Chart { label: label(&figure), ..chart.clone() };
        let drawings = (chart.svg(Size::Wide), chart.svg(Size::Narrow), chart.standalone(&figure.caption));
        let empty = is_empty(std::slice::from_ref(&chart));
        Self { charts: vec![chart], ..Self::of(frame, figure, empty, drawings) }
    }

    /// One of several charts side by side.
    pub(super) fn of_small(frame: &Frame, figure: Figure, chart: &Chart) -> Self {
        let chart = Chart { label: label(&figure), ..chart.clone() };
        let figure = Figure { small: Some(chart.svg(Size::Small)), ..figure };
        let drawings = (String::new(), String::new(), chart.standalone(&figure.caption));
        let empty = is_empty(std::slice::from_ref(&chart));
        Self { charts: vec![chart], ..Self::of(frame, figure, empty, drawings) }
    }

    /// Charts above one another.
    pub(super) fn of_panels(frame: &Frame, figure: Figure, charts: Vec<Chart>) -> Self {
        let empty = is_empty(&charts);
        let panels = Panels { label: label(&figure), charts };
        let drawings = (panels.svg(Size::Wide), panels.svg(Size::Narrow), panels.standalone());
        Self { charts: panels.aligned(), ..Self::of(frame, figure, empty, drawings) }
    }

    /// Bars.
    pub(super) fn of_bars(frame: &Frame, figure: Figure, bars: &Bars) -> Self {
        let bars = Bars { label: label(&figure), ..bars.clone() };
        let drawings = (bars.svg(Size::Wide), bars.svg(Size::Narrow), bars.standalone());
        Self::of(frame, figure, bars.groups.is_empty(), drawings)
    }

    fn of(
        frame: &Frame,
        figure: Figure,
        empty: bool,
        (wide, narrow, file): (String, String, String),
    ) -> Self {
        let link = |kind: &str| {
            let path = format!("{}/{}.{kind}", frame.path.trim_end_matches('/'), figure.id);
            let page = Frame { path, ..frame.clone() }.with("", "");
            let joined = if page.contains('?') { '&' } else { '?' };
            // A file is in the language of the page that it was taken from.
            format!("{page}{joined}lang={}", frame.lang)
        };
        let (svg, csv) = (Some(link("svg")), Some(link("csv")));
        Self { figure: Figure { empty, wide, narrow, svg, csv, ..figure }, file, charts: Vec::new() }
    }

    /// Says where a script finds the numbers of a part of it, and what the address calls the ends of that part.
    pub(super) fn zoomable(mut self, ends: Ends) -> Self {
        let svg = self.figure.svg.as_ref().filter(|_| !self.charts.is_empty() && !self.figure.empty);
        self.figure.zoom = svg.map(|svg| (svg.replacen(".svg?", ".json?", 1), ends));
        self
    }

    /// The file of that kind: `svg`, `csv`, `json`.
    pub(super) fn download(&self, kind: &str) -> Option<Response> {
        match kind {
            "svg" if !self.figure.empty => {
                let kind = [(header::CONTENT_TYPE, "image/svg+xml; charset=utf-8")];
                Some((kind, self.file.clone()).into_response())
            }
            "json" if !self.charts.is_empty() => Some(Json(charts::data(&self.charts)).into_response()),
            "csv" => {
                let heads: Vec<String> = self.figure.heads.iter().map(|head| parts::quoted(head)).collect();
                let heads: Vec<&str> = heads.iter().map(String::as_str).collect();
                // A minus for programs.
                let value = |cell: &Cell| cell.value.replace('\u{2212}', "-");
                let rows = self.figure.rows.iter().map(|row| row.iter().map(value).collect());
                Some(parts::numbers_csv(&heads, rows))
            }
            _ => None,
        }
    }
}

fn is_empty(charts: &[Chart]) -> bool {
    charts.iter().flat_map(|chart| &chart.series).all(|series| series.points.is_empty())
}

impl HtmlSafe for Drawn {}

impl std::fmt::Display for Drawn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.figure.fmt(f)
    }
}

fn label(figure: &Figure) -> String {
    format!("{}. {}", figure.title, figure.summary)
}
