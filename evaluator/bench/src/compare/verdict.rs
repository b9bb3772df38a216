use sekisho_domain::Text;
use sekisho_domain::score::Interval;
use serde::{Deserialize, Serialize};

use super::{Mean, Row, Side, better};

/// The answer: which side is better in the mean over tasks, or on the only task. Of several tasks without a mean (metrics of
/// which less is better do not enter one) it is that of the first, and says so.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = ComparisonVerdict)]
pub struct Verdict {
    /// One sentence in English.
    pub text: String,
    /// The same in Japanese.
    pub text_ja: String,
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
    /// Whether there are other tasks that it says nothing of.
    pub only_first: bool,
}

impl Verdict {
    /// By the mean; without one by the first row, of which there is one at least.
    pub(super) fn new(mean: Option<&Mean>, rows: &[Row]) -> Self {
        if let Some(Mean { difference, p, .. }) = mean {
            return Self::of("mean", "mean".to_owned(), *difference, [*p, *p], false);
        }
        let row = rows.iter().find(|row| row.primary).unwrap_or(&rows[0]);
        let several = rows.iter().filter(|row| row.primary).count() > 1;
        let of = if several { format!("{} {}", row.task, row.metric) } else { row.metric.clone() };
        Self::of(&row.metric, of, row.difference, [row.p, row.p_corrected], several)
    }

    fn of(metric: &str, of: String, difference: Interval, p: [f64; 2], only_first: bool) -> Self {
        let [p, p_corrected] = p;
        let better = better(metric, difference.value, p_corrected);
        let (text, text_ja) = (String::new(), String::new());
        let mut verdict = Self { text, text_ja, better, difference, p, p_corrected, of, only_first };
        let said = verdict.said("A", "B");
        (verdict.text, verdict.text_ja) = (said.en, said.ja);
        verdict
    }

    /// The same in a larger family of tests, whose correction gives this p. The sentences are made anew.
    #[must_use]
    pub fn corrected(self, p_corrected: f64) -> Self {
        // Only the last word of a metric says which direction is better: `task metric`.
        let metric = self.of.rsplit(' ').next().unwrap_or(&self.of).to_owned();
        Self::of(&metric, self.of, self.difference, [self.p, p_corrected], self.only_first)
    }

    /// The sentence with these names in the place of `A` and `B`.
    #[must_use]
    pub fn said(&self, a: &str, b: &str) -> Text {
        let (p, corrected) = (p_value(self.p), p_value(self.p_corrected));
        let Interval { value, low, high } = self.difference;
        let said = match self.better {
            None => {
                let (value, interval) = numbers(value, low, high);
                let numbers = format!("{value}, 95% CI {interval}, p = {p}");
                let ja = format!("{value}（95%CI {interval}、p = {p}）");
                let en = format!("no significant difference between {a} and {b} ({numbers})");
                Text { en, ja: format!("{a}と{b}の差は{ja}で、有意差なし") }
            }
            Some(side) => {
                let (winner, loser) = if side == Side::B { (b, a) } else { (a, b) };
                // The difference as the winner sees it.
                let (value, low, high) =
                    if side == Side::B { (value, low, high) } else { (-value, -high, -low) };
                let (value, interval) = numbers(value, low, high);
                Text {
                    en: format!(
                        "{winner} is better than {loser} by {value} (95% CI {interval}, p = {p}, corrected {corrected})"
                    ),
                    ja: format!(
                        "{winner}は{loser}より {value}（95%CI {interval}、p = {p}、補正後 {corrected}）"
                    ),
                }
            }
        };
        if !self.only_first {
            return said;
        }
        Text {
            en: format!("on {}: {}; the other tasks stand in the table", self.of, said.en),
            ja: format!("{}：{}。ほかの評価タスクは表のとおり", self.of, said.ja),
        }
    }
}

/// A difference and its interval as people read them, with a minus that is as wide as a plus.
fn numbers(value: f64, low: f64, high: f64) -> (String, String) {
    let minus = |text: String| text.replace('-', "\u{2212}");
    (minus(format!("{value:+.3}")), minus(format!("[{low:.3}, {high:.3}]")))
}

/// A p-value as people read it: three decimals, and more for what would be 0.000.
#[must_use]
pub fn p_value(p: f64) -> String {
    if p < 0.0005 { format!("{p:.1e}") } else { format!("{p:.3}") }
}
