//! What more training would bring: curves through the scores and the losses of runs over their tokens.

use std::fmt::Display;

use sekisho_bench::stats::{Scaling, Shape};
use sekisho_domain::score::Interval;
use sekisho_domain::{Language, Tokens};
use sekisho_store::Checkpoint;

use super::axis::Against;
use super::compare_curves::RunFacts;
use super::compare_figures::{kind, named, ramp_of};
use super::drawn::Drawn;
use super::parts::{Cell, Figure};
use super::scored::Scored;
use crate::service::comparisons::{Primary, scaling};
use crate::web::charts::{Axis, Chart, Look, Numbers, Point, Scale, Series};
use crate::web::format;
use crate::web::frame::Frame;
use crate::web::i18n::Words as _;
use crate::{App, WebError};

/// Places along a curve at which it is drawn.
const PLACES: usize = 40;
/// Billions of tokens that are asked for where the address names none.
const MORE: f64 = 20.0;

/// One run's points and the curves through them.
pub(super) struct RunScaling {
    name: String,
    palette: usize,
    scores: Fitted,
    losses: Fitted,
}

/// Points, and the curve through all but the last.
struct Fitted {
    points: Vec<Measured>,
    /// Where the curve is looked at; the last place is the one that is asked for.
    at: Vec<f64>,
    curve: Option<Scaling>,
}

/// A point that was measured.
struct Measured {
    tokens: f64,
    value: f64,
    interval: Option<(f64, f64)>,
}

/// How many more tokens are asked for, in billions: `more=20`.
pub(super) fn more(frame: &Frame) -> f64 {
    let asked = frame.param("more").and_then(|text| text.trim().parse::<f64>().ok());
    asked.filter(|more| (0.000_001..=1e6).contains(more)).unwrap_or(MORE)
}

/// Reads and fits.
pub(super) async fn load(app: &App, runs: &[RunFacts], more: f64) -> Result<Vec<RunScaling>, WebError> {
    let sizes: Vec<Option<u64>> = runs.iter().map(RunFacts::parameters).collect();
    let mut all = Vec::with_capacity(runs.len());
    for (number, facts) in runs.iter().enumerate() {
        let found = complete(&facts.scored);
        let found = scaling::thinned(&found, scaling::MOST);
        let points = found.iter().filter_map(|(scored, _)| measured(scored)).collect::<Vec<_>>();
        let at = places(&points, more);
        let primary: Vec<(&Checkpoint, Primary)> =
            found.iter().map(|(scored, primary)| (&scored.checkpoint, primary.clone())).collect();
        let curve = if at.is_empty() { None } else { scaling::of_scores(app, &primary, &at).await? };
        let checkpoints: Vec<&Checkpoint> = facts.scored.iter().map(|scored| &scored.checkpoint).collect();
        all.push(RunScaling {
            name: named(&facts.run, sizes[number]),
            palette: ramp_of(&sizes, number, kind(&facts.run)),
            scores: Fitted { points, at, curve },
            losses: losses(facts, &checkpoints, more).await?,
        });
    }
    Ok(all)
}

async fn losses(facts: &RunFacts, checkpoints: &[&Checkpoint], more: f64) -> Result<Fitted, WebError> {
    let pairs = scaling::thinned(&scaling::losses(&facts.rows, checkpoints), scaling::MOST);
    let measured = |(tokens, value): &(f64, f64)| Measured { tokens: *tokens, value: *value, interval: None };
    let points: Vec<Measured> = pairs.iter().map(measured).collect();
    let at = places(&points, more);
    let places = at.clone();
    // A thousand fits: a moment of a processor.
    let job = tokio::task::spawn_blocking(move || scaling::of_losses(&pairs, &places));
    Ok(Fitted { points, at, curve: job.await.map_err(WebError::internal)? })
}

