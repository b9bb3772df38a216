//! The curves of a run's page.

use std::collections::BTreeSet;

use sekisho_bench::Catalog;
use sekisho_domain::run::{EventKind, KeptEvent, MetricRow};
use sekisho_domain::{Step, Tokens};

use super::axis::{Against, Ground};
use super::drawn::Drawn;
use super::parts::{Cell, Figure};
use super::run_events;
use super::run_load::Facts;
use crate::web::charts::{
    Axis, Chart, Flag, Look, MAX_POINTS, Numbers, Point, Scale, Series, half_life, smoothed, thinned_within,
};
use crate::web::format;
use crate::web::frame::Frame;
use crate::web::i18n::Words as _;

/// Rows in the table below a metric's chart; the figure's own CSV has more, and the run's has all.
pub(super) const TABLE_ROWS: usize = 40;

/// Points of a line in one of several charts side by side.
const SMALL_POINTS: usize = 600;

/// Most flags of one kind of event on a curve.
const MAX_FLAGS: usize = 6;

/// Most metrics of names of its own that a run's page draws; the CSV has them all.
const MAX_NAMES: usize = 24;

/// What the curves are made from.
pub(super) struct Curves<'a> {
    pub(super) frame: &'a Frame,
    pub(super) catalog: &'a Catalog,
    pub(super) facts: &'a Facts,
    pub(super) against: Against,
    pub(super) ground: Ground,
    /// With the stages before: the curve hangs off the one that it left.
    pub(super) is_whole: bool,
    /// The part of the horizontal axis that is drawn; all of it where there is none.
    pub(super) span: Option<(f64, f64)>,
    /// Rows of a table at most.
    pub(super) table_rows: usize,
}

