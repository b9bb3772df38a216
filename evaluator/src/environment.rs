use std::collections::{BTreeMap, BTreeSet};

use sekisho_bench::RequestKind;
use serde_json::Value;

use crate::{Engine, Model, Settings};

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
    let longest = model.longest(settings, RequestKind::Generate);
    let mut environment: BTreeMap<&str, Value> = [
        ("tokenizer", Value::from(model.tokenizer.digest().to_string())),
        ("bos", Value::from(bos)),
        ("version", Value::from(env!("CARGO_PKG_VERSION"))),
        ("threads", Value::from(threads)),
        ("max_length", Value::from(longest)),
    ]
    .into_iter()
    .collect();
    match &model.engine {
        Engine::Local(inference) => {
            environment.insert("engine", Value::from(inference.engine()));
            environment.insert("device", Value::from(inference.device()));
            environment.insert("dtype", Value::from(inference.dtype()));
            // An engine whose last digits may change with batches says so.
            if !inference.is_invariant() {
                environment.insert("invariant", Value::from(false));
            }
        }
        Engine::Remote(remote) => environment.extend(remote.environment()),
    }
    environment.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}
