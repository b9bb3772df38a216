//! What a specification costs: memory, arithmetic, time and money. Estimates by formulas that papers use, for `--check`.

use sekisho_domain::Tokens;
use sekisho_model::cuda::forecast;
use sekisho_model::train::{MicroBatch, Recompute, Settings, activation_bytes};
use sekisho_weights::config::ModelConfig;

use super::Spec;

/// What it is reckoned for.
#[derive(Clone, Copy, Debug)]
pub struct Machine {
    /// Accelerators.
    pub gpus: u32,
    /// What one of them sustains [10¹² floating-point operations a second].
    pub tflops: f64,
    /// Price of one for a day.
    pub yen_per_gpu_day: Option<f64>,
}

/// Floating-point operations of a token, forward and backward: six for each parameter of a matrix product, and the causal half of
/// attention (PaLM, arXiv 2204.02311, appendix B, counts it in full).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Flops {
    pub(super) matrices: f64,
    pub(super) attention: f64,
}

impl Flops {
    /// For sequences of `length` tokens.
    pub(super) fn of_token(config: &ModelConfig, length: usize) -> Self {
        let embedding = (config.vocab_size * config.hidden_size) as u64;
        // The look-up in the table is no product; the product with the output layer is one, tied or not.
        let matrices = config.parameters() - config.embedding_parameters() + embedding - vectors(config);
        let heads = config.num_attention_heads * config.head_dim;
        Self {
            matrices: 6.0 * matrices as f64,
            attention: 6.0 * (config.num_hidden_layers * heads * length) as f64,
        }
    }

    pub(super) fn sum(self) -> f64 {
        self.matrices + self.attention
    }
}

/// Parameters of norms.
fn vectors(config: &ModelConfig) -> u64 {
    config
        .expected_tensors()
        .iter()
        .filter(|(_, shape)| shape.len() == 1)
        .map(|(_, shape)| shape[0] as u64)
        .sum()
}

/// What a run, or several, cost.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// Targets of this stage.
    pub tokens: u64,
    /// Floating-point operations.
    pub flops: f64,
}

impl std::iter::Sum for Cost {
    fn sum<I: Iterator<Item = Self>>(costs: I) -> Self {
        costs.fold(Self::default(), |a, b| Self {
            tokens: a.tokens.saturating_add(b.tokens),
            flops: a.flops + b.flops,
        })
    }
}

impl Cost {
    pub(super) fn of(spec: &Spec, config: &ModelConfig) -> Self {
        let per_update = (spec.batch.sequences * spec.data.sequence_length) as u64;
        let begin = spec.parent.as_ref().filter(|parent| !parent.reset_steps).map_or(0, |parent| parent.step);
        let tokens = per_update.saturating_mul(spec.stop.steps - begin);
        Self { tokens, flops: Flops::of_token(config, spec.data.sequence_length).sum() * tokens as f64 }
    }

    /// `2.3 days on 8 accelerators at 400 TFLOP/s each: 18.1 GPU-days, 72,400 yen`.
    #[must_use]
    pub fn time(&self, machine: Machine) -> String {
        let Machine { gpus, tflops, yen_per_gpu_day } = machine;
        let gpu_days = self.flops / (tflops * 1e12) / 86_400.0;
        let price = yen_per_gpu_day
            .map_or_else(String::new, |yen| format!(", {} yen", Tokens((gpu_days * yen).round() as u64)));
        format!(
            "{:.1} days on {gpus} accelerators at {tflops} TFLOP/s each: {gpu_days:.1} GPU-days{price}",
            gpu_days / f64::from(gpus)
        )
    }
}

/// The lines of `--check`.
pub(super) fn lines(
    spec: &Spec,
    config: &ModelConfig,
    machine: Option<Machine>,
) -> Vec<(&'static str, String)> {
    let parameters = config.parameters() as f64;
    let flops = Flops::of_token(config, spec.data.sequence_length);
    let per_update = (spec.batch.sequences * spec.data.sequence_length) as u64;
    let cost = Cost::of(spec, config);
    let (tokens, all) = (cost.tokens, cost.flops);
    let mut lines = vec![
        (
            "memory",
            format!(
                "{} in f32: parameters and gradients {} each, moments {}; {} in bf16 with f32 masters and gradients",
                bytes(16.0 * parameters),
                bytes(4.0 * parameters),
                bytes(8.0 * parameters),
                bytes(18.0 * parameters),
            ),
        ),
        ("", activations(spec, config)),
        ("", on_gpu(spec, config)),
        (
            "compute",
            format!(
                "{:.3} GFLOP a token ({:.1} % attention), {} FLOP an update, {} in all",
                flops.sum() / 1e9,
                100.0 * flops.attention / flops.sum(),
                scientific(flops.sum() * per_update as f64),
                scientific(all),
            ),
        ),
        (
            "tokens",
            format!("{} in this stage, {:.1} a parameter", Tokens(tokens), tokens as f64 / parameters),
        ),
    ];
    lines.extend(machine.map(|machine| ("time", cost.time(machine))));
    lines
}

