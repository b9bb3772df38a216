//! nanotron's configuration. Source: `Config` in huggingface/nanotron of 2024 and 2025; older names stand second.

use serde_json::{Value, json};

use super::document::{Document, Section, specification as made};

pub(super) fn specification(document: Value) -> Value {
    let mut document = Document(document);
    let model = document.moved(&[
        ("hidden_size", &["/model/model_config/hidden_size"]),
        ("num_hidden_layers", &["/model/model_config/num_hidden_layers"]),
        ("num_attention_heads", &["/model/model_config/num_attention_heads"]),
        ("num_key_value_heads", &["/model/model_config/num_key_value_heads"]),
        ("intermediate_size", &["/model/model_config/intermediate_size"]),
        ("vocab_size", &["/model/model_config/vocab_size"]),
        ("tie_word_embeddings", &["/model/model_config/tie_word_embeddings"]),
        ("max_position_embeddings", &["/model/model_config/max_position_embeddings"]),
        ("rope_theta", &["/model/model_config/rope_theta"]),
        ("rms_norm_eps", &["/model/model_config/rms_norm_eps"]),
    ]);
    let init = document.moved(&[("std", &["/model/init_method/std"])]);
    let tokenizer = document.moved(&[("path", &["/tokenizer/tokenizer_name_or_path"])]);
    let mut data = document.moved(&[("sequence_length", &["/tokens/sequence_length"])]);
    if let Some(mix) = mix(&mut document) {
        data.insert("mix".to_owned(), mix);
    }
    let batch = batch(&mut document);
    let optimizer = optimizer(&mut document);
    let stop = document.moved(&[("steps", &["/tokens/train_steps"])]);
    let schedule = schedule(&mut document, stop.get("steps").and_then(Value::as_u64));
    let checkpoint = document.moved(&[("every", &["/checkpoints/checkpoint_interval"])]);
    let dtype = document.0.pointer("/model/dtype").and_then(Value::as_str);
    let forward = dtype.map(|dtype| if dtype == "bfloat16" { "bf16" } else { dtype });
    let precision = forward.map(|forward| Section::from_iter([("forward".to_owned(), forward.into())]));
    let seed = document.number(&["/general/seed"]);
    let name = document.0.pointer("/general/run").and_then(Value::as_str).map(ToOwned::to_owned);
    let sections = vec![
        ("model", model),
        ("init", init),
        ("tokenizer", tokenizer),
        ("data", data),
        ("batch", batch),
        ("optimizer", optimizer),
        ("schedule", schedule),
        ("precision", precision.unwrap_or_default()),
        ("stop", stop),
        ("checkpoint", checkpoint),
    ];
    let mut spec = made("nanotron", sections, document);
    for (key, value) in [("seed", seed), ("name", name.map(Value::from))] {
        if let Some(value) = value {
            spec[key] = value;
        }
    }
    spec
}

/// The sequences of an update are those of a replica, times how often they are gathered, times the replicas.
fn batch(document: &mut Document) -> Section {
    let count = |document: &Document, path: &str| document.0.pointer(path).and_then(Value::as_u64);
    let parts = ["/tokens/micro_batch_size", "/tokens/batch_accumulation_per_replica", "/parallelism/dp"];
    let sequences = parts.iter().try_fold(1_u64, |product, path| product.checked_mul(count(document, path)?));
    let mut batch = document.moved(&[("micro", &["/tokens/micro_batch_size"])]);
    if let Some(sequences) = sequences {
        batch.insert("sequences".to_owned(), sequences.into());
    }
    batch
}

