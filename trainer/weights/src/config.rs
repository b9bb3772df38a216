//! The configuration of a language model, from and to Hugging Face's `config.json`.
//!
//! Invariant: a value that changes a number the model computes is read from the file or refused, never guessed. In
//! particular there is no default for `rope_theta` (a silent 10,000 has ruined published scores) and none for
//! `rms_norm_eps`. The few defaults are those of transformers' configurations for keys that it leaves out itself.

mod family;
mod json;
mod read_family;

use serde::Serialize;
use serde_json::{Value, json};

pub use family::Family;

/// A `config.json` that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Not JSON, or a key is there twice.
    #[error("{file} cannot be read as JSON: {reason}. Write it again with the trainer's own exporter.")]
    Json {
        /// The file as the user knows it.
        file: String,
        /// What the parser says.
        reason: String,
    },
    /// A key without which the model is not defined.
    #[error("{file} lacks \"{key}\". It must be there: a guessed value would change every result.")]
    Missing {
        /// The file.
        file: String,
        /// The key.
        key: &'static str,
    },
    /// A value that breaks a rule.
    #[error("{file}: \"{key}\" is {value}; {rule}.")]
    Invalid {
        /// The file.
        file: String,
        /// The key.
        key: &'static str,
        /// The value found.
        value: String,
        /// The rule, as "it must be …".
        rule: String,
    },
    /// Two spellings of one setting that disagree.
    #[error(
        "{file} gives {key} twice with different values: \"{key}\" is {old}, \"rope_parameters\" says {new}. Keep the one the model was trained with."
    )]
    Differs {
        /// The file.
        file: String,
        /// `rope_theta` or `rope_scaling`.
        key: &'static str,
        /// The value in the older place.
        old: String,
        /// The value in `rope_parameters`.
        new: String,
    },
    /// A kind of model that Sekisho does not compute.
    #[error("{file}: \"{key}\" is {value}, which is not supported; {rule}.")]
    Unsupported {
        /// The file.
        file: String,
        /// The key.
        key: &'static str,
        /// The value found.
        value: String,
        /// What is supported.
        rule: String,
    },
}

/// Llama 3.1's stretching of the rotary frequencies (`rope_type` = `llama3`).
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct RopeScaling {
    /// Long wavelengths are divided by this.
    pub factor: f64,
    /// Below `original_max_position_embeddings / low_freq_factor` turns, a frequency is scaled in full.
    pub low_freq_factor: f64,
    /// Above `original_max_position_embeddings / high_freq_factor` turns, a frequency stays as it is.
    pub high_freq_factor: f64,
    /// Context of the model before it was stretched.
    pub original_max_position_embeddings: usize,
}

/// Dimensions and constants of a model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelConfig {
    /// What kind of model it is.
    #[serde(flatten)]
    pub family: Family,
    /// Rows of the embedding.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Transformer layers.
    pub num_hidden_layers: usize,
    /// Query heads.
    pub num_attention_heads: usize,
    /// Key and value heads; divides `num_attention_heads`.
    pub num_key_value_heads: usize,
    /// Width of a head; even, because rotary embeddings turn pairs.
    pub head_dim: usize,
    /// Width of the feed-forward layer.
    pub intermediate_size: usize,
    /// Longest sequence.
    pub max_position_embeddings: usize,
    /// Tokens that attention sees in the layers that have a window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<usize>,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
    /// Llama 3.1 scaling, if any.
    pub rope_scaling: Option<RopeScaling>,
    /// Added to the mean square, in Phi to the variance, before the root.
    pub rms_norm_eps: f64,
    /// Whether the output layer is the embedding.
    pub tie_word_embeddings: bool,
    /// Biases in q, k, v and, except in Qwen 2, o.
    pub attention_bias: bool,
    /// Biases in the feed-forward layer.
    pub mlp_bias: bool,
    /// Beginning of sequence.
    pub bos_token_id: Option<u32>,
    /// End of sequence; the first one where the file lists several.
    pub eos_token_id: Option<u32>,
    /// The further ones of a list (Llama 3.1 has three).
    pub other_eos_token_ids: Vec<u32>,
    /// Embeddings times √hidden. Ours, set by a run specification; never in a `config.json`, where the export has folded
    /// the factor into the weights.
    pub scaled_embedding: bool,
}

