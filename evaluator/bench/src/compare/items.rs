//! Two models on the items of one task, item by item: who is right where.

use serde::{Deserialize, Serialize};

use super::pairs::{self, Task};
use super::statistic::Compared;
use super::{Counts, Row, Verdict};
use crate::record::Record;
use crate::score::Answer;

/// Where an item stands between two models. Which of the cells a task has, its metric decides: see [`Judged`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cell {
    /// Both are right.
    Both,
    /// Only A is right.
    OnlyA,
    /// Only B is right.
    OnlyB,
    /// Neither is right.
    Neither,
    /// A has the better value.
    AHigher,
    /// Both have the same value.
    Equal,
    /// B has the better value.
    BHigher,
}

impl Cell {
    /// For URLs and keys.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Both => "both",
            Self::OnlyA => "only_a",
            Self::OnlyB => "only_b",
            Self::Neither => "neither",
            Self::AHigher => "a_higher",
            Self::Equal => "equal",
            Self::BHigher => "b_higher",
        }
    }
}

/// How items are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judged {
    /// Each is right (1) or wrong (0) on both sides: the four cells of McNemar's table.
    RightOrWrong,
    /// Items have values between: which side has the better one. A corpus metric (BLEU, chrF, perplexity) is computed of the item
    /// alone; of a correlation the number nearer to the gold one is the better.
    MoreOrLess,
}

impl Judged {
    /// Its cells, in the order of the table.
    #[must_use]
    pub const fn cells(self) -> &'static [Cell] {
        match self {
            Self::RightOrWrong => &[Cell::Both, Cell::OnlyA, Cell::OnlyB, Cell::Neither],
            Self::MoreOrLess => &[Cell::AHigher, Cell::Equal, Cell::BHigher],
        }
    }
}

/// One item that both answered.
#[derive(Clone, Copy, Debug)]
pub struct Pair<'r> {
    /// Of A.
    pub a: &'r Record,
    /// Of B.
    pub b: &'r Record,
    /// Where it stands.
    pub cell: Cell,
    /// How far apart the two are about the gold answer, in nats: the difference of the log-probabilities that they give it, among the
    /// choices where there are some. None where no likelihoods were asked.
    pub gap: Option<f64>,
}

/// The items of a task that both answered.
#[derive(Clone, Debug)]
pub struct Pairs<'r> {
    /// How they are told apart.
    pub judged: Judged,
    /// By item.
    pub items: Vec<Pair<'r>>,
    /// Those left out.
    pub counts: Counts,
    /// The paired test over them; `p_corrected` is `p`, for this is one test.
    pub row: Row,
    /// The same in a sentence.
    pub verdict: Verdict,
}

impl Pairs<'_> {
    /// How many items stand in a cell.
    #[must_use]
    pub fn count(&self, cell: Cell) -> usize {
        self.items.iter().filter(|pair| pair.cell == cell).count()
    }
}

/// Pairs the records of one task under one metric. `clustered` as in [`TaskItems`](crate::TaskItems). None where no item is in both with
/// the metric, or a side has no score.
#[must_use]
pub fn pair_items<'r>(metric: &str, clustered: bool, a: &'r [Record], b: &'r [Record]) -> Option<Pairs<'r>> {
    let task = pairs::tasks(a, b).into_iter().find(|task| task.counts.shared > 0)?;
    let compared = Compared::new(metric, true, clustered, &task.a, &task.b)?;
    let judged = if compared.mcnemar().is_some() { Judged::RightOrWrong } else { Judged::MoreOrLess };
    let values = compared.a.values().into_iter().zip(compared.b.values());
    let items = shared(&task, &compared).into_iter().zip(values).map(|((a, b), values)| Pair {
        a,
        b,
        cell: cell(judged, values),
        gap: gap(a, b),
    });
    let items = items.collect();
    let row = super::row_of(&task, &compared)?;
    let verdict = Verdict::new(None, std::slice::from_ref(&row));
    Some(Pairs { judged, items, counts: task.counts, row, verdict })
}

/// The records of a task that the metric judges on both sides.
fn shared<'r>(task: &Task<'r>, compared: &Compared) -> Vec<(&'r Record, &'r Record)> {
    let kept = |(a, _): &(&Record, &Record)| compared.a.has_item(a.item);
    task.a.iter().copied().zip(task.b.iter().copied()).filter(kept).collect()
}

fn cell(judged: Judged, (a, b): (f64, f64)) -> Cell {
    match judged {
        Judged::RightOrWrong => match (a >= 1.0, b >= 1.0) {
            (true, true) => Cell::Both,
            (true, false) => Cell::OnlyA,
            (false, true) => Cell::OnlyB,
            (false, false) => Cell::Neither,
        },
        Judged::MoreOrLess => match a.total_cmp(&b) {
            std::cmp::Ordering::Greater => Cell::AHigher,
            std::cmp::Ordering::Equal => Cell::Equal,
            std::cmp::Ordering::Less => Cell::BHigher,
        },
    }
}

fn gap(a: &Record, b: &Record) -> Option<f64> {
    Some((of_gold(a)? - of_gold(b)?).abs())
}

