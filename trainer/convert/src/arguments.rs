//! Megatron-LM's arguments, which it saves with every checkpoint: the model's configuration, and how far it was trained.
//! `megatron/training/arguments.py`.

use sekisho_weights::{Family, ModelConfig, RopeScaling};

use crate::ConvertError;
use crate::pickle::View;

/// Largest dimension, as in a `config.json`.
const LARGEST: u64 = 1 << 24;

/// A value of an argument, as it was pickled.
#[derive(Clone, Debug, PartialEq)]
enum Argument {
    None,
    Flag(bool),
    Number(f64),
    Text(String),
    Other,
}

/// The arguments, by name.
#[derive(Clone, Debug)]
pub(crate) struct Arguments {
    file: String,
    values: Vec<(String, Argument)>,
    iteration: Option<u64>,
}

impl Arguments {
    /// Reads `args` and `iteration` of a checkpoint's dictionary.
    pub(crate) fn read(file: &str, root: View<'_>) -> Result<Self, ConvertError> {
        let namespace = root.get("args").and_then(View::state).and_then(View::entries);
        let Some(entries) = namespace else {
            return Err(ConvertError::content(file, "it holds no arguments (`args`) of Megatron-LM"));
        };
        let mut values = Vec::new();
        for (name, value) in entries {
            let value = if value.is_none() {
                Argument::None
            } else if let Some(flag) = value.flag() {
                Argument::Flag(flag)
            } else if let Some(number) = value.number() {
                Argument::Number(number)
            } else {
                value.text().map_or(Argument::Other, |text| Argument::Text(text.to_owned()))
            };
            values.extend(name.text().map(|name| (name.to_owned(), value)));
        }
        Ok(Self { file: file.to_owned(), values, iteration: root.get("iteration").and_then(View::whole) })
    }

    /// The update that it was saved after.
    pub(crate) fn iteration(&self) -> Option<u64> {
        self.iteration
    }

    /// Tokens trained on: samples × their length.
    pub(crate) fn tokens(&self) -> Option<u64> {
        let number = |name| self.whole(name).ok().flatten();
        number("consumed_train_samples")?.checked_mul(number("seq_length")?)
    }

    /// Ranks that share each matrix.
    pub(crate) fn tensor_ranks(&self) -> Result<u64, ConvertError> {
        self.size_or("tensor_model_parallel_size", 1)
    }

    /// Ranks that share the layers.
    pub(crate) fn pipeline_ranks(&self) -> Result<u64, ConvertError> {
        self.size_or("pipeline_model_parallel_size", 1)
    }

    /// The configuration of the Llama that these arguments describe. `vocab_size` is the one before padding, where somebody knows it.
    pub(crate) fn config(&self, vocab_size: Option<u64>) -> Result<ModelConfig, ConvertError> {
        self.is_llama()?;
        let heads = self.size("num_attention_heads")?;
        let groups = match self.flag("group_query_attention")? {
            true => self.size("num_query_groups")?,
            false => heads,
        };
        let hidden = self.size("hidden_size")?;
        let vocab = match vocab_size.or(self.whole("vocab_size")?) {
            Some(vocab) => vocab,
            None => self.size("padded_vocab_size")?,
        };
        let context = self.size_or("max_position_embeddings", 0)?.max(self.size_or("seq_length", 0)?);
        Ok(ModelConfig {
            family: Family::Llama,
            vocab_size: narrow(vocab),
            hidden_size: narrow(hidden),
            num_hidden_layers: narrow(self.size("num_layers")?),
            num_attention_heads: narrow(heads),
            num_key_value_heads: narrow(groups),
            head_dim: narrow(self.size_or("kv_channels", hidden / heads.max(1))?),
            intermediate_size: narrow(self.size("ffn_hidden_size")?),
            max_position_embeddings: narrow(context),
            window: None,
            rope_theta: self.positive("rotary_base")?,
            rope_scaling: self.rope_scaling()?,
            rms_norm_eps: self.positive("norm_epsilon")?,
            tie_word_embeddings: !self.flag("untie_embeddings_and_output_weights")?,
            attention_bias: self.flag("add_bias_linear")?,
            mlp_bias: self.flag("add_bias_linear")?,
            bos_token_id: None,
            eos_token_id: None,
            other_eos_token_ids: Vec::new(),
            scaled_embedding: false,
        })
    }

