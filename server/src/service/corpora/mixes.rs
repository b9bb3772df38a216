use std::collections::BTreeMap;

use sekisho_domain::Tokens;
use sekisho_domain::run::RunState;
use sekisho_store::Run;
use serde_json::Value;

/// What a run takes of one subset, as far as its specification and the registry tell.
#[derive(Clone, Debug, PartialEq)]
pub struct Portion {
    /// Name of the subset.
    pub subset: String,
    /// Share of the run's tokens, 0–1.
    pub share: Option<f64>,
    /// Tokens of the run that come from it.
    pub tokens: Option<Tokens>,
    /// How often the run sees it, by its registered size.
    pub repeats: Option<f64>,
    /// How often the run may see it, where the specification says so.
    pub at_most: Option<f64>,
}

/// The tokens of a run: those it was trained on when it is finished, else those it is planned for, else those so far.
#[must_use]
pub fn total(run: &Run) -> Tokens {
    match run.planned_tokens {
        Some(planned) if run.state != RunState::Finished || run.tokens.0 == 0 => planned,
        _ => run.tokens,
    }
}

/// What a specification's `[[data.mix]]` makes of `total` tokens. `sizes` are the registered sizes of subsets in tokens.
///
/// A mix is given by `weight` (its share, in proportion to the other weights) or by `repeat` (its share, in proportion to epochs times
/// size); without either it is alone.
#[must_use]
pub fn portions(spec: &Value, total: Tokens, sizes: &BTreeMap<String, Tokens>) -> Vec<Portion> {
    let mix: Vec<&Value> = spec["data"]["mix"].as_array().into_iter().flatten().collect();
    let name = |one: &Value| one["name"].as_str().map(ToOwned::to_owned);
    let size = |one: &Value| sizes.get(one["name"].as_str()?).map(|tokens| tokens.0 as f64);
    let amount = |one: &Value| match one["repeat"].as_f64() {
        Some(repeat) => Some(repeat * size(one)?),
        None => Some(one["weight"].as_f64().unwrap_or(1.0)),
    };
    let whole = mix.iter().map(|one| amount(one)).sum::<Option<f64>>().filter(|whole| *whole > 0.0);
    let portion = |one: &&Value| {
        // Alone it is all, whatever its size.
        let share =
            if mix.len() == 1 { Some(1.0) } else { whole.and_then(|whole| Some(amount(one)? / whole)) };
        let tokens = share.map(|share| share * total.0 as f64).filter(|_| total.0 > 0);
        let seen = tokens.zip(size(one)).map(|(tokens, size)| tokens / size).filter(|seen| seen.is_finite());
        Some(Portion {
            subset: name(one)?,
            share,
            tokens: tokens.map(|tokens| Tokens(tokens.round() as u64)),
            repeats: seen,
            at_most: one["repeat"].as_f64(),
        })
    };
    mix.iter().filter_map(portion).collect()
}

/// Sets of runs of one project that were, or are to be, trained on the same number of tokens in more than one mix: what a choice of
/// proportions is made from. In the order of `runs`, at most `most` of each.
#[must_use]
pub fn sets(runs: &[Run], most: usize) -> Vec<Vec<&Run>> {
    let mut sets: Vec<Vec<&Run>> = Vec::new();
    for run in runs.iter().filter(|run| total(run).0 > 0 && !recipe(run).is_empty()) {
        let same = |set: &&mut Vec<&Run>| {
            set.first().is_some_and(|first| first.project == run.project && total(first) == total(run))
        };
        match sets.iter_mut().find(same) {
            Some(set) => set.push(run),
            None => sets.push(vec![run]),
        }
    }
    sets.retain(|set| set.iter().any(|run| recipe(run) != recipe(set[0])));
    sets.iter_mut().for_each(|set| set.truncate(most));
    sets
}

