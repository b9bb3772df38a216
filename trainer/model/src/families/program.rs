//! Candle's programs behind one face.

use std::collections::HashMap;
use std::error::Error;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::{gemma, gemma2, gemma3, phi, phi3};
use sekisho_weights::{Checkpoint, Family, ModelConfig};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::ModelError;

/// Tokens given to a program at a time; bounds the memory of attention scores, which candle keeps whole.
const ROWS: usize = 512;

/// A program with its weights and the keys and values of what it has read. A copy shares all of that.
#[derive(Clone)]
pub(super) enum Program {
    Gemma(gemma::Model),
    Gemma2(gemma2::Model),
    Gemma3(gemma3::Model),
    Phi(phi::Model),
    Phi3(phi3::Model),
}

impl Program {
    /// Reads the tensors that the configuration asks for.
    ///
    /// # Errors
    /// As [`super::Candle::from_checkpoint`].
    pub(super) fn load(checkpoint: &Checkpoint) -> Result<Self, ModelError> {
        let config = checkpoint.config();
        let failed = |error: candle_core::Error| failed(config, &error);
        let mut tensors = HashMap::new();
        for (name, shape) in config.expected_tensors() {
            let values = checkpoint.tensor_f32(&name)?;
            tensors.insert(name, Tensor::from_vec(values, shape, &Device::Cpu).map_err(failed)?);
        }
        let weights = VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu);
        Self::new(config, weights)?.map_err(failed)
    }

    /// The outer error is a family that is not candle's, or that it reads in another way.
    fn new(config: &ModelConfig, weights: VarBuilder<'_>) -> Result<candle_core::Result<Self>, ModelError> {
        Ok(match config.family {
            Family::Gemma => gemma::Model::new(false, &settings(config)?, weights).map(Self::Gemma),
            Family::Gemma2 { .. } => gemma2::Model::new(false, &settings(config)?, weights).map(Self::Gemma2),
            Family::Gemma3 { .. } => gemma3::Model::new(false, &settings(config)?, weights).map(Self::Gemma3),
            Family::Phi { .. } => phi::Model::new(&settings(config)?, weights).map(Self::Phi),
            Family::Phi3 { .. } => phi3::Model::new(&settings(config)?, weights).map(Self::Phi3),
            Family::Llama | Family::Mistral | Family::Qwen2 | Family::Qwen3 => {
                return Err(ModelError::OtherEngine { model_type: config.family.model_type() });
            }
        })
    }

    /// Reads `tokens [n]`, n > 0, behind the `start` tokens it has read; the logits `[vocabulary]` after the last one.
    ///
    /// # Errors
    /// What candle says.
    pub(super) fn read(&mut self, tokens: &[u32], start: usize) -> candle_core::Result<Vec<f32>> {
        let tokens = Tensor::from_slice(tokens, (1, tokens.len()), &Device::Cpu)?;
        let logits = match self {
            Self::Gemma(model) => model.forward(&tokens, start),
            Self::Gemma2(model) => model.forward(&tokens, start),
            Self::Gemma3(model) => model.forward(&tokens, start),
            // It counts by itself.
            Self::Phi(model) => model.forward(&tokens),
            Self::Phi3(model) => model.forward(&tokens, start),
        }?;
        logits.flatten_all()?.to_vec1()
    }

    /// Most tokens of a call behind `read` others. Gemma 3's program puts values of several heads away only when they are of
    /// one token (`slice_set` wants them contiguous); Phi's mask knows of nothing before the call.
    pub(super) fn rows(&self, config: &ModelConfig, read: usize) -> usize {
        match self {
            Self::Gemma3(_) if config.num_key_value_heads > 1 => 1,
            Self::Phi(_) if read == 0 => config.longest(),
            Self::Phi(_) => 1,
            _ => ROWS,
        }
    }

    /// Whether it writes keys and values into an array that its copies share (`candle_nn::kv_cache::KvCache`, whose
    /// `slice_set` changes a tensor behind every copy), so that two copies that read on would overwrite each other's. The
    /// others make new arrays.
    pub(super) fn grows_in_place(&self) -> bool {
        matches!(self, Self::Gemma3(_))
    }
}

/// Candle's error as ours, without the places in its code.
pub(super) fn failed(config: &ModelConfig, error: &dyn Error) -> ModelError {
    let reason = error.to_string().lines().next().unwrap_or_default().to_owned();
    ModelError::Candle { model_type: config.family.model_type(), reason }
}

/// The configuration in candle's words.
fn settings<T: DeserializeOwned>(config: &ModelConfig) -> Result<T, ModelError> {
    serde_json::from_value(keys(config)).map_err(|error| failed(config, &error))
}

/// All keys that candle's programs know, of which each takes its own. Whatever one of them ignores was refused when the
/// configuration was read; the window bounds sequences, and is none here.
fn keys(config: &ModelConfig) -> Value {
    let mut keys = json!({
        "vocab_size": config.vocab_size,
        "hidden_size": config.hidden_size,
        "intermediate_size": config.intermediate_size,
        "num_hidden_layers": config.num_hidden_layers,
        "num_attention_heads": config.num_attention_heads,
        "num_key_value_heads": config.num_key_value_heads,
        "head_dim": config.head_dim,
        "query_pre_attn_scalar": config.head_dim,
        "max_position_embeddings": config.longest(),
        "rope_theta": config.rope_theta,
        "rms_norm_eps": config.rms_norm_eps,
        "layer_norm_eps": config.rms_norm_eps,
        "tie_word_embeddings": config.tie_word_embeddings,
        "attention_bias": config.attention_bias,
        "qk_layernorm": false,
        "hidden_act": config.family.activation(),
    });
    if !matches!(config.family, Family::Gemma) {
        // Gemma's takes one of the two keys.
        keys["hidden_activation"] = json!(config.family.activation());
    }
    if let Family::Gemma3 { .. } = config.family {
        // Its arrays of keys and values have this length.
        keys["sliding_window"] = json!(config.longest());
    }
    if let (Some(keys), Value::Object(own)) = (keys.as_object_mut(), json!(config.family)) {
        // Without one, whole heads are turned.
        keys.extend(
            own.into_iter().filter(|(key, value)| key != "partial_rotary_factor" || *value != json!(1.0)),
        );
    }
    keys
}
