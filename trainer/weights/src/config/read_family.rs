//! What is read of each family's own keys, and what is refused by name because the program that computes it would ignore it.

use serde_json::{Value, json};

use super::json::Keys;
use super::{ConfigError, Family, ModelConfig};

/// Whatever else there is.
const KNOWN: &str = "computed are llama, mistral and qwen2, and through candle qwen3, gemma, gemma2, gemma3_text, phi and phi3; score another model through a server of its own, `--engine URL`";
const ELSEWHERE: &str = "score this model through a server of its own, `--engine URL`";

impl Keys<'_> {
    /// The family that `model_type` names, with its own keys.
    pub(super) fn family(&self) -> Result<Family, ConfigError> {
        let kind = self.get("model_type").ok_or_else(|| self.missing("model_type"))?;
        Ok(match kind.as_str() {
            Some("llama") => Family::Llama,
            Some("mistral") => Family::Mistral,
            Some("qwen2") => Family::Qwen2,
            Some("qwen3") => Family::Qwen3,
            Some("gemma") => Family::Gemma,
            Some("gemma2") => Family::Gemma2 {
                attn_logit_softcapping: self.cap("attn_logit_softcapping", true)?,
                final_logit_softcapping: self.cap("final_logit_softcapping", true)?,
            },
            Some("gemma3_text") => Family::Gemma3 {
                attn_logit_softcapping: self.cap("attn_logit_softcapping", false)?,
                final_logit_softcapping: self.cap("final_logit_softcapping", false)?,
                rope_local_base_freq: self.local_theta()?,
                sliding_window_pattern: self.pattern()?,
            },
            Some("phi") => Family::Phi { partial_rotary_factor: self.rotary_share()? },
            Some("phi3") => Family::Phi3 { partial_rotary_factor: self.rotary_share()? },
            Some("gemma3") => {
                let rule = "that is Gemma 3 with images; save its text part alone, \"gemma3_text\"";
                return Err(self.unsupported("model_type", kind, rule));
            }
            _ => return Err(self.unsupported("model_type", kind, KNOWN)),
        })
    }

    /// Refuses what changes results and is not computed.
    pub(super) fn supported(&self, family: Family) -> Result<(), ConfigError> {
        if let Some(architectures) = self.get("architectures")
            && architectures != &json!([family.architecture()])
        {
            let rule = format!("a language model of this type is [{:?}]", family.architecture());
            return Err(self.unsupported("architectures", architectures, &rule));
        }
        for key in ["hidden_act", "hidden_activation"] {
            if let Some(activation) = self.get(key)
                && activation != family.activation()
            {
                let rule = format!("its feed-forward layer uses {:?} here", family.activation());
                return Err(self.unsupported(key, activation, &rule));
            }
        }
        for key in ["quantization_config", "num_local_experts"] {
            if let Some(value) = self.get(key) {
                return Err(self.unsupported(key, value, "only plain dense weights are computed"));
            }
        }
        if !matches!(family, Family::Phi { .. } | Family::Phi3 { .. }) {
            self.only(
                "partial_rotary_factor",
                self.rotary_factor(),
                &json!(1.0),
                "whole heads are turned, 1.0",
            )?;
        }
        match family {
            Family::Llama => self.only(
                "sliding_window",
                self.get("sliding_window"),
                &Value::Null,
                "only plain dense Llama weights are computed",
            ),
            Family::Phi { .. } => {
                self.only("qk_layernorm", self.get("qk_layernorm"), &json!(false), ELSEWHERE)?;
                self.only("tie_word_embeddings", self.get("tie_word_embeddings"), &json!(false), ELSEWHERE)
            }
            _ if family.is_gemma() => {
                let both = "use_bidirectional_attention";
                self.only(both, self.get(both), &json!(false), "a language model sees what stands before")?;
                self.only("tie_word_embeddings", self.get("tie_word_embeddings"), &json!(true), ELSEWHERE)
            }
            _ => Ok(()),
        }
    }

    /// Refuses what candle's program of a family would ignore, once the configuration is read.
    pub(super) fn computed(&self, config: &ModelConfig) -> Result<(), ConfigError> {
        if config.family.is_own() {
            return Ok(());
        }
        if config.rope_scaling.is_some() {
            let scaling = self.get("rope_scaling").or_else(|| self.get("rope_parameters"));
            let rule = format!("candle computes none of it here; {ELSEWHERE}");
            return Err(self.unsupported("rope_scaling", scaling.unwrap_or(&Value::Null), &rule));
        }
        if matches!(config.family, Family::Gemma2 { .. } | Family::Gemma3 { .. }) {
            let scalar = self.size("query_pre_attn_scalar")?;
            if scalar != config.head_dim {
                let rule = format!(
                    "candle scales scores by the width of a head, which is {}; {ELSEWHERE}",
                    config.head_dim
                );
                return Err(self.unsupported("query_pre_attn_scalar", &json!(scalar), &rule));
            }
        }
        let turned = config.family.turned() * config.head_dim as f64;
        if turned < 2.0 || turned > config.head_dim as f64 || !(turned as usize).is_multiple_of(2) {
            let rule = format!("it must leave an even number of the {} values of a head", config.head_dim);
            return Err(self.invalid("partial_rotary_factor", &json!(config.family.turned()), &rule));
        }
        Ok(())
    }

    /// Refuses a value other than this; absence is this.
    fn only(
        &self,
        key: &'static str,
        found: Option<&Value>,
        only: &Value,
        rule: &str,
    ) -> Result<(), ConfigError> {
        match found {
            Some(value) if value != only => Err(self.unsupported(key, value, rule)),
            _ => Ok(()),
        }
    }

    /// A cap on scores or logits. Transformers' default for Gemma 2 is no null, so there the key must be there.
    fn cap(&self, key: &'static str, required: bool) -> Result<Option<f64>, ConfigError> {
        if required && !self.map.contains_key(key) {
            return Err(self.missing(key));
        }
        self.get(key).map(|value| self.positive_value(key, value)).transpose()
    }

    /// `partial_rotary_factor`, in its older place or in `rope_parameters`.
    fn rotary_factor(&self) -> Option<&Value> {
        let key = "partial_rotary_factor";
        let new = self.get("rope_parameters").and_then(|rope| rope.get(key)).filter(|value| !value.is_null());
        self.get(key).or(new)
    }

    fn rotary_share(&self) -> Result<f64, ConfigError> {
        let key = "partial_rotary_factor";
        match self.rotary_factor() {
            Some(value) => self.positive_value(key, value),
            // Phi 3's default; Phi's is 0.5, which earlier versions did not write down everywhere.
            None if self.get("model_type").is_some_and(|kind| kind == "phi3") => Ok(1.0),
            None => Err(self.missing(key)),
        }
    }

    /// Gemma 3's second base, in its older place or in `rope_parameters`.
    fn local_theta(&self) -> Result<f64, ConfigError> {
        let key = "rope_local_base_freq";
        let value = self.rope_of("sliding_attention").or_else(|| self.get(key));
        self.positive_value(key, value.ok_or_else(|| self.missing(key))?)
    }

    /// `rope_theta` of one kind of Gemma 3's layers in `rope_parameters`.
    pub(super) fn rope_of(&self, layers: &str) -> Option<&Value> {
        self.get("rope_parameters")?.get(layers)?.get("rope_theta")
    }

    /// Every how many-th layer of a Gemma 3 has no window. `layer_types` says it for every layer; candle knows patterns alone.
    fn pattern(&self) -> Result<usize, ConfigError> {
        let Some(types) = self.get("layer_types") else {
            let older = self.get("sliding_window_pattern").map(|_| "sliding_window_pattern");
            return self.size(older.unwrap_or("_sliding_window_pattern"));
        };
        let layers = types.as_array().map(Vec::as_slice).unwrap_or_default();
        let full = |layer: &Value| layer == "full_attention";
        let pattern = layers.iter().position(full).unwrap_or(layers.len()) + 1;
        let regular =
            layers.iter().enumerate().all(|(i, layer)| full(layer) == (i + 1).is_multiple_of(pattern));
        if !regular || layers.len() != self.size("num_hidden_layers")? {
            let rule =
                format!("candle computes one full layer after each so many with a window; {ELSEWHERE}");
            return Err(self.unsupported("layer_types", types, &rule));
        }
        Ok(pattern)
    }

    /// The window of a model that has one in some or all layers.
    pub(super) fn window(&self, family: Family) -> Result<Option<usize>, ConfigError> {
        let key = "sliding_window";
        match family {
            Family::Llama | Family::Gemma | Family::Phi { .. } => Ok(None),
            // Their default in transformers is a number.
            Family::Mistral | Family::Gemma2 { .. } if !self.map.contains_key(key) => Err(self.missing(key)),
            Family::Gemma3 { .. } => self.size(key).map(Some),
            Family::Qwen2 | Family::Qwen3 if !self.slides()? => Ok(None),
            _ => self.get(key).map(|_| self.size(key)).transpose(),
        }
    }

    /// Whether a Qwen uses its window in any layer.
    fn slides(&self) -> Result<bool, ConfigError> {
        let types = self.get("layer_types").and_then(Value::as_array);
        let slides = types.is_some_and(|types| types.iter().any(|layer| layer == "sliding_attention"));
        Ok(slides || self.flag("use_sliding_window")?)
    }

    pub(super) fn key_heads(&self, family: Family, heads: usize) -> Result<usize, ConfigError> {
        match family {
            Family::Llama | Family::Phi { .. } | Family::Phi3 { .. } => {
                self.size_or("num_key_value_heads", heads)
            }
            _ => self.size("num_key_value_heads"),
        }
    }

    pub(super) fn head_dim(&self, family: Family, hidden: usize, heads: usize) -> Result<usize, ConfigError> {
        match family {
            // Theirs is a number of its own where the key is missing.
            Family::Qwen3 => self.size("head_dim"),
            _ if family.is_gemma() => self.size("head_dim"),
            Family::Phi { .. } | Family::Phi3 { .. } => {
                let given = self.size_or("head_dim", hidden / heads)?;
                let rule = format!("candle divides hidden_size by the heads; {ELSEWHERE}");
                self.only("head_dim", Some(&json!(given)), &json!(hidden / heads), &rule)?;
                Ok(given)
            }
            _ => self.size_or("head_dim", hidden / heads),
        }
    }

    /// Biases in attention, which for most families no key decides.
    pub(super) fn attention_bias(&self, family: Family) -> Result<bool, ConfigError> {
        match family {
            Family::Qwen2 | Family::Phi { .. } => Ok(true),
            Family::Mistral | Family::Phi3 { .. } => Ok(false),
            _ => self.flag("attention_bias"),
        }
    }

    pub(super) fn mlp_bias(&self, family: Family) -> Result<bool, ConfigError> {
        match family {
            Family::Llama => self.flag("mlp_bias"),
            _ => Ok(matches!(family, Family::Phi { .. })),
        }
    }

    pub(super) fn epsilon(&self, family: Family) -> Result<f64, ConfigError> {
        self.positive(if matches!(family, Family::Phi { .. }) { "layer_norm_eps" } else { "rms_norm_eps" })
    }

    pub(super) fn tied(&self, family: Family) -> Result<bool, ConfigError> {
        let key = "tie_word_embeddings";
        if self.get(key).is_none() { Ok(family.is_gemma()) } else { self.flag(key) }
    }
}