fn optimizer(document: &mut Document) -> Section {
    let mut optimizer = document.moved(&[
        ("lr", &["/optimizer/learning_rate_scheduler/learning_rate"]),
        ("min_lr", &["/optimizer/learning_rate_scheduler/min_decay_lr"]),
        ("eps", &["/optimizer/optimizer_factory/adam_eps", "/optimizer/adam_eps"]),
        ("weight_decay", &["/optimizer/weight_decay"]),
        ("clip", &["/optimizer/clip_grad"]),
    ]);
    let first = document.number(&["/optimizer/optimizer_factory/adam_beta1", "/optimizer/adam_beta1"]);
    let second = document.number(&["/optimizer/optimizer_factory/adam_beta2", "/optimizer/adam_beta2"]);
    if let Some(betas) = first.zip(second) {
        optimizer.insert("betas".to_owned(), json!([betas.0, betas.1]));
    }
    // Without it nothing decays (`LRSchedulerArgs.__post_init__`).
    if let Some(lr) = optimizer.get("lr").cloned() {
        optimizer.entry("min_lr").or_insert(lr);
    }
    optimizer
}

/// A decay that begins later than the warm-up ends is the end of a stable phase.
fn schedule(document: &mut Document, steps: Option<u64>) -> Section {
    let at = |name: &str| format!("/optimizer/learning_rate_scheduler/{name}");
    let count = |document: &mut Document, name: &str| document.count(&[&at(name)]);
    let warmup = count(document, "lr_warmup_steps").unwrap_or(0);
    let (decay, begin) = (count(document, "lr_decay_steps"), count(document, "lr_decay_starting_step"));
    let style = document.take(&[&at("lr_decay_style")]);
    let mut schedule = Section::new();
    if document.0.pointer("/optimizer/learning_rate_scheduler").is_none() && style.is_none() && warmup == 0 {
        return schedule;
    }
    // What it leaves to nanotron's defaults: linear, over what the warm-up leaves of the training.
    let style = style.as_ref().and_then(Value::as_str).unwrap_or("linear");
    let decay = decay.or_else(|| steps.map(|steps| steps.saturating_sub(warmup)));
    schedule.insert("warmup_steps".to_owned(), warmup.into());
    let total = begin.or(Some(warmup)).zip(decay).map(|(begin, decay)| begin.saturating_add(decay)).or(steps);
    if let Some(total) = total {
        schedule.insert("total_steps".to_owned(), total.into());
    }
    let shape = if style == "1-sqrt" { "minus_sqrt" } else { style };
    match (begin.filter(|begin| *begin > warmup), decay) {
        (Some(_), Some(decay)) => {
            schedule.insert("kind".to_owned(), "wsd".into());
            schedule.insert("decay_steps".to_owned(), decay.into());
            schedule.insert("decay_shape".to_owned(), shape.into());
        }
        (None, Some(decay)) if shape == "minus_sqrt" => {
            schedule.insert("kind".to_owned(), "wsd".into());
            schedule.insert("decay_steps".to_owned(), decay.into());
            schedule.insert("decay_shape".to_owned(), shape.into());
        }
        _ => drop(schedule.insert("kind".to_owned(), shape.into())),
    }
    schedule
}

/// The data of the first stage: folders or datasets with their weights.
fn mix(document: &mut Document) -> Option<Value> {
    let dataset = document.0.pointer("/data_stages/0/data/dataset")?.clone();
    let names = ["dataset_folder", "hf_dataset_or_datasets", "dataset"];
    let found = names.iter().find_map(|name| dataset.get(name).filter(|value| !value.is_null()))?;
    let entry = |path: &str, weight: Option<&Value>| {
        let name = path.trim_end_matches('/').rsplit('/').next().unwrap_or(path);
        let mut entry = json!({ "name": name, "path": path });
        if let Some(weight) = weight {
            entry["weight"] = weight.clone();
        }
        entry
    };
    let weights = dataset["dataset_weights"].as_array();
    let mix: Vec<Value> = match found {
        Value::String(path) => vec![entry(path, None)],
        Value::Array(paths) => {
            let paths = paths.iter().filter_map(Value::as_str).enumerate();
            paths.map(|(i, path)| entry(path, weights.and_then(|weights| weights.get(i)))).collect()
        }
        Value::Object(paths) => paths.iter().map(|(path, weight)| entry(path, Some(weight))).collect(),
        _ => return None,
    };
    (!mix.is_empty()).then(|| mix.into())
}
