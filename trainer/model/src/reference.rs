//! The same program in the plainest form: one sequence, whole, in f64, a loop for every sum. Tests hold [`crate::Llama`]
//! and the training step against it.

use std::collections::HashMap;

use sekisho_weights::{Checkpoint, ModelConfig, Refusal};

use crate::ops::rope::Rope;
use crate::train::{Layout, Tensor};

/// Logits `[tokens, vocabulary]` of one sequence.
pub(crate) fn logits(checkpoint: &Checkpoint, tokens: &[u32]) -> Result<Vec<Vec<f64>>, Refusal> {
    let mut weights = HashMap::new();
    for (name, _) in checkpoint.config().expected_tensors() {
        let values = checkpoint.tensor_f32(&name)?.into_iter().map(f64::from).collect();
        weights.insert(name, values);
    }
    Ok(Reference { config: checkpoint.config(), weights }.logits(tokens))
}

/// The program with its weights by name.
pub(crate) struct Reference<'a> {
    config: &'a ModelConfig,
    weights: HashMap<String, Vec<f64>>,
}

impl<'a> Reference<'a> {
    /// Of parameters laid out as in training.
    pub(crate) fn new(config: &'a ModelConfig, layout: &Layout, parameters: &[f64]) -> Self {
        let weight = |tensor: &Tensor| (tensor.name.clone(), parameters[tensor.range.clone()].to_vec());
        Self { config, weights: layout.tensors().iter().map(weight).collect() }
    }

    /// Mean over the targets of one sequence of cross-entropy and weighted `ln²Z`.
    pub(crate) fn loss(&self, inputs: &[u32], targets: &[u32], z_loss: f64) -> f64 {
        let of = |(logits, target): (Vec<f64>, &u32)| {
            let log_z = logits[*target as usize] - log_probability(&logits, *target);
            -log_probability(&logits, *target) + z_loss * log_z * log_z
        };
        self.logits(inputs).into_iter().zip(targets).map(of).sum::<f64>() / targets.len() as f64
    }

    /// Logits `[tokens, vocabulary]` of one sequence.
    pub(crate) fn logits(&self, tokens: &[u32]) -> Vec<Vec<f64>> {
        let config = self.config;
        let embedding = &self.weights["model.embed_tokens.weight"];
        let factor = if config.scaled_embedding { (config.hidden_size as f64).sqrt() } else { 1.0 };
        let embed = |&id: &u32| &embedding[id as usize * config.hidden_size..][..config.hidden_size];
        let mut x: Rows = tokens.iter().map(|id| embed(id).iter().map(|x| x * factor).collect()).collect();
        for layer in 0..config.num_hidden_layers {
            let name = |name: &str| format!("model.layers.{layer}.{name}");
            let normed = self.norm(&x, &name("input_layernorm"));
            let project = |part: &str| self.linear(&normed, &name(&format!("self_attn.{part}_proj")));
            let (q, k, v) = (project("q"), project("k"), project("v"));
            let (q, k) = (self.norm(&q, &name("self_attn.q_norm")), self.norm(&k, &name("self_attn.k_norm")));
            let mixed = attention(&rotate(&q, config), &rotate(&k, config), &v, config);
            add(&mut x, &self.linear(&mixed, &name("self_attn.o_proj")));

            let normed = self.norm(&x, &name("post_attention_layernorm"));
            let mut hidden = self.linear(&normed, &name("mlp.gate_proj"));
            let up = self.linear(&normed, &name("mlp.up_proj"));
            for (g, up) in hidden.iter_mut().flatten().zip(up.iter().flatten()) {
                *g = *g / (1.0 + (-*g).exp()) * up;
            }
            add(&mut x, &self.linear(&hidden, &name("mlp.down_proj")));
        }
        let output = if config.tie_word_embeddings { "model.embed_tokens" } else { "lm_head" };
        self.linear(&self.norm(&x, "model.norm"), output)
    }

