//! torchtitan's job configuration. Source: `JobConfig` in pytorch/torchtitan of 2024 and 2025; older names stand second.

use serde_json::{Value, json};

use super::document::{Document, Section, specification as made};

/// Dimensions of the flavours that its `llama3` model has: hidden, layers, heads, key-value heads, intermediate.
const FLAVOURS: &[(&str, [u64; 5])] = &[
    ("8B", [4096, 32, 32, 8, 14_336]),
    ("70B", [8192, 80, 64, 8, 28_672]),
    ("405B", [16_384, 126, 128, 8, 53_248]),
];

pub(super) fn specification(document: Value) -> Value {
    let mut document = Document(document);
    let model = model(&mut document);
    let tokenizer = document.moved(&[("path", &["/model/hf_assets_path", "/model/tokenizer_path"])]);
    let data = data(&mut document);
    let mut batch = document.moved(&[("micro", &["/training/local_batch_size", "/training/batch_size"])]);
    if let Some(sequences) = document.count(&["/training/global_batch_size"]) {
        batch.insert("sequences".to_owned(), sequences.into());
    }
    let mut optimizer = optimizer(&mut document);
    let stop = document.moved(&[("steps", &["/training/steps"])]);
    let schedule = schedule(&mut document, stop.get("steps").and_then(Value::as_u64));
    // A share of the highest rate, by its newer and its older name.
    let least = document.number(&["/lr_scheduler/min_lr_factor", "/lr_scheduler/lr_min"]);
    if let Some((share, lr)) =
        least.and_then(|share| share.as_f64()).zip(optimizer.get("lr").and_then(Value::as_f64))
    {
        optimizer.insert("min_lr".to_owned(), (share * lr).into());
    }
    let checkpoint = document.moved(&[("every", &["/checkpoint/interval"])]);
    let seed = document.number(&["/debug/seed", "/training/seed"]);
    let sections = vec![
        ("model", model),
        ("tokenizer", tokenizer),
        ("data", data),
        ("batch", batch),
        ("optimizer", optimizer),
        ("schedule", schedule),
        ("stop", stop),
        ("checkpoint", checkpoint),
    ];
    let mut spec = made("torchtitan", sections, document);
    if let Some(seed) = seed {
        spec["seed"] = seed;
    }
    spec
}

fn model(document: &mut Document) -> Section {
    let text = |document: &Document, path: &str| {
        document.0.pointer(path).and_then(Value::as_str).map(ToOwned::to_owned)
    };
    let (name, flavour) = (text(document, "/model/name"), text(document, "/model/flavor"));
    let known = FLAVOURS.iter().find(|(known, _)| flavour.as_deref() == Some(known));
    let Some((_, [hidden, layers, heads, groups, wide])) =
        known.filter(|_| name.as_deref() == Some("llama3"))
    else {
        return Section::new();
    };
    let dimensions = json!({
        "hidden_size": hidden, "num_hidden_layers": layers, "num_attention_heads": heads,
        "num_key_value_heads": groups, "intermediate_size": wide, "vocab_size": 128_256, "tie_word_embeddings": false,
        "rope_theta": 500_000.0,
    });
    dimensions.as_object().cloned().unwrap_or_default()
}

fn data(document: &mut Document) -> Section {
    let mut data = document.moved(&[("sequence_length", &["/training/seq_len"])]);
    let name = document.take(&["/training/dataset"]);
    if let Some(name) = name {
        let mut entry = json!({ "name": name });
        if let Some(path) = document.take(&["/training/dataset_path"]) {
            entry["path"] = path;
        }
        data.insert("mix".to_owned(), json!([entry]));
    }
    data
}

/// What it leaves to its defaults is said where a comparison hangs on it.
fn optimizer(document: &mut Document) -> Section {
    let said = document.0.get("optimizer").is_some();
    let mut optimizer = document.moved(&[
        ("lr", &["/optimizer/lr"]),
        ("eps", &["/optimizer/eps"]),
        ("weight_decay", &["/optimizer/weight_decay"]),
        ("clip", &["/training/max_norm"]),
    ]);
    let beta = |document: &mut Document, path: &str, usual: f64| {
        document.number(&[path]).unwrap_or_else(|| usual.into())
    };
    let betas = [beta(document, "/optimizer/beta1", 0.9), beta(document, "/optimizer/beta2", 0.95)];
    if said {
        for (name, usual) in [("eps", 1e-8), ("weight_decay", 0.1), ("clip", 1.0)] {
            optimizer.entry(name).or_insert_with(|| usual.into());
        }
        optimizer.insert("betas".to_owned(), json!(betas));
    }
    optimizer
}

/// Warm-up, then flat, then a decay over a share of the steps; without that share it decays from the warm-up on.
fn schedule(document: &mut Document, steps: Option<u64>) -> Section {
    let mut schedule = Section::new();
    let Some(steps) = steps else { return schedule };
    let warmup = document.number(&["/lr_scheduler/warmup_steps", "/training/warmup_steps"]);
    let share = document.take(&["/lr_scheduler/decay_ratio"]).and_then(|share| share.as_f64());
    let style = document.take(&["/lr_scheduler/decay_type"]);
    let style = style.as_ref().and_then(Value::as_str).unwrap_or("linear").to_owned();
    schedule.insert("warmup_steps".to_owned(), warmup.unwrap_or_else(|| 200.into()));
    schedule.insert("total_steps".to_owned(), steps.into());
    match share {
        Some(share) if (0.0..=1.0).contains(&share) => {
            let decay = crate::number::count(share * crate::number::float(steps));
            let shape = if style == "sqrt" { "minus_sqrt" } else { &style };
            schedule.insert("kind".to_owned(), "wsd".into());
            schedule.insert("decay_steps".to_owned(), decay.unwrap_or(0).into());
            schedule.insert("decay_shape".to_owned(), shape.into());
        }
        // A square root has no kind of its own: it is a decay that begins where the warm-up ends.
        _ if style == "sqrt" => {
            let warmup = schedule["warmup_steps"].as_u64().unwrap_or(0);
            schedule.insert("kind".to_owned(), "wsd".into());
            schedule.insert("decay_steps".to_owned(), steps.saturating_sub(warmup).into());
            schedule.insert("decay_shape".to_owned(), "minus_sqrt".into());
        }
        _ => drop(schedule.insert("kind".to_owned(), style.into())),
    }
    schedule
}
