//! The sum of squares, of which the global norm of the gradient is the root.

use rayon::prelude::*;

/// Values handled as one task; fixed, so that the sum does not depend on the number of threads.
const CHUNK: usize = 1 << 14;

/// `Σ x²` in f64, in a fixed order.
#[must_use]
pub fn forward(x: &[f32]) -> f64 {
    let squares: Vec<f64> =
        x.par_chunks(CHUNK).map(|chunk| chunk.iter().map(|x| f64::from(*x) * f64::from(*x)).sum()).collect();
    squares.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::forward;

    #[test]
    fn a_nan_anywhere_shows() {
        let mut values = vec![0.5_f32; 100_000];
        assert!((forward(&values) - 25_000.0).abs() < 1e-9);
        values[99_999] = f32::NAN;
        assert!(forward(&values).is_nan());
    }
}
