//! The curves of runs that are compared: their means over tokens, their schedules, and how two of them differ.

use std::fmt::Display;

use sekisho_domain::run::MetricRow;
use sekisho_domain::{Language, Tokens};
use sekisho_store::Run;

use super::axis::{Against, Ends};
use super::compare_figures::{kind, named, ramp_of, role};
use super::drawn::Drawn;
use super::parts::{Cell, Figure};
use super::run_scores::groups;
use super::scored::{Mean, Scored};
use crate::web::charts::{
    Axis, Chart, Flag, Look, MAX_POINTS, Numbers, Point, Scale, Series, half_life, paint, smoothed,
    thinned_within,
};
use crate::web::format;
use crate::web::frame::Frame;
use crate::web::i18n::Words as _;

/// Rows of a table that has a row for each report.
const TABLE_ROWS: usize = 40;
/// A difference has crossed zero when it stays on the other side for so many parts of the common range.
const CROSSING: f64 = 0.05;

/// A run with what its curves are drawn from.
pub(super) struct RunFacts {
    pub(super) run: Run,
    /// By tokens.
    pub(super) scored: Vec<Scored>,
    pub(super) rows: Vec<MetricRow>,
}

impl RunFacts {
    /// Parameters, as the newest examined checkpoint has them.
    pub(super) fn parameters(&self) -> Option<u64> {
        let verified = |s: &Scored| s.checkpoint.verification.as_ref().map(|found| found.parameters);
        self.scored.iter().rev().find_map(verified)
    }
}

/// What the curves are made from.
pub(super) struct Curves<'a> {
    pub(super) frame: &'a Frame,
    pub(super) runs: &'a [RunFacts],
    pub(super) against: Against,
}

