//! Which mix is the best that keeps the level of Japanese.

use std::collections::HashMap;

use sekisho_bench::stats::{ALPHA, holm};
use sekisho_domain::Sha256;
use sekisho_store::ScoreRow;

use super::Column;
use crate::service::comparisons::{Comparison, Primary};

/// Where the Japanese of a run stands among those beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::web::pages) enum Standing {
    /// Tests do not tell its Japanese mean from the highest.
    Keeps,
    /// Its Japanese mean is significantly below the highest.
    Below,
    /// Its scores were made under other settings than most.
    Apart,
    /// It has no complete Japanese mean.
    Unknown,
}

impl Standing {
    /// The fixed name.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Keeps => "keeps",
            Self::Below => "below",
            Self::Apart => "apart",
            Self::Unknown => "unknown",
        }
    }
}

/// What a task's score is of.
pub(super) fn task(row: &ScoreRow) -> (&str, &str, &str) {
    (&row.entry.profile, &row.entry.task, &row.entry.split)
}

/// Tasks and settings that scores were made under.
fn settings(rows: &Primary) -> Vec<((&str, &str, &str), Sha256)> {
    rows.iter().map(|row| (task(row), row.entry.fingerprint)).collect()
}

/// The columns that have a mean in a language under the settings of most, the highest mean first.
fn ranked(columns: &[Column], language: usize) -> Vec<usize> {
    let complete: Vec<usize> = (0..columns.len()).filter(|i| columns[*i].mean(language).is_some()).collect();
    let of = |i: usize| settings(&columns[i].scores[language].rows);
    let mut seen: HashMap<_, (usize, usize)> = HashMap::new();
    for (place, i) in complete.iter().enumerate() {
        seen.entry(of(*i)).or_insert((0, place)).0 += 1;
    }
    // Of two as frequent that of the first column.
    let usual = seen.iter().max_by_key(|(_, (times, first))| (*times, usize::MAX - *first));
    let Some((usual, _)) = usual else { return Vec::new() };
    let mut order: Vec<usize> = complete.into_iter().filter(|i| of(*i) == *usual).collect();
    let value = |i: usize| columns[i].mean(language).map_or(f64::NEG_INFINITY, |mean| mean.value);
    order.sort_by(|a, b| value(*b).total_cmp(&value(*a)));
    order
}

/// The columns whose Japanese may be compared, the highest mean first.
pub(super) fn comparable(columns: &[Column]) -> Vec<usize> {
    ranked(columns, 0)
}

/// Which columns have a mean in a language that was made under other settings than most.
pub(super) fn apart(columns: &[Column], language: usize) -> Vec<bool> {
    let order = ranked(columns, language);
    let is_apart = |(i, column): (usize, &Column)| column.mean(language).is_some() && !order.contains(&i);
    columns.iter().enumerate().map(is_apart).collect()
}

/// How each column stands. `compared` are the comparisons of the first column of `order` with each of the others in it.
pub(super) fn standings(
    columns: &[Column],
    order: &[usize],
    compared: &[Option<Comparison>],
) -> Vec<Standing> {
    let mut p = holm(&compared.iter().flatten().map(|found| found.p).collect::<Vec<_>>()).into_iter();
    let others = compared.iter().map(|found| match found.as_ref().and_then(|_| p.next()) {
        Some(p) if p < ALPHA => Standing::Below,
        Some(_) => Standing::Keeps,
        None => Standing::Apart,
    });
    let ranked: HashMap<usize, Standing> =
        order.iter().copied().zip(std::iter::once(Standing::Keeps).chain(others)).collect();
    let standing = |i: usize| match ranked.get(&i) {
        Some(standing) => *standing,
        None if columns[i].mean(0).is_some() => Standing::Apart,
        None => Standing::Unknown,
    };
    (0..columns.len()).map(standing).collect()
}

/// The column with the highest English mean among those that keep the level of Japanese; with the highest Japanese mean where none of
/// them has an English one. None while fewer than two can be compared, and where the numbers of tokens differ.
pub(super) fn best(columns: &[Column], standings: &[Standing]) -> Option<usize> {
    let same = columns.iter().all(|column| Some(column.total) == columns.first().map(|first| first.total));
    let compared = standings.iter().filter(|one| matches!(one, Standing::Keeps | Standing::Below)).count();
    if !same || compared < 2 {
        return None;
    }
    let keeps = |i: &usize| standings[*i] == Standing::Keeps;
    [1, 0].iter().find_map(|language| ranked(columns, *language).into_iter().find(keeps))
}

#[cfg(test)]
mod tests {
    use super::super::super::fixtures;
    use super::*;

    /// `p` are the p-values of the highest Japanese mean against each of the others that may be compared.
    fn found(columns: &[Column], p: &[Option<f64>]) -> (Vec<usize>, Vec<Standing>, Option<usize>) {
        let order = comparable(columns);
        let compared = |p: &Option<f64>| p.map(|p| Comparison { difference: -0.1, low: -0.2, high: 0.1, p });
        let standings = standings(columns, &order, &p.iter().map(compared).collect::<Vec<_>>());
        let best = best(columns, &standings);
        (order, standings, best)
    }

    #[test]
    fn the_best_english_wins_among_those_that_keep_japanese() {
        use Standing::{Below, Keeps, Unknown};
        let columns = [
            fixtures::mix_column("a", Some(0.50), Some(0.30), "usual"),
            fixtures::mix_column("b", Some(0.49), Some(0.40), "usual"),
            fixtures::mix_column("c", Some(0.30), Some(0.60), "usual"),
            fixtures::mix_column("d", None, Some(0.90), "usual"),
        ];
        assert_eq!(
            found(&columns, &[Some(0.9), Some(0.001)]),
            (vec![0, 1, 2], vec![Keeps, Keeps, Below, Unknown], Some(1)),
            "c has lost its Japanese, and of d nobody knows"
        );
        assert_eq!(found(&columns, &[Some(0.01), Some(0.001)]).2, Some(0));
        let holm = found(&columns, &[Some(0.04), Some(0.03)]).1;
        assert_eq!(holm[..3], [Keeps; 3], "neither is below once both tests are counted");
        let noisy = found(&columns, &[Some(0.001), Some(0.9)]).1;
        assert_eq!(noisy[..3], [Keeps, Below, Keeps], "each is held against the highest");
        let japanese_alone =
            [("a", 0.4), ("b", 0.5)].map(|(name, ja)| fixtures::mix_column(name, Some(ja), None, "usual"));
        assert_eq!(found(&japanese_alone, &[Some(0.9)]).2, Some(1));
    }

    #[test]
    fn scores_under_other_settings_and_other_tokens_are_not_ranked() {
        use Standing::{Apart, Keeps};
        let mut columns = vec![
            fixtures::mix_column("a", Some(0.90), Some(0.90), "other"),
            fixtures::mix_column("b", Some(0.49), Some(0.40), "usual"),
            fixtures::mix_column("c", Some(0.48), Some(0.30), "usual"),
        ];
        assert_eq!(found(&columns, &[Some(0.9)]), (vec![1, 2], vec![Apart, Keeps, Keeps], Some(1)));
        assert_eq!(apart(&columns, 1), [true, false, false], "of the English means too");
        assert_eq!(found(&columns[..1], &[]).2, None, "one alone is no choice");
        columns[2].total.0 += 1;
        assert_eq!(found(&columns, &[Some(0.9)]).2, None, "more tokens are another experiment");
        assert_eq!(found(&[], &[]), (vec![], vec![], None));
    }
}
