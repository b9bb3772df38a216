use std::collections::BTreeMap;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::state::named;
use crate::{Step, Tokens};

/// Further names that one run may report. Each is a column of every chunk.
pub const MOST_NAMES: usize = 200;

/// One line of `log.jsonl`, and one row of a metrics batch. All values are of this update. A value that is not finite is written as
/// the text `NaN`, `Infinity` or `-Infinity`, since JSON has no number for it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct MetricRow {
    /// Update number, from 1.
    pub step: Step,
    /// Training targets seen up to and including this update.
    #[serde(default)]
    pub tokens: Tokens,
    /// `ce + z_loss`, nats per target.
    #[serde(default, with = "number")]
    #[schema(value_type = Option<MetricValue>)]
    pub loss: Option<f64>,
    /// Cross-entropy, nats per target.
    #[serde(default, with = "number")]
    #[schema(value_type = Option<MetricValue>)]
    pub ce: Option<f64>,
    /// Weighted z-loss.
    #[serde(default, with = "number")]
    #[schema(value_type = Option<MetricValue>)]
    pub z_loss: Option<f64>,
    /// Learning rate applied in this update.
    #[serde(default, with = "number")]
    #[schema(value_type = Option<MetricValue>)]
    pub lr: Option<f64>,
    /// Global L2 norm of the gradient before clipping.
    #[serde(default, with = "number")]
    #[schema(value_type = Option<MetricValue>)]
    pub grad_norm: Option<f64>,
    /// Wall time of this update.
    #[serde(default, with = "number")]
    #[schema(value_type = Option<MetricValue>)]
    pub seconds: Option<f64>,
    /// Anything else that is a number, by the name that the trainer gives it.
    #[serde(flatten, deserialize_with = "named_numbers", serialize_with = "write_named")]
    #[schema(value_type = BTreeMap<String, MetricValue>)]
    pub more: BTreeMap<String, f64>,
}

impl MetricRow {
    /// The values that have a name of their own in every run, in the order of `log.jsonl`.
    #[must_use]
    pub fn values(&self) -> [(&'static str, Option<f64>); 6] {
        [
            ("loss", self.loss),
            ("ce", self.ce),
            ("z_loss", self.z_loss),
            ("lr", self.lr),
            ("grad_norm", self.grad_norm),
            ("seconds", self.seconds),
        ]
    }

    /// Sets a value by its name.
    pub fn set(&mut self, name: &str, value: f64) {
        let field = match name {
            "loss" => &mut self.loss,
            "ce" => &mut self.ce,
            "z_loss" => &mut self.z_loss,
            "lr" => &mut self.lr,
            "grad_norm" => &mut self.grad_norm,
            "seconds" => &mut self.seconds,
            _ => {
                self.more.insert(name.to_owned(), value);
                return;
            }
        };
        *field = Some(value);
    }

    /// A value by its name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<f64> {
        let own = self.values().into_iter().find(|(known, _)| *known == name);
        own.map_or_else(|| self.more.get(name).copied(), |(_, value)| value)
    }
}

/// How the value of a metric is written, for the description of the API: a number, or a word for what JSON has no number for.
#[derive(utoipa::ToSchema)]
#[serde(untagged)]
pub enum MetricValue {
    /// A number.
    Number(f64),
    /// None.
    Word(NotFinite),
}

named! {
    /// What is no finite number.
    NotFinite {
        /// Not a number.
        Nan = "NaN",
        /// Above every number.
        Infinity = "Infinity",
        /// Below every number.
        MinusInfinity = "-Infinity",
    }
}

/// Whether a name can be that of a metric: it goes into addresses, files and the heads of tables.
#[must_use]
pub fn is_metric_name(name: &str) -> bool {
    let fits = |c: char| !c.is_control() && !c.is_whitespace() && c != ',' && c != '"';
    (1..=64).contains(&name.len()) && name.chars().all(fits)
}

/// A number as JSON has it, or one of the words for what is none.
#[derive(Deserialize)]
#[serde(untagged)]
enum Loose<'t> {
    Number(f64),
    Word(#[serde(borrow)] std::borrow::Cow<'t, str>),
}

impl Loose<'_> {
    fn value(self) -> Result<f64, String> {
        match self {
            Self::Number(number) => Ok(number),
            Self::Word(word) => match word.parse() {
                Ok(NotFinite::Nan) => Ok(f64::NAN),
                Ok(NotFinite::Infinity) => Ok(f64::INFINITY),
                Ok(NotFinite::MinusInfinity) => Ok(f64::NEG_INFINITY),
                Err(_) => {
                    Err(format!("\"{word}\" is no number; a metric is a number, NaN, Infinity or -Infinity"))
                }
            },
        }
    }
}