impl ModelConfig {
    /// Reads the text of a `config.json`; `file` is its name in messages.
    ///
    /// # Errors
    /// [`ConfigError`] names the key, the rule and the way on.
    pub fn from_json(file: &str, text: &str) -> Result<Self, ConfigError> {
        json::read(file, text)
    }

    /// The object for `config.json`. Rope settings are written in both spellings (`rope_theta` and `rope_scaling` for
    /// transformers 4, `rope_parameters` for 5), and so is `dtype`, e.g. `bfloat16`.
    #[must_use]
    pub fn to_hf_json(&self, dtype: &str) -> Value {
        json::write(self, dtype)
    }

    /// The resolved configuration that goes into a checkpoint's digest: the same for both spellings.
    #[must_use]
    pub fn canonical(&self) -> Value {
        let mut canonical = json!({
            "vocab_size": self.vocab_size,
            "hidden_size": self.hidden_size,
            "num_hidden_layers": self.num_hidden_layers,
            "num_attention_heads": self.num_attention_heads,
            "num_key_value_heads": self.num_key_value_heads,
            "head_dim": self.head_dim,
            "intermediate_size": self.intermediate_size,
            "max_position_embeddings": self.max_position_embeddings,
            "rope_theta": self.rope_theta,
            "rope_scaling": self.rope_scaling,
            "rms_norm_eps": self.rms_norm_eps,
            "tie_word_embeddings": self.tie_word_embeddings,
            "attention_bias": self.attention_bias,
            "mlp_bias": self.mlp_bias,
            "bos_token_id": self.bos_token_id,
            "eos_token_ids": self.eos_token_ids(),
            "scaled_embedding": self.scaled_embedding,
        });
        if let (Some(canonical), Value::Object(family)) = (canonical.as_object_mut(), json!(self.family)) {
            canonical.extend(family);
            canonical.extend(self.window.map(|window| ("sliding_window".to_owned(), json!(window))));
        }
        canonical
    }

    /// The window of every layer, which our program computes. Families that have one in some layers alone are computed up to it.
    #[must_use]
    pub fn window_of_all(&self) -> Option<usize> {
        self.window.filter(|_| self.family == Family::Mistral)
    }

    /// The longest sequence that is computed as it was meant: the context, and no further than a window of some layers.
    #[must_use]
    pub fn longest(&self) -> usize {
        let bound = self.window.filter(|_| self.window_of_all().is_none());
        bound.map_or(self.max_position_embeddings, |window| window.min(self.max_position_embeddings))
    }

    /// Whether the matrix behind attention has a bias.
    #[must_use]
    pub fn output_bias(&self) -> bool {
        self.attention_bias && self.family != Family::Qwen2
    }

    /// Every end-of-sequence token; generation stops at any of them.
    #[must_use]
    pub fn eos_token_ids(&self) -> Vec<u32> {
        self.eos_token_id.iter().chain(&self.other_eos_token_ids).copied().collect()
    }

    /// Names (Hugging Face's) and shapes (rows, columns as stored) of the tensors this configuration asks for, sorted
    /// by layer. A tied model has no `lm_head.weight`.
    #[must_use]
    pub fn expected_tensors(&self) -> Vec<(String, Vec<usize>)> {
        let mut tensors =
            vec![("model.embed_tokens.weight".to_owned(), vec![self.vocab_size, self.hidden_size])];
        for layer in 0..self.num_hidden_layers {
            self.push_layer(&format!("model.layers.{layer}"), &mut tensors);
        }
        self.push_end(&mut tensors);
        tensors
    }

    /// All parameters; tied ones once.
    #[must_use]
    pub fn parameters(&self) -> u64 {
        self.expected_tensors().iter().map(|(_, shape)| elements(shape)).sum()
    }

    /// Parameters of the embedding, and of the output layer where it is its own.
    #[must_use]
    pub fn embedding_parameters(&self) -> u64 {
        let one = elements(&[self.vocab_size, self.hidden_size]);
        if self.tie_word_embeddings { one } else { 2 * one }
    }
}

fn elements(shape: &[usize]) -> u64 {
    shape.iter().map(|n| *n as u64).product()
}

#[cfg(test)]
mod tests;