/// The log-probability of the gold choice among the choices; of a text that was scored alone its log-likelihood.
fn of_gold(record: &Record) -> Option<f64> {
    let Answer::Choices { loglikelihoods, .. } = &record.answer else { return None };
    if let [alone] = loglikelihoods.as_slice() {
        return Some(*alone);
    }
    let gold = *loglikelihoods.get(usize::try_from(record.gold.as_u64()?).ok()?)?;
    let largest = loglikelihoods.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = loglikelihoods.iter().map(|value| (value - largest).exp()).sum();
    Some(gold - largest - sum.ln()).filter(|value| value.is_finite())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn record(item: u64, fields: &Value) -> Record {
        let mut record = json!({
            "profile": "p@1", "task": "t", "split": "test", "item": item, "prompt_sha256": item.to_string(),
            "prompt_tokens": 3, "truncated": 0, "prediction": "x", "gold": "y", "output": "x", "stop": null,
            "score": {},
        });
        for (name, value) in fields.as_object().expect("fields") {
            record[name] = value.clone();
        }
        serde_json::from_value(record).expect("a record")
    }

    fn scored(metric: &str, values: &[f64]) -> Vec<Record> {
        (0..).zip(values).map(|(item, value)| record(item, &json!({ "score": { metric: value } }))).collect()
    }

    fn cells(pairs: &Pairs<'_>) -> Vec<Cell> {
        pairs.items.iter().map(|pair| pair.cell).collect()
    }

    #[test]
    fn items_that_are_right_or_wrong_stand_in_the_cells_of_the_test() {
        let (a, b) = (scored("acc", &[1.0, 1.0, 0.0, 0.0, 1.0]), scored("acc", &[1.0, 0.0, 1.0, 0.0, 0.0]));
        let pairs = pair_items("acc", false, &a, &b).expect("pairs");
        assert_eq!(pairs.judged, Judged::RightOrWrong);
        assert_eq!(cells(&pairs), [Cell::Both, Cell::OnlyA, Cell::OnlyB, Cell::Neither, Cell::OnlyA]);
        let table = pairs.row.mcnemar.expect("a table");
        let counted = pairs.judged.cells().iter().map(|cell| pairs.count(*cell) as u64).collect::<Vec<_>>();
        assert_eq!(counted, [table.both, table.only_a, table.only_b, table.neither]);
        assert_eq!((pairs.row.p, pairs.row.n), (table.p, 5));
    }

    #[test]
    fn parts_of_a_score_are_told_apart_by_which_is_more_and_tested_by_the_bootstrap() {
        let (a, b) = (scored("char_f1", &[1.0, 0.5, 0.2]), scored("char_f1", &[1.0, 0.2, 0.4]));
        let pairs = pair_items("char_f1", false, &a, &b).expect("pairs");
        assert_eq!((pairs.judged, pairs.row.mcnemar), (Judged::MoreOrLess, None));
        assert_eq!(cells(&pairs), [Cell::Equal, Cell::AHigher, Cell::BHigher]);
    }

    #[test]
    fn a_corpus_metric_judges_an_item_by_itself() {
        let text = |item, output: &str| {
            record(item, &json!({ "prediction": output, "gold": "the cat sat on the mat" }))
        };
        let a = [text(0, "the cat sat on the mat"), text(1, "a dog ran in the park")];
        let b = [text(0, "the cat sat on a mat"), text(1, "the cat sat on the floor")];
        let pairs = pair_items("bleu", false, &a, &b).expect("pairs");
        assert_eq!(cells(&pairs), [Cell::AHigher, Cell::BHigher]);
        let number = |item, said: &str| record(item, &json!({ "prediction": said, "gold": "3.0" }));
        let number_of =
            |item, said: &str, gold: &str| record(item, &json!({ "prediction": said, "gold": gold }));
        let a = [number(0, "2.9"), number_of(1, "1", "2"), number_of(2, "4", "4")];
        let b = [number(0, "1"), number_of(1, "2", "2"), number_of(2, "4", "4")];
        let pairs = pair_items("pearson", false, &a, &b).expect("pairs");
        assert_eq!(cells(&pairs), [Cell::AHigher, Cell::BHigher, Cell::Equal]);
    }

    #[test]
    fn less_perplexity_is_better() {
        let text = |value: f64| {
            record(0, &json!({ "output": null, "loglikelihoods": [value], "choice_tokens": [3] }))
        };
        let (a, b) = ([text(-2.0)], [text(-3.0)]);
        let pairs = pair_items("perplexity", false, &a, &b).expect("pairs");
        assert_eq!((cells(&pairs), pairs.items[0].gap), (vec![Cell::AHigher], Some(1.0)));
    }

    #[test]
    fn the_gap_is_of_the_gold_choice_among_the_choices() {
        let choices = |values: [f64; 2]| {
            let fields = json!({
                "output": null, "loglikelihoods": values, "choice_tokens": [1, 1], "gold": 0, "prediction": 0,
                "score": { "acc": u8::from(values[0] > values[1]) },
            });
            record(0, &fields)
        };
        // A longer text is less likely for both sides alike: only what stands between the choices counts.
        let (a, b) = ([choices([-10.0, -10.0])], [choices([-50.0, -50.0])]);
        let pairs = pair_items("acc", false, &a, &b).expect("pairs");
        assert!(pairs.items[0].gap.expect("likelihoods").abs() < 1e-12);
        let (a, b) = ([choices([0.0, 0.0])], [choices([0.0, -1e6])]);
        let gap = pair_items("acc", false, &a, &b).expect("pairs").items[0].gap.expect("likelihoods");
        assert!((gap - 2.0_f64.ln()).abs() < 1e-12, "{gap}");
    }

    #[test]
    fn items_asked_with_another_prompt_are_counted_and_left_out() {
        let a = scored("acc", &[1.0, 0.0]);
        let mut b = scored("acc", &[1.0, 1.0]);
        b[1].prompt_sha256 = vec!["other".to_owned()].into();
        let pairs = pair_items("acc", false, &a, &b).expect("pairs");
        assert_eq!((pairs.items.len(), pairs.counts.other_prompt), (1, 1));
        assert!(pair_items("acc", false, &a, &[]).is_none());
        assert!(pair_items("other", false, &a, &b).is_none());
    }
}
