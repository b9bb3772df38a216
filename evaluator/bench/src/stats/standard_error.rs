use super::{count, mean, small};
use crate::python_random::PythonRandom;

/// Replicates that lm-eval draws from one seed.
const CHUNK: usize = 1_000;

/// Standard error of a mean as lm-eval reports it: sample standard deviation (n − 1) ÷ √n; none below two values.
#[must_use]
pub fn standard_error(values: &[f64]) -> Option<f64> {
    Some(deviation(values)? / count(values).sqrt())
}

/// Standard error of a group whose mean is weighted by size, from those of its tasks, as lm-eval pools them:
/// √(Σ (nᵢ − 1) seᵢ² nᵢ ÷ (Σ nᵢ − k) ÷ Σ nᵢ). None of lists of different lengths and where no task has two items.
#[must_use]
pub fn pooled_standard_error(standard_errors: &[f64], sizes: &[usize]) -> Option<f64> {
    let items: usize = sizes.iter().sum();
    if standard_errors.len() != sizes.len() || items <= sizes.len() {
        return None;
    }
    let spread = |(error, size): (&f64, &usize)| (small(*size) - 1.0) * error.powi(2) * small(*size);
    let squares: f64 = standard_errors.iter().zip(sizes).map(spread).sum();
    Some((squares / small(items - sizes.len()) / small(items)).sqrt())
}

/// Standard error of any statistic of `n` items as lm-eval bootstraps it: in chunks of 1,000 replicates (fewer when fewer
/// are asked for; what does not fill a chunk is dropped), chunk i drawn with `Random(i)`; the sample standard deviation of
/// the replicates.
///
/// `statistic` gets the indices of the drawn items. lm-eval asks for 100,000 replicates, but for 100 of BLEU, chrF and TER.
/// None below two items, as lm-eval shows "N/A", and below two replicates.
#[must_use]
pub fn bootstrap_standard_error(
    n: usize,
    replicates: usize,
    mut statistic: impl FnMut(&[usize]) -> f64,
) -> Option<f64> {
    if n < 2 || replicates < 2 {
        return None;
    }
    let chunk = replicates.min(CHUNK);
    let mut values = Vec::with_capacity(replicates);
    for seed in 0..(replicates / chunk) as u64 {
        let mut random = PythonRandom::new(seed);
        values.extend((0..chunk).map(|_| statistic(&random.choices(n, n))));
    }
    deviation(&values)
}

/// Sample standard deviation; none below two values.
fn deviation(values: &[f64]) -> Option<f64> {
    let mean = mean(values).filter(|_| values.len() > 1)?;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    Some((squares / (count(values) - 1.0)).sqrt())
}

#[cfg(test)]
mod tests {
    use super::{bootstrap_standard_error, pooled_standard_error, standard_error};
    use crate::stats::mean;

    fn assert_close(value: Option<f64>, golden: f64) {
        assert!(value.is_some_and(|value| (value / golden - 1.0).abs() < 1e-12), "{value:?}, not {golden}");
    }

    #[test]
    fn the_error_of_a_mean_is_the_samples() {
        assert_close(standard_error(&[1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 0.5, 1.0, 1.0]), 0.15);
        assert_eq!((standard_error(&[0.5]), standard_error(&[])), (None, None));
    }

    /// lm-eval 0.4.13: `pooled_sample_stderr`.
    #[test]
    fn groups_are_pooled_as_lm_eval_pools_them() {
        assert_close(pooled_standard_error(&[0.03, 0.01, 0.02], &[100, 250, 50]), 0.010073720706198816);
        assert_eq!(pooled_standard_error(&[0.1], &[1]), None);
        assert_eq!(pooled_standard_error(&[0.1], &[3, 4]), None);
    }

    /// lm-eval 0.4.13: `bootstrap_stderr` of `perplexity` and `mean`.
    #[test]
    fn bootstrapped_errors_are_lm_evals() {
        let logarithms: [f64; 8] = [-3.5, -1.25, -7.0, -0.5, -2.75, -4.0, -10.0, -1.0];
        let drawn = |drawn: &[usize]| {
            mean(&drawn.iter().map(|i| logarithms[*i]).collect::<Vec<_>>()).expect("some are drawn")
        };
        for (replicates, perplexity, plain) in [
            (100, 100.98599052253391, 1.1359151932389409),
            (1_000, 125.4788366468937, 1.0823464406406889),
            (1_500, 125.4788366468937, 1.0823464406406889),
            (3_000, 116.55950027114216, 1.073622277342593),
        ] {
            assert_close(bootstrap_standard_error(8, replicates, |d| (-drawn(d)).exp()), perplexity);
            assert_close(bootstrap_standard_error(8, replicates, drawn), plain);
        }
        assert_eq!(bootstrap_standard_error(1, 100, |_| 0.0), None);
        assert_eq!(bootstrap_standard_error(8, 1, |_| 0.0), None);
    }
}
