//! Figures that are drawn on a page and leave it as files: the same drawing, titles and numbers in both.

use askama::filters::HtmlSafe;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use sekisho_store::Run;
use serde_json::Value;

use super::compare_curves::panels;
use super::parts::{self, Cell, Figure};
use crate::web::charts::paint::{self, Kind, Role};
use crate::web::charts::{Bars, Chart, Size};
use crate::web::format;
use crate::web::frame::Frame;

/// A figure, and its drawing as a file.
pub(super) struct Drawn {
    pub(super) figure: Figure,
    /// SVG.
    pub(super) file: String,
}

impl Drawn {
    /// One chart.
    pub(super) fn of_chart(frame: &Frame, figure: Figure, chart: &Chart) -> Self {
        let chart = Chart { label: label(&figure), ..chart.clone() };
        let empty = chart.series.iter().all(|series| series.points.is_empty());
        let drawings = (chart.svg(Size::Wide), chart.svg(Size::Narrow), chart.standalone());
        Self::of(frame, figure, empty, drawings)
    }

    /// Charts above one another.
    pub(super) fn of_panels(frame: &Frame, figure: Figure, charts: Vec<Chart>) -> Self {
        let empty = charts.iter().flat_map(|chart| &chart.series).all(|series| series.points.is_empty());
        let drawings = panels(&label(&figure), charts);
        Self::of(frame, figure, empty, drawings)
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
            let path = format!("/compare/{}.{kind}", figure.id);
            let page = Frame { path, ..frame.clone() }.with("", "");
            let joined = if page.contains('?') { '&' } else { '?' };
            // A file is in the language of the page that it was taken from.
            format!("{page}{joined}lang={}", frame.lang)
        };
        let (svg, csv) = (Some(link("svg")), Some(link("csv")));
        Self { figure: Figure { empty, wide, narrow, svg, csv, ..figure }, file }
    }

    /// The file of that kind: `svg`, `csv`.
    pub(super) fn download(&self, kind: &str) -> Option<Response> {
        match kind {
            "svg" if !self.figure.empty => {
                let kind = [(header::CONTENT_TYPE, "image/svg+xml; charset=utf-8")];
                Some((kind, self.file.clone()).into_response())
            }
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

impl HtmlSafe for Drawn {}

impl std::fmt::Display for Drawn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.figure.fmt(f)
    }
}

fn label(figure: &Figure) -> String {
    format!("{}. {}", figure.title, figure.summary)
}

/// `v4-8b-exp2 (8B)`.
pub(super) fn named(run: &Run, parameters: Option<u64>) -> String {
    match parameters {
        Some(parameters) => format!("{} ({})", run.name, format::short(parameters)),
        None => run.name.clone(),
    }
}

/// The number of a run's line: its place among the sizes, the smallest first, so that no two lines are alike.
pub(super) fn ramp_of(sizes: &[Option<u64>], number: usize, kind: Kind) -> usize {
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    order.sort_by_key(|i| (sizes[*i], *i));
    let place = order.iter().position(|i| *i == number).unwrap_or(0);
    // Few lines are spread over the whole ramp.
    let shade = if sizes.len() > 1 { place * (paint::SHADES - 1) / (sizes.len() - 1).max(1) } else { 2 };
    paint::ramp(shade, kind)
}

/// What kind of model a run trains, as its specification says.
pub(super) fn kind(run: &Run) -> Kind {
    let spec = run.spec.as_ref();
    let experts = spec.and_then(|spec| spec.pointer("/model/num_local_experts")?.as_u64());
    match experts {
        Some(experts) if experts > 1 => Kind::MixtureOfExperts,
        _ if role(run).0 == Role::Decay => Kind::Decay,
        _ => Kind::Stable,
    }
}

/// The role of a run in a figure of schedules, and the key of its word: a cosine schedule, a branch that only decays (a child run whose
/// decay takes all of its own steps, or that is linear), anything else stable.
pub(super) fn role(run: &Run) -> (Role, &'static str) {
    let text = |path: &str| run.spec.as_ref().and_then(|spec| spec.pointer(path)?.as_str());
    let number = |path: &str| run.spec.as_ref().and_then(|spec| spec.pointer(path).and_then(Value::as_u64));
    let is_child = run.spec.as_ref().is_some_and(|spec| spec["parent"].is_object());
    let begin = number("/parent/step").unwrap_or(0);
    let own = number("/schedule/total_steps")
        .or_else(|| number("/stop/steps"))
        .map(|end| end.saturating_sub(begin));
    let decays_all =
        number("/schedule/decay_steps").zip(own).is_some_and(|(decay, own)| decay > 0 && decay >= own);
    match text("/schedule/kind") {
        Some("cosine") => (Role::Cosine, "schedule_role.cosine"),
        Some("linear") if is_child => (Role::Decay, "schedule_role.decay"),
        Some("wsd") if is_child && decays_all => (Role::Decay, "schedule_role.decay"),
        _ => (Role::Stable, "schedule_role.stable"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::web::pages::fixtures;

    #[test]
    fn roles_come_from_the_schedule() {
        let run = |spec: Value| Run { spec: Some(spec), ..fixtures::run() };
        let of = |spec| role(&run(spec)).0;
        assert_eq!(of(json!({ "schedule": { "kind": "cosine" } })), Role::Cosine);
        let wsd = json!({ "schedule": { "kind": "wsd", "decay_steps": 200, "total_steps": 1000 } });
        assert_eq!(of(wsd), Role::Stable, "a run with its own decay at its end");
        let branch = json!({ "parent": { "run": "a", "step": 800 },
            "schedule": { "kind": "wsd", "decay_steps": 200, "total_steps": 1000 } });
        assert_eq!(of(branch.clone()), Role::Decay);
        assert_eq!(kind(&run(branch)), Kind::Decay);
        assert_eq!(kind(&run(json!({ "model": { "num_local_experts": 8 } }))), Kind::MixtureOfExperts);
        assert_eq!(kind(&Run { spec: None, ..fixtures::run() }), Kind::Stable);
    }

    #[test]
    fn no_two_lines_are_alike() {
        let sizes = [Some(8), None, Some(1), Some(8), Some(70), Some(13)];
        let numbers: std::collections::BTreeSet<usize> =
            (0..6).map(|i| ramp_of(&sizes, i, Kind::Stable)).collect();
        assert_eq!(numbers.len(), 6);
        assert!(ramp_of(&sizes, 2, Kind::Stable) < ramp_of(&sizes, 4, Kind::Stable), "by size");
    }
}
