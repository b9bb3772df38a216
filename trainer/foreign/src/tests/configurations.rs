use serde_json::{Value, json};

use super::fixture;
use crate::configuration::{self, Configuration};
use crate::{Source, configuration as read, warnings};

const TITAN: &str = r#"
[job]
description = "Llama 3 8B"
[model]
name = "llama3"
flavor = "8B"
hf_assets_path = "./assets/Llama-3.1-8B"
[optimizer]
name = "AdamW"
lr = 3e-4
eps = 1e-5
[lr_scheduler]
warmup_steps = 200
decay_ratio = 0.1
decay_type = "sqrt"
[training]
local_batch_size = 1
global_batch_size = 512
seq_len = 8192
max_norm = 1.0
steps = 10_000
dataset = "c4"
[parallelism]
tensor_parallel_degree = 8
[checkpoint]
interval = 500
"#;

const NANOTRON: &str = "
general:
  project: llama
  run: llama-8b
  seed: 42
model:
  dtype: bfloat16
  init_method: { std: 0.02 }
  model_config: { hidden_size: 4096, num_hidden_layers: 32, num_attention_heads: 32, num_key_value_heads: 8, intermediate_size: 14336, vocab_size: 128256, tie_word_embeddings: false }
optimizer:
  clip_grad: 1.0
  weight_decay: 0.1
  optimizer_factory: { adam_beta1: 0.9, adam_beta2: 0.95, adam_eps: 1e-5, name: adamW }
  learning_rate_scheduler: { learning_rate: 0.0003, lr_warmup_steps: 2000, lr_decay_style: 1-sqrt, lr_decay_starting_step: 9000, lr_decay_steps: 1000, min_decay_lr: 0 }
parallelism: { dp: 64, tp: 2, pp: 1 }
tokens: { batch_accumulation_per_replica: 4, micro_batch_size: 2, sequence_length: 4096, train_steps: 10000 }
data_stages:
  - name: stable
    start_training_step: 1
    data:
      seed: 6
      dataset: { dataset_folder: [/data/ja, /data/en], dataset_weights: [0.25, 0.75] }
";

const OURS: &str = r#"
name = "mini"
[model]
hidden_size = 256
[data]
sequence_length = 512
[[data.mix]]
name = "aozora"
path = "aozora.jsonl"
level = "L1"
[batch]
sequences = 32
[optimizer]
lr = 3e-4
[schedule]
kind = "wsd"
decay_steps = 200
[stop]
steps = 1000
"#;

fn of(text: &str) -> Configuration {
    read("pasted", text, None).expect("a configuration")
}

#[test]
fn whose_a_text_is_is_told_by_itself() {
    let script = String::from_utf8(fixture("launch.sh")).expect("UTF-8");
    for (text, source) in [
        (TITAN, Source::Torchtitan),
        (NANOTRON, Source::Nanotron),
        (OURS, Source::Sekisho),
        (script.as_str(), Source::Megatron),
        ("python pretrain_gpt.py --num-layers 32 --adam-eps 1e-5", Source::Megatron),
    ] {
        assert_eq!(of(text).source, source, "{text}");
        assert_eq!(Source::of(source.as_str()), Some(source));
    }
}

#[test]
fn torchtitan_says_the_same_in_the_contracts_names() {
    let found = of(TITAN);
    let spec = &found.spec;
    assert_eq!(
        spec["optimizer"],
        json!({ "lr": 3e-4, "eps": 1e-5, "weight_decay": 0.1, "clip": 1.0, "betas": [0.9, 0.95] })
    );
    assert_eq!(
        spec["schedule"],
        json!({ "kind": "wsd", "warmup_steps": 200, "total_steps": 10_000, "decay_steps": 1000, "decay_shape": "minus_sqrt" })
    );
    assert_eq!(spec["other"]["parallelism"]["tensor_parallel_degree"], 8);
    assert_eq!(spec["other"]["training"], Value::Null, "everything of it found its place");
    assert_eq!(found.tokens(), Some(10_000 * 512 * 8192));
    assert!(warnings(spec, None).iter().any(|warning| warning.code == "adam-epsilon"));
}

