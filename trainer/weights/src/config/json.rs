//! `config.json` in both dialects: transformers 4 (`rope_theta`, `rope_scaling`, `torch_dtype`) and 5 (`rope_parameters`, `dtype`).

use serde_json::{Map, Value, json};

use super::{ConfigError, Family, ModelConfig, RopeScaling};
use crate::strict_json;

/// Larger dimensions are a mistake or an attack: the list of expected tensors stays small and no product overflows.
const MOST_LAYERS: usize = 4096;
const LARGEST: usize = 1 << 24;

pub(super) fn read(file: &str, text: &str) -> Result<ModelConfig, ConfigError> {
    let value = strict_json::parse(text)
        .map_err(|error| ConfigError::Json { file: file.to_owned(), reason: error.to_string() })?;
    let Value::Object(map) = value else {
        return Err(ConfigError::Json { file: file.to_owned(), reason: "it is not an object".to_owned() });
    };
    let keys = Keys { file, map: &map };
    let family = keys.family()?;
    keys.supported(family)?;
    let heads = keys.size("num_attention_heads")?;
    let hidden = keys.size("hidden_size")?;
    let (eos, other_eos) = keys.eos()?;
    let config = ModelConfig {
        family,
        vocab_size: keys.size("vocab_size")?,
        hidden_size: hidden,
        num_hidden_layers: keys.size("num_hidden_layers")?,
        num_attention_heads: heads,
        num_key_value_heads: keys.key_heads(family, heads)?,
        head_dim: keys.head_dim(family, hidden, heads)?,
        intermediate_size: keys.size("intermediate_size")?,
        max_position_embeddings: keys.size("max_position_embeddings")?,
        window: keys.window(family)?,
        rope_theta: keys.rope_theta()?,
        rope_scaling: keys.rope_scaling()?,
        rms_norm_eps: keys.epsilon(family)?,
        tie_word_embeddings: keys.tied(family)?,
        attention_bias: keys.attention_bias(family)?,
        mlp_bias: keys.mlp_bias(family)?,
        bos_token_id: keys.token("bos_token_id")?,
        eos_token_id: eos,
        other_eos_token_ids: other_eos,
        scaled_embedding: false,
    };
    keys.dimensions_agree(&config)?;
    keys.computed(&config)?;
    Ok(config)
}

pub(super) fn write(config: &ModelConfig, dtype: &str) -> Value {
    let scaling = config.rope_scaling.map(|s| {
        json!({
            "rope_type": "llama3",
            "factor": s.factor,
            "low_freq_factor": s.low_freq_factor,
            "high_freq_factor": s.high_freq_factor,
            "original_max_position_embeddings": s.original_max_position_embeddings,
        })
    });
    let mut rope = scaling.clone().unwrap_or_else(|| json!({"rope_type": "default"}));
    rope["rope_theta"] = json!(config.rope_theta);
    let eos = match config.eos_token_ids().as_slice() {
        [] => Value::Null,
        [one] => json!(one),
        several => json!(several),
    };
    let mut keys = json!({
        "architectures": [config.family.architecture()],
        "model_type": config.family.model_type(),
        "hidden_act": config.family.activation(),
        "vocab_size": config.vocab_size,
        "hidden_size": config.hidden_size,
        "num_hidden_layers": config.num_hidden_layers,
        "num_attention_heads": config.num_attention_heads,
        "num_key_value_heads": config.num_key_value_heads,
        "head_dim": config.head_dim,
        "intermediate_size": config.intermediate_size,
        "max_position_embeddings": config.max_position_embeddings,
        "rope_theta": config.rope_theta,
        "rope_scaling": scaling,
        "rope_parameters": rope,
        "rms_norm_eps": config.rms_norm_eps,
        "tie_word_embeddings": config.tie_word_embeddings,
        "attention_bias": config.attention_bias,
        "mlp_bias": config.mlp_bias,
        "bos_token_id": config.bos_token_id,
        "eos_token_id": eos,
        "torch_dtype": dtype,
        "dtype": dtype,
    });
    match config.family {
        Family::Llama => {}
        // Here null means that there is none; without the key transformers takes 4096.
        Family::Mistral => keys["sliding_window"] = json!(config.window),
        // Which layers have it is not known here, so a Qwen's is written as that of all.
        _ => {
            keys["use_sliding_window"] = json!(config.window.is_some());
            keys["sliding_window"] = json!(config.window);
            keys["max_window_layers"] =
                json!(if config.window.is_some() { 0 } else { config.num_hidden_layers });
        }
    }
    keys
}