    /// What Hugging Face's Llama does not have is refused by name.
    fn is_llama(&self) -> Result<(), ConvertError> {
        let must =
            |name: &str, fits: bool, rule: &str| if fits { Ok(()) } else { Err(self.wrong(name, rule)) };
        for (name, text) in [("position_embedding_type", "rope"), ("normalization", "RMSNorm")] {
            must(name, self.get(name) == &Argument::Text(text.to_owned()), &format!("a Llama has {text}"))?;
        }
        must("swiglu", self.flag("swiglu")?, "a Llama has gated SiLU (`--swiglu`)")?;
        for name in ["rotary_interleaved", "apply_layernorm_1p", "multi_latent_attention", "squared_relu"] {
            must(name, !self.flag(name)?, "a Llama has nothing of the kind")?;
        }
        for name in ["add_qkv_bias", "qk_layernorm"] {
            let rule =
                "a Llama has nothing of the kind. Where it is a Qwen, give its configuration with --config";
            must(name, !self.flag(name)?, rule)?;
        }
        let experts = matches!(self.get("num_experts"), Argument::None);
        must("num_experts", experts, "mixtures of experts are not converted here")?;
        let percent = matches!(self.get("rotary_percent"), Argument::Number(1.0) | Argument::None);
        must("rotary_percent", percent, "in a Llama all of a head turns (1.0)")
    }

    /// `--use-rope-scaling` is Llama 3.1's; the other constants are fixed in Megatron-Core's `RotaryEmbedding`.
    fn rope_scaling(&self) -> Result<Option<RopeScaling>, ConvertError> {
        if !self.flag("use_rope_scaling")? {
            return Ok(None);
        }
        Ok(Some(RopeScaling {
            factor: self.positive("rope_scaling_factor")?,
            low_freq_factor: 1.0,
            high_freq_factor: 4.0,
            original_max_position_embeddings: 8192,
        }))
    }

    fn get(&self, name: &str) -> &Argument {
        self.values.iter().rfind(|(key, _)| key == name).map_or(&Argument::None, |(_, value)| value)
    }

    fn wrong(&self, name: &str, rule: &str) -> ConvertError {
        let value = match self.get(name) {
            Argument::None => "not set".to_owned(),
            Argument::Flag(flag) => flag.to_string(),
            Argument::Number(number) => number.to_string(),
            Argument::Text(text) => format!("{text:?}"),
            Argument::Other => "something else".to_owned(),
        };
        let (file, setting, rule) = (self.file.clone(), name.to_owned(), rule.to_owned());
        ConvertError::Setting { file, setting, value, rule }
    }

    fn flag(&self, name: &str) -> Result<bool, ConvertError> {
        match self.get(name) {
            Argument::Flag(flag) => Ok(*flag),
            Argument::None => Ok(false),
            _ => Err(self.wrong(name, "it must be true or false")),
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "held against its bounds before"
    )]
    fn whole(&self, name: &str) -> Result<Option<u64>, ConvertError> {
        match self.get(name) {
            Argument::None => Ok(None),
            Argument::Number(n) if n.fract() == 0.0 && (0.0..1e15).contains(n) => Ok(Some(*n as u64)),
            _ => Err(self.wrong(name, "it must be a whole number")),
        }
    }

    fn size_or(&self, name: &str, default: u64) -> Result<u64, ConvertError> {
        match self.whole(name)?.unwrap_or(default) {
            number if number <= LARGEST => Ok(number),
            _ => Err(self.wrong(name, "it must be at most 16,777,216")),
        }
    }

    fn size(&self, name: &str) -> Result<u64, ConvertError> {
        match self.size_or(name, 0)? {
            0 => Err(self.wrong(name, "it must be at least 1; without it the model is not known")),
            number => Ok(number),
        }
    }

    fn positive(&self, name: &str) -> Result<f64, ConvertError> {
        match self.get(name) {
            Argument::Number(number) if number.is_finite() && *number > 0.0 => Ok(*number),
            _ => {
                Err(self.wrong(name, "it must be a number above 0; a guessed one would change every result"))
            }
        }
    }
}

/// A size that is at most [`LARGEST`].
fn narrow(size: u64) -> usize {
    usize::try_from(size).unwrap_or(usize::MAX)
}