    /// `w · x + b` of every row for `w [outputs, inputs]`; no bias where there is no such tensor.
    fn linear(&self, rows: &Rows, name: &str) -> Rows {
        let w = &self.weights[&format!("{name}.weight")];
        let bias = self.weights.get(&format!("{name}.bias"));
        let row = |x: &Vec<f64>| {
            let products = w.chunks_exact(x.len()).map(|w| w.iter().zip(x).map(|(w, x)| w * x).sum::<f64>());
            products.enumerate().map(|(i, y)| y + bias.map_or(0.0, |bias| bias[i])).collect()
        };
        rows.iter().map(row).collect()
    }

    /// RMSNorm of pieces as wide as the weight; the rows as they are where there is no such tensor.
    fn norm(&self, rows: &Rows, name: &str) -> Rows {
        let Some(weight) = self.weights.get(&format!("{name}.weight")) else { return rows.clone() };
        let piece = |x: &[f64]| -> Vec<f64> {
            let mean = x.iter().map(|x| x * x).sum::<f64>() / x.len() as f64;
            let scale = 1.0 / (mean + self.config.rms_norm_eps).sqrt();
            x.iter().zip(weight).map(|(x, w)| w * x * scale).collect()
        };
        rows.iter().map(|x| x.chunks_exact(weight.len()).flat_map(piece).collect()).collect()
    }
}

/// `x[target] - ln Σ e^x`.
pub(crate) fn log_probability(logits: &[f64], target: u32) -> f64 {
    let max = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    logits[target as usize] - max - logits.iter().map(|x| (x - max).exp()).sum::<f64>().ln()
}

type Rows = Vec<Vec<f64>>;

/// Turns every head of every row by its position.
fn rotate(rows: &Rows, config: &ModelConfig) -> Rows {
    let (dim, half) = (config.head_dim, config.head_dim / 2);
    let table = Rope::new(dim, config.rope_theta, config.rope_scaling.as_ref()).table(0..rows.len());
    let mut out = rows.clone();
    for (position, (row, out)) in rows.iter().zip(&mut out).enumerate() {
        for head in (0..row.len()).step_by(dim) {
            for i in 0..half {
                let (cos, sin) = (table.cos[position * half + i], table.sin[position * half + i]);
                let (cos, sin) = (f64::from(cos), f64::from(sin));
                let (a, b) = (row[head + i], row[head + i + half]);
                out[head + i] = a * cos - b * sin;
                out[head + i + half] = b * cos + a * sin;
            }
        }
    }
    out
}

fn attention(q: &Rows, k: &Rows, v: &Rows, config: &ModelConfig) -> Rows {
    let dim = config.head_dim;
    let sharing = config.num_attention_heads / config.num_key_value_heads;
    let mut out = vec![vec![0.0; config.num_attention_heads * dim]; q.len()];
    for (position, out) in out.iter_mut().enumerate() {
        for head in 0..config.num_attention_heads {
            let key = head / sharing * dim;
            let q = &q[position][head * dim..][..dim];
            let score =
                |k: &Vec<f64>| q.iter().zip(&k[key..]).map(|(q, k)| q * k).sum::<f64>() / (dim as f64).sqrt();
            let first = config.window.map_or(0, |window| (position + 1).saturating_sub(window));
            let scores: Vec<f64> = k[first..=position].iter().map(score).collect();
            let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let total: f64 = scores.iter().map(|s| (s - max).exp()).sum();
            for (score, v) in scores.iter().zip(&v[first..]) {
                for (out, v) in out[head * dim..][..dim].iter_mut().zip(&v[key..]) {
                    *out += (score - max).exp() / total * v;
                }
            }
        }
    }
    out
}

fn add(x: &mut Rows, y: &Rows) {
    for (x, y) in x.iter_mut().zip(y) {
        for (x, y) in x.iter_mut().zip(y) {
            *x += y;
        }
    }
}
