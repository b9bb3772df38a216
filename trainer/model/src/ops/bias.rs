//! The bias of a linear layer.

use rayon::prelude::*;

/// `x[r] += bias` for every row; `x` is `[rows, d]`, `bias` is `[d]`.
pub fn forward(x: &mut [f32], bias: &[f32]) {
    x.par_chunks_mut(bias.len()).with_min_len(16).for_each(|row| {
        for (x, bias) in row.iter_mut().zip(bias) {
            *x += bias;
        }
    });
}

/// Adds the gradient of [`forward`] to `dbias`: every value is one sum over the rows of `dy`, in order.
pub fn backward(dy: &[f32], dbias: &mut [f32]) {
    const COLUMNS: usize = 256;
    let d = dbias.len();
    dbias.par_chunks_mut(COLUMNS).enumerate().for_each(|(strip, dbias)| {
        for row in dy.chunks_exact(d) {
            for (sum, dy) in dbias.iter_mut().zip(&row[strip * COLUMNS..]) {
                *sum += dy;
            }
        }
    });
}
