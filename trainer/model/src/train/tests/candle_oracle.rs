//! The same model written with candle's differentiable operations (`rms_norm_slow`, `rope_slow`, `softmax`; its fused ones
//! drop gradients without a word), and its autograd.

use std::collections::HashMap;

use candle_core::{D, Device, Tensor, Var};
use sekisho_weights::ModelConfig;

use super::{Numbers, OwnedBatch, loss_of, program, relative_distance, small};
use crate::train::{IGNORED, TrainingStep};

type Result<T> = candle_core::Result<T>;

struct Oracle<'a> {
    config: &'a ModelConfig,
    weights: HashMap<String, Var>,
}

impl Oracle<'_> {
    fn weight(&self, name: &str) -> &Tensor {
        self.weights[name].as_tensor()
    }

    /// `name` without its `weight` or `bias`.
    fn linear(&self, x: &Tensor, name: &str) -> Result<Tensor> {
        let y = x.broadcast_matmul(&self.weight(&format!("{name}.weight")).t()?)?;
        match self.weights.get(&format!("{name}.bias")) {
            Some(bias) => y.broadcast_add(bias.as_tensor()),
            None => Ok(y),
        }
    }

    /// The norm over heads, where there is one.
    fn head_norm(&self, x: Tensor, name: &str) -> Result<Tensor> {
        if self.weights.contains_key(name) { self.norm(&x, name) } else { Ok(x) }
    }

    fn norm(&self, x: &Tensor, name: &str) -> Result<Tensor> {
        candle_nn::ops::rms_norm_slow(x, self.weight(name), self.config.rms_norm_eps as f32)
    }

    /// `[b, t, heads · dim]` to `[b, heads, t, dim]`.
    fn split(&self, x: &Tensor, heads: usize) -> Result<Tensor> {
        let (b, t, _) = x.dims3()?;
        x.reshape((b, t, heads, self.config.head_dim))?.transpose(1, 2)?.contiguous()
    }

    fn rotate(&self, x: &Tensor) -> Result<Tensor> {
        let half = self.config.head_dim / 2;
        let t = x.dim(2)?;
        let angles: Vec<f32> = (0..t)
            .flat_map(|position| {
                (0..half)
                    .map(move |i| position as f32 * 10_000_f32.powf(-((2 * i) as f32) / (2 * half) as f32))
            })
            .collect();
        let angles = Tensor::from_vec(angles, (t, half), &Device::Cpu)?;
        candle_nn::rotary_emb::rope_slow(x, &angles.cos()?, &angles.sin()?)
    }

    fn attention(&self, x: &Tensor, layer: &str, mask: &Tensor) -> Result<Tensor> {
        let config = self.config;
        let (b, t, _) = x.dims3()?;
        let name = |part: &str| format!("{layer}.self_attn.{part}_proj");
        let q = self.split(&self.linear(x, &name("q"))?, config.num_attention_heads)?;
        let k = self.split(&self.linear(x, &name("k"))?, config.num_key_value_heads)?;
        let q = self.rotate(&self.head_norm(q, &format!("{layer}.self_attn.q_norm.weight"))?)?;
        let k = self.rotate(&self.head_norm(k, &format!("{layer}.self_attn.k_norm.weight"))?)?;
        let v = self.split(&self.linear(x, &name("v"))?, config.num_key_value_heads)?;
        let repeat = |x: Tensor| {
            let n = config.num_attention_heads / config.num_key_value_heads;
            let (b, heads, t, dim) = x.dims4()?;
            x.unsqueeze(2)?.expand((b, heads, n, t, dim))?.reshape((b, heads * n, t, dim))
        };
        let scores = (q.matmul(&repeat(k)?.t()?)? / (config.head_dim as f64).sqrt())?;
        let weights = candle_nn::ops::softmax(&scores.broadcast_add(mask)?, D::Minus1)?;
        let mixed = weights.matmul(&repeat(v)?)?.transpose(1, 2)?.reshape((b, t, ()))?;
        self.linear(&mixed, &name("o"))
    }

    fn logits(&self, inputs: &Tensor, mask: &Tensor) -> Result<Tensor> {
        let table = self.weight("model.embed_tokens.weight");
        let (b, t) = inputs.dims2()?;
        let mut x = table.index_select(&inputs.flatten_all()?, 0)?.reshape((b, t, ()))?;
        if self.config.scaled_embedding {
            x = (x * (self.config.hidden_size as f64).sqrt())?;
        }
        for layer in 0..self.config.num_hidden_layers {
            let layer = format!("model.layers.{layer}");
            let normed = self.norm(&x, &format!("{layer}.input_layernorm.weight"))?;
            x = (&x + self.attention(&normed, &layer, mask)?)?;
            let normed = self.norm(&x, &format!("{layer}.post_attention_layernorm.weight"))?;
            let gate = candle_nn::ops::silu(&self.linear(&normed, &format!("{layer}.mlp.gate_proj"))?)?;
            let up = self.linear(&normed, &format!("{layer}.mlp.up_proj"))?;
            x = (&x + self.linear(&(gate * up)?, &format!("{layer}.mlp.down_proj"))?)?;
        }
        let head = if self.config.tie_word_embeddings { "model.embed_tokens" } else { "lm_head" };
        self.linear(&self.norm(&x, "model.norm.weight")?, head)
    }

    /// Mean over the unmasked targets of cross-entropy and weighted `ln²Z`.
    fn loss(&self, batch: &OwnedBatch, z_loss: f64) -> Result<Tensor> {
        let t = batch.length;
        let b = batch.inputs.len() / t;
        let inputs = Tensor::from_slice(&batch.inputs, (b, t), &Device::Cpu)?;
        let mask: Vec<f32> = (0..b * t)
            .flat_map(|row| {
                let first = row / t * t;
                let window = self.config.window.map_or(0, |window| (row + 1).saturating_sub(window));
                let start = batch.starts[row].max(window);
                (first..first + t)
                    .map(move |seen| if (start..=row).contains(&seen) { 0.0 } else { f32::NEG_INFINITY })
            })
            .collect();
        let mask = Tensor::from_vec(mask, (b, 1, t, t), &Device::Cpu)?;
        let logits = self.logits(&inputs, &mask)?.flatten_to(1)?;
        let kept: Vec<u32> =
            (0..batch.targets.len() as u32).filter(|i| batch.targets[*i as usize] != IGNORED).collect();
        let targets: Vec<u32> = kept.iter().map(|i| batch.targets[*i as usize]).collect();
        let count = kept.len();
        let logits = logits.index_select(&Tensor::from_vec(kept, count, &Device::Cpu)?, 0)?;
        let log_z = logits.log_sum_exp(D::Minus1)?;
        let chosen = logits.gather(&Tensor::from_vec(targets, (count, 1), &Device::Cpu)?, 1)?.squeeze(1)?;
        let ce = (&log_z - chosen)?;
        (ce + (log_z.sqr()? * z_loss)?)?.mean_all()
    }
}

