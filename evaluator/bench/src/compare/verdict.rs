use sekisho_domain::score::Interval;
use serde::Serialize;

use super::{Mean, Row, Side, better};

/// The answer: which side is better in the mean over tasks, or on the only task. Of several tasks without a mean (metrics of
/// which less is better do not enter one) it is that of the first, and says so.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// One sentence in English.
    pub text: String,
    /// The better side; none when the difference is not significant.
    pub better: Option<Side>,
    /// B − A with its 95 % interval.
    pub difference: Interval,
    /// Two-sided p-value of no difference.
    pub p: f64,
    /// p after Holm's correction over what is judged: of a mean or an only task it is `p`.
    pub p_corrected: f64,
    /// What the difference is of: `mean`, or the metric of the only task; with the task in front where there are several.
    pub of: String,
}

impl Verdict {
    /// By the mean; without one by the first row, of which there is one at least.
    pub(super) fn new(mean: Option<&Mean>, rows: &[Row]) -> Self {
        if let Some(Mean { difference, p, .. }) = mean {
            let better = better("mean", difference.value, *p);
            let text = sentence(better, *difference, *p, *p);
            return Self {
                text,
                better,
                difference: *difference,
                p: *p,
                p_corrected: *p,
                of: "mean".to_owned(),
            };
        }
        let row = rows.iter().find(|row| row.primary).unwrap_or(&rows[0]);
        let (difference, p, p_corrected) = (row.difference, row.p, row.p_corrected);
        let better = better(&row.metric, difference.value, p_corrected);
        let said = sentence(better, difference, p, p_corrected);
        let several = rows.iter().filter(|row| row.primary).count() > 1;
        let (text, of) = if several {
            let of = format!("{} {}", row.task, row.metric);
            (format!("on {of}: {said}; the other tasks stand in the table"), of)
        } else {
            (said, row.metric.clone())
        };
        Self { text, better, difference, p, p_corrected, of }
    }
}

fn sentence(better: Option<Side>, difference: Interval, p: f64, p_corrected: f64) -> String {
    let Some(side) = better else { return format!("no significant difference (p = {})", p_value(p)) };
    let (winner, loser) = if side == Side::B { ("B", "A") } else { ("A", "B") };
    // The difference as the winner sees it.
    let (value, low, high) = match side {
        Side::B => (difference.value, difference.low, difference.high),
        Side::A => (-difference.value, -difference.high, -difference.low),
    };
    format!(
        "{winner} is better than {loser} by {value:+.3} (95% CI [{low:.3}, {high:.3}], p = {}, corrected {})",
        p_value(p),
        p_value(p_corrected)
    )
}

/// A p-value as people read it: three decimals, and more for what would be 0.000.
#[must_use]
pub fn p_value(p: f64) -> String {
    if p < 0.0005 { format!("{p:.1e}") } else { format!("{p:.3}") }
}