impl Curves<'_> {
    fn lang(&self) -> Language {
        self.frame.lang
    }

    fn furthest(&self) -> Tokens {
        let of_run = |facts: &RunFacts| {
            facts.scored.last().map_or(facts.run.tokens, |s| s.checkpoint.tokens.max(facts.run.tokens))
        };
        self.runs.iter().map(of_run).max().unwrap_or_default()
    }

    /// The mean of each run's suite over its checkpoints.
    pub(super) fn mean(&self) -> Drawn {
        let lang = self.lang();
        let sizes: Vec<Option<u64>> = self.runs.iter().map(RunFacts::parameters).collect();
        let mut rows = Vec::new();
        let mut series = Vec::new();
        for (number, facts) in self.runs.iter().enumerate() {
            let means: Vec<(&Scored, Mean)> =
                facts.scored.iter().filter_map(|s| Some((s, s.mean()?))).collect();
            let settings = groups(means.iter().map(|(s, mean)| mean.is_complete().then(|| s.settings())));
            let name = named(&facts.run, sizes[number]);
            let points =
                means.iter().zip(settings).map(|((s, mean), group)| self.mean_point(&name, s, mean, group));
            series.push(Series {
                points: points.collect(),
                name,
                look: Look::Points,
                palette: ramp_of(&sizes, number, kind(&facts.run)),
            });
            rows.extend(means.iter().map(|(s, mean)| self.mean_row(&facts.run, s, mean)));
        }
        let chart = Chart {
            label: String::new(),
            x: self.against.axis(lang, self.furthest(), None),
            y: axis(lang.t("axis.mean"), Numbers::Plain),
            series,
            references: Vec::new(),
            flags: Vec::new(),
        }
        .within(Ends::SHARED.of(self.frame));
        let heads = [
            "runs.run",
            "run.tokens",
            "run.step",
            "run.mean_short",
            "score.low",
            "score.high",
            "score.n",
            "score.tasks",
        ];
        let figure = Figure {
            id: "mean".to_owned(),
            title: lang.t("compare.mean_title").to_owned(),
            summary: self.mean_summary(),
            heads: heads.map(|key| lang.t(key).to_owned()).to_vec(),
            rows,
            ..Figure::new(lang)
        };
        Drawn::of_chart(self.frame, figure, &chart).zoomable(Ends::SHARED)
    }

    fn mean_point(&self, name: &str, scored: &Scored, mean: &Mean, group: usize) -> Point {
        let values: [&dyn Display; 5] = [
            &scored.checkpoint.tokens.short(),
            &format::score(mean.value),
            &mean.interval.map_or_else(String::new, |(low, high)| format::interval(low, high)),
            &format::count(mean.n),
            &format!("{}/{}", mean.done, mean.of),
        ];
        let values: Vec<(&str, &dyn Display)> =
            ["tokens", "score", "interval", "n", "tasks"].into_iter().zip(values).collect();
        Point {
            x: self.against.shared_x(scored.checkpoint.step, scored.checkpoint.tokens),
            y: mean.value,
            interval: mean.interval,
            hollow: !mean.is_complete(),
            group,
            note: format!("{name}: {}", self.lang().fill("run.mean_note", &values)),
        }
    }

    fn mean_row(&self, run: &Run, scored: &Scored, mean: &Mean) -> Vec<Cell> {
        let mut row: Vec<Cell> = vec![run.name.clone().into()];
        row.extend(super::curve_rows::mean_row(self.lang(), scored, mean));
        row
    }

    /// The last complete mean of each.
    fn mean_summary(&self) -> String {
        let lang = self.lang();
        let last = |facts: &RunFacts| {
            let (scored, mean) =
                facts.scored.iter().rev().find_map(|s| Some((s, s.mean().filter(Mean::is_complete)?)))?;
            let (low, high) = mean.interval?;
            let score = format!("{} {}", format::score(mean.value), format::interval(low, high));
            let values: [(&str, &dyn Display); 3] =
                [("run", &facts.run.name), ("tokens", &scored.checkpoint.tokens.short()), ("score", &score)];
            Some(lang.fill("compare.mean_of", &values))
        };
        let said: Vec<String> = self.runs.iter().filter_map(last).collect();
        if said.is_empty() {
            lang.t("run.mean_empty").to_owned()
        } else {
            said.join(lang.t("compare.semicolon"))
        }
    }

    /// Learning rate and training loss over steps, one above the other.
    pub(super) fn schedule(&self) -> Drawn {
        let lang = self.lang();
        let span = Ends::STEPS.of(self.frame);
        let chart = |title: &str, numbers: Numbers, value: fn(&MetricRow) -> Option<f64>, smooth: bool| {
            let series = self.runs.iter().map(|facts| {
                let mut points = points_of(facts, Against::Steps, value);
                if smooth {
                    points = smoothed(&points, half_life(points.len()));
                }
                let role = role(&facts.run);
                let name = format!("{} ({})", facts.run.name, lang.t(role.1));
                line(name, paint::role(role.0), &points, Scale::Linear, span)
            });
            Chart {
                label: String::new(),
                x: Against::Steps.axis(lang, self.furthest(), span),
                y: axis(title, numbers),
                series: series.collect(),
                references: Vec::new(),
                flags: Vec::new(),
            }
        };
        let charts = vec![
            chart(lang.t("axis.learning_rate"), Numbers::Scientific, |row| row.lr, false),
            chart(lang.t("axis.loss"), Numbers::Plain, |row| row.loss, true),
        ];
        let heads = ["runs.run", "run.step", "run.tokens", "run.learning_rate", "run.loss"];
        let figure = Figure {
            id: "schedule".to_owned(),
            title: lang.t("compare.schedule_title").to_owned(),
            summary: self.schedule_summary(),
            heads: heads.map(|key| lang.t(key).to_owned()).to_vec(),
            rows: self.runs.iter().flat_map(|facts| self.metric_rows(facts)).collect(),
            ..Figure::new(lang)
        };
        Drawn::of_panels(self.frame, figure, charts).zoomable(Ends::STEPS)
    }

    fn schedule_summary(&self) -> String {
        let lang = self.lang();
        let last = |facts: &RunFacts| {
            let points = points_of(facts, Against::Steps, |row| row.loss);
            let loss = smoothed(&points, half_life(points.len())).last()?.1;
            let rate =
                facts.rows.iter().rev().find_map(|row| row.lr).map_or_else(String::new, format::scientific);
            let values: [(&str, &dyn Display); 4] = [
                ("run", &facts.run.name),
                ("step", &facts.rows.last()?.step),
                ("loss", &format::loss(loss)),
                ("rate", &rate),
            ];
            Some(lang.fill("compare.schedule_of", &values))
        };
        let said: Vec<String> = self.runs.iter().filter_map(last).collect();
        if said.is_empty() {
            lang.t("run.loss_empty").to_owned()
        } else {
            said.join(lang.t("compare.semicolon"))
        }
    }

    fn metric_rows(&self, facts: &RunFacts) -> Vec<Vec<Cell>> {
        let reason = self.frame.t("missing.not_reported");
        let every = facts.rows.len().div_ceil(TABLE_ROWS / self.runs.len().max(1)).max(1);
        let is_shown = |i: usize| i.is_multiple_of(every) || i + 1 == facts.rows.len();
        let row = |row: &MetricRow| {
            vec![
                facts.run.name.clone().into(),
                row.step.to_string().into(),
                row.tokens.to_string().into(),
                Cell::of(row.lr.map(format::scientific), reason),
                Cell::of(row.loss.map(format::loss), reason),
            ]
        };
        facts.rows.iter().enumerate().filter(|(i, _)| is_shown(*i)).map(|(_, r)| row(r)).collect()
    }

    /// The losses of the first two runs, and below them what the second has more; where they cross is marked.
    pub(super) fn difference(&self) -> Option<Drawn> {
        let lang = self.lang();
        let [first, second, ..] = self.runs else { return None };
        let loss = |facts: &RunFacts| {
            let points = points_of(facts, self.against, |row| row.loss);
            smoothed(&points, half_life(points.len()))
        };
        let (a, b) = (loss(first), loss(second));
        let difference = difference(&a, &b);
        let crossings = crossings(&difference);
        let scale = if self.against == Against::TokensLog { Scale::Log } else { Scale::Linear };
        let span = Ends::SHARED.of(self.frame);
        let drawn =
            |name: &str, palette, points: &[(f64, f64)]| line(name.to_owned(), palette, points, scale, span);
        let flag = |x: &f64| Flag { x: *x, note: lang.fill("compare.crossing", &[("x", &self.at(*x))]) };
        let chart = |title: String, series: Vec<Series>| Chart {
            label: String::new(),
            x: self.against.axis(lang, self.furthest(), span),
            y: axis(&title, Numbers::Plain),
            series,
            references: Vec::new(),
            flags: crossings.iter().map(flag).collect(),
        };
        let names = [&first.run.name, &second.run.name];
        let title = lang.fill("axis.loss_difference", &[("a", names[0]), ("b", names[1])]);
        let charts = vec![
            chart(lang.t("axis.loss").to_owned(), vec![drawn(names[0], 0, &a), drawn(names[1], 1, &b)]),
            chart(title, vec![drawn("", 2, &difference)]),
        ];
        let every = difference.len().div_ceil(TABLE_ROWS).max(1);
        let row = |(x, y): &(f64, f64)| vec![self.at(*x).into(), format::difference(*y).into()];
        let shown = difference
            .iter()
            .enumerate()
            .filter(|(i, _)| i.is_multiple_of(every) || i + 1 == difference.len());
        let figure = Figure {
            id: "difference".to_owned(),
            title: lang.fill("compare.difference_title", &[("a", names[0]), ("b", names[1])]),
            summary: self.difference_summary(&difference, &crossings),
            heads: vec![
                self.against.axis(lang, self.furthest(), None).title,
                lang.t("compare.difference").to_owned(),
            ],
            rows: shown.map(|(_, point)| row(point)).collect(),
            ..Figure::new(lang)
        };
        Some(Drawn::of_panels(self.frame, figure, charts).zoomable(Ends::SHARED))
    }

    fn difference_summary(&self, difference: &[(f64, f64)], crossings: &[f64]) -> String {
        let lang = self.lang();
        let Some((x, last)) = difference.last() else { return lang.t("compare.no_common_loss").to_owned() };
        let values: [(&str, &dyn Display); 2] = [("x", &self.at(*x)), ("change", &format::difference(*last))];
        let end = lang.fill("compare.difference_end", &values);
        let places: Vec<String> = crossings.iter().map(|x| self.at(*x)).collect();
        if places.is_empty() {
            return format!("{end}{}", lang.t("compare.no_crossing"));
        }
        format!("{end}{}", lang.fill("compare.crosses", &[("x", &places.join(lang.t("common.comma")))]))
    }

    /// A place on the horizontal axis in words.
    fn at(&self, x: f64) -> String {
        let number = x.round().max(0.0) as u64;
        match self.against {
            Against::Steps => format::count(number),
            _ => format::short(number),
        }
    }
}

