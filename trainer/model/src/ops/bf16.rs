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

/// Random bits of value `index` under a key: every bit of both has a part in each. (The last steps of MurmurHash3, Appleby, public
/// domain.)
#[inline(always)]
#[must_use]
pub fn random_bits(key: u64, index: u64) -> u32 {
    let mix = |mut bits: u32| {
        bits = (bits ^ bits >> 16).wrapping_mul(0x85EB_CA6B);
        bits = (bits ^ bits >> 13).wrapping_mul(0xC2B2_AE35);
        bits ^ bits >> 16
    };
    let halves = |number: u64| (number as u32, (number >> 32) as u32);
    let ((key, more_key), (index, more_index)) = (halves(key), halves(index));
    mix(mix(index ^ key).wrapping_add(more_index.wrapping_mul(0x9E37_79B1)) ^ more_key)
}

/// One of the two bf16 beside a value, the nearer the likelier, by 16 random bits: right in the mean. What is no number or infinite
/// stays so.
#[inline(always)]
#[must_use]
pub fn rounded_at_random(value: f32, bits: u16) -> f32 {
    if !value.is_finite() {
        return bf16::from_f32(value).to_f32();
    }
    f32::from_bits(value.to_bits().wrapping_add(u32::from(bits)) & 0xFFFF_0000)
}

#[cfg(test)]
mod tests {
    use super::{random_bits, rounded, rounded_at_random};

    #[test]
    fn rounding_at_random_is_right_in_the_mean() {
        let (low, step) = (1.0, 1.0 / 128.0);
        for share in [0.0_f32, 0.25, 0.7] {
            let value = low + share * step;
            let ups = (0..40_000).filter(|index| {
                let found = rounded_at_random(value, random_bits(9 << 33 | 5, *index) as u16);
                assert!(found == low || found == low + step, "{found}");
                found > low
            });
            let found = ups.count() as f32 / 40_000.0;
            assert!((found - share).abs() < 0.01, "{found} is not {share}");
        }
        assert_eq!(rounded_at_random(-1.0, u16::MAX), -1.0);
        assert!(rounded_at_random(f32::NAN, 7).is_nan() && rounded_at_random(f32::INFINITY, 9).is_infinite());
    }

    #[test]
    fn random_bits_depend_on_all_of_key_and_index() {
        let one = random_bits(1, 2);
        for (key, index) in [(2, 2), (1, 3), (1 | 1 << 32, 2), (1, 2 | 1 << 32)] {
            assert_ne!(random_bits(key, index), one);
        }
    }

    #[test]
    fn ties_go_to_the_even_neighbour() {
        // bf16 keeps 7 bits behind the point: neighbours of 1 are 1/128 apart.
        let step = 1.0 / 128.0;
        let found = rounded(&[1.0 + step / 2.0, 1.0 + 1.5 * step, 1.0 + 0.51 * step, -3.4e38, f32::NAN]);
        assert_eq!(found[..3], [1.0, 1.0 + 2.0 * step, 1.0 + step]);
        assert!(found[3].is_infinite() && found[4].is_nan());
    }
}
