use serde::de::IntoDeserializer as _;
use serde::de::value::Error as ValueError;
use serde::{Deserialize, Serialize};

use crate::definition::RequestKind;

/// What judges answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Choices: the one with the highest summed log-likelihood is the right one, the first of equals wins. Continuation: it
    /// is what the model would write. Generation: as `exact_match`, under the JP harness's name.
    Acc,
    /// Choices, after division by the choice's number of characters (lm-eval).
    AccNorm,
    /// Choices, after division by the choice's number of UTF-8 bytes (lm-eval).
    AccBytes,
    /// The extracted answer is the gold text.
    ExactMatch,
    /// `token_sort_ratio` of fuzzywuzzy ÷ 100, which llm-jp-eval calls `char_f1`: [`char_f1`](crate::char_f1).
    CharF1,
    /// Pearson's correlation of the extracted numbers with the gold ones.
    Pearson,
    /// Spearman's rank correlation of the extracted numbers with the gold ones.
    Spearman,
    /// exp of the mean negative log-likelihood of a continuation.
    Perplexity,
    /// exp of the negative log-likelihood of all texts ÷ their words, which are the pieces of `re.split(r"\s+", text)`.
    WordPerplexity,
    /// exp of the negative log-likelihood of all texts ÷ their UTF-8 bytes.
    BytePerplexity,
    /// Negative log-likelihood of all texts ÷ their UTF-8 bytes ÷ ln 2.
    BitsPerByte,
    /// sacreBLEU's corpus BLEU with the tokenizer `13a`.
    Bleu,
    /// sacreBLEU's corpus BLEU with the tokenizer `intl`.
    BleuIntl,
    /// sacreBLEU's corpus BLEU with the tokenizer `char`.
    BleuChar,
    /// sacreBLEU's chrF2.
    Chrf,
    /// sacreBLEU's chrF2++, with words up to bigrams.
    #[serde(rename = "chrf++")]
    ChrfPlusPlus,
}

impl Metric {
    /// The name used in definitions, records, `eval --json` and the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Acc => "acc",
            Self::AccNorm => "acc_norm",
            Self::AccBytes => "acc_bytes",
            Self::ExactMatch => "exact_match",
            Self::CharF1 => "char_f1",
            Self::Pearson => "pearson",
            Self::Spearman => "spearman",
            Self::Perplexity => "perplexity",
            Self::WordPerplexity => "word_perplexity",
            Self::BytePerplexity => "byte_perplexity",
            Self::BitsPerByte => "bits_per_byte",
            Self::Bleu => "bleu",
            Self::BleuIntl => "bleu_intl",
            Self::BleuChar => "bleu_char",
            Self::Chrf => "chrf",
            Self::ChrfPlusPlus => "chrf++",
        }
    }

    /// Whether it can judge answers to requests of this kind.
    #[must_use]
    pub const fn judges(self, kind: RequestKind) -> bool {
        match self {
            Self::Acc => !matches!(kind, RequestKind::Rolling),
            Self::AccNorm | Self::AccBytes => matches!(kind, RequestKind::Choices),
            Self::Perplexity => matches!(kind, RequestKind::Continuation),
            Self::WordPerplexity | Self::BytePerplexity | Self::BitsPerByte => {
                matches!(kind, RequestKind::Rolling)
            }
            Self::ExactMatch
            | Self::CharF1
            | Self::Pearson
            | Self::Spearman
            | Self::Bleu
            | Self::BleuIntl
            | Self::BleuChar
            | Self::Chrf
            | Self::ChrfPlusPlus => matches!(kind, RequestKind::Generate),
        }
    }

    /// Whether an item scores 0 or 1 only, so that the task's score is a proportion.
    #[must_use]
    pub const fn is_proportion(self) -> bool {
        matches!(self, Self::Acc | Self::AccNorm | Self::AccBytes | Self::ExactMatch)
    }

    /// Whether more is better.
    #[must_use]
    pub const fn higher_is_better(self) -> bool {
        !matches!(self, Self::Perplexity | Self::WordPerplexity | Self::BytePerplexity | Self::BitsPerByte)
    }

    /// What a value is divided by where it enters a mean over tasks: BLEU and chrF run from 0 to 100.
    #[must_use]
    pub const fn scale(self) -> f64 {
        match self {
            Self::Bleu | Self::BleuIntl | Self::BleuChar | Self::Chrf | Self::ChrfPlusPlus => 100.0,
            _ => 1.0,
        }
    }
}

impl std::fmt::Display for Metric {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A metric as it is reported: with the name of the filter it judges where a task has several, as lm-eval prints it
/// (`exact_match,strict-match`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reported {
    /// The metric.
    pub metric: Metric,
    /// The filter.
    pub filter: Option<String>,
}

impl std::fmt::Display for Reported {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.metric.fmt(f)?;
        self.filter.as_ref().map_or(Ok(()), |filter| write!(f, ",{filter}"))
    }
}

impl TryFrom<String> for Reported {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (metric, filter) =
            text.split_once(',').map_or((&*text, None), |(metric, filter)| (metric, Some(filter.to_owned())));
        let metric =
            Metric::deserialize(metric.into_deserializer()).map_err(|error: ValueError| error.to_string())?;
        Ok(Self { metric, filter })
    }
}

impl From<Reported> for String {
    fn from(reported: Reported) -> Self {
        reported.to_string()
    }
}
