//! The cells of a row, and its marks, in words.

use sekisho_bench::Catalog;
use sekisho_domain::checkpoint::CheckpointState;
use sekisho_domain::evaluation::TaskRun;
use sekisho_domain::{Language, Sha256};

use super::super::parts::{self, ScoreCell};
use super::asked::Asked;
use super::board::{Board, Difference, Line, Model, Pick};
use super::rows::{Delta, Row};
use crate::service::contamination::Looked;
use crate::web::format;
use crate::web::frame::Frame;
use crate::web::i18n::Words as _;

/// What every cell is made with.
pub(super) struct Words<'a> {
    pub(super) frame: &'a Frame,
    pub(super) catalog: &'a Catalog,
    pub(super) asked: &'a Asked,
    pub(super) board: &'a Board,
    /// The BOS rule of most comparable rows on the page.
    pub(super) bos: Option<String>,
    /// Engine and type of weights of most rows on the page.
    pub(super) usual: Vec<(&'static str, String)>,
}

/// A word beside a model's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// Class in the style sheet.
    pub(super) class: &'static str,
    pub(super) word: &'static str,
    /// Why.
    pub(super) note: String,
}

/// What of an environment is shown as a mark where rows differ in it: the numerics, not the settings.
const NUMERICS: [&str; 2] = ["engine", "dtype"];

impl<'a> Words<'a> {
    pub(super) fn new(
        frame: &'a Frame,
        catalog: &'a Catalog,
        asked: &'a Asked,
        board: &'a Board,
        rows: &[Row],
    ) -> Self {
        let same = rows.iter().filter(|row| row.line.picks.iter().any(|pick| matches!(pick, Pick::Same(_))));
        let bos = most(same.filter_map(|row| row.environment.get("bos")));
        let usual = NUMERICS
            .iter()
            .filter_map(|key| Some((*key, most(rows.iter().filter_map(|row| row.environment.get(*key)))?)))
            .collect();
        Self { frame, catalog, asked, board, bos, usual }
    }

    const fn lang(&self) -> Language {
        self.frame.lang
    }

    /// A share of a mean as the page shows it: to 1, or to 100.
    pub(super) fn share(&self, share: f64) -> String {
        if self.asked.hundred { tenth(share * 100.0) } else { format::score(share) }
    }

    fn difference(&self, share: f64) -> String {
        if !self.asked.hundred {
            return format::difference(share);
        }
        let text = format!("{:+.1}", share * 100.0);
        text.replace('-', "\u{2212}")
    }

    /// A value in the metric's own unit, which runs to `scale`.
    fn value(&self, value: f64, scale: f64) -> String {
        if self.asked.hundred { tenth(value * 100.0 / scale) } else { format::score(value) }
    }

    /// `0.412 ± 0.039`, or the mean of what is there with how much that is.
    pub(super) fn mean(&self, row: &Row) -> ScoreCell {
        let href = row.evaluation.map(|id| format!("/evals/{id}"));
        let Some(mean) = row.mean else {
            let reason = match self.not_comparable(row) {
                Some(reason) => reason,
                None => parts::missing_reason(self.lang(), state(&row.line)).to_owned(),
            };
            return ScoreCell::missing(&reason);
        };
        let value = self.share(mean.value);
        let (note, interval) = match (mean.interval, &self.board.categories) {
            (Some((low, high)), _) => {
                let note = format!("{value} [{}, {}]", self.share(low), self.share(high));
                (note, format!("± {}", self.share((high - low) / 2.0)))
            }
            (None, Some(categories)) => {
                let key =
                    if mean.is_complete() { "board.category_mean" } else { "board.category_mean_partial" };
                let values: [(&str, &dyn std::fmt::Display); 3] =
                    [("name", &categories.name), ("done", &mean.done), ("of", &mean.of)];
                (String::new(), self.lang().fill(key, &values))
            }
            (None, None) if mean.is_complete() => (String::new(), String::new()),
            (None, None) => {
                let values: [(&str, &dyn std::fmt::Display); 2] = [("done", &mean.done), ("of", &mean.of)];
                (String::new(), self.lang().fill("board.partial_mean", &values))
            }
        };
        let delta = row.delta.as_ref().map_or_else(String::new, |delta| self.delta(delta));
        ScoreCell { value, note, interval, delta, href, ..ScoreCell::default() }
    }

