//! AdamW with decoupled weight decay (arXiv 1711.05101) and clipping by the global norm, over flat arrays.

use std::ops::Range;

use rayon::prelude::*;
use sekisho_domain::fits_glob;
use sekisho_model::train::Layout;

use crate::spec::Optimizer;

/// Values handled as one task; fixed, so that sums do not depend on the number of threads.
const CHUNK: usize = 1 << 14;

/// The optimiser's settings and state.
pub(crate) struct AdamW {
    settings: Optimizer,
    groups: Vec<Group>,
    /// First moments, laid out as the parameters.
    pub(crate) exp_avg: Vec<f32>,
    /// Second moments, laid out as the parameters.
    pub(crate) exp_avg_sq: Vec<f32>,
    /// Updates made, which the bias correction counts; skipped ones are not among them.
    pub(crate) updates: u64,
}

/// A tensor and whether it is decayed.
struct Group {
    range: Range<usize>,
    decayed: bool,
}

impl AdamW {
    pub(crate) fn new(settings: &Optimizer, layout: &Layout) -> Self {
        let groups = layout
            .tensors()
            .iter()
            .map(|t| Group { range: t.range.clone(), decayed: is_decayed(settings, &t.name, t.shape.len()) })
            .collect();
        Self {
            settings: settings.clone(),
            groups,
            exp_avg: vec![0.0; layout.length],
            exp_avg_sq: vec![0.0; layout.length],
            updates: 0,
        }
    }

    /// `θ ← θ·(1 − lr·wd) − lr·m̂ / (√v̂ + ε)` on gradients times `scale`.
    pub(crate) fn update(&mut self, parameters: &mut [f32], gradients: &[f32], lr: f64, scale: f32) {
        self.updates += 1;
        let [beta1, beta2] = self.settings.betas;
        let correction = |beta: f64| 1.0 - beta.powf(self.updates as f64);
        for group in &self.groups {
            let decay = if group.decayed { lr * self.settings.weight_decay } else { 0.0 };
            let constants = Constants {
                scale,
                beta1: beta1 as f32,
                rest1: (1.0 - beta1) as f32,
                beta2: beta2 as f32,
                rest2: (1.0 - beta2) as f32,
                keep: (1.0 - decay) as f32,
                step: (lr / correction(beta1)) as f32,
                root: correction(beta2).sqrt() as f32,
                eps: self.settings.eps as f32,
            };
            let range = group.range.clone();
            parameters[range.clone()]
                .par_chunks_mut(CHUNK)
                .zip(gradients[range.clone()].par_chunks(CHUNK))
                .zip(self.exp_avg[range.clone()].par_chunks_mut(CHUNK))
                .zip(self.exp_avg_sq[range].par_chunks_mut(CHUNK))
                .for_each(|(((parameters, gradients), m), v)| constants.apply(parameters, gradients, m, v));
        }
    }
}

/// What an update of one tensor needs, in f32.
struct Constants {
    scale: f32,
    beta1: f32,
    rest1: f32,
    beta2: f32,
    rest2: f32,
    keep: f32,
    step: f32,
    root: f32,
    eps: f32,
}

impl Constants {
    fn apply(&self, parameters: &mut [f32], gradients: &[f32], m: &mut [f32], v: &mut [f32]) {
        for (((parameter, gradient), m), v) in parameters.iter_mut().zip(gradients).zip(m).zip(v) {
            let g = gradient * self.scale;
            *m = self.beta1 * *m + self.rest1 * g;
            *v = self.beta2 * *v + self.rest2 * g * g;
            *parameter = *parameter * self.keep - self.step * *m / (v.sqrt() / self.root + self.eps);
        }
    }
}

/// Whether a parameter is decayed: by the globs of `weight_decay_exclude`, or unless it has one dimension.
pub(crate) fn is_decayed(settings: &Optimizer, name: &str, dimensions: usize) -> bool {
    match &settings.weight_decay_exclude {
        None => dimensions > 1,
        Some(globs) => !globs.iter().any(|glob| fits_glob(glob, name)),
    }
}

/// The L2 norm, summed in f64 in a fixed order.
pub(crate) fn norm(values: &[f32]) -> f64 {
    let squares: Vec<f64> = values
        .par_chunks(CHUNK)
        .map(|chunk| chunk.iter().map(|x| f64::from(*x) * f64::from(*x)).sum())
        .collect();
    squares.iter().sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::norm;

    #[test]
    fn a_nan_anywhere_shows_in_the_norm() {
        let mut values = vec![0.5_f32; 100_000];
        assert!((norm(&values) - 0.5 * 100_000_f64.sqrt()).abs() < 1e-9);
        values[99_999] = f32::NAN;
        assert!(norm(&values).is_nan());
    }
}
