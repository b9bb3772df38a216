//! The curve of a run's means over the tasks of its suite, and what is said of the newest one.

use std::fmt::Display;

use sekisho_bench::stats::ALPHA;
use sekisho_domain::Language;

use super::parts::{Cell, Figure};
use super::run_curves::{Curves, drawn};
use super::scored::{Mean, Scored};
use crate::web::charts::{Chart, Look, Point, Series};
use crate::web::format;
use crate::web::i18n::Words as _;

impl Curves<'_> {
    /// Mean of the suite's primary scores at each checkpoint; hollow where tasks are missing, joined where settings are the same.
    pub(super) fn mean(&self) -> Figure {
        let lang = self.frame.lang;
        let means: Vec<(&Scored, Mean)> =
            self.facts.scored.iter().filter_map(|s| Some((s, s.mean()?))).collect();
        let settings = groups(means.iter().map(|(s, mean)| mean.is_complete().then(|| s.settings())));
        let point = |((s, mean), group)| self.mean_point(s, mean, group);
        let points = means.iter().map(|(s, mean)| (*s, mean)).zip(settings).map(point).collect();
        let name = lang.t("run.mean_short").to_owned();
        let chart = Chart {
            series: vec![Series { name, look: Look::Points, palette: 0, points }],
            references: self.chance_of_mean().map(|y| self.chance_line(y)).into_iter().collect(),
            ..self.score_chart(lang.t("axis.mean"))
        };
        let figure = Figure {
            id: "mean".to_owned(),
            title: lang.fill("run.mean_title", &[("suite", &self.facts.suite)]),
            summary: self.mean_summary(&means),
            heads: [
                "run.tokens",
                "run.step",
                "run.mean_short",
                "score.low",
                "score.high",
                "score.n",
                "score.tasks",
            ]
            .map(|key| lang.t(key).to_owned())
            .to_vec(),
            rows: means.iter().map(|(s, mean)| mean_row(lang, s, mean)).collect(),
            ..Figure::new(lang)
        };
        drawn(figure, &chart, lang)
    }

    fn mean_point(&self, scored: &Scored, mean: &Mean, group: usize) -> Point {
        let values: [&dyn Display; 5] = [
            &scored.checkpoint.tokens.short(),
            &format::score(mean.value),
            &mean.interval.map_or_else(String::new, |(low, high)| format::interval(low, high)),
            &format::count(mean.n),
            &format!("{}/{}", mean.done, mean.of),
        ];
        let names = ["tokens", "score", "interval", "n", "tasks"];
        let values: Vec<(&str, &dyn Display)> = names.into_iter().zip(values).collect();
        Point {
            x: self.against.x(scored.checkpoint.step, scored.checkpoint.tokens),
            y: mean.value,
            interval: mean.interval,
            hollow: !mean.is_complete(),
            group,
            note: self.frame.lang.fill("run.mean_note", &values),
        }
    }

    /// The newest complete mean, and how it differs from the one before it, said as a test says it.
    fn mean_summary(&self, means: &[(&Scored, Mean)]) -> String {
        let lang = self.frame.lang;
        let complete: Vec<_> = means.iter().filter(|(_, mean)| mean.is_complete()).collect();
        let Some((last, mean)) = complete.last() else { return lang.t("run.mean_empty").to_owned() };
        let (low, high) = mean.interval.unwrap_or((mean.value, mean.value));
        let score = format!("{} {}", format::score(mean.value), format::interval(low, high));
        let at = last.checkpoint.tokens.short();
        let Some((before, _)) = complete.len().checked_sub(2).map(|i| complete[i]) else {
            return lang.fill("run.mean_first", &[("tokens", &at), ("score", &score)]);
        };
        if before.settings() != last.settings() {
            return lang.fill("run.mean_other_settings", &[("tokens", &at), ("score", &score)]);
        }
        let Some(change) = self.facts.change else {
            return lang.fill("run.mean_first", &[("tokens", &at), ("score", &score)]);
        };
        let (key, p) = significance(change.p);
        let verdict = lang.fill(key, &[("p", &p)]);
        let change = format::difference(change.difference);
        let values: [(&str, &dyn Display); 4] =
            [("tokens", &at), ("score", &score), ("change", &change), ("verdict", &verdict)];
        lang.fill("run.mean_summary", &values)
    }
}

/// Numbers neighbours: the same as the one before where its key is, another where it is not. Without a key it stays with those before.
pub(super) fn groups<K: PartialEq>(keys: impl Iterator<Item = Option<K>>) -> Vec<usize> {
    let (mut group, mut last) = (0, None);
    keys.map(|key| {
        if let Some(key) = key {
            group += usize::from(last.as_ref().is_some_and(|last| *last != key));
            last = Some(key);
        }
        group
    })
    .collect()
}

/// The catalogue key that says whether a difference is significant, and the p-value as it is written.
fn significance(p: f64) -> (&'static str, String) {
    let written = if p < 0.001 { "p < 0.001".to_owned() } else { format!("p = {p:.3}") };
    (if p < ALPHA { "score.significant" } else { "score.not_significant" }, written)
}

fn mean_row(lang: Language, scored: &Scored, mean: &Mean) -> Vec<Cell> {
    let end = |pick: fn((f64, f64)) -> f64| match mean.interval {
        Some(interval) => Cell::from(format::score(pick(interval))),
        None => Cell::missing(lang.t("missing.incomplete")),
    };
    vec![
        scored.checkpoint.tokens.to_string().into(),
        scored.checkpoint.step.to_string().into(),
        format::score(mean.value).into(),
        end(|i| i.0),
        end(|i| i.1),
        format::count(mean.n).into(),
        format!("{}/{}", mean.done, mean.of).into(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::pages::axis::Against;
    use crate::web::pages::{fixtures, run};

    #[test]
    fn neighbours_under_the_same_settings_are_one_group() {
        let keys = [Some('a'), Some('a'), None, Some('a'), Some('b'), None, Some('a')];
        assert_eq!(groups(keys.into_iter()), [0, 0, 0, 0, 1, 1, 2]);
    }

    #[test]
    fn a_difference_is_said_as_the_test_says_it_and_not_at_all_across_settings() {
        let catalog = sekisho_bench::Catalog::builtin();
        let said = |lang, facts: &run::Facts| {
            let frame = fixtures::frame(lang, "/runs/v4");
            Curves { frame: &frame, catalog: &catalog, facts, against: Against::default() }.mean().summary
        };
        let mut facts = fixtures::run_facts(2);
        let ja = said(Language::Ja, &facts);
        assert!(ja.ends_with("前回との差は+0.006です（有意差なし、p = 0.210）。"), "{ja}");
        if let Some(change) = &mut facts.change {
            change.p = 0.0002;
        }
        let en = said(Language::En, &facts);
        assert!(en.ends_with("+0.006 against the previous checkpoint (significant, p < 0.001)."), "{en}");
        for score in facts.scored[0].scores.tasks.iter_mut().flatten() {
            score.entry.fingerprint = sekisho_domain::Sha256::of("other settings");
        }
        let other = said(Language::En, &facts);
        assert!(other.contains("cannot be compared") && !other.contains("0.006"), "{other}");
    }
}