    /// `+0.012（有意差なし、p = 0.21）`.
    fn delta(&self, delta: &Delta) -> String {
        let Some(mean) = delta.mean else { return String::new() };
        let difference = self.difference(mean);
        match delta.p {
            Some(p) => {
                let key = if p < sekisho_bench::stats::ALPHA {
                    "score.significant"
                } else {
                    "score.not_significant"
                };
                let told = self.frame.fill(key, "p", format::p_value(p));
                self.lang().fill("board.delta", &[("difference", &difference), ("told", &told)])
            }
            None => difference,
        }
    }

    /// One column of a row.
    pub(super) fn score(&self, row: &Row, column: usize) -> ScoreCell {
        let task = &self.board.columns[column];
        let scale = self.catalog.published_metric(&task.profile, &task.task).map_or(1.0, |metric| metric.1);
        let pick = &row.line.picks[column];
        let delta = row.delta.as_ref().and_then(|delta| delta.columns[column]);
        let delta = delta.map_or_else(String::new, |share| self.difference(share));
        let score = match pick {
            Pick::Missing(_) if row.line.is_reported() => {
                return ScoreCell::missing(self.frame.t("board.not_published"));
            }
            Pick::Missing(state) => return ScoreCell::missing(parts::missing_reason(self.lang(), *state)),
            Pick::Reported(share) => {
                let value = self.value(share * scale, scale);
                return ScoreCell {
                    value,
                    delta,
                    note: self.frame.t("board.reported").to_owned(),
                    ..ScoreCell::default()
                };
            }
            Pick::Same(score) | Pick::Other(score, _) => score,
        };
        let half = (score.entry.high - score.entry.low) / 2.0;
        ScoreCell {
            value: self.value(score.entry.value, scale),
            interval: format!("± {}", self.value(half, scale)),
            href: Some(format!("/evals/{}/samples?work={}", score.evaluation, score.work)),
            mark: match pick {
                Pick::Other(_, why) => self.frame.fill(
                    "board.not_comparable",
                    "why",
                    self.differences(why, task, row).join(self.comma()),
                ),
                _ => String::new(),
            },
            taint: row.found.get(&score.work).map_or_else(String::new, |looked| self.taint(looked)),
            delta,
            ..ScoreCell::of(self.lang(), &score.entry)
        }
    }

    fn taint(&self, looked: &Looked) -> String {
        if looked.found.is_empty() {
            return String::new();
        }
        let values: [(&str, &dyn std::fmt::Display); 2] =
            [("n", &looked.found.len()), ("of", &looked.looked_for)];
        self.lang().fill("board.contaminated_items", &values)
    }

