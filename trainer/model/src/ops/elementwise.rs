//! Sums, products and copies, element by element.

use rayon::prelude::*;

/// Values handled as one task.
const CHUNK: usize = 1 << 14;

/// `into += from`.
pub fn add(into: &mut [f32], from: &[f32]) {
    into.par_chunks_mut(CHUNK).zip(from.par_chunks(CHUNK)).for_each(|(into, from)| {
        for (into, from) in into.iter_mut().zip(from) {
            *into += from;
        }
    });
}

/// `values *= factor`.
pub fn multiply(values: &mut [f32], factor: f32) {
    values.par_chunks_mut(CHUNK).for_each(|values| values.iter_mut().for_each(|value| *value *= factor));
}

/// `to = from`.
pub fn copy(to: &mut [f32], from: &[f32]) {
    let chunks = to.par_chunks_mut(CHUNK).zip(from.par_chunks(CHUNK));
    chunks.with_min_len(16).for_each(|(to, from)| to.copy_from_slice(from));
}
