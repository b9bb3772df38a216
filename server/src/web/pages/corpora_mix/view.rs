use std::collections::{BTreeMap, BTreeSet};

use sekisho_domain::Tokens;
use sekisho_store::Run;

use super::super::parts::{self, Cell, Choice, ScoreCell};
use super::super::scored;
use super::best::{Standing, apart, best};
use super::{Column, Facts, LANGUAGES, LanguageScores, Portion};
use crate::web::charts;
use crate::web::format;
use crate::web::frame::{Frame, encode};
use crate::web::i18n::Words as _;

/// The tab as it is shown.
pub(in crate::web::pages) struct MixView {
    pub(in crate::web::pages) notices: Vec<String>,
    /// Names of the runs, as the URL has them.
    pub(in crate::web::pages) names: String,
    /// Sets of runs that can be looked at.
    pub(in crate::web::pages) sets: Vec<Choice>,
    pub(in crate::web::pages) heads: Vec<Head>,
    pub(in crate::web::pages) rows: Vec<SubsetRow>,
    /// Tokens of each run.
    pub(in crate::web::pages) totals: Vec<String>,
    pub(in crate::web::pages) languages: Vec<LanguageCell>,
    /// The means by language, each with its name.
    pub(in crate::web::pages) means: Vec<(&'static str, Vec<ScoreCell>)>,
    pub(in crate::web::pages) losses: Vec<Cell>,
    /// How the Japanese of each run stands.
    pub(in crate::web::pages) standings: Vec<&'static str>,
    /// Which is the best, or why none is said to be.
    pub(in crate::web::pages) sentence: String,
    /// Name and `[[data.mix]]` of each run.
    pub(in crate::web::pages) recipes: Vec<(String, String)>,
    pub(in crate::web::pages) csv: String,
    pub(in crate::web::pages) json: String,
}

/// The head of a run's column.
pub(in crate::web::pages) struct Head {
    pub(in crate::web::pages) run: String,
    pub(in crate::web::pages) href: String,
    /// The checkpoint that the scores are of, or why there is none.
    pub(in crate::web::pages) checkpoint: Cell,
    pub(in crate::web::pages) is_best: bool,
}

/// One subset in all runs.
pub(in crate::web::pages) struct SubsetRow {
    pub(in crate::web::pages) subset: String,
    pub(in crate::web::pages) href: String,
    pub(in crate::web::pages) language: Cell,
    pub(in crate::web::pages) size: Cell,
    pub(in crate::web::pages) cells: Vec<PortionCell>,
}

/// What one run takes of a subset.
pub(in crate::web::pages) struct PortionCell {
    /// Class of its shade: the more often the subset is seen, the darker.
    pub(in crate::web::pages) shade: &'static str,
    pub(in crate::web::pages) share: Cell,
    /// `200B · ×2.00`.
    pub(in crate::web::pages) sub: String,
}

/// A run's shares by language.
pub(in crate::web::pages) struct LanguageCell {
    pub(in crate::web::pages) bar: String,
    pub(in crate::web::pages) text: Cell,
}

/// The tab, from what is known.
pub(in crate::web::pages) fn view(frame: &Frame, facts: &Facts) -> MixView {
    let best = best(&facts.columns, &facts.standings);
    let names: Vec<&str> = facts.columns.iter().map(|column| column.run.name.as_str()).collect();
    let names = names.join(",");
    let data = |kind: &str| Frame { path: format!("/corpora.{kind}"), ..frame.clone() }.with("runs", &names);
    let set = |set: &super::Set| {
        let runs = set.runs.join(",");
        let (tokens, n) = (set.total.short(), set.runs.len());
        Choice {
            label: frame.lang.fill("mix.set", &[("project", &set.project), ("tokens", &tokens), ("n", &n)]),
            current: runs == names,
            href: frame.with("runs", &runs),
        }
    };
    MixView {
        notices: notices(frame, facts),
        sets: facts.sets.iter().map(set).collect(),
        heads: facts
            .columns
            .iter()
            .enumerate()
            .map(|(i, column)| head(frame, column, best == Some(i)))
            .collect(),
        rows: rows(frame, facts),
        totals: facts.columns.iter().map(|column| column.total.short()).collect(),
        languages: languages(frame, facts),
        means: means(frame, facts),
        losses: facts
            .columns
            .iter()
            .map(|column| Cell::of(column.loss.map(format::loss), frame.t("mix.no_loss")))
            .collect(),
        standings: facts.standings.iter().map(|standing| standing.as_str()).collect(),
        sentence: sentence(frame, facts, best),
        recipes: facts
            .columns
            .iter()
            .filter_map(|column| Some((column.run.name.clone(), recipe(&column.run)?)))
            .collect(),
        csv: data("csv"),
        json: data("json"),
        names,
    }
}

/// What of the question was ignored, and what makes the runs no pairs.
fn notices(frame: &Frame, facts: &Facts) -> Vec<String> {
    let unknown = facts.unknown.iter().map(|name| frame.fill("mix.unknown_run", "run", name));
    let first = facts.columns.first().map(|column| column.total);
    let differ = facts.columns.iter().any(|column| Some(column.total) != first);
    unknown.chain(differ.then(|| frame.t("mix.tokens_differ").to_owned())).collect()
}

fn head(frame: &Frame, column: &Column, is_best: bool) -> Head {
    let step = column.checkpoint.as_ref().map(|found| frame.fill("mix.at_step", "step", found.step));
    Head {
        run: column.run.name.clone(),
        href: format!("/runs/{}", encode(&column.run.name)),
        checkpoint: Cell::of(step, frame.t("missing.no_checkpoint")),
        is_best,
    }
}

/// Subsets by language and name.
fn rows(frame: &Frame, facts: &Facts) -> Vec<SubsetRow> {
    let all = facts.columns.iter().flat_map(|column| &column.portions).map(|portion| portion.subset.as_str());
    let mut subsets: Vec<&str> = all.collect::<BTreeSet<_>>().into_iter().collect();
    subsets.sort_by_key(|subset| (!facts.languages.contains_key(*subset), facts.languages.get(*subset)));
    let row = |subset: &str| SubsetRow {
        subset: subset.to_owned(),
        href: format!("/corpora/{}", encode(subset)),
        language: Cell::of(facts.languages.get(subset).cloned(), frame.t("corpora.not_given")),
        size: Cell::of(facts.sizes.get(subset).map(|size| size.short()), frame.t("mix.no_size")),
        cells: facts
            .columns
            .iter()
            .map(|column| cell(frame, column.portions.iter().find(|portion| portion.subset == subset)))
            .collect(),
    };
    subsets.into_iter().map(row).collect()
}

fn cell(frame: &Frame, portion: Option<&Portion>) -> PortionCell {
    let Some(portion) = portion else {
        return PortionCell { shade: "", share: Cell::missing(frame.t("mix.not_used")), sub: String::new() };
    };
    let times = portion.repeats.map(|times| format!("×{times:.2}"));
    let times = times.or_else(|| Some(format!("≤ ×{:.2}", portion.at_most?)));
    let sub: Vec<String> = portion.tokens.map(Tokens::short).into_iter().chain(times).collect();
    PortionCell {
        shade: shade(portion.repeats),
        share: Cell::of(portion.share.map(|share| format::percent(share, 1.0)), frame.t("mix.no_share")),
        sub: sub.join(" · "),
    }
}

/// The more often, the darker.
fn shade(repeats: Option<f64>) -> &'static str {
    match repeats {
        None => "",
        Some(times) if times <= 0.5 => "seen1",
        Some(times) if times <= 1.0 => "seen2",
        Some(times) if times <= 2.0 => "seen3",
        Some(times) if times <= 4.0 => "seen4",
        Some(_) => "seen5",
    }
}

