//! The training step against PyTorch's goldens, against candle's autograd, and against itself.

mod bf16;
mod candle_oracle;
mod finite_differences;
mod goldens;
mod invariance;
mod recompute;

use sekisho_weights::ModelConfig;
use serde_json::{Value, json};

use super::{Batch, CpuProgram, Layout, Objective, StepLoss, TrainingStep};

/// A micro-batch with memory of its own.
pub(crate) struct OwnedBatch {
    length: usize,
    pub(crate) inputs: Vec<u32>,
    pub(crate) targets: Vec<u32>,
    pub(crate) starts: Vec<usize>,
}

impl OwnedBatch {
    /// Sequences of `length + 1` tokens each, flattened.
    pub(crate) fn of_windows(tokens: &[u32], length: usize) -> Self {
        let windows = || tokens.chunks_exact(length + 1);
        Self {
            length,
            inputs: windows().flat_map(|w| w[..length].to_vec()).collect(),
            targets: windows().flat_map(|w| w[1..].to_vec()).collect(),
            starts: (0..windows().len() * length).map(|row| row / length * length).collect(),
        }
    }

    pub(crate) fn view(&self) -> Batch<'_> {
        Batch { length: self.length, inputs: &self.inputs, targets: &self.targets, starts: &self.starts }
    }

    pub(crate) fn objective(&self, z_loss: f32) -> Objective {
        Objective { targets: self.targets.iter().filter(|t| **t != super::IGNORED).count() as u64, z_loss }
    }
}

/// Numbers that look random and are the same everywhere: splitmix64.
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In -1..1.
    fn value(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
    }

    pub(crate) fn token(&mut self, vocabulary: usize) -> u32 {
        (self.next() % vocabulary as u64) as u32
    }
}

/// A small Llama with four query heads on two key heads.
pub(crate) fn small(tied: bool, scaled_embedding: bool) -> ModelConfig {
    ModelConfig { scaled_embedding, ..model(&json!({"model_type": "llama", "tie_word_embeddings": tied})) }
}

/// A small model with four query heads on two key heads, and these keys.
pub(crate) fn model(keys: &Value) -> ModelConfig {
    let mut config = json!({"vocab_size": 67, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "head_dim": 8, "intermediate_size": 40, "max_position_embeddings": 128,
        "rope_theta": 10000.0, "rms_norm_eps": 1e-5});
    for (key, value) in keys.as_object().expect("an object") {
        config[key] = value.clone();
    }
    ModelConfig::from_json("small", &config.to_string()).expect("a valid configuration")
}

/// One model for each switch: biases everywhere, biases in q, k and v, norms over heads, a window.
pub(crate) fn switches() -> [(&'static str, ModelConfig); 5] {
    [
        ("llama with biases", json!({"model_type": "llama", "attention_bias": true, "mlp_bias": true})),
        ("qwen2", json!({"model_type": "qwen2", "tie_word_embeddings": true})),
        ("qwen3", json!({"model_type": "qwen3"})),
        ("qwen3 with biases", json!({"model_type": "qwen3", "attention_bias": true})),
        ("mistral with a window", json!({"model_type": "mistral", "sliding_window": 17})),
    ]
    .map(|(name, keys)| (name, model(&keys)))
}

/// Weights of ordinary size, norms near one, biases near none.
pub(crate) fn parameters(config: &ModelConfig, seed: u64) -> Vec<f32> {
    let mut numbers = Numbers(seed);
    let layout = Layout::new(config);
    let mut parameters = Vec::with_capacity(layout.length);
    for tensor in layout.tensors() {
        let middle = if tensor.name.ends_with("norm.weight") { 1.0 } else { 0.0 };
        parameters.extend(tensor.range.clone().map(|_| middle + 0.2 * numbers.value()));
    }
    parameters
}

fn program(config: &ModelConfig, seed: u64) -> CpuProgram {
    CpuProgram::new(config.clone(), parameters(config, seed))
}

/// Losses of one micro-batch alone.
fn loss_of(program: &mut CpuProgram, batch: &OwnedBatch, objective: &Objective) -> StepLoss {
    program.zero_gradients();
    program.accumulate(&batch.view(), objective);
    program.measure().expect("the CPU never fails").loss
}

/// The distance of two vectors, relative to the length of the second.
pub(crate) fn relative_distance(a: &[f32], b: &[f32]) -> f64 {
    let square = |x: f64| x * x;
    let distance: f64 = a.iter().zip(b).map(|(a, b)| square(f64::from(*a) - f64::from(*b))).sum();
    let length: f64 = b.iter().map(|b| square(f64::from(*b))).sum();
    (distance / length).sqrt()
}