/// The checkpoints with a score on every task, made under the settings of the newest of them, by tokens.
fn complete(scored: &[Scored]) -> Vec<(&Scored, Primary)> {
    let all: Vec<(&Scored, Primary)> = scored.iter().filter_map(|s| Some((s, s.primary()?))).collect();
    let Some(newest) = all.last().map(|(scored, _)| scored.settings()) else { return Vec::new() };
    all.into_iter()
        .filter(|(scored, _)| scored.settings() == newest && scored.checkpoint.tokens.0 > 0)
        .collect()
}

fn measured(scored: &&Scored) -> Option<Measured> {
    let mean = scored.mean()?;
    Some(Measured { tokens: scored.checkpoint.tokens.0 as f64, value: mean.value, interval: mean.interval })
}

/// Places from the first point to so many billions beyond the last, at equal ratios.
fn places(points: &[Measured], more: f64) -> Vec<f64> {
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return Vec::new() };
    let end = last.tokens + more * 1e9;
    let ratio = (end / first.tokens).ln();
    (0..=PLACES).map(|i| first.tokens * (ratio * i as f64 / PLACES as f64).exp()).collect()
}

/// The figures of scores and of losses.
pub(super) fn figures(frame: &Frame, runs: &[RunScaling], against: Against, more: f64) -> Vec<Drawn> {
    let scores = Figures { frame, against, more, shape: Shape::Logarithm };
    let losses = Figures { shape: Shape::Power, ..scores };
    vec![
        scores.figure("scaling", &runs.iter().map(|run| (run, &run.scores)).collect::<Vec<_>>()),
        losses.figure("loss-scaling", &runs.iter().map(|run| (run, &run.losses)).collect::<Vec<_>>()),
    ]
}

#[derive(Clone, Copy)]
struct Figures<'a> {
    frame: &'a Frame,
    against: Against,
    more: f64,
    shape: Shape,
}