pub(super) struct Keys<'a> {
    file: &'a str,
    pub(super) map: &'a Map<String, Value>,
}

impl Keys<'_> {
    pub(super) fn invalid(&self, key: &'static str, value: &Value, rule: &str) -> ConfigError {
        ConfigError::Invalid {
            file: self.file.to_owned(),
            key,
            value: value.to_string(),
            rule: rule.to_owned(),
        }
    }

    pub(super) fn unsupported(&self, key: &'static str, value: &Value, rule: &str) -> ConfigError {
        ConfigError::Unsupported {
            file: self.file.to_owned(),
            key,
            value: value.to_string(),
            rule: rule.to_owned(),
        }
    }

    pub(super) fn missing(&self, key: &'static str) -> ConfigError {
        ConfigError::Missing { file: self.file.to_owned(), key }
    }

    /// A key that is there and not null.
    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    pub(super) fn size(&self, key: &'static str) -> Result<usize, ConfigError> {
        let value = self.get(key).ok_or_else(|| self.missing(key))?;
        value
            .as_u64()
            .and_then(|n| usize::try_from(n).ok())
            .filter(|n| (1..=LARGEST).contains(n))
            .ok_or_else(|| self.invalid(key, value, "it must be a whole number between 1 and 16,777,216"))
    }

    pub(super) fn size_or(&self, key: &'static str, default: usize) -> Result<usize, ConfigError> {
        if self.get(key).is_some() { self.size(key) } else { Ok(default) }
    }

    pub(super) fn positive(&self, key: &'static str) -> Result<f64, ConfigError> {
        let value = self.get(key).ok_or_else(|| self.missing(key))?;
        self.positive_value(key, value)
    }

    pub(super) fn positive_value(&self, key: &'static str, value: &Value) -> Result<f64, ConfigError> {
        value
            .as_f64()
            .filter(|x| x.is_finite() && *x > 0.0)
            .ok_or_else(|| self.invalid(key, value, "it must be a number above 0"))
    }

    pub(super) fn flag(&self, key: &'static str) -> Result<bool, ConfigError> {
        match self.get(key) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(value) => Err(self.invalid(key, value, "it must be true or false")),
        }
    }

    fn token(&self, key: &'static str) -> Result<Option<u32>, ConfigError> {
        self.get(key).map(|value| self.token_value(key, value)).transpose()
    }

    fn token_value(&self, key: &'static str, value: &Value) -> Result<u32, ConfigError> {
        let id = value.as_u64().and_then(|id| u32::try_from(id).ok());
        id.ok_or_else(|| self.invalid(key, value, "it must be a token id or null"))
    }

    fn eos(&self) -> Result<(Option<u32>, Vec<u32>), ConfigError> {
        let Some(Value::Array(list)) = self.get("eos_token_id") else {
            return Ok((self.token("eos_token_id")?, Vec::new()));
        };
        let ids: Result<Vec<u32>, _> = list.iter().map(|id| self.token_value("eos_token_id", id)).collect();
        let mut ids = ids?.into_iter();
        Ok((ids.next(), ids.collect()))
    }

    fn rope_theta(&self) -> Result<f64, ConfigError> {
        let rope = self.get("rope_parameters");
        // Gemma 3 has a base for each kind of layer.
        let new = rope.and_then(|rope| rope.get("rope_theta")).filter(|v| !v.is_null());
        let new = new.or_else(|| self.rope_of("full_attention"));
        match (self.get("rope_theta"), new) {
            (None, None) => Err(self.missing("rope_theta")),
            (Some(value), None) | (None, Some(value)) => self.positive_value("rope_theta", value),
            (Some(old), Some(new)) => {
                let theta = self.positive_value("rope_theta", old)?;
                if self.positive_value("rope_theta", new)?.to_bits() == theta.to_bits() {
                    return Ok(theta);
                }
                Err(self.differs("rope_theta", old, new))
            }
        }
    }

    fn differs(&self, key: &'static str, old: &Value, new: &Value) -> ConfigError {
        ConfigError::Differs { file: self.file.to_owned(), key, old: old.to_string(), new: new.to_string() }
    }

    /// `rope_scaling` and the same settings inside `rope_parameters` must agree where both are there.
    fn rope_scaling(&self) -> Result<Option<RopeScaling>, ConfigError> {
        let (old, new) = (self.get("rope_scaling"), self.get("rope_parameters"));
        let read = |value| self.scaling(value);
        match (old, new) {
            (None, None) => Ok(None),
            (Some(value), None) | (None, Some(value)) => read(value),
            (Some(old), Some(new)) => {
                let (first, second) = (read(old)?, read(new)?);
                if first == second { Ok(first) } else { Err(self.differs("rope_scaling", old, new)) }
            }
        }
    }

    fn scaling(&self, value: &Value) -> Result<Option<RopeScaling>, ConfigError> {
        for layers in ["full_attention", "sliding_attention"] {
            if let Some(scaling) = value.get(layers).map(|value| self.scaling(value)).transpose()?.flatten() {
                return Ok(Some(scaling));
            }
        }
        let kind = value.get("rope_type").or_else(|| value.get("type"));
        match kind.and_then(Value::as_str) {
            Some("default") => Ok(None),
            None if kind.is_none() && value.is_object() => Ok(None),
            Some("llama3") => self.llama3(value).map(Some),
            _ => Err(self.unsupported("rope_scaling", value, "known are \"default\" and \"llama3\"")),
        }
    }

    fn llama3(&self, value: &Value) -> Result<RopeScaling, ConfigError> {
        let number = |key: &'static str| self.positive_value(key, value.get(key).unwrap_or(&Value::Null));
        let context = value.get("original_max_position_embeddings").and_then(Value::as_u64);
        let scaling = RopeScaling {
            factor: number("factor")?,
            low_freq_factor: number("low_freq_factor")?,
            high_freq_factor: number("high_freq_factor")?,
            original_max_position_embeddings: context.and_then(|n| usize::try_from(n).ok()).unwrap_or(0),
        };
        if scaling.original_max_position_embeddings == 0
            || scaling.high_freq_factor <= scaling.low_freq_factor
        {
            let rule =
                "llama3 needs original_max_position_embeddings, and high_freq_factor above low_freq_factor";
            return Err(self.invalid("rope_scaling", value, rule));
        }
        Ok(scaling)
    }

    fn dimensions_agree(&self, config: &ModelConfig) -> Result<(), ConfigError> {
        let wrong = |key, value: usize, rule: String| {
            Err(ConfigError::Invalid { file: self.file.to_owned(), key, value: value.to_string(), rule })
        };
        if config.num_hidden_layers > MOST_LAYERS {
            return wrong(
                "num_hidden_layers",
                config.num_hidden_layers,
                format!("it must be at most {MOST_LAYERS}"),
            );
        }
        let heads = config.num_attention_heads;
        if self.get("head_dim").is_none() && !config.hidden_size.is_multiple_of(heads) {
            let rule = format!("without \"head_dim\" it must be a multiple of num_attention_heads ({heads})");
            return wrong("hidden_size", config.hidden_size, rule);
        }
        if !heads.is_multiple_of(config.num_key_value_heads) {
            let rule = format!("it must divide num_attention_heads ({heads})");
            return wrong("num_key_value_heads", config.num_key_value_heads, rule);
        }
        if config.head_dim == 0 || !config.head_dim.is_multiple_of(2) || config.head_dim * heads > LARGEST {
            let rule = format!("it must be even, and with {heads} heads at most {LARGEST} wide together");
            return wrong("head_dim", config.head_dim, rule);
        }
        Ok(())
    }
}