/// Holds loss and gradients of a model against candle's.
fn check(case: &str, config: &ModelConfig, seed: u64, masked: bool) {
    let mut numbers = Numbers(seed);
    // Longer than a block of the backward pass, and not a multiple of anything.
    let tokens: Vec<u32> = (0..2 * 91).map(|_| numbers.token(config.vocab_size)).collect();
    let mut batch = OwnedBatch::of_windows(&tokens, 90);
    if masked {
        batch.starts[37..90].fill(37);
        batch.targets[50..60].fill(IGNORED);
    }
    let mut program = program(config, seed);
    let sums = loss_of(&mut program, &batch, &batch.objective(1e-3));
    let weights = program.layout().tensors().iter().map(|tensor| {
        let values = &program.parameters()[tensor.range.clone()];
        let values = Tensor::from_slice(values, tensor.shape.as_slice(), &Device::Cpu).expect("a tensor");
        (tensor.name.clone(), Var::from_tensor(&values).expect("a variable"))
    });
    let oracle = Oracle { config, weights: weights.collect() };
    let loss = oracle.loss(&batch, 1e-3).expect("candle's forward pass");
    let gradients = loss.backward().expect("candle's backward pass");
    let loss = f64::from(loss.to_scalar::<f32>().expect("a scalar"));
    let ours = (sums.ce + 1e-3 * sums.squared_log_z) / sums.targets as f64;
    assert!((ours - loss).abs() < 2e-6 * loss, "{case}: loss {ours} is not {loss}");
    for tensor in program.layout().tensors() {
        let expected = gradients.get(oracle.weight(&tensor.name)).expect("a gradient for every weight");
        let expected = expected.flatten_all().and_then(|g| g.to_vec1::<f32>()).expect("a vector");
        let distance = relative_distance(&program.gradients()[tensor.range.clone()], &expected);
        assert!(distance < 1e-5, "{case}: {} {distance:e}", tensor.name);
    }
}

#[test]
fn every_gradient_of_a_llama_is_candles() {
    for (case, (tied, scaled, masked)) in
        [(true, false, false), (false, false, true), (true, true, true), (false, true, false)]
            .into_iter()
            .enumerate()
    {
        check(&format!("case {case}"), &small(tied, scaled), case as u64, masked);
    }
}

#[test]
fn so_is_every_gradient_under_every_switch() {
    for (name, config) in super::switches() {
        for masked in [false, true] {
            check(name, &config, 9, masked);
        }
    }
}