    const fn comma(&self) -> &'static str {
        match self.lang() {
            Language::Ja => "、",
            Language::En => ", ",
        }
    }

    /// In what a score was made otherwise, with what the column has.
    fn differences(&self, why: &[Difference], column: &TaskRun, row: &Row) -> Vec<String> {
        let items = |limit: &Option<u64>| match limit {
            Some(limit) => self.frame.fill("task.limit", "n", limit),
            None => self.frame.t("board.all_items").to_owned(),
        };
        let told = |difference: &Difference| {
            let (what, have, column) = match difference {
                Difference::Split(split) => ("split", split.clone(), column.split.clone()),
                Difference::Limit(limit) => (self.frame.t("score.n"), items(limit), items(&column.limit)),
                Difference::Shots(shots) => {
                    let wanted = match self.catalog.find(&column.profile, &column.task) {
                        Ok(definition) => definition.shots_of(column),
                        Err(_) => column.shots.unwrap_or_default(),
                    };
                    ("n-shot", shots.to_string(), wanted.to_string())
                }
                Difference::Settings => return self.settings(row),
            };
            self.lang().fill("board.differs", &[("what", &what), ("have", &have), ("column", &column)])
        };
        why.iter().map(told).collect()
    }

    /// What is known of a difference that only the fingerprint shows: the rule for BOS, or that there is one.
    fn settings(&self, row: &Row) -> String {
        match (row.environment.get("bos"), &self.bos) {
            (Some(own), Some(usual)) if own != usual => {
                self.lang().fill("board.differs", &[("what", &"BOS"), ("have", own), ("column", usual)])
            }
            _ => self.frame.t("score.fingerprint").to_owned(),
        }
    }

    /// Why a row may not be compared with the others; none where it may.
    fn not_comparable(&self, row: &Row) -> Option<String> {
        let mut reasons: Vec<String> = Vec::new();
        for (pick, column) in row.line.picks.iter().zip(&self.board.columns) {
            if let Pick::Other(_, why) = pick {
                reasons.extend(self.differences(why, column, row));
            }
        }
        let mut seen = Vec::new();
        reasons.retain(|reason| {
            !seen.contains(reason) && {
                seen.push(reason.clone());
                true
            }
        });
        (!reasons.is_empty())
            .then(|| self.frame.fill("board.not_comparable", "why", reasons.join(self.comma())))
    }

    /// Why a row has no rank.
    pub(super) fn unranked(&self, row: &Row) -> String {
        if row.line.is_reported() {
            return self.frame.t("board.reported_unranked").to_owned();
        }
        if let Some(reason) = self.not_comparable(row) {
            return reason;
        }
        if self.board.categories.is_some() {
            return self.frame.t("board.categories_unranked").to_owned();
        }
        let (done, of) = row.mean.map_or((0, self.board.columns.len()), |mean| (mean.done, mean.of));
        if done == of {
            return self.frame.t("board.beside").to_owned();
        }
        self.lang().fill("board.incomplete", &[("done", &done), ("of", &of)])
    }

    /// The marks beside a name: reported, other settings, contamination, run elsewhere, other numerics.
    pub(super) fn marks(&self, row: &Row) -> Vec<Mark> {
        let mut marks = Vec::new();
        let mut mark = |class, key: &str, note: String| {
            marks.push(Mark { class, word: self.frame.t(key), note });
        };
        if let Model::Reported(reported) = &row.line.model {
            let day = reported.day.to_string();
            let remark = reported.remark.as_deref().unwrap_or_default();
            let mut note = format!("{}, {day}, {}", reported.source, reported.license);
            if !remark.is_empty() {
                note.push_str(&format!(". {remark}"));
            }
            mark("reported", "board.reported", note);
        }
        if let Model::Ours(standing) = &row.line.model {
            match standing.state {
                CheckpointState::Changed => {
                    let note = self.frame.t("board.mark_changed_note");
                    mark("changed", "board.mark_changed", note.to_owned());
                }
                CheckpointState::Gone => {
                    mark("gone", "board.mark_gone", self.frame.t("board.mark_gone_note").to_owned());
                }
                _ => {}
            }
        }
        if let Some(reason) = self.not_comparable(row) {
            mark("differing", "board.mark_settings", reason);
        }
        let found: usize = row.found.values().map(|looked| looked.found.len()).sum();
        if found > 0 {
            mark(
                "contaminated",
                "board.mark_contaminated",
                self.frame.fill("board.mark_contaminated_note", "n", found),
            );
        }
        if let Some(engine) =
            row.environment.get("engine").filter(|_| row.environment.contains_key("engine_version"))
        {
            let version = row.environment.get("engine_version").map_or("", String::as_str);
            mark("external", "board.mark_external", format!("{engine} {version}"));
        }
        let other = |(key, usual): &(&'static str, String)| {
            let own = row.environment.get(*key).filter(|own| *own != usual)?;
            Some(self.lang().fill("board.differs", &[("what", key), ("have", own), ("column", usual)]))
        };
        let numerics: Vec<String> = self.usual.iter().filter_map(other).collect();
        if !numerics.is_empty() {
            mark("environment", "board.mark_environment", numerics.join(self.comma()));
        }
        marks
    }
}

/// One decimal, as scores to 100 are written.
fn tenth(value: f64) -> String {
    format!("{value:.1}").replace('-', "\u{2212}")
}

/// How far the work of a row without any score is.
fn state(line: &Line) -> Option<sekisho_domain::evaluation::WorkState> {
    line.picks.iter().find_map(|pick| match pick {
        Pick::Missing(state) => *state,
        _ => None,
    })
}

/// The identity of the settings of all its scores together; none without a score.
pub(super) fn settings_id(line: &Line) -> Option<Sha256> {
    let scores: Vec<String> =
        line.picks.iter().filter_map(Pick::score).map(|score| score.entry.fingerprint.to_string()).collect();
    (!scores.is_empty()).then(|| Sha256::of(scores.join("\n")))
}

/// The most frequent value; of equally frequent ones the smallest.
fn most<'v>(values: impl Iterator<Item = &'v String>) -> Option<String> {
    let mut counts = std::collections::BTreeMap::new();
    values.for_each(|value| *counts.entry(value).or_insert(0_usize) += 1);
    counts.into_iter().rev().max_by_key(|(_, n)| *n).map(|(value, _)| value.clone())
}

