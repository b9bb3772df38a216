//! Reading other people's JSON: numbers and truth values may be written as strings.

use serde_json::{Map, Value};

use super::{File, ImportError};

pub(super) fn json(file: File<'_>) -> Result<Value, ImportError> {
    serde_json::from_slice(file.bytes).map_err(|error| wrong(file.name, &error.to_string()))
}

pub(super) fn wrong(file: &str, message: &str) -> ImportError {
    ImportError::Format { file: file.to_owned(), message: message.to_owned() }
}

/// A finite number, also as text.
pub(super) fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Bool(truth) => Some(f64::from(u8::from(*truth))),
        Value::String(text) => text.trim().parse().ok(),
        other => other.as_f64(),
    }
    .filter(|number: &f64| number.is_finite())
}

/// A truth value, also as Python writes it.
pub(super) fn truth(value: &Value) -> Option<bool> {
    match value {
        Value::String(text) => match text.as_str() {
            "True" | "true" => Some(true),
            "False" | "false" => Some(false),
            _ => None,
        },
        other => other.as_bool(),
    }
}

pub(super) fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(ToOwned::to_owned)
}

pub(super) fn object(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}
