//! Rotary position embedding (RoFormer, arXiv 2104.09864) in Hugging Face's layout: value `i` of a head turns with value
//! `i + head_dim/2`.

use rayon::prelude::*;
use sekisho_weights::RopeScaling;

/// The turning speed of every pair of values.
#[derive(Clone, Debug)]
pub struct Rope {
    /// Radians per position, `[head_dim / 2]`.
    frequencies: Vec<f32>,
}

/// Cosines and sines of some positions.
#[derive(Clone, Debug)]
pub struct Table {
    /// `[positions, head_dim / 2]`.
    pub cos: Vec<f32>,
    /// `[positions, head_dim / 2]`.
    pub sin: Vec<f32>,
    half: usize,
}

impl Table {
    /// Positions that it has.
    #[must_use]
    pub fn positions(&self) -> usize {
        self.cos.len() / self.half
    }
}

impl Rope {
    /// Frequencies `theta^(-2i / head_dim)`, stretched as Llama 3.1 does where `scaling` says so.
    #[must_use]
    pub fn new(head_dim: usize, theta: f64, scaling: Option<&RopeScaling>) -> Self {
        let frequencies = (0..head_dim / 2)
            .map(|i| theta.powf(-((2 * i) as f64) / head_dim as f64))
            .map(|frequency| scaling.map_or(frequency, |scaling| stretch(frequency, scaling)) as f32)
            .collect();
        Self { frequencies }
    }

    /// The table of these positions. Angles are products in f32, as `transformers` computes them.
    #[must_use]
    pub fn table(&self, positions: impl IntoIterator<Item = usize>) -> Table {
        let (sin, cos) = positions
            .into_iter()
            .flat_map(|position| self.frequencies.iter().map(move |f| position as f32 * f))
            .map(|angle| {
                let (sin, cos) = f64::from(angle).sin_cos();
                (sin as f32, cos as f32)
            })
            .unzip();
        Table { cos, sin, half: self.frequencies.len() }
    }
}

/// Llama 3.1's rule: fast frequencies stay, slow ones are divided by `factor`, those between are blended
/// (`_compute_llama3_parameters` of transformers).
fn stretch(frequency: f64, scaling: &RopeScaling) -> f64 {
    let context = scaling.original_max_position_embeddings as f64;
    let wavelength = std::f64::consts::TAU / frequency;
    if wavelength < context / scaling.high_freq_factor {
        frequency
    } else if wavelength > context / scaling.low_freq_factor {
        frequency / scaling.factor
    } else {
        let smooth = (context / wavelength - scaling.low_freq_factor)
            / (scaling.high_freq_factor - scaling.low_freq_factor);
        (1.0 - smooth) * frequency / scaling.factor + smooth * frequency
    }
}

/// Turns `x [rows, heads, head_dim]` in place. Row `r` takes row `r % positions` of the table, so that one table serves a
/// batch of sequences of the table's length.
pub fn forward(x: &mut [f32], heads: usize, table: &Table) {
    rotate(x, heads, table, 1.0);
}

/// [`forward`] turned back: also its gradient.
pub fn backward(dx: &mut [f32], heads: usize, table: &Table) {
    rotate(dx, heads, table, -1.0);
}

fn rotate(x: &mut [f32], heads: usize, table: &Table, direction: f32) {
    let half = table.half;
    let positions = table.positions();
    x.par_chunks_mut(heads * 2 * half).enumerate().with_min_len(16).for_each(|(row, x)| {
        let angles = row % positions * half..(row % positions + 1) * half;
        let (cos, sin) = (&table.cos[angles.clone()], &table.sin[angles]);
        for head in x.chunks_exact_mut(2 * half) {
            let (first, second) = head.split_at_mut(half);
            for (((a, b), cos), sin) in first.iter_mut().zip(second).zip(cos).zip(sin) {
                let sin = sin * direction;
                (*a, *b) = (*a * cos - *b * sin, *b * cos + *a * sin);
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use sekisho_weights::RopeScaling;

    use super::{Rope, backward, forward};
    use crate::testing::Random;

    #[test]
    fn a_rotation_turns_pairs_half_a_head_apart_and_back() {
        let table = Rope::new(4, 100.0, None).table([3]);
        let mut x = vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
        forward(&mut x, 2, &table);
        // Frequencies 100^0 and 100^(-1/2): angles 3 and 0.3.
        let (sin, cos) = 3.0_f64.sin_cos();
        let (small_sin, small_cos) = 0.3_f64.sin_cos();
        let turned = |a: f64, b: f64, c: f64, d: f64| {
            [
                a * cos - c * sin,
                b * small_cos - d * small_sin,
                c * cos + a * sin,
                d * small_cos + b * small_sin,
            ]
        };
        for (x, expected) in x.iter().zip([turned(1.0, 2.0, 3.0, 4.0), turned(5.0, 6.0, 7.0, 8.0)].concat()) {
            assert!((f64::from(*x) - expected).abs() < 1e-6);
        }
        backward(&mut x, 2, &table);
        for (x, expected) in x.iter().zip(1_u8..) {
            assert!((x - f32::from(expected)).abs() < 1e-6);
        }
    }

    #[test]
    fn one_table_serves_every_sequence_of_a_batch() {
        let rope = Rope::new(8, 10_000.0, None);
        let mut batch = Random(11).values(2 * 5 * 16);
        let mut second = batch[5 * 16..].to_vec();
        forward(&mut batch, 2, &rope.table(0..5));
        forward(&mut second, 2, &rope.table(0..5));
        assert_eq!(batch[5 * 16..], second);
    }

    /// Settings of Llama 3.1 8B; the expected values are `_compute_llama3_parameters` of transformers worked out in f64.
    #[test]
    fn slow_frequencies_are_stretched_as_llama_3_1_does() {
        let scaling = RopeScaling {
            factor: 8.0,
            low_freq_factor: 1.0,
            high_freq_factor: 4.0,
            original_max_position_embeddings: 8_192,
        };
        let plain = Rope::new(128, 500_000.0, None).frequencies;
        let stretched = Rope::new(128, 500_000.0, Some(&scaling)).frequencies;
        assert_eq!(stretched[..28], plain[..28], "wavelengths below 8192 / 4 stay");
        for (stretched, plain) in stretched[36..].iter().zip(&plain[36..]) {
            assert!((stretched * 8.0 / plain - 1.0).abs() < 1e-6, "wavelengths above 8192 are divided");
        }
        assert!(stretched[28..36].is_sorted_by(|a, b| a > b), "those between lead from one to the other");
    }
}