impl Figures<'_> {
    fn lang(&self) -> Language {
        self.frame.lang
    }

    fn is_score(&self) -> bool {
        self.shape == Shape::Logarithm
    }

    fn figure(&self, id: &str, runs: &[(&RunScaling, &Fitted)]) -> Drawn {
        let lang = self.lang();
        let furthest =
            runs.iter().filter_map(|(_, fitted)| fitted.at.last()).fold(1.0_f64, |far, at| far.max(*at));
        let title = if self.is_score() { "axis.mean" } else { "axis.loss" };
        let chart = Chart {
            label: String::new(),
            x: self.against.axis(lang, Tokens(furthest as u64), None),
            y: Axis {
                title: lang.t(title).to_owned(),
                scale: Scale::Linear,
                numbers: Numbers::Plain,
                range: None,
            },
            series: runs
                .iter()
                .enumerate()
                .flat_map(|(i, (run, fitted))| self.series(run, fitted, i == 0))
                .collect(),
            references: Vec::new(),
            flags: Vec::new(),
        };
        let heads = ["runs.run", "run.tokens", "compare.what", "score.score", "score.low", "score.high"];
        let heads =
            heads.map(|key| lang.t(if key == "score.score" && !self.is_score() { "run.loss" } else { key }));
        let figure = Figure {
            id: id.to_owned(),
            title: lang
                .t(if self.is_score() { "compare.scaling_title" } else { "compare.loss_scaling_title" })
                .to_owned(),
            summary: runs
                .iter()
                .map(|(run, fitted)| self.sentence(&run.name, fitted))
                .collect::<Vec<_>>()
                .join(" "),
            heads: heads.map(ToOwned::to_owned).to_vec(),
            rows: runs.iter().flat_map(|(run, fitted)| self.rows(&run.name, fitted)).collect(),
            note: lang
                .t(if self.is_score() { "compare.scaling_note" } else { "compare.loss_scaling_note" })
                .to_owned(),
            ..Figure::new(lang)
        };
        Drawn::of_chart(self.frame, figure, &chart)
    }

    /// What lies beyond the data is shaded; the interval, the curve, and the points, of which the last is hollow: it was not used.
    fn series(&self, run: &RunScaling, fitted: &Fitted, is_first: bool) -> Vec<Series> {
        let lang = self.lang();
        let series = |name: &str, look: Look, points: Vec<Point>| Series {
            name: name.to_owned(),
            look,
            palette: run.palette,
            points,
        };
        let number = fitted.points.len();
        let point = |(i, measured): (usize, &Measured)| {
            let is_held_out = i + 1 == number && fitted.curve.is_some();
            let value = format::score(measured.value);
            let mut note = format!("{}: {} {value}", run.name, format::short(measured.tokens as u64));
            if is_held_out {
                note = format!("{note} ({})", lang.t("compare.held_out"));
            }
            // No line joins them: the curve does.
            Point {
                x: measured.tokens,
                y: measured.value,
                interval: measured.interval,
                hollow: is_held_out,
                group: i,
                note,
            }
        };
        let points: Vec<Point> = fitted.points.iter().enumerate().map(point).collect();
        let Some(curve) = &fitted.curve else { return vec![series(&run.name, Look::Points, points)] };
        let along = |of: &dyn Fn(&Interval) -> Point| -> Vec<Point> {
            fitted.at.iter().zip(&curve.at).map(|(x, interval)| Point { x: *x, ..of(interval) }).collect()
        };
        let beyond = |x: f64, note: &str| Point { x, y: f64::NAN, note: note.to_owned(), ..Point::default() };
        let (last, end) =
            (fitted.points.last().map_or(0.0, |p| p.tokens), fitted.at.last().copied().unwrap_or(0.0));
        let note = if is_first { lang.t("compare.extrapolation") } else { "" };
        vec![
            series("", Look::Region, vec![beyond(last, note), beyond(end, "")]),
            series(
                "",
                Look::Band,
                along(&|i| Point { y: i.value, interval: Some((i.low, i.high)), ..Point::default() }),
            ),
            series(&run.name, Look::Line, along(&|i| Point { y: i.value, ..Point::default() })),
            series("", Look::Points, points),
        ]
    }

    fn sentence(&self, name: &str, fitted: &Fitted) -> String {
        let lang = self.lang();
        let (Some(curve), Some(end)) =
            (&fitted.curve, fitted.curve.as_ref().and_then(|curve| curve.at.last()))
        else {
            let least = self.shape.least_points();
            let few = fitted.points.len() < least;
            let key = if few { "compare.few_points" } else { "compare.no_curve" };
            return lang.fill(key, &[("run", &name), ("n", &fitted.points.len()), ("least", &least)]);
        };
        let interval =
            |i: &Interval| format!("{} {}", format::score(i.value), format::interval(i.low, i.high));
        let holds = lang.t(if curve.holds() { "compare.held" } else { "compare.missed" });
        let values: [(&str, &dyn Display); 7] = [
            ("run", &name),
            ("more", &self.more),
            ("value", &interval(end)),
            ("curve", &formula(&curve.parameters)),
            ("last", &format::score(curve.held_out)),
            ("foretold", &interval(&curve.foretold)),
            ("holds", &holds),
        ];
        lang.fill("compare.scaling_says", &values)
    }

    /// What was measured, what the curve says of the last point, and what it says of more tokens.
    fn rows(&self, name: &str, fitted: &Fitted) -> Vec<Vec<Cell>> {
        let lang = self.lang();
        let no_interval = lang.t("compare.no_interval");
        let row = |tokens: f64, what: &str, value: f64, interval: Option<(f64, f64)>| -> Vec<Cell> {
            vec![
                name.to_owned().into(),
                format::count(tokens.round() as u64).into(),
                what.to_owned().into(),
                format::score(value).into(),
                Cell::of(interval.map(|(low, _)| format::score(low)), no_interval),
                Cell::of(interval.map(|(_, high)| format::score(high)), no_interval),
            ]
        };
        let what = |i: usize| {
            if i + 1 == fitted.points.len() && fitted.curve.is_some() {
                "compare.held_out"
            } else {
                "compare.measured"
            }
        };
        let measured = fitted.points.iter().enumerate();
        let mut rows: Vec<Vec<Cell>> =
            measured.map(|(i, p)| row(p.tokens, lang.t(what(i)), p.value, p.interval)).collect();
        let (Some(curve), Some(last), Some(end)) = (&fitted.curve, fitted.points.last(), fitted.at.last())
        else {
            return rows;
        };
        let foretold = |tokens: f64, i: &Interval| {
            row(tokens, lang.t("compare.foretold"), i.value, Some((i.low, i.high)))
        };
        rows.push(foretold(last.tokens, &curve.foretold));
        rows.extend(curve.at.last().map(|interval| foretold(*end, interval)));
        rows
    }
}

