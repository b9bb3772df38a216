use std::collections::HashMap;
use std::hash::Hash;

use crate::python_text::is_white;

/// `str.split()` of Python: on white space, of which Python counts the separators U+001C–U+001F too.
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(is_white).filter(|word| !word.is_empty())
}

/// How often each run of `order` neighbours occurs.
pub(crate) fn count<T: Eq + Hash>(units: &[T], order: usize) -> HashMap<&[T], u64> {
    let mut counts = HashMap::new();
    for ngram in units.windows(order) {
        *counts.entry(ngram).or_insert(0) += 1;
    }
    counts
}

/// N-grams of the hypothesis that the reference has too, each at most as often as the reference has it.
pub(crate) fn matches<T: Eq + Hash>(hypothesis: &HashMap<&[T], u64>, reference: &HashMap<&[T], u64>) -> u64 {
    let shared = |(ngram, count): (&&[T], &u64)| reference.get(ngram).map_or(0, |limit| *count.min(limit));
    hypothesis.iter().map(shared).sum()
}
