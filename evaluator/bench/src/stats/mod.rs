//! What a score means: intervals for proportions, means and other statistics, standard errors, means over tasks, and
//! paired comparison of two models on the same items.
//!
//! Resampling draws with [`PythonRandom`](crate::python_random::PythonRandom) from a fixed seed, so the same values give the
//! same digits everywhere. Intervals are 95 %.

mod bootstrap;
mod fit;
mod holm;
mod mcnemar;
mod paired;
mod scaling;
mod standard_error;
mod stratum;
mod ties;
mod wilson;

pub use bootstrap::bootstrap;
pub use fit::{Curve, Shape};
pub use holm::holm;
pub use mcnemar::{McNemar, mcnemar};
pub use paired::{Paired, paired};
pub use scaling::{Scaling, loss_scaling, score_scaling};
pub use standard_error::{bootstrap_standard_error, pooled_standard_error, standard_error};
pub use stratum::Stratum;
pub use ties::tie_groups;
pub use wilson::wilson;

/// What is called significant: a p-value below it.
pub const ALPHA: f64 = 0.05;

/// Seed of every bootstrap but the harnesses' own.
const SEED: u64 = 0;

/// The mean; none of no values.
#[must_use]
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / count(values))
}

fn count<T>(values: &[T]) -> f64 {
    small(values.len())
}

#[expect(clippy::cast_precision_loss, reason = "numbers of items are far below 2^53")]
const fn small(number: usize) -> f64 {
    number as f64
}