impl Curves<'_> {
    /// Training loss: every update pale, smoothed strong.
    pub(super) fn loss(&self) -> Drawn {
        let lang = self.frame.lang;
        let points = self.metric(|row| row.loss);
        let half_life = half_life(points.len());
        let strong = smoothed(&points, half_life);
        let name = lang.fill("run.smoothed", &[("n", &half_life)]);
        let chart = Chart {
            series: self
                .before()
                .into_iter()
                .chain([
                    self.line(lang.t("run.raw"), Look::Faint, 0, &points),
                    self.line(&name, Look::Line, 0, &strong),
                ])
                .collect(),
            ..self.chart(lang.t("axis.loss"), Numbers::Plain)
        };
        let summary = match (self.facts.rows.last(), strong.last()) {
            (Some(row), Some((_, value))) => {
                let lowest = points.iter().map(|p| p.1).fold(f64::INFINITY, f64::min);
                let values = [format::loss(*value), format::loss(lowest)];
                lang.fill(
                    "run.loss_summary",
                    &[("tokens", &row.tokens.short()), ("loss", &values[0]), ("lowest", &values[1])],
                )
            }
            _ => lang.t("run.loss_empty").to_owned(),
        };
        let figure = Figure {
            id: "loss".to_owned(),
            title: lang.t("run.loss_title").to_owned(),
            summary,
            caption: self.caption(),
            ..Figure::new(lang)
        };
        let heads = [lang.t("run.step"), lang.t("run.tokens"), lang.t("axis.loss"), &name];
        let table = |row: &MetricRow| {
            let smooth = strong.iter().find(|p| p.0 == self.x(row.step, row.tokens));
            vec![
                row.step.to_string().into(),
                row.tokens.to_string().into(),
                self.reported(row.loss, format::loss),
                self.reported(smooth.map(|p| p.1), format::loss),
            ]
        };
        Drawn::of_chart(self.frame, self.with_metric_table(figure, &heads, table), &chart)
    }

    /// Learning rate, gradient norm and speed, the parts of the loss, and whatever else the trainer reports, by its name.
    pub(super) fn metrics(&self) -> Vec<Drawn> {
        let lang = self.frame.lang;
        let own: [(&str, &str, &str, Numbers, Value); 5] = [
            ("gradient-norm", "run.gradient_norm", "axis.gradient_norm", Numbers::Plain, |row| row.grad_norm),
            ("learning-rate", "run.learning_rate", "axis.learning_rate", Numbers::Scientific, |row| row.lr),
            ("ce", "run.ce", "axis.ce", Numbers::Plain, |row| {
                row.ce.filter(|_| row.z_loss.is_some_and(|z| z != 0.0))
            }),
            ("z-loss", "run.z_loss", "axis.z_loss", Numbers::Scientific, |row| {
                row.z_loss.filter(|z| *z != 0.0)
            }),
            ("update-time", "run.update_time", "axis.update_time", Numbers::Plain, |row| row.seconds),
        ];
        let own = own.into_iter().filter_map(|(id, title, axis, numbers, value)| {
            self.small_metric(id, lang.t(title), lang.t(axis), numbers, &value)
        });
        let names: BTreeSet<&String> = self.facts.rows.iter().flat_map(|row| row.more.keys()).collect();
        let more = names.into_iter().take(MAX_NAMES).filter_map(|name| {
            let value = |row: &MetricRow| row.more.get(name).copied();
            self.small_metric(&format!("metric-{}", id_of(name)), name, name, Numbers::Plain, &value)
        });
        own.chain(more).collect()
    }

    fn small_metric(
        &self,
        id: &str,
        title: &str,
        axis: &str,
        numbers: Numbers,
        value: &dyn Fn(&MetricRow) -> Option<f64>,
    ) -> Option<Drawn> {
        let lang = self.frame.lang;
        let points = self.metric(value);
        let last = points.last()?.1;
        let write: fn(f64) -> String =
            if numbers == Numbers::Scientific { format::scientific } else { format::loss };
        // What a schedule sets is drawn as it is; what wavers is pale, with its course before it.
        let series = if numbers == Numbers::Scientific {
            vec![self.line_of(Look::Line, &points)]
        } else {
            let course = smoothed(&points, half_life(points.len()));
            vec![self.line_of(Look::Faint, &points), self.line_of(Look::Line, &course)]
        };
        let chart = Chart { series, ..self.chart(axis, numbers) };
        let figure = Figure {
            id: id.to_owned(),
            title: title.to_owned(),
            summary: lang
                .fill("run.metric_summary", &[("step", &self.facts.run.step), ("value", &write(last))]),
            caption: self.caption(),
            ..Figure::new(lang)
        };
        let heads = [lang.t("run.step"), lang.t("run.tokens"), axis];
        let table = |row: &MetricRow| {
            vec![row.step.to_string().into(), row.tokens.to_string().into(), self.reported(value(row), write)]
        };
        Some(Drawn::of_small(self.frame, self.with_metric_table(figure, &heads, table), &chart))
    }

    /// An empty chart with the axes that all curves of the run share.
    pub(super) fn chart(&self, y_title: &str, numbers: Numbers) -> Chart {
        let (lang, run) = (self.frame.lang, &self.facts.run);
        let furthest = self.facts.scored.last().map_or(run.tokens, |s| s.checkpoint.tokens.max(run.tokens));
        let steps = self.facts.rows.iter().map(|row| self.x(row.step, row.tokens));
        let flag = |event: &KeptEvent| {
            let at = self.facts.rows.partition_point(|row| row.step < event.step);
            let row = self.facts.rows.get(at)?;
            Some(Flag { x: self.x(row.step, row.tokens), note: run_events::words(self.frame, event) })
        };
        Chart {
            label: format!("{}: {y_title}", run.name),
            x: self.against.axis(lang, furthest, self.span.or_else(|| self.range(steps))),
            y: Axis { title: y_title.to_owned(), scale: Scale::Linear, numbers, range: None },
            series: Vec::new(),
            references: Vec::new(),
            flags: self.flagged().filter_map(flag).collect(),
        }
    }

    /// What a figure was made from and when, for its file.
    fn caption(&self) -> String {
        let (run, frame) = (&self.facts.run.name, self.frame);
        frame.lang.fill("run.caption", &[("run", run), ("at", &frame.stamp(&frame.now))])
    }

    /// The events that are drawn. Begin and end of training and what computes need no flag, and a kind that comes often (the next epoch of a small
    /// corpus) would hide the curve: the table of events has it.
    fn flagged(&self) -> impl Iterator<Item = &KeptEvent> {
        let events = &self.facts.events;
        let often = move |kind: EventKind| events.iter().filter(|e| e.kind == kind).count() > MAX_FLAGS;
        let is_partial = self.facts.is_partial;
        let unflagged =
            |kind: EventKind| matches!(kind, EventKind::Started | EventKind::Finished | EventKind::Devices);
        events
            .iter()
            .filter(move |event| !is_partial && event.holds() && !unflagged(event.kind) && !often(event.kind))
    }

    /// From the least to the most of these; from zero on where the axis has one.
    pub(super) fn range(&self, values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
        let (low, high) = values
            .filter(|x| *x > 0.0)
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), x| (l.min(x), h.max(x)));
        (low < high).then_some((
            if matches!(self.against, Against::TokensLog | Against::Flops) { low } else { 0.0 },
            high,
        ))
    }

    /// Where a row or a checkpoint lies.
    pub(super) fn x(&self, step: Step, tokens: Tokens) -> f64 {
        self.ground.x(self.against, step, tokens)
    }

    fn metric(&self, value: impl Fn(&MetricRow) -> Option<f64>) -> Vec<(f64, f64)> {
        let point =
            |row: &MetricRow| Some((self.x(row.step, row.tokens), value(row).filter(|v| v.is_finite())?));
        self.facts.rows.iter().filter_map(point).collect()
    }

    /// The loss of the run that this one left, smoothed, up to where it did.
    fn before(&self) -> Option<Series> {
        let (fork, rows) = self.facts.fork.as_ref().filter(|_| self.is_whole)?;
        let ground = self.ground.clone().after(fork.before, Step(0));
        let point = |row: &MetricRow| {
            let loss = row.loss.filter(|loss| loss.is_finite())?;
            Some((ground.x(self.against, row.step, row.tokens), loss))
        };
        let points: Vec<(f64, f64)> = rows.iter().filter_map(point).collect();
        let strong = smoothed(&points, half_life(points.len()));
        (!strong.is_empty()).then(|| self.line(&fork.parent.name, Look::Line, 1, &strong))
    }

    /// Where each process but the first begins.
    fn begun(&self) -> Vec<f64> {
        let rows = &self.facts.rows;
        let of = |row: &MetricRow| self.ground.group(row.step);
        let is_new = |pair: &&[MetricRow]| of(&pair[0]) != of(&pair[1]);
        rows.windows(2).filter(is_new).map(|pair| self.x(pair[1].step, pair[1].tokens)).collect()
    }

    fn line(&self, name: &str, look: Look, palette: usize, points: &[(f64, f64)]) -> Series {
        self.thinned_line(name, look, palette, points, MAX_POINTS)
    }

    /// A line of a small chart.
    fn line_of(&self, look: Look, points: &[(f64, f64)]) -> Series {
        let most = if self.span.is_some() { MAX_POINTS } else { SMALL_POINTS };
        self.thinned_line("", look, 0, points, most)
    }

    fn thinned_line(
        &self,
        name: &str,
        look: Look,
        palette: usize,
        points: &[(f64, f64)],
        most: usize,
    ) -> Series {
        let scale = if matches!(self.against, Against::TokensLog | Against::Flops) {
            Scale::Log
        } else {
            Scale::Linear
        };
        // A line is broken where a process ended and another began.
        let begun = self.begun();
        let group = |x: f64| begun.partition_point(|first| *first <= x);
        let point = |(x, y): (f64, f64)| Point { group: group(x), ..Point::from((x, y)) };
        let points = thinned_within(points, scale, most, self.span).into_iter().map(point).collect();
        Series { name: name.to_owned(), look, palette, points }
    }

    /// A value of a metric row, or why there is none.
    fn reported(&self, value: Option<f64>, write: fn(f64) -> String) -> Cell {
        value.map_or_else(|| Cell::missing(self.frame.t("missing.not_reported")), |value| write(value).into())
    }

    fn with_metric_table(
        &self,
        figure: Figure,
        heads: &[&str],
        row: impl Fn(&MetricRow) -> Vec<Cell>,
    ) -> Figure {
        let is_inside = |row: &&MetricRow| {
            let x = self.x(row.step, row.tokens);
            self.span.is_none_or(|(from, to)| (from..=to).contains(&x))
        };
        let rows: Vec<&MetricRow> = self.facts.rows.iter().filter(is_inside).collect();
        let every = rows.len().div_ceil(self.table_rows).max(1);
        let is_shown = |i: usize| i.is_multiple_of(every) || i + 1 == rows.len();
        let shown = rows.iter().enumerate().filter(|(i, _)| is_shown(*i)).map(|(_, r)| row(r)).collect();
        let lang = self.frame.lang;
        Figure {
            heads: heads.iter().map(|head| (*head).to_owned()).collect(),
            rows: shown,
            note: if every > 1 {
                lang.fill("chart.every", &[("n", &every), ("all", &format::count(rows.len() as u64))])
            } else {
                String::new()
            },
            ..figure
        }
    }
}

type Value = fn(&MetricRow) -> Option<f64>;

/// A name as part of an id in the page.
fn id_of(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect()
}
