//! Rounding to bf16: what a device does to the operands of a matrix product, on values that stay f32.

use half::bf16;
use rayon::prelude::*;

/// Values handled as one task.
const CHUNK: usize = 1 << 14;

/// The nearest bf16 of every value, ties to even.
#[must_use]
pub fn rounded(x: &[f32]) -> Vec<f32> {
    let mut out = vec![0.0; x.len()];
    round_into(x, &mut out);
    out
}

/// [`rounded`] into memory that is there.
pub fn round_into(x: &[f32], out: &mut [f32]) {
    out.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).for_each(|(out, x)| {
        for (out, x) in out.iter_mut().zip(x) {
            *out = bf16::from_f32(*x).to_f32();
        }
    });
}

#[cfg(test)]
mod tests {
    use super::rounded;

    #[test]
    fn ties_go_to_the_even_neighbour() {
        // bf16 keeps 7 bits behind the point: neighbours of 1 are 1/128 apart.
        let step = 1.0 / 128.0;
        let found = rounded(&[1.0 + step / 2.0, 1.0 + 1.5 * step, 1.0 + 0.51 * step, -3.4e38, f32::NAN]);
        assert_eq!(found[..3], [1.0, 1.0 + 2.0 * step, 1.0 + step]);
        assert!(found[3].is_infinite() && found[4].is_nan());
    }
}
