//! The learning curve of a release: its points for the card, and its picture among the released files.

use sekisho_domain::Language;
use sekisho_hub::card::{CardCurve, CardCurvePoint};
use sekisho_store::Checkpoint;

use crate::service::found;
use crate::web::charts::{Axis, Chart, Look, Numbers, Point, Scale, Series};
use crate::{App, WebError};

/// Points of the learning curve in a card.
const POINTS: usize = 30;

/// The picture, as the card names it.
pub(super) const FIGURE: &str = "learning_curve.svg";

/// The means of the run's checkpoints up to this one, on the suite of its newest complete evaluation. None with fewer than two.
pub(super) async fn curve(app: &App, checkpoint: &Checkpoint) -> Result<Option<CardCurve>, WebError> {
    let Some(suite) = complete_suite(app, checkpoint).await? else { return Ok(None) };
    let mut all = app.store.checkpoints_of_run(checkpoint.run).await?;
    all.retain(|other| other.step <= checkpoint.step);
    all.sort_by_key(|other| other.step);
    let every = all.len().div_ceil(POINTS).max(1);
    let last = all.len().saturating_sub(1);
    let mut points = Vec::new();
    for (_, other) in all.iter().enumerate().filter(|(i, _)| (last - i) % every == 0) {
        points.extend(point(app, other, &suite).await?);
    }
    let figure = Some(FIGURE.to_owned());
    Ok((points.len() > 1).then_some(CardCurve { suite, points, figure }))
}

/// The picture as a file of the release: path and text.
pub(super) async fn file(app: &App, checkpoint: &Checkpoint) -> Result<Option<(String, String)>, WebError> {
    Ok(curve(app, checkpoint).await?.map(|curve| (FIGURE.to_owned(), picture(&curve))))
}

async fn complete_suite(app: &App, checkpoint: &Checkpoint) -> Result<Option<String>, WebError> {
    for evaluation in app.store.evaluations_of(checkpoint.id).await? {
        if found::of(app, &evaluation).await?.scores.mean.is_some() {
            return Ok(Some(evaluation.suite));
        }
    }
    Ok(None)
}

async fn point(app: &App, checkpoint: &Checkpoint, suite: &str) -> Result<Option<CardCurvePoint>, WebError> {
    for evaluation in app.store.evaluations_of(checkpoint.id).await? {
        if evaluation.suite != suite {
            continue;
        }
        let found = found::of(app, &evaluation).await?;
        let n = found.primary().map(|row| row.entry.n).sum();
        return Ok(found.scores.mean.map(|mean| CardCurvePoint {
            tokens: checkpoint.tokens,
            mean: mean.value,
            low: mean.low,
            high: mean.high,
            n,
        }));
    }
    Ok(None)
}

/// In English, as the card that the Hub shows. The same points are the same bytes.
fn picture(curve: &CardCurve) -> String {
    let furthest = curve.points.iter().map(|point| point.tokens).max().unwrap_or_default();
    let point = |point: &CardCurvePoint| Point {
        x: point.tokens.0 as f64,
        y: point.mean,
        interval: Some((point.low, point.high)),
        note: format!(
            "{} tokens: {:.3} [{:.3}, {:.3}], n = {}",
            point.tokens, point.mean, point.low, point.high, point.n
        ),
        ..Point::default()
    };
    let mean = format!("Mean of {} with 95% intervals", curve.suite);
    let chart = Chart {
        label: format!("Learning curve: {mean} over trained tokens"),
        x: Axis::tokens(Language::En, Scale::Log, furthest, None),
        y: Axis { title: mean, scale: Scale::Linear, numbers: Numbers::Plain, range: None },
        series: vec![Series {
            name: String::new(),
            look: Look::Points,
            palette: 0,
            points: curve.points.iter().map(point).collect(),
        }],
        references: Vec::new(),
        flags: Vec::new(),
    };
    chart.standalone("")
}

#[cfg(test)]
mod tests {
    use sekisho_domain::Tokens;

    use super::*;

    fn sample(tokens: [u64; 3]) -> CardCurve {
        let mean = |at: usize| 0.2 + 0.1 * at as f64;
        let point = |(at, tokens): (usize, u64)| CardCurvePoint {
            tokens: Tokens(tokens),
            mean: mean(at),
            low: mean(at) - 0.02,
            high: mean(at) + 0.02,
            n: 380,
        };
        let points = tokens.into_iter().enumerate().map(point).collect();
        CardCurve { suite: "dev <100> & more".to_owned(), points, figure: Some(FIGURE.to_owned()) }
    }

    #[test]
    fn the_picture_stands_alone() {
        let svg = picture(&sample([1_000_000_000, 10_000_000_000, 100_000_000_000]));
        assert!(
            svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"680\" height=\"320\""),
            "{svg}"
        );
        assert!(svg.ends_with("</svg>\n"));
        for said in [
            "Trained tokens [billion, log]",
            "Mean of dev &lt;100&gt; &amp; more with 95% intervals",
            "10,000,000,000 tokens: 0.300 [0.280, 0.320], n = 380",
            "<style>",
        ] {
            assert!(svg.contains(said), "{said}\n{svg}");
        }
        // Nothing is fetched, nothing runs, and no colour comes from a page.
        for absent in ["href", "<script", "url(", "@import", "var(", "light-dark", "currentColor"] {
            assert!(!svg.contains(absent), "{absent}\n{svg}");
        }
        // Equal ratios are equal distances.
        let at: Vec<f64> = svg
            .split("<circle")
            .skip(1)
            .filter_map(|mark| mark.split("cx=\"").nth(1)?.split('"').next()?.parse().ok())
            .collect();
        assert_eq!(at.len(), 3, "{svg}");
        assert!((at[1] - at[0] - (at[2] - at[1])).abs() < 0.2, "{at:?}");
    }

    #[test]
    fn the_same_points_are_the_same_bytes() {
        let points = [1_000_000, 2_000_000, 5_000_000];
        assert_eq!(picture(&sample(points)), picture(&sample(points)));
        assert_ne!(picture(&sample(points)), picture(&sample([1_000_000, 2_000_000, 4_000_000])));
        assert!(picture(&sample(points)).contains("Trained tokens [million, log]"));
    }
}
