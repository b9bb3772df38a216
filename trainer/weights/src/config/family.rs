//! Families of models: who computes them, what each says besides the dimensions that all share, and its tensors.

use serde::Serialize;

use super::ModelConfig;

/// The program that a checkpoint was made for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(tag = "model_type", rename_all = "snake_case")]
pub enum Family {
    /// `LlamaForCausalLM`.
    Llama,
    /// `MistralForCausalLM`: a Llama, perhaps with a window.
    Mistral,
    /// `Qwen2ForCausalLM`: a Llama with biases in q, k and v.
    Qwen2,
    /// `Qwen3ForCausalLM`: a Llama with norms over each head of q and k.
    Qwen3,
    /// `GemmaForCausalLM`.
    Gemma,
    /// `Gemma2ForCausalLM`.
    Gemma2 {
        /// Scores of attention are bent to stay below this.
        attn_logit_softcapping: Option<f64>,
        /// So are logits.
        final_logit_softcapping: Option<f64>,
    },
    /// `Gemma3ForCausalLM`: text alone.
    #[serde(rename = "gemma3_text")]
    Gemma3 {
        /// As [`Self::Gemma2`]'s.
        attn_logit_softcapping: Option<f64>,
        /// As [`Self::Gemma2`]'s.
        final_logit_softcapping: Option<f64>,
        /// Base of the rotary frequencies of layers with a window; `rope_theta` is that of the others.
        rope_local_base_freq: f64,
        /// Every so many-th layer has no window.
        sliding_window_pattern: usize,
    },
    /// `PhiForCausalLM` (Phi 1 and 2).
    Phi {
        /// Share of each head that is turned.
        partial_rotary_factor: f64,
    },
    /// `Phi3ForCausalLM` (Phi 3 and 4): a Llama whose matrices are joined.
    Phi3 {
        /// Share of each head that is turned.
        partial_rotary_factor: f64,
    },
}

impl Family {
    /// What `config.json` calls it.
    #[must_use]
    pub fn model_type(&self) -> &'static str {
        match self {
            Self::Llama => "llama",
            Self::Mistral => "mistral",
            Self::Qwen2 => "qwen2",
            Self::Qwen3 => "qwen3",
            Self::Gemma => "gemma",
            Self::Gemma2 { .. } => "gemma2",
            Self::Gemma3 { .. } => "gemma3_text",
            Self::Phi { .. } => "phi",
            Self::Phi3 { .. } => "phi3",
        }
    }

    /// The class of transformers that loads it.
    #[must_use]
    pub fn architecture(&self) -> &'static str {
        match self {
            Self::Llama => "LlamaForCausalLM",
            Self::Mistral => "MistralForCausalLM",
            Self::Qwen2 => "Qwen2ForCausalLM",
            Self::Qwen3 => "Qwen3ForCausalLM",
            Self::Gemma => "GemmaForCausalLM",
            Self::Gemma2 { .. } => "Gemma2ForCausalLM",
            Self::Gemma3 { .. } => "Gemma3ForCausalLM",
            Self::Phi { .. } => "PhiForCausalLM",
            Self::Phi3 { .. } => "Phi3ForCausalLM",
        }
    }

    /// What its feed-forward layer bends by, as transformers calls it.
    #[must_use]
    pub fn activation(&self) -> &'static str {
        match self {
            Self::Phi { .. } => "gelu_new",
            _ if self.is_gemma() => "gelu_pytorch_tanh",
            _ => "silu",
        }
    }

    /// Whether our Llama program computes it; all others go through candle.
    #[must_use]
    pub fn is_own(&self) -> bool {
        matches!(self, Self::Llama | Self::Mistral | Self::Qwen2 | Self::Qwen3)
    }

    pub(super) fn is_gemma(&self) -> bool {
        matches!(self, Self::Gemma | Self::Gemma2 { .. } | Self::Gemma3 { .. })
    }

    /// Share of each head that rotary embeddings turn.
    pub(super) fn turned(&self) -> f64 {
        match self {
            Self::Phi { partial_rotary_factor } | Self::Phi3 { partial_rotary_factor } => {
                *partial_rotary_factor
            }
            _ => 1.0,
        }
    }
}

