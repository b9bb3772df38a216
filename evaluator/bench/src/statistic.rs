use serde_json::Value;

use crate::bleu::{self, Tokenize};
use crate::chrf;
use crate::correlation::{pearson, spearman};
use crate::metric::{Metric, Reported};
use crate::record::Record;
use crate::score::{Answer, weighted};
use crate::stats::mean;

/// A metric over the items of one task: what is kept of each item, and how a score comes of some of them.
pub(crate) enum Statistic {
    /// The mean of the items' values.
    Mean(Vec<f64>),
    /// exp of the mean negative log-likelihood.
    Perplexity(Vec<f64>),
    /// Log-likelihood and words or bytes of texts, each summed before the metric is made of them.
    Weighted(Metric, Vec<(f64, f64)>),
    /// n-gram counts.
    Bleu(Vec<bleu::Counts>),
    /// n-gram counts.
    Chrf(Vec<chrf::Counts>),
    /// Predicted and gold numbers, and the coefficient.
    Correlation(Vec<(f64, f64)>, fn(&[f64], &[f64]) -> Option<f64>),
}

impl Statistic {
    /// Of the records that have the metric; a name that is no metric of ours is a mean of what the records say.
    pub(crate) fn new(name: &str, records: &[&Record]) -> Self {
        let of = |metric| match metric {
            Metric::Perplexity => Self::Perplexity(keep(records, log_likelihood)),
            Metric::WordPerplexity | Metric::BytePerplexity | Metric::BitsPerByte => {
                Self::Weighted(metric, keep(records, |record| text(metric, name, record)))
            }
            Metric::Bleu => Self::Bleu(keep(records, |record| bleu_counts(record, Tokenize::V13a))),
            Metric::BleuIntl => {
                Self::Bleu(keep(records, |record| bleu_counts(record, Tokenize::International)))
            }
            Metric::BleuChar => Self::Bleu(keep(records, |record| bleu_counts(record, Tokenize::Char))),
            Metric::Chrf => Self::Chrf(keep(records, |record| chrf_counts(record, 0))),
            Metric::ChrfPlusPlus => Self::Chrf(keep(records, |record| chrf_counts(record, 2))),
            Metric::Pearson => Self::Correlation(keep(records, numbers), pearson),
            Metric::Spearman => Self::Correlation(keep(records, numbers), spearman),
            Metric::Acc | Metric::AccNorm | Metric::AccBytes | Metric::ExactMatch | Metric::CharF1 => {
                Self::Mean(scores(name, records))
            }
        };
        match metric(name) {
            Some(metric) => of(metric),
            None => Self::Mean(scores(name, records)),
        }
    }

    /// Whether a record has what the metric is made of.
    pub(crate) fn has(name: &str, record: &Record) -> bool {
        Self::new(name, &[record]).len() == 1
    }

    /// Items.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Mean(values) | Self::Perplexity(values) => values.len(),
            Self::Weighted(_, texts) => texts.len(),
            Self::Bleu(counts) => counts.len(),
            Self::Chrf(counts) => counts.len(),
            Self::Correlation(pairs, _) => pairs.len(),
        }
    }

    /// The score of the items at these places; none of no items and where it is not defined or more than a number can hold.
    pub(crate) fn over(&self, items: &[usize]) -> Option<f64> {
        if items.is_empty() {
            return None;
        }
        let values = |values: &[f64]| mean(&items.iter().map(|item| values[*item]).collect::<Vec<_>>());
        match self {
            Self::Mean(all) => values(all),
            Self::Perplexity(all) => values(all).map(|mean| (-mean).exp()).filter(|score| score.is_finite()),
            Self::Weighted(metric, texts) => {
                let sum = |sum: (f64, f64), item: &usize| (sum.0 + texts[*item].0, sum.1 + texts[*item].1);
                let (likelihood, units) = items.iter().fold((0.0, 0.0), sum);
                (units > 0.0).then(|| weighted(*metric, likelihood, units)).filter(|score| score.is_finite())
            }
            Self::Bleu(counts) => Some(items.iter().map(|item| &counts[*item]).sum::<bleu::Counts>().score()),
            Self::Chrf(counts) => Some(items.iter().map(|item| &counts[*item]).sum::<chrf::Counts>().score()),
            Self::Correlation(pairs, coefficient) => {
                let (x, y): (Vec<f64>, Vec<f64>) = items.iter().map(|item| pairs[*item]).unzip();
                coefficient(&x, &y)
            }
        }
    }

    /// Each item judged by itself, more being better: its value, the corpus metric of it alone, how near its number is to the gold one.
    /// `ascending` says whether more of the metric is better.
    pub(crate) fn each(&self, ascending: bool) -> Vec<f64> {
        let sign = if ascending { 1.0 } else { -1.0 };
        match self {
            Self::Mean(values) => values.iter().map(|value| sign * value).collect(),
            // In logarithms: a perplexity may be more than a number holds.
            Self::Perplexity(likelihoods) => likelihoods.clone(),
            Self::Correlation(pairs, _) => pairs.iter().map(|(said, gold)| -(said - gold).abs()).collect(),
            Self::Weighted(..) | Self::Bleu(_) | Self::Chrf(_) => {
                let worst = f64::NEG_INFINITY;
                (0..self.len()).map(|item| self.over(&[item]).map_or(worst, |value| sign * value)).collect()
            }
        }
    }

    /// The items' values where the score is their mean.
    pub(crate) fn means(&self) -> Option<&[f64]> {
        if let Self::Mean(values) = self { Some(values) } else { None }
    }
}

/// The metric of a reported name, if it is one of ours.
pub(crate) fn metric(name: &str) -> Option<Metric> {
    Reported::try_from(name.to_owned()).ok().map(|reported| reported.metric)
}

fn scores(name: &str, records: &[&Record]) -> Vec<f64> {
    keep(records, |record| record.score.get(name).copied())
}

fn keep<T>(records: &[&Record], of: impl Fn(&Record) -> Option<T>) -> Vec<T> {
    records.iter().filter_map(|record| of(record)).collect()
}

fn bleu_counts(record: &Record, tokenize: Tokenize) -> Option<bleu::Counts> {
    Some(bleu::Counts::of(record.prediction.as_str()?, record.gold.as_str()?, tokenize))
}

fn chrf_counts(record: &Record, word_order: usize) -> Option<chrf::Counts> {
    Some(chrf::Counts::of(record.prediction.as_str()?, record.gold.as_str()?, word_order))
}

/// Of what was scored alone.
fn log_likelihood(record: &Record) -> Option<f64> {
    match &record.answer {
        Answer::Choices { loglikelihoods, .. } if loglikelihoods.len() == 1 => {
            loglikelihoods.first().copied()
        }
        _ => None,
    }
}

/// Log-likelihood of a text and its words or bytes. Another program's record does not say these: its own score does.
fn text(metric: Metric, name: &str, record: &Record) -> Option<(f64, f64)> {
    let likelihood = log_likelihood(record)?;
    let said = if metric == Metric::WordPerplexity { record.words } else { record.bytes };
    #[expect(clippy::cast_precision_loss, reason = "lengths of texts")]
    let units = match said {
        Some(said) => said as f64,
        None => {
            let score = *record.score.get(name)?;
            let nats =
                if metric == Metric::BitsPerByte { score * std::f64::consts::LN_2 } else { score.ln() };
            (-likelihood / nats).round()
        }
    };
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
