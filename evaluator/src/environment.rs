use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::{Model, Settings};

/// What a score was computed with, shown as a mark beside it: it may move the last digits and is no part of the fingerprint.
#[must_use]
pub fn environment(
    model: &Model,
    bos: &BTreeSet<bool>,
    threads: usize,
    settings: Settings,
) -> BTreeMap<String, Value> {
    let bos = match (bos.contains(&true), bos.contains(&false)) {
        (true, true) => "per task",
        (true, false) => "on",
        _ => "off",
    };
    let longest = settings.max_length.unwrap_or(model.inference.config().longest());
    [
        ("tokenizer", Value::from(model.tokenizer.digest().to_string())),
        ("bos", Value::from(bos)),
        ("dtype", Value::from("f32")),
        ("device", Value::from("cpu")),
        ("engine", Value::from(model.inference.engine())),
        ("version", Value::from(env!("CARGO_PKG_VERSION"))),
        ("threads", Value::from(threads)),
        ("max_length", Value::from(longest)),
    ]
    .into_iter()
    // An engine whose last digits may change with batches says so.
    .chain((!model.inference.is_invariant()).then_some(("invariant", Value::from(false))))
    .map(|(key, value)| (key.to_owned(), value))
    .collect()
}
