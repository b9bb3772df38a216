//! Which corpus the next sample comes from: Megatron-LM's greedy blend (`build_blending_indices`).

use serde::{Deserialize, Serialize};

/// Samples taken from each corpus so far: all there is to remember of a place in the data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position {
    /// By corpus, in the order of the specification.
    pub(crate) taken: Vec<u64>,
}

impl Position {
    /// Samples taken from all corpora.
    pub(crate) fn samples(&self) -> u64 {
        self.taken.iter().sum()
    }
}

/// Shares of the corpora and the samples each of them has to give.
pub(super) struct Blend {
    weights: Vec<f64>,
    limits: Vec<u64>,
}

impl Blend {
    /// Weights are normalised here.
    pub(super) fn new(weights: &[f64], limits: Vec<u64>) -> Self {
        let sum: f64 = weights.iter().sum();
        Self { weights: weights.iter().map(|w| w / sum).collect(), limits }
    }

    /// Takes the next sample: the corpus that is furthest behind its share, ties to the first, those used up left out.
    /// Gives its index and the number of the sample within it; none when all are used up.
    pub(super) fn next(&self, position: &mut Position) -> Option<(usize, u64)> {
        let n = (position.samples() as f64).max(1.0);
        let mut furthest: Option<(usize, f64)> = None;
        for (corpus, (weight, taken)) in self.weights.iter().zip(&position.taken).enumerate() {
            let behind = weight * n - *taken as f64;
            if *taken < self.limits[corpus] && furthest.is_none_or(|(_, most)| behind > most) {
                furthest = Some((corpus, behind));
            }
        }
        let (corpus, _) = furthest?;
        let sample = position.taken[corpus];
        position.taken[corpus] += 1;
        Some((corpus, sample))
    }
}

#[cfg(test)]
mod tests {
    use super::{Blend, Position};

    fn draw(blend: &Blend, count: usize) -> Vec<(usize, u64)> {
        let mut position = Position { taken: vec![0; blend.weights.len()] };
        std::iter::from_fn(|| blend.next(&mut position)).take(count).collect()
    }

    #[test]
    fn the_greedy_blend_is_megatrons() {
        let blend = Blend::new(&[0.5, 0.3, 0.2], vec![u64::MAX; 3]);
        let golden = [(0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (0, 2), (2, 1), (0, 3), (1, 2), (0, 4)];
        assert_eq!(draw(&blend, 10), golden);
    }

    #[test]
    fn a_corpus_that_is_used_up_is_left_out() {
        let blend = Blend::new(&[1.0, 1.0], vec![1, 3]);
        assert_eq!(draw(&blend, 10), [(0, 0), (1, 0), (1, 1), (1, 2)]);
    }
}