#[cfg(test)]
mod tests {
    use super::super::fixtures;
    use super::*;

    fn told<T>(asked: &Asked, ask: impl Fn(&Words<'_>, &dyn Fn(&str) -> Row) -> T) -> T {
        let catalog = Catalog::builtin();
        let frame = fixtures::frame(Language::Ja, "/leaderboard");
        let (board, rows) = fixtures::board_rows();
        let words = Words::new(&frame, &catalog, asked, &board, &rows);
        let of = |name: &str| rows.iter().find(|row| row.line.facts.name == name).expect("a row").clone();
        ask(&words, &of)
    }

    #[test]
    fn a_row_without_a_rank_says_in_words_what_was_run_otherwise() {
        told(&Asked::default(), |words, of| {
            let limit = words.unranked(&of("other-limit"));
            assert_eq!(limit, "比較不可：設問数は先頭100件（列は全件）");
            assert_eq!(words.mean(&of("other-limit")).missing, Some(limit.clone()), "no mean over both");
            assert_eq!(words.score(&of("other-limit"), 0).mark, limit);
            let split = words.unranked(&of("other-split"));
            assert!(split.starts_with("比較不可：splitはdev（列はtest）、設問数は"), "{split}");
            let mut bos = of("other-settings");
            bos.environment.insert("bos".to_owned(), "on".to_owned());
            assert_eq!(words.unranked(&bos), "比較不可：BOSはon（列はoff）");
            assert_eq!(words.unranked(&of("other-settings")), "比較不可：評価条件ID");
            assert_eq!(words.unranked(&of("half")), "未評価のタスクがあるため順位を付けません（1/2タスク）");
            assert!(words.unranked(&of("Elsewhere 7B")).contains("報告値"));
        });
    }

    #[test]
    fn an_incomplete_mean_says_how_much_it_is_of() {
        told(&Asked::default(), |words, of| {
            assert_eq!(words.mean(&of("half")).interval, "平均（1/2タスク）");
            assert_eq!(words.mean(&of("best")).interval, "± 0.040");
        });
    }

    #[test]
    fn the_scale_of_100_is_one_decimal_and_bleu_stays_what_it_is() {
        let hundred = Asked { hundred: true, ..Asked::default() };
        told(&hundred, |words, of| {
            assert_eq!(words.mean(&of("best")).value, "55.0");
            assert_eq!(words.score(&of("best"), 0).value, "50.0");
            assert_eq!([words.value(28.6, 100.0), words.value(0.286, 1.0)], ["28.6", "28.6"]);
            assert_eq!(words.difference(-0.0123), "−1.2");
        });
    }

    #[test]
    fn marks_name_source_contamination_and_engine() {
        told(&Asked::default(), |words, of| {
            let classes = |row: &Row| words.marks(row).iter().map(|mark| mark.class).collect::<Vec<_>>();
            assert_eq!(classes(&of("best")), ["contaminated"]);
            assert_eq!(classes(&of("Elsewhere 7B")), ["reported"]);
            assert_eq!(
                words.marks(&of("Elsewhere 7B"))[0].note,
                "a board, 2025-04-14, CC-BY-4.0. without a stop"
            );
            assert_eq!(classes(&of("other-limit")), ["differing"]);
            let mut remote = of("good");
            remote.environment.insert("engine".to_owned(), "llama.cpp".to_owned());
            remote.environment.insert("engine_version".to_owned(), "b6000".to_owned());
            assert_eq!(classes(&remote), ["external", "environment"]);
        });
    }

    #[test]
    fn a_difference_from_the_base_says_whether_it_is_significant() {
        told(&Asked::default(), |words, of| {
            let mut row = of("good");
            row.delta = Some(Delta { mean: Some(-0.1), p: Some(0.2), columns: vec![Some(-0.1), None] });
            assert_eq!(words.mean(&row).delta, "−0.100（有意差なし、p = 0.200）");
            assert_eq!([words.score(&row, 0).delta, words.score(&row, 1).delta], ["−0.100", ""]);
            row.delta = Some(Delta { mean: Some(0.1), p: Some(0.0001), columns: vec![None, None] });
            assert_eq!(words.mean(&row).delta, "+0.100（有意差あり、p < 0.001）");
        });
    }
}