/// A stacked bar of each run: shares by language, each language in the same colour throughout.
fn languages(frame: &Frame, facts: &Facts) -> Vec<LanguageCell> {
    let unknown = frame.t("mix.other_language");
    let of = |subset: &str| facts.languages.get(subset).map_or(unknown, String::as_str);
    let all = facts.columns.iter().flat_map(|column| &column.portions);
    let names: BTreeSet<&str> =
        all.map(|portion| of(&portion.subset)).filter(|name| *name != unknown).collect();
    let colours: BTreeMap<&str, usize> = names.into_iter().chain([unknown]).zip(0..).collect();
    let cell = |column: &Column| {
        let mut shares: BTreeMap<usize, (&str, f64)> = BTreeMap::new();
        for portion in &column.portions {
            let name = of(&portion.subset);
            let Some(share) = portion.share else { return Err("mix.no_share") };
            shares.entry(colours.get(name).copied().unwrap_or_default()).or_insert((name, 0.0)).1 += share;
        }
        if shares.is_empty() { Err("mix.no_mix") } else { Ok(shares) }
    };
    let shown = |column: &Column| match cell(column) {
        Err(reason) => LanguageCell { bar: String::new(), text: Cell::missing(frame.t(reason)) },
        Ok(shares) => {
            let words: Vec<String> = shares
                .values()
                .map(|(name, share)| format!("{name} {}", format::percent(*share, 1.0)))
                .collect();
            let parts: Vec<(usize, f64)> =
                shares.iter().map(|(colour, (_, share))| (*colour, *share)).collect();
            LanguageCell { bar: charts::stack(&parts), text: Cell::from(words.join(" · ")) }
        }
    };
    facts.columns.iter().map(shown).collect()
}

