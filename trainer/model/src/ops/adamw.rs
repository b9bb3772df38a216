//! AdamW with decoupled weight decay (arXiv 1711.05101).

use rayon::prelude::*;

use super::bf16;

/// Values handled as one task.
const CHUNK: usize = 1 << 14;

/// What an update of one tensor needs, in f32.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Constants {
    /// Factor on gradients: what clipping makes of them.
    pub scale: f32,
    /// Decay of the first moment.
    pub beta1: f32,
    /// `1 - beta1`, rounded once.
    pub rest1: f32,
    /// Decay of the second moment.
    pub beta2: f32,
    /// `1 - beta2`, rounded once.
    pub rest2: f32,
    /// `1 - lr · weight decay`: what is left of a parameter.
    pub keep: f32,
    /// Learning rate over the first moment's bias correction.
    pub step: f32,
    /// Root of the second moment's bias correction.
    pub root: f32,
    /// Added to `√v̂`.
    pub eps: f32,
    /// Of the random bits of this update, where moments are rounded by such.
    pub key: u64,
}

impl Constants {
    /// What is taken off a parameter, weight decay apart: `lr · m̂ / (√v̂ + ε)`.
    #[inline(always)]
    pub(super) fn change(&self, m: f32, v: f32) -> f32 {
        self.step * m / (v.sqrt() / self.root + self.eps)
    }
}

/// Rounds the moments of values `first..` of the flat arrays to bf16 after an update, by random bits that key and place give: what a
/// moment loses by rounding again and again then cancels out, where rounding to nearest would keep small changes from ever adding up.
pub fn round_moments((exp_avg, exp_avg_sq): (&mut [f32], &mut [f32]), first: usize, constants: &Constants) {
    let chunks = exp_avg.par_chunks_mut(CHUNK).zip(exp_avg_sq.par_chunks_mut(CHUNK)).enumerate();
    chunks.for_each(|(chunk, (m, v))| {
        for (i, (m, v)) in m.iter_mut().zip(v).enumerate() {
            let bits = bf16::random_bits(constants.key, (first + chunk * CHUNK + i) as u64);
            *m = bf16::rounded_at_random(*m, bits as u16);
            *v = bf16::rounded_at_random(*v, (bits >> 16) as u16);
        }
    });
}

/// `θ ← θ·(1 − lr·wd) − lr·m̂ / (√v̂ + ε)` on gradients times `scale`; all four of one length, the pair the moments.
pub fn update(
    parameters: &mut [f32],
    gradients: &[f32],
    (exp_avg, exp_avg_sq): (&mut [f32], &mut [f32]),
    constants: &Constants,
) {
    parameters
        .par_chunks_mut(CHUNK)
        .zip(gradients.par_chunks(CHUNK))
        .zip(exp_avg.par_chunks_mut(CHUNK).zip(exp_avg_sq.par_chunks_mut(CHUNK)))
        .for_each(|((parameters, gradients), (m, v))| {
            let moments = m.iter_mut().zip(v);
            for ((parameter, gradient), (m, v)) in parameters.iter_mut().zip(gradients).zip(moments) {
                let g = gradient * constants.scale;
                *m = constants.beta1 * *m + constants.rest1 * g;
                *v = constants.beta2 * *v + constants.rest2 * g * g;
                *parameter = *parameter * constants.keep - constants.change(*m, *v);
            }
        });
}
