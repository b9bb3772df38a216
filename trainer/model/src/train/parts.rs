use sekisho_weights::config::{Family, ModelConfig};

use super::Layout;
use crate::backend::Weight;

/// Where the program's weights lie in the flat arrays.
pub(super) struct Parts {
    pub(super) embedding: Weight,
    pub(super) layers: Vec<LayerParts>,
    pub(super) norm: Weight,
    /// The embedding again where they are tied.
    pub(super) head: Weight,
}

/// Where a layer's weights lie.
pub(super) struct LayerParts {
    pub(super) input_norm: Weight,
    pub(super) q: Linear,
    pub(super) k: Linear,
    pub(super) v: Linear,
    /// Over each head of queries and of keys (Qwen 3).
    pub(super) head_norms: Option<[Weight; 2]>,
    pub(super) o: Linear,
    pub(super) middle_norm: Weight,
    pub(super) gate: Linear,
    pub(super) up: Linear,
    pub(super) down: Linear,
}

/// A linear layer.
#[derive(Clone, Copy)]
pub(super) struct Linear {
    pub(super) weight: Weight,
    pub(super) bias: Option<Weight>,
}

impl Parts {
    pub(super) fn new(config: &ModelConfig, layout: &Layout) -> Self {
        let find = |name: &str| layout.find(name).map(weight_of);
        let part = |name: &str| find(name).expect("the layout has every tensor of its configuration");
        let layer = |i: usize| {
            let part = |name: &str| part(&format!("model.layers.{i}.{name}.weight"));
            let linear = |name: &str| Linear {
                weight: part(name),
                bias: find(&format!("model.layers.{i}.{name}.bias")),
            };
            LayerParts {
                input_norm: part("input_layernorm"),
                q: linear("self_attn.q_proj"),
                k: linear("self_attn.k_proj"),
                v: linear("self_attn.v_proj"),
                head_norms: (config.family == Family::Qwen3)
                    .then(|| [part("self_attn.q_norm"), part("self_attn.k_norm")]),
                o: linear("self_attn.o_proj"),
                middle_norm: part("post_attention_layernorm"),
                gate: linear("mlp.gate_proj"),
                up: linear("mlp.up_proj"),
                down: linear("mlp.down_proj"),
            }
        };
        let embedding = part("model.embed_tokens.weight");
        Self {
            head: if config.tie_word_embeddings { embedding } else { part("lm_head.weight") },
            embedding,
            layers: (0..config.num_hidden_layers).map(layer).collect(),
            norm: part("model.norm.weight"),
        }
    }
}

fn weight_of(tensor: &super::Tensor) -> Weight {
    let columns = tensor.shape.last().copied().unwrap_or(0);
    Weight { start: tensor.range.start, rows: tensor.range.len() / columns.max(1), columns }
}
