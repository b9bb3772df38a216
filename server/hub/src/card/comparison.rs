//! The base model and the previous release beside the scores, and evaluation items found in the training data.

use sekisho_domain::Language;

use super::figures::{exact, interval, is_percent, p_value, score, signed};
use super::markdown::{Cell, code, escape, or_dash, repository, table};
use super::{Card, CardComparison, CardComparisonRow, CardDifference, CardScore};

/// Another model's columns.
pub(super) struct Beside<'a> {
    pub(super) title: String,
    pub(super) comparison: &'a CardComparison,
}

/// What the other model is to this one.
#[derive(Clone, Copy)]
enum Role {
    Base,
    Previous,
}

impl Card<'_> {
    /// The models that have a score under the settings of one of these.
    pub(super) fn beside(&self, rows: &[&CardScore]) -> Vec<Beside<'_>> {
        let known = self.others().into_iter();
        let shown = known.filter(|(_, other)| rows.iter().any(|row| counterpart(row, other).is_some()));
        shown
            .map(|(role, comparison)| {
                let name = &comparison.name;
                let title = match (role, self.language) {
                    (Role::Base, Language::En) => format!("{name} (base)"),
                    (Role::Base, Language::Ja) => format!("{name}（ベース）"),
                    (Role::Previous, Language::En) => format!("{name} (previous)"),
                    (Role::Previous, Language::Ja) => format!("{name}（前回）"),
                };
                Beside { title, comparison }
            })
            .collect()
    }

    fn others(&self) -> Vec<(Role, &CardComparison)> {
        let extras = &self.facts.extras;
        let base = extras.base.as_ref().map(|other| (Role::Base, other));
        base.into_iter().chain(extras.previous.as_ref().map(|other| (Role::Previous, other))).collect()
    }

    /// Value and difference of another model beside a score.
    pub(super) fn beside_score(&self, row: &CardScore, other: &CardComparison) -> [Cell; 2] {
        let Some(found) = counterpart(row, other) else { return [Cell::none(), Cell::none()] };
        let percent = is_percent(&row.entry.metric);
        let (low, high) = found.range.unwrap_or((found.value, found.value));
        let (value, range) = score(found.value, low, high, percent);
        let shown = match (found.reported, found.range) {
            (true, _) => format!("{value}{}", self.say(" (reported)", "（報告値）")),
            (false, Some(_)) => format!("{value} {range}"),
            (false, None) => value,
        };
        let difference = found.difference.as_ref().map(|difference| {
            let (delta, p) = (signed(difference.delta, percent), p_value(difference.p));
            let verdict =
                if difference.significant { "" } else { self.say(", not significant", "、有意差なし") };
            match self.language {
                Language::En => format!("{delta} ({p}{verdict})"),
                Language::Ja => format!("{delta}（{p}{verdict}）"),
            }
        });
        [Cell::plain(&shown), or_dash(difference)]
    }

    /// What the paired tests say, one paragraph for each model.
    pub(super) fn comparisons(&self) -> Vec<String> {
        self.others().into_iter().filter_map(|(role, other)| self.comparison(role, other)).collect()
    }

    fn comparison(&self, role: Role, other: &CardComparison) -> Option<String> {
        let name = match &other.repo {
            Some(repo) => repository(&other.name, repo, "main"),
            None => escape(&other.name),
        };
        let name = match (role, self.language) {
            (Role::Base, Language::En) => format!("the base model {name}"),
            (Role::Base, Language::Ja) => format!("ベースモデル{name}"),
            (Role::Previous, Language::En) => format!("the previous release {name}"),
            (Role::Previous, Language::Ja) => format!("前回公開した{name}"),
        };
        let mut sentences: Vec<String> = self.mean_sentence(&name, other).into_iter().collect();
        sentences.extend(self.task_sentences(&name, other, sentences.is_empty()));
        if sentences.is_empty() {
            return None;
        }
        if other.corrected {
            sentences.push(
                self.say(
                    "p values are corrected for the number of tasks (Holm).",
                    "p値はタスク数について補正しています（Holm法）。",
                )
                .to_owned(),
            );
        }
        Some(sentences.join(self.say(" ", "")))
    }

    fn mean_sentence(&self, name: &str, other: &CardComparison) -> Option<String> {
        let (mean, (theirs, difference)) = (self.facts.mean.as_ref()?, other.mean?);
        let (ours, range) = interval(&mean.interval);
        let (theirs, _) = score(theirs, theirs, theirs, false);
        let suite = code(&mean.suite);
        let (delta, p) = (signed(difference.delta, false), p_value(difference.p));
        Some(match (self.language, verdict(&difference)) {
            (Language::En, None) => format!(
                "The mean of {suite} is {ours} {range}; {theirs} of {name} does not differ significantly ({delta}, paired test, {p})."
            ),
            (Language::En, Some(above)) => format!(
                "The mean of {suite} is {ours} {range}, significantly {} {theirs} of {name} ({delta}, paired test, {p}).",
                if above { "above" } else { "below" }
            ),
            (Language::Ja, None) => format!(
                "{suite}の平均は{ours} {range} で、{name}の{theirs}とは有意差がありません（{delta}、対応のある検定、{p}）。"
            ),
            (Language::Ja, Some(above)) => format!(
                "{suite}の平均は{ours} {range} で、{name}の{theirs}を有意に{}（{delta}、対応のある検定、{p}）。",
                if above { "上回りました" } else { "下回りました" }
            ),
        })
    }

    /// Tasks that are above, below, and not told apart. `first`: no sentence before it has named the other model.
    fn task_sentences(&self, name: &str, other: &CardComparison, first: bool) -> Vec<String> {
        let (mut above, mut below, mut same) = (Vec::new(), Vec::new(), Vec::new());
        for row in &self.facts.scores {
            let difference = counterpart(row, other).and_then(|found| found.difference.as_ref());
            let Some(difference) = difference else { continue };
            let list = match verdict(difference) {
                Some(true) => &mut above,
                Some(false) => &mut below,
                None => &mut same,
            };
            list.push(self.distinct_task(row));
        }
        let mut sentences = Vec::new();
        if first && !(above.is_empty() && below.is_empty() && same.is_empty()) {
            sentences.push(match self.language {
                Language::En => format!("Against {name} (paired tests):"),
                Language::Ja => format!("{name}との比較（対応のある検定）："),
            });
        }
        for (tasks, en, ja) in [
            (above, "Significantly above", "有意に上回ったタスク"),
            (below, "Significantly below", "有意に下回ったタスク"),
            (same, "No significant difference", "有意差のないタスク"),
        ] {
            if !tasks.is_empty() {
                let tasks = self.list(&tasks);
                sentences.push(match self.language {
                    Language::En => format!("{en}: {tasks}."),
                    Language::Ja => format!("{ja}：{tasks}。"),
                });
            }
        }
        sentences
    }

    /// Name of a task, with the metric where the task has several.
    fn distinct_task(&self, row: &CardScore) -> String {
        let task = escape(self.task(row));
        let several = self.facts.scores.iter().filter(|other| other.entry.task == row.entry.task).count() > 1;
        if several { format!("{task} ({})", escape(&row.entry.metric)) } else { task }
    }

    /// Items of the tests that the training data holds.
    pub(super) fn contamination(&self) -> Option<String> {
        let found = self.facts.extras.contamination.as_ref()?;
        let header = [
            self.say("Task", "タスク"),
            self.say("Items found", "該当した設問"),
            "n",
            self.say("Score", "スコア"),
            self.say("Score without them", "該当を除いたスコア"),
        ];
        let mut rows: Vec<Vec<Cell>> = Vec::new();
        for task in &found.rows {
            let is_same = |row: &&CardScore| {
                (row.entry.fingerprint, &row.entry.metric) == (task.fingerprint, &task.metric)
            };
            let Some(row) = self.facts.scores.iter().find(is_same) else { continue };
            let shown = |value: f64| score(value, value, value, is_percent(&task.metric)).0;
            rows.push(vec![
                self.task(row).into(),
                exact(task.found).into(),
                exact(row.entry.n).into(),
                shown(row.entry.value).into(),
                or_dash(task.without.map(shown)),
            ]);
        }
        let title = self.say("### Contamination", "### データ汚染");
        let method = self.said(&found.method);
        let mut parts = vec![title.to_owned(), method];
        if !rows.is_empty() {
            parts.push(table(&header, &rows));
        }
        Some(parts.join("\n\n"))
    }
}

/// The other model's score under the same settings.
fn counterpart<'a>(row: &CardScore, other: &'a CardComparison) -> Option<&'a CardComparisonRow> {
    let key = (row.entry.fingerprint, row.entry.metric.as_str());
    other.rows.iter().find(|found| (found.fingerprint, found.metric.as_str()) == key)
}

/// Above, below, or not told apart.
fn verdict(difference: &CardDifference) -> Option<bool> {
    difference.significant.then_some(difference.delta > 0.0)
}