#[test]
fn nanotron_says_the_same_in_the_contracts_names() {
    let found = of(NANOTRON);
    let spec = &found.spec;
    assert_eq!((&spec["name"], &spec["seed"]), (&json!("llama-8b"), &json!(42)));
    assert_eq!(spec["batch"], json!({ "micro": 2, "sequences": 512 }));
    assert_eq!(
        spec["schedule"],
        json!({ "kind": "wsd", "warmup_steps": 2000, "total_steps": 10_000, "decay_steps": 1000, "decay_shape": "minus_sqrt" })
    );
    assert_eq!(spec["data"]["mix"][1], json!({ "name": "en", "path": "/data/en", "weight": 0.75 }));
    assert_eq!(spec["precision"]["forward"], "bf16");
    let told: Vec<_> = warnings(spec, None).iter().map(|warning| warning.code).collect();
    assert_eq!(told, ["adam-epsilon"], "{:#}", spec["optimizer"]);
}

#[test]
fn a_decay_that_names_no_share_begins_where_the_warm_up_ends() {
    let schedule = |text: &str| of(text).spec["schedule"].clone();
    let spec = of(&TITAN.replace("decay_ratio = 0.1", "min_lr_factor = 0.1")).spec;
    assert_eq!(
        spec["schedule"],
        json!({ "kind": "wsd", "warmup_steps": 200, "total_steps": 10_000, "decay_steps": 9800, "decay_shape": "minus_sqrt" })
    );
    assert!((spec["optimizer"]["min_lr"].as_f64().expect("a rate") - 3e-5).abs() < 1e-12);
    let older = of(&TITAN.replace("decay_ratio = 0.1", "lr_min = 0.5")).spec;
    assert_eq!(older["optimizer"]["min_lr"], 1.5e-4);
    let whole = NANOTRON.replace(", lr_decay_starting_step: 9000, lr_decay_steps: 1000", "");
    assert_eq!(
        schedule(&whole),
        json!({ "kind": "wsd", "warmup_steps": 2000, "total_steps": 10_000, "decay_steps": 8000, "decay_shape": "minus_sqrt" })
    );
}

#[test]
fn what_nanotron_leaves_to_its_defaults_is_said() {
    let bare = "learning_rate_scheduler: { learning_rate: 0.0003, lr_warmup_steps: 2000 }";
    let (before, after) = NANOTRON.split_once("learning_rate_scheduler: {").expect("a scheduler");
    let text = format!("{before}{bare}{}", after.split_once('}').expect("its end").1);
    let spec = of(&text).spec;
    assert_eq!(spec["schedule"], json!({ "kind": "linear", "warmup_steps": 2000, "total_steps": 10_000 }));
    assert_eq!(spec["optimizer"]["min_lr"], 3e-4, "without min_decay_lr nothing decays");
}

#[test]
fn a_specification_made_from_another_trainers_gets_no_defaults_of_ours() {
    let spec = of(&format!("trainer = \"megatron\"\n{OURS}")).spec;
    assert_eq!((&spec["seed"], &spec["optimizer"]["eps"]), (&Value::Null, &Value::Null));
}

#[test]
fn our_own_has_nothing_left_to_a_default() {
    let spec = of(OURS).spec;
    assert_eq!((&spec["seed"], &spec["optimizer"]["eps"]), (&json!(42), &json!(1e-8)));
    assert_eq!((&spec["schedule"]["total_steps"], &spec["batch"]["micro"]), (&json!(1000), &json!(32)));
    let error =
        read("pasted", &OURS.replace("[stop]", "[stopp]"), Some(Source::Sekisho)).expect_err("a slip");
    assert!(error.to_string().contains("did you mean \"stop\""), "{error}");
}

#[test]
fn a_child_makes_the_tokens_after_its_parents() {
    let spec = json!({ "parent": { "run": "a", "step": 800 }, "stop": { "steps": 1000 }, "batch": { "sequences": 2 }, "data": { "sequence_length": 10 } });
    assert_eq!(configuration::tokens(&spec), Some(200 * 20));
    let mut again = spec.clone();
    again["parent"]["reset_steps"] = true.into();
    assert_eq!(configuration::tokens(&again), Some(1000 * 20));
    let told =
        |planned| warnings(&spec, Some(planned)).iter().any(|warning| warning.code == "tokens-mismatch");
    assert!(!told(200 * 20) && told(1000 * 20), "the planned end is that of its own stage");
}

#[test]
fn what_cannot_be_read_says_where() {
    let refused = |text: &str, source| read("pasted", text, Some(source)).expect_err(text).to_string();
    assert!(refused("[training]\nsteps = \n", Source::Torchtitan).starts_with("pasted, line 2: "));
    assert!(refused("a: [1\nb: 2", Source::Nanotron).contains("is not YAML"));
    assert!(refused("just words", Source::Nanotron).contains("no YAML mapping"));
    assert!(refused(" \n", Source::Sekisho).contains("is empty"));
    assert!(refused("hello", Source::Megatron).contains("--num-layers"));
}