fn axis(title: &str, numbers: Numbers) -> Axis {
    Axis { title: title.to_owned(), scale: Scale::Linear, numbers, range: None }
}

fn points_of(facts: &RunFacts, against: Against, value: fn(&MetricRow) -> Option<f64>) -> Vec<(f64, f64)> {
    let point = |row: &MetricRow| {
        Some((against.shared_x(row.step, row.tokens), value(row).filter(|v| v.is_finite())?))
    };
    facts.rows.iter().filter_map(point).collect()
}

fn line(
    name: String,
    palette: usize,
    points: &[(f64, f64)],
    scale: Scale,
    span: Option<(f64, f64)>,
) -> Series {
    let points = thinned_within(points, scale, MAX_POINTS, span).into_iter().map(Point::from).collect();
    Series { name, look: Look::Line, palette, points }
}

/// What b has more than a at the places of b, a being joined by straight lines; nothing outside of what both have.
fn difference(a: &[(f64, f64)], b: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let at = |x: f64| {
        let above = a.partition_point(|point| point.0 < x);
        match (above.checked_sub(1).map(|i| a[i]), a.get(above)) {
            (_, Some(exact)) if exact.0 <= x => Some(exact.1),
            (Some(before), Some(after)) => {
                Some(before.1 + (after.1 - before.1) * (x - before.0) / (after.0 - before.0))
            }
            _ => None,
        }
    };
    b.iter().filter_map(|(x, y)| Some((*x, y - at(*x)?))).collect()
}