/// Which subsets in which proportions, in an order of its own.
fn recipe(run: &Run) -> Vec<(String, String)> {
    let mix = run.spec.iter().filter_map(|spec| spec["data"]["mix"].as_array()).flatten();
    let mut recipe: Vec<_> = mix
        .filter_map(|one| {
            let amount = ["repeat", "weight"].map(|key| one[key].to_string()).join(" ");
            Some((one["name"].as_str()?.to_owned(), amount))
        })
        .collect();
    recipe.sort();
    recipe
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::web::pages::fixtures;

    fn sizes() -> BTreeMap<String, Tokens> {
        [("ja", 100), ("en", 400), ("none", 0)].map(|(id, size)| (id.to_owned(), Tokens(size))).into()
    }

    fn of(mix: &Value, total: u64) -> Vec<Portion> {
        portions(&json!({ "data": { "mix": mix } }), Tokens(total), &sizes())
    }

    fn told(mix: &Value, total: u64) -> Vec<(Option<f64>, Option<u64>, Option<f64>)> {
        let portions = of(mix, total);
        portions.iter().map(|one| (one.share, one.tokens.map(|t| t.0), one.repeats)).collect()
    }

    #[test]
    fn weights_and_repeats_are_shares_of_the_tokens() {
        let weights = json!([{ "name": "ja", "weight": 1.0 }, { "name": "en", "weight": 3.0 }]);
        assert_eq!(
            told(&weights, 800),
            [(Some(0.25), Some(200), Some(2.0)), (Some(0.75), Some(600), Some(1.5))]
        );
        // Two epochs of 100 beside half an epoch of 400; the run ends before it has seen them all.
        let repeats = json!([{ "name": "ja", "repeat": 2.0 }, { "name": "en", "repeat": 0.5 }]);
        assert_eq!(
            told(&repeats, 200),
            [(Some(0.5), Some(100), Some(1.0)), (Some(0.5), Some(100), Some(0.25))]
        );
        assert_eq!(told(&json!([{ "name": "ja" }]), 50), [(Some(1.0), Some(50), Some(0.5))]);
    }

    #[test]
    fn what_is_not_known_is_not_told() {
        let unknown = json!([{ "name": "ja", "repeat": 2.0 }, { "name": "?", "repeat": 3.0 }]);
        assert_eq!(told(&unknown, 200), [(None, None, None), (None, None, None)]);
        assert_eq!(
            of(&unknown, 200).iter().map(|one| one.at_most).collect::<Vec<_>>(),
            [Some(2.0), Some(3.0)]
        );
        let weights = json!([{ "name": "?", "weight": 1.0 }, { "name": "none", "weight": 1.0 }]);
        assert_eq!(told(&weights, 200), [(Some(0.5), Some(100), None), (Some(0.5), Some(100), None)]);
        assert_eq!(told(&weights, 0), [(Some(0.5), None, None), (Some(0.5), None, None)]);
        assert_eq!(told(&json!([{ "name": "?", "repeat": 3.0 }]), 9), [(Some(1.0), Some(9), None)]);
        assert!(of(&json!("no list"), 9).is_empty());
    }

    #[test]
    fn a_set_has_one_number_of_tokens_and_several_mixes() {
        let run = |name: &str, planned: u64, weight: f64| Run {
            name: name.to_owned(),
            state: RunState::Registered,
            planned_tokens: Some(Tokens(planned)),
            spec: Some(
                json!({ "data": { "mix": [{ "name": "ja", "weight": weight }, { "name": "en", "weight": 1.0 }] } }),
            ),
            ..fixtures::run()
        };
        let elsewhere = Run { project: "other".to_owned(), ..run("elsewhere", 100, 4.0) };
        let runs = [
            run("a", 100, 1.0),
            run("same-1", 50, 1.0),
            run("b", 100, 2.0),
            elsewhere,
            run("same-2", 50, 1.0),
            run("c", 100, 1.0),
        ];
        let names = |most: usize| -> Vec<Vec<&str>> {
            sets(&runs, most).iter().map(|set| set.iter().map(|run| run.name.as_str()).collect()).collect()
        };
        assert_eq!(names(9), [["a", "b", "c"]]);
        assert_eq!(names(2), [["a", "b"]]);
        let ended = Run { state: RunState::Finished, tokens: Tokens(90), ..run("ended", 100, 1.0) };
        assert_eq!([total(&ended), total(&Run { tokens: Tokens(0), ..ended })], [Tokens(90), Tokens(100)]);
    }
}
