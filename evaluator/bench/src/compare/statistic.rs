use std::f64::consts::LN_2;

use serde_json::Value;

use crate::bleu::{self, Tokenize};
use crate::chrf;
use crate::correlation::{pearson, spearman};
use crate::record::Record;
use crate::score::Answer;
use crate::stats::{self, Paired, mean};

/// A metric over the items of one task: what is kept of each item, and how a score comes of some of them.
enum Statistic {
    /// The mean of the items' values.
    Mean(Vec<f64>),
    /// exp of the mean negative log-likelihood.
    Perplexity(Vec<f64>),
    /// Log-likelihoods of texts and the words or bytes they are divided by, and what is made of the nats per unit.
    Rolling(Vec<(f64, f64)>, fn(f64) -> f64),
    /// n-gram counts.
    Bleu(Vec<bleu::Counts>),
    /// n-gram counts.
    Chrf(Vec<chrf::Counts>),
    /// Predicted and gold numbers, and the coefficient.
    Correlation(Vec<(f64, f64)>, fn(&[f64], &[f64]) -> Option<f64>),
}

impl Statistic {
    fn over(&self, items: &[usize]) -> Option<f64> {
        let values = |values: &[f64]| mean(&items.iter().map(|item| values[*item]).collect::<Vec<_>>());
        match self {
            Self::Mean(all) => values(all),
            Self::Perplexity(all) => values(all).map(|mean| (-mean).exp()),
            Self::Rolling(texts, metric) => {
                let sum =
                    |(sum, units): (f64, f64), item: &usize| (sum + texts[*item].0, units + texts[*item].1);
                let (likelihood, units) = items.iter().fold((0.0, 0.0), sum);
                (units > 0.0).then(|| metric(-likelihood / units))
            }
            Self::Bleu(counts) => Some(items.iter().map(|item| &counts[*item]).sum::<bleu::Counts>().score()),
            Self::Chrf(counts) => Some(items.iter().map(|item| &counts[*item]).sum::<chrf::Counts>().score()),
            Self::Correlation(pairs, coefficient) => {
                let (x, y): (Vec<f64>, Vec<f64>) = items.iter().map(|item| pairs[*item]).unzip();
                coefficient(&x, &y)
            }
        }
    }

    fn means(&self) -> Option<&[f64]> {
        if let Self::Mean(values) = self { Some(values) } else { None }
    }
}

/// A metric of both sides, over the items that have it on both.
pub(super) struct Compared {
    pub(super) metric: String,
    pub(super) n: usize,
    pub(super) a_score: f64,
    pub(super) b_score: f64,
    a: Statistic,
    b: Statistic,
}

impl Compared {
    /// None where no item has the metric on both sides, or a side has no score.
    pub(super) fn new(metric: &str, a: &[&Record], b: &[&Record]) -> Option<Self> {
        let (a, b, n) = match metric {
            "perplexity" => both(a, b, log_likelihood, Statistic::Perplexity),
            "word_perplexity" | "byte_perplexity" => both(
                a,
                b,
                |record| rolling(record, metric, f64::ln),
                |texts| Statistic::Rolling(texts, f64::exp),
            ),
            "bits_per_byte" => {
                let (nats, bits) = (|bits| bits * LN_2, |nats| nats / LN_2);
                both(a, b, |record| rolling(record, metric, nats), |texts| Statistic::Rolling(texts, bits))
            }
            "bleu" => both(a, b, |record| bleu_counts(record, Tokenize::V13a), Statistic::Bleu),
            "bleu_intl" => both(a, b, |record| bleu_counts(record, Tokenize::International), Statistic::Bleu),
            "bleu_char" => both(a, b, |record| bleu_counts(record, Tokenize::Char), Statistic::Bleu),
            "chrf" => both(a, b, |record| chrf_counts(record, 0), Statistic::Chrf),
            "chrf++" => both(a, b, |record| chrf_counts(record, 2), Statistic::Chrf),
            "pearson" => both(a, b, numbers, |pairs| Statistic::Correlation(pairs, pearson)),
            "spearman" => both(a, b, numbers, |pairs| Statistic::Correlation(pairs, spearman)),
            _ => both(a, b, |record| record.score.get(metric).copied(), Statistic::Mean),
        };
        let all: Vec<usize> = (0..n).collect();
        let (a_score, b_score) = (a.over(&all)?, b.over(&all)?);
        Some(Self { metric: metric.to_owned(), n, a_score, b_score, a, b })
    }

    /// B − A over the items at these places; none where it is not defined.
    pub(super) fn difference(&self, items: &[usize]) -> Option<f64> {
        Some(self.b.over(items)? - self.a.over(items)?)
    }

    /// The paired bootstrap of B − A.
    pub(super) fn paired(&self) -> Option<Paired> {
        match self.means() {
            Some((a, b)) => stats::paired_bootstrap(a, b),
            None => stats::paired_statistic(self.n, |drawn| self.difference(drawn)),
        }
    }

    /// The items' values where the score is their mean.
    pub(super) fn means(&self) -> Option<(&[f64], &[f64])> {
        self.a.means().zip(self.b.means())
    }

    /// What a value is divided by where it enters a mean over tasks.
    pub(super) fn scale(&self) -> f64 {
        match self.a {
            Statistic::Bleu(_) | Statistic::Chrf(_) => 100.0,
            _ => 1.0,
        }
    }
}

/// Whether less of the metric is better.
pub(super) fn lower_is_better(metric: &str) -> bool {
    metric.ends_with("perplexity") || metric == "bits_per_byte"
}

fn both<T>(
    a: &[&Record],
    b: &[&Record],
    of: impl Fn(&Record) -> Option<T>,
    statistic: impl Fn(Vec<T>) -> Statistic,
) -> (Statistic, Statistic, usize) {
    let (a, b): (Vec<T>, Vec<T>) = a.iter().zip(b).filter_map(|(a, b)| Some((of(a)?, of(b)?))).unzip();
    let n = a.len();
    (statistic(a), statistic(b), n)
}

fn bleu_counts(record: &Record, tokenize: Tokenize) -> Option<bleu::Counts> {
    Some(bleu::Counts::of(record.prediction.as_str()?, record.gold.as_str()?, tokenize))
}

fn chrf_counts(record: &Record, word_order: usize) -> Option<chrf::Counts> {
    Some(chrf::Counts::of(record.prediction.as_str()?, record.gold.as_str()?, word_order))
}

/// Of a continuation that was scored alone.
fn log_likelihood(record: &Record) -> Option<f64> {
    match &record.answer {
        Answer::Choices { loglikelihoods, .. } if loglikelihoods.len() == 1 => {
            loglikelihoods.first().copied()
        }
        _ => None,
    }
}

/// Log-likelihood of a text and the number of its words or bytes, which its own score says: `nats` gives the nats per unit
/// of that score.
fn rolling(record: &Record, metric: &str, nats: impl Fn(f64) -> f64) -> Option<(f64, f64)> {
    let (likelihood, score) = (log_likelihood(record)?, record.score.get(metric)?);
    let units = (-likelihood / nats(*score)).round();
    units.is_finite().then_some((likelihood, units))
}

/// An answer that is not a number counts as −2, as in llm-jp-eval.
fn numbers(record: &Record) -> Option<(f64, f64)> {
    let number = |value: &Value| {
        value
            .as_f64()
            .or_else(|| value.as_str()?.trim().parse().ok())
            .filter(|number: &f64| number.is_finite())
    };
    Some((number(&record.prediction).unwrap_or(-2.0), number(&record.gold)?))
}
