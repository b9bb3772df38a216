//! Pieces of tensors from one floating-point type to another.

use half::{bf16, f16};

use crate::Dtype;

/// Types that are converted; integers and 8-bit floats are what they are for a reason.
pub(super) const fn is_weight(dtype: Dtype) -> bool {
    matches!(dtype, Dtype::F64 | Dtype::F32 | Dtype::F16 | Dtype::BF16)
}

/// Little-endian bytes of `to`, F32 or BF16, into `out`. Answers how many finite values became infinite.
///
/// Rounding is to the nearest, ties to even, and once: an F64 does not pass through F32 on its way to BF16.
pub(super) fn convert(from: Dtype, to: Dtype, bytes: &[u8], out: &mut Vec<u8>) -> u64 {
    out.clear();
    match from {
        Dtype::F64 => each(bytes, |b| f64::from_le_bytes(*b), to, out),
        Dtype::F32 => each(bytes, |b| f32::from_le_bytes(*b).into(), to, out),
        Dtype::F16 => each(bytes, |b| f16::from_le_bytes(*b).to_f64(), to, out),
        _ => each(bytes, |b| bf16::from_le_bytes(*b).to_f64(), to, out),
    }
}

/// Every type here goes into F64 and back exactly, NaN's payload apart.
fn each<const N: usize>(bytes: &[u8], read: impl Fn(&[u8; N]) -> f64, to: Dtype, out: &mut Vec<u8>) -> u64 {
    let mut lost = 0;
    for value in bytes.as_chunks::<N>().0.iter().map(read) {
        let infinite = if to == Dtype::BF16 {
            let value = bf16::from_f32(to_odd(value));
            out.extend_from_slice(&value.to_le_bytes());
            value.is_infinite()
        } else {
            #[expect(clippy::cast_possible_truncation, reason = "the nearest F32 is what is asked for")]
            let value = value as f32;
            out.extend_from_slice(&value.to_le_bytes());
            value.is_infinite()
        };
        lost += u64::from(infinite && value.is_finite());
    }
    lost
}

/// The F32 beside the value that ends in an odd bit, unless the value is an F32 itself: what is rounded from it to fewer bits is
/// what would be rounded from the value (Boldo and Melquiond, "When double rounding is odd", 2005). `half`'s `from_f64` looks at
/// the upper half of the bits alone.
fn to_odd(value: f64) -> f32 {
    #[expect(clippy::cast_possible_truncation, reason = "mended below")]
    let nearest = value as f32;
    if value.is_nan() || f64::from(nearest).to_bits() == value.to_bits() {
        return nearest;
    }
    let beyond = f64::from(nearest).abs() > value.abs();
    f32::from_bits((nearest.to_bits() - u32::from(beyond)) | 1)
}

#[cfg(test)]
mod tests {
    use half::{bf16, f16};
    use proptest::prelude::*;

    use super::convert;
    use crate::Dtype;

    fn to_bf16(value: f32) -> (bf16, u64) {
        let mut out = Vec::new();
        let lost = convert(Dtype::F32, Dtype::BF16, &value.to_le_bytes(), &mut out);
        (bf16::from_le_bytes([out[0], out[1]]), lost)
    }

    #[test]
    fn ties_go_to_even_nan_stays_and_overflow_is_counted() {
        // Halfway between two neighbours: 1 + 2^-8 lies between 1 and 1 + 2^-7.
        for (value, bits) in [
            (1.0 + 2f32.powi(-8), 0x3f80),
            (1.0 + 3.0 * 2f32.powi(-8), 0x3f82),
            (f32::from_bits(0x3f80_8001), 0x3f81),
            (-0.0, 0x8000),
            (f32::from_bits(1), 0x0000),
            (f32::INFINITY, 0x7f80),
            (f32::from_bits(0x7f7f_7fff), 0x7f7f),
        ] {
            assert_eq!(to_bf16(value), (bf16::from_bits(bits), 0), "{value:e}");
        }
        for bits in [0x7fc0_0000, 0x7f80_0001, 0xffff_ffff] {
            let (nan, lost) = to_bf16(f32::from_bits(bits));
            assert!(nan.is_nan() && lost == 0, "{bits:x}");
        }
        assert_eq!(to_bf16(f32::MAX), (bf16::INFINITY, 1));
        let mut out = Vec::new();
        assert_eq!(convert(Dtype::F64, Dtype::F32, &f64::MAX.to_le_bytes(), &mut out), 1);
        // Rounded once: through F32 the value would become a tie and go down.
        let value = 1.0 + 2f64.powi(-8) + 2f64.powi(-40);
        convert(Dtype::F64, Dtype::BF16, &value.to_le_bytes(), &mut out);
        assert_eq!(out, 0x3f81_u16.to_le_bytes());
    }

    proptest! {
        #[test]
        fn widening_is_exact_and_narrowing_is_what_the_half_crate_does(bits in any::<u32>(), short in any::<u16>()) {
            let value = f32::from_bits(bits);
            let (ours, _) = to_bf16(value);
            let theirs = bf16::from_f32(value);
            prop_assert!(ours == theirs || (ours.is_nan() && theirs.is_nan()), "{value:e}");
            let mut out = Vec::new();
            convert(Dtype::BF16, Dtype::F32, &short.to_le_bytes(), &mut out);
            let wide = f32::from_le_bytes([out[0], out[1], out[2], out[3]]);
            prop_assert!(wide.to_bits() == bf16::from_bits(short).to_f32().to_bits() || wide.is_nan());
            convert(Dtype::F16, Dtype::F32, &short.to_le_bytes(), &mut out);
            let wide = f32::from_le_bytes([out[0], out[1], out[2], out[3]]);
            prop_assert!(wide.to_bits() == f16::from_bits(short).to_f32().to_bits() || wide.is_nan());
        }
    }
}
