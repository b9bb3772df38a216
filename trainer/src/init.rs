//! The first weights: those of a checkpoint, or normally distributed ones.

use std::path::Path;

use rayon::prelude::*;
use sekisho_domain::Sha256;
use sekisho_model::train::{Layout, Tensor};
use sekisho_weights::{Checkpoint, Refusal, inspect};

use crate::spec::Spec;

/// Parameters laid out as `layout` says.
pub(crate) fn parameters(spec: &Spec, layout: &Layout) -> Result<Vec<f32>, Refusal> {
    match &spec.init.from {
        Some(folder) => from_checkpoint(folder, layout),
        None => Ok(random(spec.seed, &deviation(spec), layout)),
    }
}

/// Nothing is trained from weights that the service would refuse: every value is looked at first.
fn from_checkpoint(folder: &Path, layout: &Layout) -> Result<Vec<f32>, Refusal> {
    inspect(folder)?;
    let checkpoint = Checkpoint::open(folder)?;
    let mut parameters = Vec::with_capacity(layout.length);
    for tensor in layout.tensors() {
        parameters.extend(checkpoint.tensor_f32(&tensor.name)?);
    }
    Ok(parameters)
}

/// Standard deviation of a matrix by its name. Each layer adds to the residual stream twice; with `scaled_residual` what 2L layers
/// add has the variance of one (GPT-2; Megatron-LM's `scaled_init_method_normal`).
fn deviation(spec: &Spec) -> impl Fn(&str) -> f64 {
    let std = spec.init.std.unwrap_or(0.02);
    let layers = spec.model.num_hidden_layers.filter(|_| spec.init.scaled_residual);
    move |name| match layers {
        Some(layers) if RESIDUAL.iter().any(|end| name.ends_with(end)) => std / (2.0 * layers as f64).sqrt(),
        _ => std,
    }
}

/// The matrices that write into the residual stream.
const RESIDUAL: [&str; 2] = ["self_attn.o_proj.weight", "mlp.down_proj.weight"];

/// Matrices from N(0, std²), the norms' weights 1, biases 0. A value depends on seed, name and place alone, so a model
/// with one layer more has the same other weights.
fn random(seed: u64, std: &dyn Fn(&str) -> f64, layout: &Layout) -> Vec<f32> {
    let mut parameters = vec![1.0; layout.length];
    for Tensor { name, shape, range } in layout.tensors() {
        if shape.len() > 1 {
            let (std, digest) = (std(name), Sha256::of(format!("{seed}\0{name}")));
            let key = u64::from_le_bytes(digest.as_bytes()[..8].try_into().expect("eight bytes"));
            parameters[range.clone()].par_chunks_mut(2).enumerate().with_min_len(4096).for_each(
                |(i, pair)| {
                    let normal = normal_pair(key, i as u64);
                    for (value, normal) in pair.iter_mut().zip(normal) {
                        *value = (std * normal) as f32;
                    }
                },
            );
        } else if name.ends_with(".bias") {
            parameters[range.clone()].fill(0.0);
        }
    }
    parameters
}

/// Two independent standard normal numbers (Box and Muller 1958) from a counter.
fn normal_pair(key: u64, counter: u64) -> [f64; 2] {
    // 53 random bits in (0, 1].
    let uniform = |n: u64| ((splitmix64(key, n) >> 11) + 1) as f64 / (1_u64 << 53) as f64;
    let radius = (-2.0 * uniform(2 * counter).ln()).sqrt();
    let (sin, cos) = (std::f64::consts::TAU * uniform(2 * counter + 1)).sin_cos();
    [radius * cos, radius * sin]
}

/// Number `n` of the splitmix64 sequence that begins at `key` (Steele, Lea and Flood 2014).
fn splitmix64(key: u64, n: u64) -> u64 {
    let mut z = key.wrapping_add((n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use sekisho_model::train::Layout;

    use super::{normal_pair, parameters};
    use crate::spec::{Spec, preset};

    #[test]
    fn the_numbers_are_standard_normal() {
        let values: Vec<f64> = (0..50_000).flat_map(|i| normal_pair(42, i)).collect();
        let moment = |power| values.iter().map(|v| v.powi(power)).sum::<f64>() / values.len() as f64;
        // Five standard errors of the mean, the variance and the fourth moment.
        assert!(moment(1).abs() < 5.0 * (1.0 / 1e5_f64).sqrt());
        assert!((moment(2) - 1.0).abs() < 5.0 * (2.0 / 1e5_f64).sqrt());
        assert!((moment(4) - 3.0).abs() < 5.0 * (96.0 / 1e5_f64).sqrt());
    }

    #[test]
    fn what_writes_into_the_residual_stream_begins_smaller() {
        let text = preset("mini-ja-en").expect("a preset").specification();
        let scaled = text.replacen("std = 0.02", "std = 0.02\nscaled_residual = true", 1);
        let of = |text: &str| {
            let spec = Spec::parse("spec.toml", text, std::path::Path::new("/")).expect("a specification");
            let layout = Layout::new(&spec.model_config().expect("a model"));
            (parameters(&spec, &layout).expect("first weights"), layout)
        };
        let ((plain, layout), (smaller, _)) = (of(&text), of(&scaled));
        for tensor in layout.tensors().iter().filter(|tensor| tensor.shape.len() > 1) {
            let residual = ["o_proj.weight", "down_proj.weight"].iter().any(|end| tensor.name.ends_with(end));
            let expected = if residual { 0.02 / 12.0_f64.sqrt() } else { 0.02 };
            let values = &smaller[tensor.range.clone()];
            let square: f64 = values.iter().map(|v| f64::from(*v).powi(2)).sum();
            let std = (square / values.len() as f64).sqrt();
            assert!((std / expected - 1.0).abs() < 0.02, "{}: {std}", tensor.name);
            assert_eq!(residual, plain[tensor.range.clone()] != *values, "{}", tensor.name);
        }
    }
}
