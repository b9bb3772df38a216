//! Whether the tensors of the shards are those that `config.json` asks for.

use std::collections::HashMap;

use crate::folder::{INDEX, Shard};
use crate::header::TensorEntry;
use crate::{Dtype, ModelConfig, Refusal};

pub(crate) const EMBEDDING: &str = "model.embed_tokens.weight";
pub(crate) const OUTPUT: &str = "lm_head.weight";

/// Refuses missing, unknown and misshapen tensors; answers notes on tolerated extra ones.
pub(crate) fn check(config: &ModelConfig, shards: &[Shard]) -> Result<Vec<String>, Refusal> {
    let mut found: HashMap<&str, (&str, &TensorEntry)> = HashMap::new();
    for shard in shards {
        for tensor in &shard.header.tensors {
            found.insert(&tensor.name, (&shard.opened.name, tensor));
        }
    }
    for (name, need) in config.expected_tensors() {
        let Some((file, tensor)) = found.remove(name.as_str()) else {
            let file = match shards {
                [shard] => shard.opened.name.clone(),
                _ => INDEX.to_owned(),
            };
            return Err(Refusal::TensorMissing { file, key: key_of_name(&name), tensor: name });
        };
        if tensor.shape != need {
            return Err(Refusal::ShapeMismatch {
                file: file.to_owned(),
                have: format!("{:?}", tensor.shape),
                need: format!("{need:?}"),
                key: key_of_shape(&name, &tensor.shape, &need),
                tensor: name,
            });
        }
        if !matches!(tensor.dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16) {
            let dtype = tensor.dtype.to_string();
            return Err(Refusal::Dtype { file: file.to_owned(), tensor: name, dtype });
        }
    }
    let mut extra: Vec<_> = found.into_values().collect();
    extra.sort_by(|a, b| a.1.name.cmp(&b.1.name));
    let mut notes = Vec::new();
    for (file, tensor) in extra {
        if !is_tolerated(config, tensor) {
            let key = key_of_name(&tensor.name);
            return Err(Refusal::TensorUnknown { file: file.to_owned(), tensor: tensor.name.clone(), key });
        }
        notes.push(format!("{file}: tensor {} is not used", tensor.name));
    }
    Ok(notes)
}

/// What exporters leave behind and readers ignore: rotary tables of transformers before 4.32, the second copy of tied
/// embeddings (compared byte for byte when the tensors are read), and tensors without elements.
fn is_tolerated(config: &ModelConfig, tensor: &TensorEntry) -> bool {
    let tied_copy = tensor.name == OUTPUT
        && config.tie_word_embeddings
        && tensor.shape == [config.vocab_size, config.hidden_size];
    let rotary = tensor.name.ends_with(".rotary_emb.inv_freq") && tensor.shape == [config.head_dim / 2];
    tied_copy || rotary || tensor.size == 0
}

/// The configuration key that decides whether a tensor of this name exists.
fn key_of_name(name: &str) -> &'static str {
    match name {
        OUTPUT => "tie_word_embeddings",
        _ if name.ends_with(".bias") && name.contains(".self_attn.") => "attention_bias",
        _ if name.ends_with(".bias") && name.contains(".mlp.") => "mlp_bias",
        _ if name.starts_with("model.layers.") => "num_hidden_layers",
        _ => "model_type",
    }
}

/// The configuration key behind the first dimension that differs.
fn key_of_shape(name: &str, have: &[usize], need: &[usize]) -> &'static str {
    let dimension = have.iter().zip(need).position(|(have, need)| have != need).unwrap_or(0);
    let rows = dimension == 0;
    match name {
        EMBEDDING | OUTPUT if rows => "vocab_size",
        _ if name.contains(".q_proj.") && rows => "num_attention_heads",
        _ if rows && (name.contains(".k_proj.") || name.contains(".v_proj.")) => "num_key_value_heads",
        _ if rows && name.contains(".qkv_proj.") => "num_key_value_heads",
        _ if (name.contains(".o_proj.") || name.contains(".dense.")) && !rows => "num_attention_heads",
        _ if name.contains(".fc2.") && !rows => "intermediate_size",
        _ if name.contains(".fc2.") => "hidden_size",
        _ if name.ends_with("_norm.weight") => "head_dim",
        _ if name.contains(".down_proj.") != rows && name.contains(".mlp.") => "intermediate_size",
        _ => "hidden_size",
    }
}