/// A matrix: its name within the block, rows, columns, and whether it has a bias.
type Part = (&'static str, usize, usize, bool);

/// Names and shapes of a family's tensors. `prefix` is that of a layer, `model.layers.0`.
impl ModelConfig {
    /// The final norm and the output layer, which a tied model has not.
    pub(super) fn push_end(&self, tensors: &mut Vec<(String, Vec<usize>)>) {
        let phi = matches!(self.family, Family::Phi { .. });
        let norm = if phi { "model.final_layernorm" } else { "model.norm" };
        self.push_norm(norm, tensors);
        if !self.tie_word_embeddings {
            tensors.push(("lm_head.weight".to_owned(), vec![self.vocab_size, self.hidden_size]));
            if phi {
                tensors.push(("lm_head.bias".to_owned(), vec![self.vocab_size]));
            }
        }
    }

    pub(super) fn push_layer(&self, prefix: &str, tensors: &mut Vec<(String, Vec<usize>)>) {
        self.push_norm(&format!("{prefix}.input_layernorm"), tensors);
        for (block, parts) in [("self_attn", self.attention_parts()), ("mlp", self.mlp_parts())] {
            for (part, rows, columns, bias) in parts {
                tensors.push((format!("{prefix}.{block}.{part}.weight"), vec![rows, columns]));
                if bias {
                    tensors.push((format!("{prefix}.{block}.{part}.bias"), vec![rows]));
                }
            }
        }
        if matches!(self.family, Family::Qwen3 | Family::Gemma3 { .. }) {
            for norm in ["q_norm", "k_norm"] {
                tensors.push((format!("{prefix}.self_attn.{norm}.weight"), vec![self.head_dim]));
            }
        }
        let norms: &[&str] = match self.family {
            Family::Phi { .. } => &[],
            Family::Gemma2 { .. } | Family::Gemma3 { .. } => {
                &["post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm"]
            }
            _ => &["post_attention_layernorm"],
        };
        for norm in norms {
            self.push_norm(&format!("{prefix}.{norm}"), tensors);
        }
    }

    /// A norm over the hidden state; Phi's take the mean off and so have a bias.
    fn push_norm(&self, name: &str, tensors: &mut Vec<(String, Vec<usize>)>) {
        tensors.push((format!("{name}.weight"), vec![self.hidden_size]));
        if matches!(self.family, Family::Phi { .. }) {
            tensors.push((format!("{name}.bias"), vec![self.hidden_size]));
        }
    }

    fn attention_parts(&self) -> Vec<Part> {
        let hidden = self.hidden_size;
        let queries = self.num_attention_heads * self.head_dim;
        let keys = self.num_key_value_heads * self.head_dim;
        let (bias, output) = (self.attention_bias, self.output_bias());
        if matches!(self.family, Family::Phi3 { .. }) {
            return vec![("qkv_proj", queries + 2 * keys, hidden, bias), ("o_proj", hidden, queries, output)];
        }
        let last = if matches!(self.family, Family::Phi { .. }) { "dense" } else { "o_proj" };
        vec![
            ("q_proj", queries, hidden, bias),
            ("k_proj", keys, hidden, bias),
            ("v_proj", keys, hidden, bias),
            (last, hidden, queries, output),
        ]
    }

    fn mlp_parts(&self) -> Vec<Part> {
        let (hidden, ffn, bias) = (self.hidden_size, self.intermediate_size, self.mlp_bias);
        match self.family {
            Family::Phi { .. } => vec![("fc1", ffn, hidden, bias), ("fc2", hidden, ffn, bias)],
            Family::Phi3 { .. } => {
                vec![("gate_up_proj", 2 * ffn, hidden, bias), ("down_proj", hidden, ffn, bias)]
            }
            _ => vec![
                ("gate_proj", ffn, hidden, bias),
                ("up_proj", ffn, hidden, bias),
                ("down_proj", hidden, ffn, bias),
            ],
        }
    }
}
