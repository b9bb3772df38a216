//! Fields of the API's answers.

use serde_json::Value;

/// The text at a JSON pointer; empty where there is none.
pub(crate) fn words<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The text at a key as a cell of a table.
pub(crate) fn cell(value: &Value, key: &str) -> String {
    value[key].as_str().filter(|text| !text.is_empty()).unwrap_or("—").to_owned()
}

/// The texts of a list.
pub(crate) fn list(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}
