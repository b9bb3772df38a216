use std::path::Path;

use sekisho_domain::parse_toml;
use sekisho_model::train::is_trained;
use sekisho_weights::config::{ConfigError, Family, ModelConfig};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Spec, SpecError, presets};

/// `[model]`: the names of Hugging Face's `config.json`, and `scaled_embedding`. `num_local_experts` and
/// `num_experts_per_tok` are read to be refused in words.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSection {
    /// Name of a published size whose dimensions are meant; not left in a run's record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preset: Option<String>,
    /// `llama` when absent, `mistral`, `qwen2` or `qwen3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vocab_size: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hidden_size: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub num_hidden_layers: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub num_attention_heads: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub num_key_value_heads: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head_dim: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intermediate_size: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_position_embeddings: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rope_theta: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rms_norm_eps: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tie_word_embeddings: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attention_bias: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mlp_bias: Option<bool>,
    /// Positions that attention sees, of a Mistral.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sliding_window: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bos_token_id: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eos_token_id: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub num_local_experts: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub num_experts_per_tok: Option<usize>,
    #[serde(default)]
    pub scaled_embedding: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rope_scaling: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rope_parameters: Option<Value>,
}

impl ModelSection {
    /// The configuration this section describes, by the rules for `config.json`; `place` names it in messages.
    pub(super) fn config(&self, place: &str) -> Result<ModelConfig, ConfigError> {
        let mut keys = json!(self);
        keys["model_type"] = json!(self.model_type.as_deref().unwrap_or("llama"));
        if let Some(keys) = keys.as_object_mut() {
            keys.remove("scaled_embedding");
            // TOML has no null, by which a Mistral says that it has no window.
            keys.entry("sliding_window").or_insert(Value::Null);
        }
        let config = ModelConfig::from_json(place, &keys.to_string())?;
        Ok(ModelConfig { scaled_embedding: self.scaled_embedding, ..config })
    }

    /// Every value of a configuration, so that the section stands without defaults.
    pub(super) fn of(config: &ModelConfig) -> Self {
        Self {
            model_type: Some(config.family.model_type().to_owned()),
            preset: None,
            vocab_size: Some(config.vocab_size),
            hidden_size: Some(config.hidden_size),
            num_hidden_layers: Some(config.num_hidden_layers),
            num_attention_heads: Some(config.num_attention_heads),
            num_key_value_heads: Some(config.num_key_value_heads),
            head_dim: Some(config.head_dim),
            intermediate_size: Some(config.intermediate_size),
            max_position_embeddings: Some(config.max_position_embeddings),
            rope_theta: Some(config.rope_theta),
            rms_norm_eps: Some(config.rms_norm_eps),
            tie_word_embeddings: Some(config.tie_word_embeddings),
            attention_bias: Some(config.attention_bias),
            mlp_bias: Some(config.mlp_bias),
            sliding_window: config.window,
            bos_token_id: config.bos_token_id,
            eos_token_id: config.eos_token_id,
            num_local_experts: None,
            num_experts_per_tok: None,
            scaled_embedding: config.scaled_embedding,
            rope_scaling: config.to_hf_json("")["rope_scaling"].as_object().map(|scaling| json!(scaling)),
            rope_parameters: None,
        }
    }

    /// The same with what another section says.
    pub(super) fn with(&self, other: &Self) -> Self {
        let mut keys = json!(self);
        let Value::Object(said) = json!(other) else { return self.clone() };
        for (key, value) in said {
            // The one switch that is off where it was not mentioned.
            if key != "scaled_embedding" || value != json!(false) {
                keys[key.as_str()] = value;
            }
        }
        serde_json::from_value(keys).unwrap_or_else(|_| other.clone())
    }

    /// The first key on which this section says something else than `other`.
    pub(super) fn conflict<'a>(&self, other: &'a Value) -> Option<(String, Value, &'a Value)> {
        let own = json!(self);
        let own = own.as_object()?;
        own.iter().find_map(|(key, value)| {
            let theirs = other.get(key)?;
            let same = value == theirs || value.as_f64().is_some_and(|v| Some(v) == theirs.as_f64());
            (!same).then(|| (key.clone(), value.clone(), theirs))
        })
    }
}