fn means(frame: &Frame, facts: &Facts) -> Vec<(&'static str, Vec<ScoreCell>)> {
    let row = |language: usize| {
        let cells = facts.columns.iter().zip(apart(&facts.columns, language)).map(|(column, is_apart)| {
            let mark = if is_apart { frame.t("mix.other_settings") } else { "" };
            ScoreCell { mark: mark.to_owned(), ..mean(frame, column, &column.scores[language]) }
        });
        (frame.word("mix_mean", LANGUAGES[language]), cells.collect())
    };
    (0..LANGUAGES.len()).map(row).collect()
}

/// The mean over the tasks of a language; hollow, as far as it is, or why there is none.
fn mean(frame: &Frame, column: &Column, scores: &LanguageScores) -> ScoreCell {
    let href = column.checkpoint.as_ref().map(|found| format!("/checkpoints/{}", found.id));
    let done: Vec<f64> = scores.rows.iter().filter_map(scored::share).collect();
    let reason = match (&column.checkpoint, scores.state) {
        (None, _) => frame.t("missing.no_checkpoint"),
        (Some(_), Some(_)) if scores.of == 0 => frame.t("mix.no_tasks"),
        (Some(_), state) => parts::missing_reason(frame.lang, state),
    };
    match scores.mean {
        Some(mean) => ScoreCell {
            value: format::score(mean.value),
            interval: format::interval(mean.low, mean.high),
            href,
            ..ScoreCell::default()
        },
        None if done.is_empty() => ScoreCell::missing(reason),
        None => ScoreCell {
            value: format::score(done.iter().sum::<f64>() / done.len() as f64),
            interval: frame.lang.fill("score.tasks_done", &[("done", &done.len()), ("of", &scores.of)]),
            href,
            ..ScoreCell::default()
        },
    }
}

fn sentence(frame: &Frame, facts: &Facts, best: Option<usize>) -> String {
    let keeping = facts.standings.iter().filter(|one| **one == Standing::Keeps).count();
    let Some(column) = best.and_then(|i| facts.columns.get(i)) else {
        return frame.t("mix.no_best").to_owned();
    };
    let value = |language| column.mean(language).map(|mean| format::score(mean.value));
    let (name, ja) = (&column.run.name, value(0).unwrap_or_default());
    match value(1) {
        Some(en) => frame.lang.fill("mix.best", &[("run", name), ("n", &keeping), ("ja", &ja), ("en", &en)]),
        None => frame.lang.fill("mix.best_ja", &[("run", name), ("ja", &ja)]),
    }
}

/// The run's `[[data.mix]]`, to be taken into another specification.
fn recipe(run: &Run) -> Option<String> {
    let mix = run.spec.as_ref()?["data"]["mix"].as_array().filter(|mix| !mix.is_empty())?;
    toml::to_string(&serde_json::json!({ "data": { "mix": mix } })).ok()
}

#[cfg(test)]
mod tests {
    use sekisho_domain::Language;

    use super::super::super::fixtures;
    use super::*;

    #[test]
    fn the_grid_has_a_row_for_each_subset_and_a_column_for_each_run() {
        let frame = fixtures::frame(Language::En, "/corpora");
        let shown = view(&frame, &fixtures::mixes());
        let subsets: Vec<&str> = shown.rows.iter().map(|row| row.subset.as_str()).collect();
        assert_eq!(subsets, ["web-en", "web-ja", "new <ja>"], "by language; one without a language last");
        assert!(shown.rows.iter().all(|row| row.cells.len() == shown.heads.len()));
        let ja = &shown.rows[1].cells;
        assert_eq!(
            (ja[0].share.value.as_str(), ja[0].sub.as_str(), ja[0].shade),
            ("25.0%", "25B · ×0.28", "seen1")
        );
        assert_eq!((ja[1].share.value.as_str(), ja[1].shade), ("75.0%", "seen2"));
        assert!(shown.rows[0].cells[2].share.missing.is_some(), "a run that does not use it");
        assert_eq!(shown.languages[0].text.value, "en 75.0% · ja 25.0%");
        assert_eq!(shown.languages[0].bar.matches("<rect").count(), 2);
        let marked: Vec<bool> = shown.heads.iter().map(|head| head.is_best).collect();
        assert_eq!(marked, [true, false, false]);
        assert_eq!(shown.standings, ["keeps", "keeps", "unknown"]);
        assert!(shown.sentence.contains("mix-1") && shown.sentence.contains("0.450"), "{}", shown.sentence);
        assert!(shown.csv.starts_with("/corpora.csv?runs=mix-1%2Cmix-2%2Cmix-3"), "{}", shown.csv);
        assert!(shown.recipes[0].1.contains("[[data.mix]]"), "{}", shown.recipes[0].1);
        let again: toml::Table = shown.recipes[0].1.parse().expect("TOML");
        assert_eq!(again["data"]["mix"][1]["weight"].as_float(), Some(3.0));
    }
}
