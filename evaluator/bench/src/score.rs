use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::char_f1::char_f1;
use crate::data::{Gold, Item};
use crate::definition::{RequestKind, TaskDefinition};
use crate::error::TaskError;
use crate::metric::{Metric, Reported};

/// What an engine answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Answer {
    /// To [`Request::Choices`](crate::Request::Choices); with one entry to
    /// [`Request::Continuation`](crate::Request::Continuation) and [`Request::Rolling`](crate::Request::Rolling).
    Choices {
        /// Natural logarithm, summed over the tokens of each continuation.
        loglikelihoods: Vec<f64>,
        /// Tokens of each continuation.
        choice_tokens: Vec<u64>,
        /// Whether every token of a continuation is the likeliest one; needed for a continuation alone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        greedy: Option<Vec<bool>>,
    },
    /// To [`Request::Generate`](crate::Request::Generate).
    Text {
        /// The text as generated, up to the first stop string.
        output: String,
        /// The stop string that ended it; none when the end-of-sequence token or the limit did.
        stop: Option<String>,
    },
}

/// An answer, judged.
#[derive(Clone, Debug, PartialEq)]
pub struct Scored {
    /// Index of the likeliest choice, the extracted text (of the primary metric's filter), or whether a continuation is what
    /// the model would write; null when nothing is right or wrong.
    pub prediction: Value,
    /// Index of the right choice, the gold text or the continuation; null when nothing is right or wrong.
    pub gold: Value,
    /// Metric → value of this item, for the metrics that judge items one by one.
    pub score: BTreeMap<String, f64>,
}

/// Judges an answer by every metric of the definition.
///
/// # Errors
/// [`TaskError::Answer`] when the answer is not of the kind or length that the item asks for, or not finite.
pub fn score(definition: &TaskDefinition, item: &Item, answer: &Answer) -> Result<Scored, TaskError> {
    let fail = |message: &str| {
        Err(TaskError::Answer { task: definition.name(), item: item.index, message: message.to_owned() })
    };
    let log_likelihoods = match answer {
        Answer::Choices { loglikelihoods, .. } => loglikelihoods.as_slice(),
        Answer::Text { .. } => &[],
    };
    if !log_likelihoods.iter().all(|value| value.is_finite()) {
        return fail("a log-likelihood is not a finite number");
    }
    let kind = definition.request.kind();
    match (&item.gold, answer, log_likelihoods) {
        (Gold::Choice { index, texts }, Answer::Choices { .. }, values) => {
            if values.len() != texts.len() {
                return fail("the answer has not one log-likelihood per choice");
            }
            Ok(choices(definition, *index, texts, values))
        }
        (Gold::Text(gold), Answer::Text { output, .. }, _) if kind == RequestKind::Generate => {
            Ok(text(definition, gold, output))
        }
        (Gold::Text(gold), Answer::Choices { greedy, .. }, [value]) if kind == RequestKind::Continuation => {
            let Some([greedy]) = greedy.as_deref() else {
                return fail("the answer does not say whether the continuation is the likeliest one");
            };
            Ok(continuation(definition, gold, *value, *greedy))
        }
        (Gold::Length { words, bytes }, Answer::Choices { .. }, [value]) => {
            Ok(rolling(definition, *value, *words, *bytes))
        }
        (Gold::Text(_), Answer::Choices { .. }, _) if kind == RequestKind::Generate => {
            fail("a text was asked for, log-likelihoods were answered")
        }
        (_, Answer::Choices { .. }, _) => fail("one log-likelihood was asked for"),
        (_, Answer::Text { .. }, _) => fail("log-likelihoods were asked for, a text was answered"),
    }
}

fn choices(definition: &TaskDefinition, index: usize, texts: &[String], values: &[f64]) -> Scored {
    let judged = |metric: &Metric| {
        let best = likeliest(values.iter().zip(texts).map(|(value, text)| value / length(*metric, text)));
        (metric.to_string(), truth(best == index))
    };
    Scored {
        prediction: Value::from(likeliest(values.iter().copied())),
        gold: Value::from(index),
        score: definition.metrics.iter().map(judged).collect(),
    }
}

fn text(definition: &TaskDefinition, gold: &str, output: &str) -> Scored {
    let mut answers = definition.answers(output);
    let per_answer = definition.metrics.len();
    let judged = |(place, reported): (usize, Reported)| {
        let answer = answers[place / per_answer].as_str();
        let value = match reported.metric {
            Metric::CharF1 => char_f1(answer, gold),
            Metric::ExactMatch | Metric::Acc => truth(answer == gold),
            _ => return None,
        };
        Some((reported.to_string(), value))
    };
    let score = definition.reported().into_iter().enumerate().filter_map(judged).collect();
    let prediction = answers.swap_remove(definition.primary_filter());
    Scored { prediction: Value::from(prediction), gold: Value::from(gold), score }
}

fn continuation(definition: &TaskDefinition, gold: &str, value: f64, greedy: bool) -> Scored {
    let judged = |metric: &Metric| match metric {
        Metric::Perplexity => (metric.to_string(), (-value).exp()),
        _ => (metric.to_string(), truth(greedy)),
    };
    // The perplexity of a long text without spaces is more than a number can hold; a score over items is made of likelihoods.
    let holds = |(_, value): &(String, f64)| value.is_finite();
    Scored {
        prediction: Value::from(greedy),
        gold: Value::from(gold),
        score: definition.metrics.iter().map(judged).filter(holds).collect(),
    }
}

fn rolling(definition: &TaskDefinition, value: f64, words: u64, bytes: u64) -> Scored {
    #[expect(clippy::cast_precision_loss, reason = "lengths of texts")]
    let judged = |metric: &Metric| {
        let units = if *metric == Metric::WordPerplexity { words } else { bytes };
        (metric.to_string(), weighted(*metric, value, units as f64))
    };
    let holds = |(_, value): &(String, f64)| value.is_finite();
    Scored {
        prediction: Value::Null,
        gold: Value::Null,
        score: definition.metrics.iter().map(judged).filter(holds).collect(),
    }
}

/// What lm-eval makes of the summed log-likelihood and the words or bytes of one text or of many.
pub(crate) fn weighted(metric: Metric, log_likelihood: f64, units: f64) -> f64 {
    let nats = -log_likelihood / units;
    if metric == Metric::BitsPerByte { nats / std::f64::consts::LN_2 } else { nats.exp() }
}

fn truth(holds: bool) -> f64 {
    f64::from(u8::from(holds))
}

/// What a log-likelihood is divided by.
#[expect(clippy::cast_precision_loss, reason = "lengths of texts")]
fn length(metric: Metric, text: &str) -> f64 {
    match metric {
        Metric::AccNorm => text.chars().count() as f64,
        Metric::AccBytes => text.len() as f64,
        _ => 1.0,
    }
}

/// The index of the largest value; the first of equals, as NumPy's `argmax`.
pub(crate) fn likeliest(values: impl Iterator<Item = f64>) -> usize {
    let mut best = (0, f64::NEG_INFINITY);
    for (index, value) in values.enumerate() {
        if value > best.1 {
            best = (index, value);
        }
    }
    best.0
}
