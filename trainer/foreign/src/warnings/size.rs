//! Parameters of the model that a specification describes.

use serde_json::Value;

use crate::number;

pub(super) struct Size {
    pub(super) parameters: u64,
    pub(super) experts: bool,
}

/// A Llama of the dimensions in `model`, with or without experts; none where a dimension is missing.
pub(super) fn of(spec: &Value) -> Option<Size> {
    let model = spec.get("model").filter(|model| model.is_object())?;
    let count = |key: &str| model[key].as_u64();
    let (layers, hidden) = (count("num_hidden_layers")?, count("hidden_size")?);
    let heads = count("num_attention_heads").filter(|heads| *heads > 0)?;
    let key_heads = count("num_key_value_heads").unwrap_or(heads);
    let dimension = count("head_dim").unwrap_or(hidden / heads);
    let experts = count("num_local_experts").filter(|experts| *experts > 1);
    // Of an expert in Megatron-LM; without it an expert is as wide as a dense layer.
    let wide =
        spec.pointer("/other/moe_ffn_hidden_size").and_then(Value::as_u64).filter(|_| experts.is_some());
    let wide = wide.or_else(|| count("intermediate_size"))?;
    let attention =
        hidden.checked_mul(dimension)?.checked_mul(heads.checked_add(key_heads)?.checked_mul(2)?)?;
    let feed_forward = hidden.checked_mul(wide)?.checked_mul(3)?.checked_mul(experts.unwrap_or(1))?;
    let layer = attention.checked_add(feed_forward)?;
    let tables = if model["tie_word_embeddings"] == true { 1 } else { 2 };
    let embeddings = count("vocab_size").unwrap_or(0).checked_mul(hidden)?.checked_mul(tables)?;
    let parameters = layers.checked_mul(layer)?.checked_add(embeddings)?;
    (parameters > 0).then_some(Size { parameters, experts: experts.is_some() })
}

/// `7.3B`, `152M`.
pub(super) fn billions(parameters: u64) -> String {
    let billions = number::float(parameters) / 1e9;
    match billions {
        b if b >= 100.0 => format!("{b:.0}B"),
        b if b >= 1.0 => format!("{b:.1}B"),
        b => format!("{:.0}M", b * 1000.0),
    }
}
