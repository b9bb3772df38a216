//! What AdamW's moments look like: how much of a tensor has a second moment so small that ε decides its step (LLM-jp found
//! ε = 1e-8 to matter for this), and how large moments, parameters and updates are.

use rayon::prelude::*;

use super::adamw::Constants;

/// Values handled as one task; fixed, so that sums do not depend on the number of threads.
const CHUNK: usize = 1 << 14;

/// Sums over the values of one or more tensors.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Statistics {
    /// Values.
    pub values: u64,
    /// Of those, the ones with `√v̂ < ε`.
    pub below_eps: u64,
    /// `Σ m²`.
    pub exp_avg: f64,
    /// `Σ v²`.
    pub exp_avg_sq: f64,
    /// `Σ θ²`.
    pub parameters: f64,
    /// `Σ (lr · m̂ / (√v̂ + ε))²`: of the last update, weight decay apart.
    pub update: f64,
}

impl std::ops::AddAssign for Statistics {
    fn add_assign(&mut self, other: Self) {
        self.values += other.values;
        self.below_eps += other.below_eps;
        self.exp_avg += other.exp_avg;
        self.exp_avg_sq += other.exp_avg_sq;
        self.parameters += other.parameters;
        self.update += other.update;
    }
}

/// The statistics of a tensor after an update with these constants; `moments` are `(m, v)`.
#[must_use]
pub fn statistics(parameters: &[f32], moments: (&[f32], &[f32]), constants: &Constants) -> Statistics {
    let square = |x: f32| f64::from(x) * f64::from(x);
    let chunks: Vec<Statistics> = parameters
        .par_chunks(CHUNK)
        .zip(moments.0.par_chunks(CHUNK).zip(moments.1.par_chunks(CHUNK)))
        .map(|(parameters, (m, v))| {
            let mut sums = Statistics { values: parameters.len() as u64, ..Statistics::default() };
            for (parameter, (m, v)) in parameters.iter().zip(m.iter().zip(v)) {
                sums.below_eps += u64::from(v.sqrt() / constants.root < constants.eps);
                sums.exp_avg += square(*m);
                sums.exp_avg_sq += square(*v);
                sums.parameters += square(*parameter);
                sums.update += square(constants.change(*m, *v));
            }
            sums
        })
        .collect();
    chunks.into_iter().fold(Statistics::default(), |mut sum, chunk| {
        sum += chunk;
        sum
    })
}

#[cfg(test)]
mod tests {
    use super::statistics;
    use crate::ops::adamw::Constants;

    #[test]
    fn a_value_counts_where_epsilon_is_above_the_root_of_its_corrected_moment() {
        let constants = Constants {
            scale: 1.0,
            beta1: 0.9,
            rest1: 0.1,
            beta2: 0.75,
            rest2: 0.25,
            keep: 1.0,
            step: 0.5,
            // After the first update, √(1 - beta2).
            root: 0.5,
            eps: 1.0,
            key: 0,
        };
        // √v̂ is twice the root of v: 0, 1 and 4.
        let found = statistics(&[3.0, 0.0, 4.0], (&[1.0, 2.0, -5.0], &[0.0, 0.25, 4.0]), &constants);
        assert_eq!((found.values, found.below_eps), (3, 1));
        // Changes of 1/2 · 1/(0 + 1), 1/2 · 2/(1 + 1) and 1/2 · -5/(4 + 1).
        for (found, expected) in [
            (found.exp_avg, 30.0),
            (found.exp_avg_sq, 16.0625),
            (found.parameters, 25.0),
            (found.update, 0.25 + 0.25 + 0.25),
        ] {
            assert!((found - expected).abs() < 1e-12, "{found} is not {expected}");
        }
    }
}
