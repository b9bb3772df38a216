use super::{ALPHA, holm};

/// Groups of rows that a ranking cannot tell apart: the number of the group of each of `rows` rows, which are in the order
/// shown, from 0.
///
/// The leader is tested against each row below it on the page, with Holm's correction over these tests. The first row that
/// differs leads the next group, and what is below it is tested against that row. `p` answers the p-value of row `first`
/// against row `second` ([`paired`](super::paired)); none where they share no items, which is
/// not a difference and no test.
#[must_use]
pub fn tie_groups(rows: usize, mut p: impl FnMut(usize, usize) -> Option<f64>) -> Vec<usize> {
    let (mut groups, mut group, mut leader) = (vec![0; rows], 0, 0);
    while leader < rows {
        let tests: Vec<(usize, f64)> =
            (leader + 1..rows).filter_map(|row| Some((row, p(leader, row)?))).collect();
        let corrected = holm(&tests.iter().map(|(_, p)| *p).collect::<Vec<_>>());
        let rejected = tests.iter().zip(corrected).find(|(_, p)| *p < ALPHA);
        let next = rejected.map_or(rows, |((row, _), _)| *row);
        groups[leader..next].fill(group);
        (group, leader) = (group + 1, next);
    }
    groups
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::tie_groups;
    use crate::stats::{Stratum, paired};

    #[test]
    fn the_first_rejection_starts_a_group() {
        // Of 0: 0.02 · 3 = 0.06 is no rejection, 0.001 · 4 is. Of 3: 0.03 alone is one.
        let p = |leader, row| match (leader, row) {
            (0, 1) => Some(0.5),
            (0, 2 | 4) => Some(0.02),
            (0, 3) => Some(0.001),
            (3, 4) => Some(0.03),
            other => panic!("{other:?} is no test"),
        };
        assert_eq!(tie_groups(5, p), [0, 0, 0, 1, 2]);
        assert_eq!(tie_groups(3, |_, _| Some(0.06)), [0, 0, 0]);
        assert_eq!(tie_groups(3, |_, _| Some(0.001)), [0, 1, 2]);
        assert_eq!(tie_groups(0, |_, _| None), [0; 0]);
    }

    #[test]
    fn rows_without_shared_items_are_no_tests() {
        // With three tests 0.02 would not be a rejection.
        assert_eq!(tie_groups(4, |leader, row| (leader == 0 && row == 3).then_some(0.02)), [0, 0, 0, 1]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]

        #[test]
        fn models_that_answer_alike_tie(right in proptest::collection::vec(0_usize..=200, 1..5)) {
            let mut right = right;
            right.sort_by(|a, b| b.cmp(a));
            let rows: Vec<Vec<f64>> = right
                .iter()
                .map(|right| (0..200).map(|i| f64::from(u8::from(i < *right))).collect())
                .collect();
            let differences = |a: usize, b: usize| -> Vec<f64> {
                rows[a].iter().zip(&rows[b]).map(|(a, b)| b - a).collect()
            };
            let p = |a, b| Some(paired(&[Stratum::mean(&differences(a, b))])?.p);
            let groups = tie_groups(rows.len(), p);
            for i in 1..rows.len() {
                prop_assert!(groups[i] == groups[i - 1] || groups[i] == groups[i - 1] + 1);
                prop_assert!(right[i] != right[i - 1] || groups[i] == groups[i - 1], "{right:?} {groups:?}");
            }
        }
    }
}
