//! chrF (Popović, 2015) and chrF++ (Popović, 2017) as sacreBLEU 2 computes them: character n-grams up to 6, β = 2, case
//! kept, white space removed, effective order (no epsilon smoothing), one reference.

use std::iter::Sum;

use crate::ngram;

/// Longest character n-gram.
const CHARACTERS: usize = 6;
/// β²: recall weighs twice as much as precision.
const FACTOR: f64 = 4.0;

/// N-grams of one order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// In the hypothesis; of an item whose reference has none of this order, none are counted.
    pub hypothesis: u64,
    /// In the reference.
    pub reference: u64,
    /// In both.
    pub matches: u64,
}

/// What chrF needs to know of an item, or of many: orders 1–6 of characters, then those of words. Counts add up, so a
/// bootstrap draws items without looking at their text again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts(pub Vec<Order>);

impl Counts {
    /// Counts of one item. `word_order` is 0 for chrF2 and 2 for chrF2++.
    #[must_use]
    pub fn of(hypothesis: &str, reference: &str, word_order: usize) -> Self {
        let characters = |text| ngram::words(text).flat_map(str::chars).collect::<Vec<_>>();
        let (ours, theirs) = (characters(hypothesis), characters(reference));
        let mut orders: Vec<Order> = (1..=CHARACTERS).map(|order| order_of(&ours, &theirs, order)).collect();
        let (ours, theirs) = (words(hypothesis), words(reference));
        orders.extend((1..=word_order).map(|order| order_of(&ours, &theirs, order)));
        Self(orders)
    }

    /// chrF of these counts, 0 to 100: the F₂ of mean precision and mean recall over the orders of which both sides have
    /// n-grams.
    #[must_use]
    pub fn score(&self) -> f64 {
        let (mut precision, mut recall, mut orders) = (0.0, 0.0, 0.0);
        for order in self.0.iter().filter(|order| order.hypothesis > 0 && order.reference > 0) {
            precision += number(order.matches) / number(order.hypothesis);
            recall += number(order.matches) / number(order.reference);
            orders += 1.0;
        }
        if precision + recall == 0.0 {
            return 0.0;
        }
        let (precision, recall) = (precision / orders, recall / orders);
        100.0 * (1.0 + FACTOR) * precision * recall / (FACTOR * precision + recall)
    }
}

impl<'a> Sum<&'a Self> for Counts {
    fn sum<I: Iterator<Item = &'a Self>>(items: I) -> Self {
        items.fold(Self::default(), |mut sum, item| {
            sum.0.resize(sum.0.len().max(item.0.len()), Order::default());
            for (sum, item) in sum.0.iter_mut().zip(&item.0) {
                sum.hypothesis += item.hypothesis;
                sum.reference += item.reference;
                sum.matches += item.matches;
            }
            sum
        })
    }
}

/// chrF of a corpus, 0 to 100; 0 of no items. `word_order` is 0 for chrF2 and 2 for chrF2++.
///
/// # Panics
/// When there are not as many references as hypotheses.
#[must_use]
pub fn corpus(hypotheses: &[&str], references: &[&str], word_order: usize) -> f64 {
    assert_eq!(hypotheses.len(), references.len(), "one reference per hypothesis");
    let items: Vec<Counts> = hypotheses
        .iter()
        .zip(references)
        .map(|(ours, theirs)| Counts::of(ours, theirs, word_order))
        .collect();
    items.iter().sum::<Counts>().score()
}

fn order_of<T: Eq + std::hash::Hash>(hypothesis: &[T], reference: &[T], order: usize) -> Order {
    let (ours, theirs) = (ngram::count(hypothesis, order), ngram::count(reference, order));
    let total = if theirs.is_empty() { 0 } else { ours.values().sum() };
    Order { hypothesis: total, reference: theirs.values().sum(), matches: ngram::matches(&ours, &theirs) }
}

