//! Corpus BLEU (Papineni et al., 2002) as sacreBLEU 2 computes it (Post, 2018): one reference, n-grams up to 4, exponential
//! smoothing, case kept, no effective order.
//!
//! sacreBLEU's own defaults, so the value bears its signature `nrefs:1|case:mixed|eff:no|tok:…|smooth:exp`. Japanese is
//! not segmented here: [`Tokenize::Char`] is a metric of its own, not a stand-in for MeCab's or nagisa's words.

mod tokenize;

use std::iter::Sum;

use crate::ngram;

/// Longest n-gram.
const ORDER: usize = 4;

/// How a line is cut into words before n-grams are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tokenize {
    /// `13a`: the rules of NIST's mteval-v13a for Western text, sacreBLEU's default.
    V13a,
    /// `intl`: Unicode punctuation and symbols apart, as mteval-v14 does internationally.
    International,
    /// `char`: every character that is not white space.
    Char,
    /// `none`: white space only.
    None,
}

/// What BLEU needs to know of an item, or of many: counts add up, so a bootstrap draws items without looking at their text
/// again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// N-grams of the hypothesis that occur in the reference, orders 1 to 4.
    pub matches: [u64; ORDER],
    /// N-grams of the hypothesis, orders 1 to 4.
    pub totals: [u64; ORDER],
    /// Words of the hypothesis.
    pub hypothesis: u64,
    /// Words of the reference.
    pub reference: u64,
}

impl Counts {
    /// Counts of one item.
    #[must_use]
    pub fn of(hypothesis: &str, reference: &str, tokenize: Tokenize) -> Self {
        let (hypothesis, reference) = (tokenize.apply(hypothesis), tokenize.apply(reference));
        let (hypothesis, reference): (Vec<&str>, Vec<&str>) =
            (ngram::words(&hypothesis).collect(), ngram::words(&reference).collect());
        let mut counts = Self {
            hypothesis: hypothesis.len() as u64,
            reference: reference.len() as u64,
            ..Self::default()
        };
        for order in 1..=ORDER {
            let ours = ngram::count(&hypothesis, order);
            counts.matches[order - 1] = ngram::matches(&ours, &ngram::count(&reference, order));
            counts.totals[order - 1] = ours.values().sum();
        }
        counts
    }

    /// BLEU of these counts, 0 to 100.
    ///
    /// The geometric mean of the four precisions times the brevity penalty. The k-th order without a match has precision
    /// 1 ÷ (2ᵏ · total); without any match, or where hypotheses are too short to have a 4-gram at all, BLEU is 0.
    #[must_use]
    pub fn score(&self) -> f64 {
        if self.matches == [0; ORDER] || self.totals.contains(&0) {
            return 0.0;
        }
        let mut halvings = 1.0;
        let logarithms = self.matches.iter().zip(&self.totals).map(|(&matched, &total)| {
            if matched == 0 {
                halvings *= 2.0;
                (100.0 / (halvings * number(total))).ln()
            } else {
                (100.0 * number(matched) / number(total)).ln()
            }
        });
        let mean = logarithms.sum::<f64>() / number(ORDER as u64);
        self.brevity_penalty() * mean.exp()
    }

    /// 1 unless the hypotheses are shorter than the references: then exp(1 − reference ÷ hypothesis).
    #[must_use]
    pub fn brevity_penalty(&self) -> f64 {
        if self.hypothesis >= self.reference {
            return 1.0;
        }
        if self.hypothesis == 0 {
            return 0.0;
        }
        (1.0 - number(self.reference) / number(self.hypothesis)).exp()
    }
}

impl<'a> Sum<&'a Self> for Counts {
    fn sum<I: Iterator<Item = &'a Self>>(items: I) -> Self {
        items.fold(Self::default(), |mut sum, item| {
            for order in 0..ORDER {
                sum.matches[order] += item.matches[order];
                sum.totals[order] += item.totals[order];
            }
            sum.hypothesis += item.hypothesis;
            sum.reference += item.reference;
            sum
        })
    }
}

/// BLEU of a corpus, 0 to 100; 0 of no items.
///
/// # Panics
/// When there are not as many references as hypotheses.
#[must_use]
pub fn corpus(hypotheses: &[&str], references: &[&str], tokenize: Tokenize) -> f64 {
    assert_eq!(hypotheses.len(), references.len(), "one reference per hypothesis");
    let items: Vec<Counts> =
        hypotheses.iter().zip(references).map(|(ours, theirs)| Counts::of(ours, theirs, tokenize)).collect();
    items.iter().sum::<Counts>().score()
}

#[expect(clippy::cast_precision_loss, reason = "numbers of n-grams are far below 2^53")]
const fn number(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Counts, Tokenize, corpus};

    const ALL: [Tokenize; 4] = [Tokenize::V13a, Tokenize::International, Tokenize::Char, Tokenize::None];

    fn assert_scores(hypotheses: &[&str], references: &[&str], golden: [f64; 4]) {
        for (tokenize, golden) in ALL.into_iter().zip(golden) {
            let score = corpus(hypotheses, references, tokenize);
            assert!((score - golden).abs() < 1e-11, "{tokenize:?}: {score}, sacreBLEU says {golden}");
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
            [71.68068634573096, 65.66786654125328, 81.19599583995553, 41.610684285207746],
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
            [0.0, 9.770653288423858, 29.137907341669575, 0.0],
        );
        assert_scores(
            &[
                "one-\ntwo three\nfour <skipped> five",
                "x\u{3000}y z\u{a0}w \u{2019}tis €5 a+b=c",
                "end 2019.",
                "trailing  \t",
            ],
            &["onetwo three four five", "x y z w 'tis €5 a + b = c", "end 2019 .", "trailing"],
            [76.47860170437232, 49.360865172370694, 70.02802803364375, 23.641870648435983],
        );
    }

    #[test]
    fn short_and_empty_texts_score_as_in_sacrebleu() {
        assert_scores(&["yes", "no no"], &["yes sir", "no"], [0.0, 0.0, 44.81526019296195, 0.0]);
        assert_scores(&["a b c d e"], &["v w x y z"], [0.0; 4]);
        assert_scores(&["", "a b"], &["a b c", "a b"], [0.0; 4]);
        assert_scores(&[], &[], [0.0; 4]);
    }

    #[test]
    fn counts_are_sacrebleus() {
        let counts = Counts::of("the the the cat", "the cat the mat", Tokenize::V13a);
        let golden = Counts { matches: [3, 1, 0, 0], totals: [4, 3, 2, 1], hypothesis: 4, reference: 4 };
        assert_eq!(counts, golden);
    }

    proptest! {
        #[test]
        fn a_text_matches_itself_and_nothing_scores_above_it(text in "[ab. ]{0,30}", other in "[ab. ]{0,30}") {
            for tokenize in ALL {
                let same = corpus(&[&text], &[&text], tokenize);
                let words = Counts::of(&text, &text, tokenize).hypothesis;
                prop_assert!((same - if words < 4 { 0.0 } else { 100.0 }).abs() < 1e-9, "{same}");
                let score = corpus(&[&other], &[&text], tokenize);
                prop_assert!((0.0..=100.0 + 1e-9).contains(&score), "{score}");
            }
        }
    }
}
