use sekisho_domain::score::Interval;
use serde::Serialize;

use super::{Mean, Row, Side, better};
use crate::stats;

/// The answer: which side is better in the mean over tasks, or on the only task.
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
    /// p after Holm's correction over the pairs that are compared. Two files are one pair, so it is `p`.
    pub p_corrected: f64,
    /// What the difference is of: `mean`, or the metric of the only task.
    pub of: String,
}

impl Verdict {
    /// By the mean; without one by the first row, of which there is one at least.
    pub(super) fn new(mean: Option<&Mean>, rows: &[Row]) -> Self {
        let (of, difference, p) = mean.map_or_else(
            || (rows[0].metric.clone(), rows[0].difference, rows[0].p),
            |mean| ("mean".to_owned(), mean.difference, mean.p),
        );
        let p_corrected = stats::holm(&[p])[0];
        let better = better(&of, difference.value, p_corrected);
        let text = sentence(better, difference, p, p_corrected);
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