/// Words, with one ASCII punctuation mark cut off: the last character if it is one, else the first. `(hi)` becomes `(hi`
/// and `)`, as in the reference implementation.
fn words(text: &str) -> Vec<&str> {
    let cut = |word| -> Vec<&str> {
        let (first, last) = (first_length(word), word.len() - last_length(word));
        if last == 0 {
            vec![word]
        } else if word.ends_with(|c: char| c.is_ascii_punctuation()) {
            vec![&word[..last], &word[last..]]
        } else if word.starts_with(|c: char| c.is_ascii_punctuation()) {
            vec![&word[..first], &word[first..]]
        } else {
            vec![word]
        }
    };
    ngram::words(text).flat_map(cut).collect()
}

fn first_length(word: &str) -> usize {
    word.chars().next().map_or(0, char::len_utf8)
}

fn last_length(word: &str) -> usize {
    word.chars().next_back().map_or(0, char::len_utf8)
}

#[expect(clippy::cast_precision_loss, reason = "numbers of n-grams are far below 2^53")]
const fn number(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{corpus, words};

    fn assert_scores(hypotheses: &[&str], references: &[&str], chrf: f64, chrf_pp: f64) {
        for (word_order, golden) in [(0, chrf), (2, chrf_pp)] {
            let score = corpus(hypotheses, references, word_order);
            assert!((score - golden).abs() < 1e-11, "{word_order}: {score}, sacreBLEU says {golden}");
        }
    }

    /// Values of sacreBLEU 2.6.0.
    #[test]
    fn corpora_score_as_in_sacrebleu() {
        assert_scores(
            &[
                "The cat sat on the mat.",
                "It cost $1,234.56 (about 10%) -- or so they said.",
                "Tom &amp; Jerry's 3-day trip to U.S.A.",
                "He said: \"no\"",
            ],
            &[
                "The cat is on the mat.",
                "It cost $1,234.56 (about 10 %), or so they said.",
                "Tom & Jerry's 3-day trip to the U.S.A.",
                "He said \"no\".",
            ],
            77.01985824037443,
            74.61548491553498,
        );
        assert_scores(
            &[
                "彼は昨日、東京へ行った。",
                "これは「テスト」です！",
                "価格は１，０００円（税込）です。",
                "今日は 晴れ。",
            ],
            &[
                "彼は昨日東京に行きました。",
                "これは「試験」です。",
                "価格は1,000円(税込)だ。",
                "今日は晴れです。",
            ],
            23.831393867048167,
            20.42690902889843,
        );
        assert_scores(
            &[
                "one-\ntwo three\nfour <skipped> five",
                "x\u{3000}y z\u{a0}w \u{2019}tis €5 a+b=c",
                "end 2019.",
                "trailing  \t",
            ],
            &["onetwo three four five", "x y z w 'tis €5 a + b = c", "end 2019 .", "trailing"],
            74.7892251407482,
            68.55302214193466,
        );
        // N-grams of an order that the item's own reference lacks do not count.
        assert_scores(&["yes", "no no"], &["yes sir", "no"], 49.88243197850184, 54.47461142840906);
        assert_scores(&["", "a b"], &["a b c", "a b"], 41.98473282442748, 41.98473282442748);
        assert_scores(&["a b c d e"], &["v w x y z"], 0.0, 0.0);
        assert_scores(&[], &[], 0.0, 0.0);
    }

    #[test]
    fn one_punctuation_mark_is_cut_off() {
        assert_eq!(
            words("(hi) 'tis . don't え。 (え"),
            ["(hi", ")", "'", "tis", ".", "don't", "え。", "(", "え"]
        );
    }

    proptest! {
        #[test]
        fn scores_are_percent_and_a_text_matches_itself(text in "[ab. ]{0,20}", other in "[ab. ]{0,20}") {
            for word_order in [0, 2] {
                let score = corpus(&[&other], &[&text], word_order);
                prop_assert!((0.0..=100.0 + 1e-9).contains(&score), "{score}");
                let same = corpus(&[&text], &[&text], word_order);
                let empty = text.trim().is_empty();
                prop_assert!((same - if empty { 0.0 } else { 100.0 }).abs() < 1e-9, "{same}");
            }
        }
    }
}