/// What the planned arena takes beside them.
fn activations(spec: &Spec, config: &ModelConfig) -> String {
    let (micro, length) = (spec.micro(), spec.data.sequence_length);
    let of = |recompute| bytes(activation_bytes(config, micro, length, recompute) as f64);
    format!(
        "activations {} in f32 for a micro-batch of {micro}; {} with recompute = \"layer\"",
        of(spec.precision.recompute),
        of(Recompute::Layer),
    )
}

/// What the trainer takes of a GPU's memory.
fn on_gpu(spec: &Spec, config: &ModelConfig) -> String {
    let micro = MicroBatch { sequences: spec.micro(), length: spec.data.sequence_length };
    let settings = spec.settings();
    let of = |settings| forecast(config, settings, micro);
    let said = |count: usize| bytes(count as f64);
    let it = of(settings);
    format!(
        "on a GPU {}: weights {}, gradients {}, moments {}, activations {}; {} with recompute = \"layer\"",
        said(it.total()),
        said(it.weights),
        said(it.gradients),
        said(it.moments),
        said(it.activations),
        said(of(Settings { recompute: Recompute::Layer, ..settings }).total()),
    )
}

fn bytes(value: f64) -> String {
    match value {
        v if v >= 1e9 => format!("{:.1} GB", v / 1e9),
        v => format!("{:.1} MB", v / 1e6),
    }
}

fn scientific(value: f64) -> String {
    format!("{value:.2e}")
}

/// The learning rate over the updates as a line of blocks.
pub(super) fn picture(spec: &Spec) -> String {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    const WIDTH: u64 = 60;
    let rate = spec.learning_rate();
    let total = spec.total_steps().max(1);
    let columns = WIDTH.min(total);
    let block = |column: u64| {
        let k = 1
            + (u128::from(column) * u128::from(total - 1) / u128::from(columns.saturating_sub(1).max(1)))
                as u64;
        let height = rate.of_update(k) / spec.optimizer.lr * 8.0;
        BLOCKS[(height.ceil() as usize).clamp(1, 8) - 1]
    };
    (0..columns).map(block).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(text: &str) -> ModelConfig {
        ModelConfig::from_json(
            "test",
            &format!("{{\"model_type\":\"llama\",\"rms_norm_eps\":1e-5,\"rope_theta\":10000.0,{text}}}"),
        )
        .expect("a model")
    }

    #[test]
    fn arithmetic_is_that_of_the_published_sizes() {
        // LLM-jp-3 1.8B and 13B at 4,096 tokens: 11.19 and 84.2 GFLOP a token by the formula above.
        let small = model(
            "\"vocab_size\":99584,\"hidden_size\":2048,\"num_hidden_layers\":24,\"num_attention_heads\":16,\"num_key_value_heads\":16,\"intermediate_size\":7168,\"max_position_embeddings\":4096,\"tie_word_embeddings\":false",
        );
        let flops = Flops::of_token(&small, 4096);
        assert!((flops.sum() / 1e9 - 11.19).abs() < 0.005, "{flops:?}");
        assert!((flops.attention / flops.sum() - 0.108).abs() < 0.0005, "{flops:?}");
        let large = model(
            "\"vocab_size\":99584,\"hidden_size\":5120,\"num_hidden_layers\":40,\"num_attention_heads\":40,\"num_key_value_heads\":40,\"intermediate_size\":13824,\"max_position_embeddings\":4096,\"tie_word_embeddings\":false",
        );
        assert!((Flops::of_token(&large, 4096).sum() / 1e9 - 84.2).abs() < 0.05);
        // A tied table is looked up for nothing and multiplied with once.
        let tied = ModelConfig { tie_word_embeddings: true, ..small };
        assert_eq!(Flops::of_token(&tied, 4096), flops);
    }
}