/// The specification of the run that `[parent]` names by its folder. A run that is named otherwise is looked for when the training
/// begins.
pub(super) fn parent(spec: &Spec) -> Result<Option<Spec>, SpecError> {
    let Some(parent) = &spec.parent else { return Ok(None) };
    let path = Path::new(&parent.run).join("spec.toml");
    if !path.is_file() {
        return Ok(None);
    }
    let text = fs_err::read_to_string(&path)?;
    Ok(Some(parse_toml(&path.display().to_string(), &text)?))
}

/// `[model]` with nothing left out: as given, or that of `init.from`, which it may repeat and not contradict, or that of the parent,
/// of which it may change what leaves the parameters as they are.
pub(super) fn resolve(file: &str, spec: &Spec, parent: Option<&Spec>) -> Result<ModelSection, SpecError> {
    let mut given = presets::applied(file, &spec.model)?;
    if let Some(parent) = parent {
        given = parent.model.with(&given);
    } else if let Some(parent) = spec.parent.as_ref().filter(|_| given == ModelSection::default()) {
        return Err(SpecError::Rule {
            file: file.to_owned(),
            key: "parent.run",
            rule: format!(
                "is {}, which is no run's folder as seen from here; give that folder, or the whole [model]",
                parent.run
            ),
        });
    }
    let Some(from) = &spec.init.from else {
        given.max_position_embeddings = given.max_position_embeddings.or(Some(spec.data.sequence_length));
        let config = given.config(&format!("{file} [model]"))?;
        trained(file, "model.model_type", &config)?;
        unmeant(file, &given, &config)?;
        return Ok(ModelSection::of(&config));
    };
    let path = from.join("config.json");
    let text = fs_err::read_to_string(&path)?;
    let mut config = ModelConfig::from_json(&path.display().to_string(), &text)?;
    trained(file, "init.from", &config)?;
    if let Some((key, here, there)) = given.conflict(&config.to_hf_json("")) {
        return Err(SpecError::Rule {
            file: file.to_owned(),
            key: "[model]",
            rule: format!(
                "says {key} = {here}, {} says {there}; leave [model] out to take the checkpoint's",
                path.display()
            ),
        });
    }
    unmeant(file, &given, &config)?;
    config.scaled_embedding = given.scaled_embedding;
    Ok(ModelSection::of(&config))
}

/// Refuses a model that the program does not compute.
fn trained(file: &str, key: &'static str, config: &ModelConfig) -> Result<(), SpecError> {
    if is_trained(config) {
        return Ok(());
    }
    let kind = config.family.model_type();
    let rule = if config.window.is_some() && matches!(config.family, Family::Qwen2 | Family::Qwen3) {
        format!("is a {kind} with a window in some of its layers; set use_sliding_window to false")
    } else {
        format!("is a {kind}; trained are llama, mistral, qwen2 and qwen3")
    };
    Err(SpecError::Rule { file: file.to_owned(), key, rule })
}

/// Refuses a switch that the family decides by itself, or does not have.
fn unmeant(file: &str, given: &ModelSection, config: &ModelConfig) -> Result<(), SpecError> {
    let kind = config.family.model_type();
    let broken = |rule| Err(SpecError::Rule { file: file.to_owned(), key: "[model]", rule });
    for (key, said, has) in [
        ("attention_bias", given.attention_bias, config.attention_bias),
        ("mlp_bias", given.mlp_bias, config.mlp_bias),
    ] {
        if said.is_some_and(|said| said != has) {
            return broken(format!("sets {key}, which for a {kind} is always {has}; leave it out"));
        }
    }
    match given.sliding_window {
        Some(window) if config.window != Some(window) => {
            broken(format!("sets sliding_window, which a {kind} does not have here; use a mistral"))
        }
        _ => Ok(()),
    }
}