/// `y = −0.608 + 0.043·ln T`, `L = 1.97 + 1.66e4·T^−0.472`.
fn formula(parameters: &[f64]) -> String {
    match parameters {
        [a, b] => format!(
            "y = {} {} {}·ln T",
            format::score(*a),
            if *b < 0.0 { '\u{2212}' } else { '+' },
            format::score(b.abs())
        ),
        [e, a, alpha] => {
            format!(
                "L = {} + {}·T^\u{2212}{}",
                format::score(*e),
                format::scientific(*a),
                format::score(*alpha)
            )
        }
        _ => String::new(),
    }
}

#[cfg(test)]
pub(super) fn sample(frame: &Frame) -> Vec<Drawn> {
    let points = |values: &[f64]| -> Vec<Measured> {
        let measured = |(i, value): (i32, &f64)| Measured {
            tokens: 20e9 * f64::from(i),
            value: *value,
            interval: Some((value - 0.03, value + 0.03)),
        };
        (1..).zip(values).map(measured).collect()
    };
    let fitted = |values: &[f64]| {
        let points = points(values);
        let at = places(&points, MORE);
        let pairs: Vec<(f64, f64)> = points.iter().map(|p| (p.tokens, p.value)).collect();
        Fitted { curve: scaling::of_losses(&pairs, &at), points, at }
    };
    let run = RunScaling {
        name: "v4-8b-exp2 (8B)".to_owned(),
        palette: 0,
        scores: fitted(&[0.41]),
        losses: fitted(&[2.4, 2.2, 2.1, 2.04, 2.0, 1.98, 1.96]),
    };
    figures(frame, &[run], Against::TokensLog, MORE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::pages::fixtures;

    #[test]
    fn a_figure_says_what_it_foretells_and_what_it_left_out() {
        let frame = fixtures::frame(Language::Ja, "/compare");
        let figures = sample(&frame);
        let [scores, losses] = figures.as_slice() else { panic!("two figures") };
        assert_eq!(scores.figure.summary, "v4-8b-exp2 (8B)：点が1個のため当てはめません（3個以上必要）。");
        assert!(losses.figure.summary.contains("+20Bトークンでの予測は"), "{}", losses.figure.summary);
        let rows = &losses.figure.rows;
        let what: Vec<&str> = rows.iter().map(|row| row[2].value.as_str()).collect();
        assert_eq!(what[5..], ["測定値", "除外した最後の点", "予測", "予測"]);
        assert_eq!(rows[8][1].value, "160,000,000,000", "seven times 20B, and 20B more");
        for said in ["外挿", "class=\"band\"", "mark hollow", "学習トークン数 [B]（対数）"] {
            assert!(losses.file.contains(said), "{said}: {}", losses.file);
        }
        assert_eq!(losses.file.matches("mark hollow").count(), 1);
    }

    #[test]
    fn the_tokens_asked_for_are_in_the_address() {
        let mut frame = fixtures::frame(Language::En, "/compare");
        assert_eq!(more(&frame), 20.0);
        for (text, wanted) in [("100", 100.0), (" 0.5 ", 0.5), ("-3", 20.0), ("many", 20.0), ("inf", 20.0)] {
            frame.query = vec![("more".to_owned(), text.to_owned())];
            assert_eq!(more(&frame), wanted, "{text}");
        }
    }

    #[test]
    fn formulas_are_written_as_people_write_them() {
        assert_eq!(formula(&[-0.608, 0.043]), "y = \u{2212}0.608 + 0.043·ln T");
        assert_eq!(formula(&[1.97, 16_571.6, 0.472]), "L = 1.970 + 1.66e4·T^\u{2212}0.472");
    }
}