fn word(value: f64) -> &'static str {
    let word = match value {
        value if value.is_nan() => NotFinite::Nan,
        value if value > 0.0 => NotFinite::Infinity,
        _ => NotFinite::MinusInfinity,
    };
    word.as_str()
}

/// A value that is there or not.
mod number {
    use super::{Deserialize, Deserializer, Loose, Serializer, word};

    pub(super) fn serialize<S: Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
        match value {
            None => serializer.serialize_none(),
            Some(value) if value.is_finite() => serializer.serialize_f64(*value),
            Some(value) => serializer.serialize_str(word(*value)),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
        let found: Option<Loose<'_>> = Option::deserialize(deserializer)?;
        found.map(Loose::value).transpose().map_err(serde::de::Error::custom)
    }
}

/// JSON with the bare words `NaN`, `Infinity` and `-Infinity` in quotes, as [`MetricRow`] reads them: Python writes them, and JSON has no
/// such numbers. What lies in quotes already stays as it is.
#[must_use]
pub fn quote_bare_numbers(body: &[u8]) -> Vec<u8> {
    const WORDS: [&[u8]; 3] = [b"-Infinity", b"Infinity", b"NaN"];
    let mut out = Vec::with_capacity(body.len() + 16);
    let (mut at, mut in_text) = (0, false);
    while let Some(byte) = body.get(at).copied() {
        let word = WORDS.iter().find(|word| !in_text && body[at..].starts_with(word));
        if let Some(word) = word {
            out.push(b'"');
            out.extend_from_slice(word);
            out.push(b'"');
            at += word.len();
            continue;
        }
        out.push(byte);
        at += 1;
        match byte {
            b'"' => in_text = !in_text,
            b'\\' if in_text => {
                out.extend(body.get(at));
                at += 1;
            }
            _ => {}
        }
    }
    out
}

fn named_numbers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, f64>, D::Error> {
    let found: BTreeMap<String, Option<Loose<'_>>> = BTreeMap::deserialize(deserializer)?;
    let number = |(name, value): (String, Option<Loose<'_>>)| {
        let value = value?.value().map_err(|error| D::Error::custom(format!("{name}: {error}")));
        Some(value.map(|value| (name, value)))
    };
    found.into_iter().filter_map(number).collect()
}

fn write_named<S: Serializer>(values: &BTreeMap<String, f64>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(values.iter().map(|(name, value)| {
        let value = if value.is_finite() {
            serde_json::Value::from(*value)
        } else {
            serde_json::Value::from(word(*value))
        };
        (name, value)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_finite_and_what_has_its_own_name_come_back() {
        let text = r#"{"step":3,"tokens":9,"loss":"NaN","lr":3e-4,"grad_norm":null,"tflops":434.5,"small_v":"Infinity","host_free":null}"#;
        let row: MetricRow = serde_json::from_str(text).expect("a row");
        assert!(row.loss.is_some_and(f64::is_nan));
        assert_eq!((row.lr, row.grad_norm, row.get("tflops")), (Some(3e-4), None, Some(434.5)));
        assert_eq!(row.more.len(), 2, "null says nothing");
        let written = serde_json::to_string(&row).expect("text");
        let again: MetricRow = serde_json::from_str(&written).expect("a row");
        assert_eq!(serde_json::to_string(&again).expect("text"), written);
        assert!(
            written.contains(r#""loss":"NaN""#) && written.contains(r#""small_v":"Infinity""#),
            "{written}"
        );
    }

    #[test]
    fn what_is_no_number_is_named() {
        let refused = |text: &str| serde_json::from_str::<MetricRow>(text).expect_err(text).to_string();
        assert!(refused(r#"{"step":1,"tokens":1,"loss":"low"}"#).contains("\"low\" is no number"));
        assert!(refused(r#"{"step":1,"tokens":1,"stage":"two"}"#).contains("stage: \"two\" is no number"));
        assert!(is_metric_name("train/loss.ja") && !is_metric_name("a b") && !is_metric_name(""));
    }

    #[test]
    fn a_value_is_set_and_read_by_its_name() {
        let mut row = MetricRow::default();
        for (name, value) in [("loss", 1.0), ("seconds", 2.0), ("tflops", 3.0)] {
            row.set(name, value);
            assert_eq!(row.get(name), Some(value));
        }
        assert_eq!((row.loss, row.more.len(), row.get("lr")), (Some(1.0), 1, None));
    }
}