/// Where a difference changes its sign and keeps the new one for a part of the whole; noise that swings around zero is no crossing.
fn crossings(difference: &[(f64, f64)]) -> Vec<f64> {
    let least = (difference.len() as f64 * CROSSING).ceil().max(2.0) as usize;
    let signed: Vec<&(f64, f64)> = difference.iter().filter(|point| point.1 != 0.0).collect();
    let parts: Vec<&[&(f64, f64)]> = signed
        .chunk_by(|a, b| a.1.is_sign_positive() == b.1.is_sign_positive())
        .filter(|part| part.len() >= least)
        .collect();
    let turned =
        |pair: &&[&[&(f64, f64)]]| pair[0][0].1.is_sign_positive() != pair[1][0].1.is_sign_positive();
    parts.windows(2).filter(turned).map(|pair| pair[1][0].0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_are_subtracted_where_both_are() {
        let a = [(1.0, 1.0), (3.0, 3.0), (5.0, 3.0)];
        let b = [(0.0, 9.0), (2.0, 2.5), (3.0, 2.0), (4.0, 3.0), (6.0, 0.0)];
        assert_eq!(difference(&a, &b), [(2.0, 0.5), (3.0, -1.0), (4.0, 0.0)]);
        assert!(difference(&a, &[]).is_empty() && difference(&[], &b).is_empty());
    }

    #[test]
    fn a_crossing_is_where_the_order_stays_turned() {
        let order = |x: f64| if x < 60.0 { 0.1 } else { -0.1 };
        let noisy = |x: f64| if x == 30.0 { -0.2 } else { order(x) };
        let points: Vec<(f64, f64)> = (0..100).map(|i| (f64::from(i), noisy(f64::from(i)))).collect();
        assert_eq!(crossings(&points), [60.0]);
        assert!(crossings(&points[..50]).is_empty());
    }
}
