//! Our own `spec.toml`, with what it leaves to its defaults said: a registered specification has nothing left to a default.

use sekisho_domain::nearest;
use serde_json::{Value, json};

use crate::ForeignError;

/// What may stand at the top of a specification; the last two in one that was made from another trainer's.
const SECTIONS: &[&str] = &[
    "name",
    "seed",
    "parent",
    "model",
    "init",
    "tokenizer",
    "data",
    "batch",
    "optimizer",
    "schedule",
    "stability",
    "precision",
    "evaluate",
    "stop",
    "checkpoint",
    "trainer",
    "other",
];

pub(super) fn specification(file: &str, mut spec: Value) -> Result<Value, ForeignError> {
    let unknown =
        spec.as_object().and_then(|fields| fields.keys().find(|key| !SECTIONS.contains(&key.as_str())));
    if let Some(unknown) = unknown {
        let hint = nearest(unknown, SECTIONS.iter().copied());
        let hint = hint.map_or_else(String::new, |near| format!("; did you mean \"{near}\"?"));
        return Err(ForeignError::whole(file, format!("\"{unknown}\" is no part of a specification{hint}")));
    }
    if spec.get("trainer").is_some() {
        // It was made from another trainer's, whose defaults are others.
        return Ok(spec);
    }
    let steps = spec["stop"]["steps"].clone();
    let sequences = spec["batch"]["sequences"].clone();
    for (section, key, usual) in [
        ("data", "order", json!("megatron")),
        ("data", "packing", json!("contiguous")),
        ("data", "document_mask", json!(false)),
        ("batch", "micro", sequences),
        ("optimizer", "min_lr", json!(0.0)),
        ("optimizer", "betas", json!([0.9, 0.95])),
        ("optimizer", "eps", json!(1e-8)),
        ("optimizer", "weight_decay", json!(0.1)),
        ("optimizer", "clip", json!(1.0)),
        ("optimizer", "z_loss", json!(0.0)),
        ("schedule", "warmup_steps", json!(0)),
        ("schedule", "total_steps", steps),
        ("schedule", "lr_index", json!("one_based")),
    ] {
        let Some(fields) = spec.get_mut(section).and_then(Value::as_object_mut) else { continue };
        if !usual.is_null() {
            fields.entry(key).or_insert(usual);
        }
    }
    if let Some(fields) = spec.as_object_mut() {
        fields.entry("seed").or_insert_with(|| 42.into());
    }
    Ok(spec)
}
