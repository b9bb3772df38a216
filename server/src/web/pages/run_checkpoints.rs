//! The checkpoints of a run as a table: each with its mean, the difference to the one before, and its scores.

use sekisho_bench::Catalog;
use sekisho_domain::evaluation::TaskRun;
use sekisho_store::Verification;

use super::parts::{self, Cell, ScoreCell, SortHead, When};
use super::run_cleanup::reason;
use super::run_load::Facts;
use super::scored::{self, Mean, Scored};
use crate::web::format;
use crate::web::frame::Frame;
use crate::web::i18n::Words as _;

/// The table.
pub(super) struct Checkpoints {
    /// `n = 300`, under the head of the means.
    pub(super) mean_note: String,
    pub(super) heads: Vec<SortHead>,
    pub(super) rows: Vec<CheckpointRow>,
    /// Whether it is said why they are kept.
    pub(super) has_reasons: bool,
    /// How many there are where not all are shown.
    pub(super) more: Option<String>,
}

pub(super) struct CheckpointRow {
    pub(super) href: String,
    pub(super) id: String,
    pub(super) step: String,
    pub(super) tokens: String,
    pub(super) state: &'static str,
    /// Of all its files.
    pub(super) bytes: Cell,
    pub(super) kept: Vec<(String, Option<String>)>,
    pub(super) digest: Cell,
    pub(super) mean: ScoreCell,
    pub(super) change: ScoreCell,
    pub(super) scores: Vec<ScoreCell>,
    pub(super) when: When,
    pub(super) refusal: Option<String>,
}

impl Checkpoints {
    /// The newest first, at most so many.
    pub(super) fn of(frame: &Frame, catalog: &Catalog, facts: &Facts, most: usize) -> Self {
        let tasks = scored::tasks(facts.scored.iter().rev());
        let newest_mean = facts.scored.iter().rev().filter_map(Scored::mean).find(Mean::is_complete);
        let all = facts.scored.len();
        Self {
            mean_note: newest_mean.map_or_else(String::new, |mean| format!("n = {}", format::count(mean.n))),
            heads: tasks.iter().map(|run| head(frame, catalog, facts, run)).collect(),
            rows: rows(frame, facts, &tasks, most),
            has_reasons: facts.kept.is_some(),
            more: (all > most).then(|| frame.fill("run.all_of", "n", all)),
        }
    }
}

fn head(frame: &Frame, catalog: &Catalog, facts: &Facts, run: &TaskRun) -> SortHead {
    let newest = facts.scored.iter().rev().find_map(|s| s.score(run).ok());
    SortHead {
        label: run.task.clone(),
        sub: newest.map_or_else(String::new, |row| parts::head_note(&row.entry)),
        title: format!("{} ({})", scored::title(frame.lang, catalog, run), parts::run_note(frame.lang, run)),
        href: String::new(),
        sorted: "",
    }
}

/// Newest first, each with its difference to the one before it.
fn rows(frame: &Frame, facts: &Facts, tasks: &[TaskRun], most: usize) -> Vec<CheckpointRow> {
    let lang = frame.lang;
    let row = |(i, s): (usize, &Scored)| CheckpointRow {
        href: format!("/checkpoints/{}", s.checkpoint.id),
        id: s.checkpoint.id.to_string(),
        step: s.checkpoint.step.to_string(),
        tokens: s.checkpoint.tokens.short(),
        state: s.checkpoint.state.as_str(),
        bytes: Cell::of(s.checkpoint.verification.as_ref().map(size), lang.t("missing.unverified")),
        kept: facts
            .kept
            .iter()
            .filter_map(|kept| kept.get(&s.checkpoint.id))
            .flatten()
            .map(|kept| reason(frame, kept))
            .collect(),
        digest: Cell::of(
            s.checkpoint.verification.as_ref().map(|v| v.digest.short()),
            lang.t("missing.unverified"),
        ),
        mean: s.mean_cell(lang),
        change: change(frame, &facts.scored[..i], s),
        scores: tasks.iter().map(|run| task_cell(frame, s, run)).collect(),
        when: frame.when(s.checkpoint.created),
        refusal: s.checkpoint.refusal.as_ref().map(|refusal| refusal.get(lang).to_owned()),
    };
    facts.scored.iter().enumerate().rev().take(most).map(row).collect()
}

fn size(found: &Verification) -> String {
    format::bytes(found.files.iter().map(|file| file.size).sum())
}

/// The difference of a complete mean to the last complete one before it, unless that was made under other settings.
fn change(frame: &Frame, before: &[Scored], scored: &Scored) -> ScoreCell {
    let complete = |s: &Scored| s.mean().filter(Mean::is_complete);
    let Some(own) = complete(scored) else {
        return ScoreCell::missing(frame.t("missing.incomplete"));
    };
    match before.iter().rev().find_map(|s| Some((s, complete(s)?))) {
        None => ScoreCell::missing(frame.t("missing.first")),
        Some((last, _)) if last.settings() != scored.settings() => {
            ScoreCell::missing(frame.t("missing.other_settings"))
        }
        Some((_, mean)) => ScoreCell::plain(format::difference(own.value - mean.value)),
    }
}

fn task_cell(frame: &Frame, scored: &Scored, run: &TaskRun) -> ScoreCell {
    match scored.score(run) {
        Ok(row) => ScoreCell {
            href: Some(format!("/evals/{}/samples?work={}", row.evaluation, row.work)),
            ..ScoreCell::of(frame.lang, &row.entry)
        },
        Err(state) => ScoreCell::missing(parts::missing_reason(frame.lang, state)),
    }
}
