//! The scores of a run's page as curves: the mean of the suite, and each task.

use std::fmt::Display;

use sekisho_bench::stats::ALPHA;
use sekisho_domain::evaluation::TaskRun;

use super::curve_rows::{mean_row, task_row};
use super::drawn::Drawn;
use super::parts::Figure;
use super::run_curves::Curves;
use super::scored::{self, Mean, Scored};
use crate::service::reported;
use crate::web::charts::{Axis, Chart, Look, Numbers, Point, Reference, Series};
use crate::web::format;
use crate::web::i18n::Words as _;

impl Curves<'_> {
    /// Mean of the suite's primary scores at each checkpoint; hollow where tasks are missing, joined where settings are the same.
    pub(super) fn mean(&self) -> Drawn {
        let lang = self.frame.lang;
        let means: Vec<(&Scored, Mean)> =
            self.facts.scored.iter().filter_map(|s| Some((s, s.mean()?))).collect();
        let settings = groups(means.iter().map(|(s, mean)| mean.is_complete().then(|| s.settings())));
        let point = |((s, mean), group)| self.mean_point(s, mean, group);
        let points = means.iter().map(|(s, mean)| (*s, mean)).zip(settings).map(point).collect();
        let name = lang.t("run.mean_short").to_owned();
        let reported = self.reported_lines(&self.suite_tasks(), true);
        let without = if reported.is_empty() && !means.is_empty() { lang.t("run.no_reference") } else { "" };
        let chart = Chart {
            series: vec![Series { name, look: Look::Points, palette: 0, points }],
            references: self
                .chance_of_mean()
                .map(|y| self.chance_line(y))
                .into_iter()
                .chain(reported)
                .collect(),
            ..self.score_chart(lang.t("axis.mean"))
        }
        .within(self.span);
        let figure = Figure {
            id: "mean".to_owned(),
            title: lang.fill("run.mean_title", &[("suite", &self.facts.suite)]),
            summary: format!("{}{without}", self.mean_summary(&means)),
            caption: self.mean_caption(&means),
            heads: [
                "run.tokens",
                "run.step",
                "axis.mean",
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
        Drawn::of_chart(self.frame, figure, &chart)
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
            x: self.x(scored.checkpoint.step, scored.checkpoint.tokens),
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

    /// One small chart for each task, all with the same vertical axis.
    pub(super) fn tasks(&self, tasks: &[TaskRun]) -> Vec<Drawn> {
        let scores = self.facts.scored.iter().flat_map(|s| s.found.scores.tasks.iter().flatten());
        let chance = tasks.iter().filter_map(|run| scored::chance(self.catalog, run));
        let ends =
            scores.flat_map(|row| [row.entry.low, row.entry.high]).chain(chance).filter(|end| *end <= 1.0);
        let (low, high) =
            ends.chain([0.0]).fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
        let steps = ((high - low) * 5.0).ceil().max(1.0) / 5.0;
        let range = Some((low, low + steps));
        tasks.iter().map(|run| self.task(run, range)).collect()
    }

    fn task(&self, run: &TaskRun, range: Option<(f64, f64)>) -> Drawn {
        let lang = self.frame.lang;
        let found: Vec<_> = self.facts.scored.iter().filter_map(|s| Some((s, s.score(run).ok()?))).collect();
        let settings = groups(found.iter().map(|(_, row)| Some(row.entry.fingerprint)));
        let point = |((s, row), group): (&(&Scored, &sekisho_store::ScoreRow), usize)| Point {
            x: self.x(s.checkpoint.step, s.checkpoint.tokens),
            y: row.entry.value,
            interval: Some((row.entry.low, row.entry.high)),
            hollow: false,
            group,
            note: self.frame.lang.fill(
                "run.point_note",
                &[
                    ("tokens", &s.checkpoint.tokens.short()),
                    ("score", &format::score(row.entry.value)),
                    ("interval", &format::interval(row.entry.low, row.entry.high)),
                    ("n", &row.entry.n),
                ],
            ),
        };
        let metric = found.last().map_or("", |(_, row)| row.entry.metric.as_str());
        let base = self.score_chart(&lang.fill("axis.score", &[("metric", &metric)]));
        let chart = Chart {
            label: format!("{}: {}", run.task, metric),
            series: vec![Series {
                name: String::new(),
                look: Look::Points,
                palette: 0,
                points: found.iter().zip(settings).map(point).collect(),
            }],
            references: scored::chance(self.catalog, run)
                .map(|y| self.chance_line(y))
                .into_iter()
                .chain(self.reported_lines(std::slice::from_ref(run), false))
                .collect(),
            // BLEU, chrF and ROUGE have a scale of their own.
            y: Axis {
                range: range.filter(|_| found.iter().all(|(_, row)| row.entry.high <= 1.0)),
                ..base.y.clone()
            },
            ..base
        }
        .within(self.span);
        let summary = found.last().map_or_else(
            || lang.t("missing.not_evaluated").to_owned(),
            |(_, row)| {
                format!(
                    "{} {}, n = {}",
                    format::score(row.entry.value),
                    format::interval(row.entry.low, row.entry.high),
                    row.entry.n
                )
            },
        );
        let figure = Figure {
            id: format!("task-{}-{}", run.profile.replace(['@', '.'], "-"), run.task),
            title: scored::title(lang, self.catalog, run),
            summary,
            caption: self.task_caption(run, &found),
            heads: ["run.tokens", "run.step", "score.score", "score.low", "score.high", "score.n"]
                .map(|key| lang.t(key).to_owned())
                .to_vec(),
            rows: found.iter().map(|(s, row)| task_row(s, row)).collect(),
            ..Figure::new(lang)
        };
        Drawn::of_small(self.frame, figure, &chart)
    }

    /// The tasks of the suite as the newest evaluation has them.
    fn suite_tasks(&self) -> Vec<TaskRun> {
        scored::tasks(self.facts.scored.iter().rev().find(|s| !s.found.work.is_empty()))
    }

    /// What others reported for exactly these tasks, of the models that the field draws as lines; in few words where there is no room.
    fn reported_lines(&self, tasks: &[TaskRun], in_full: bool) -> Vec<Reference> {
        let lang = self.frame.lang;
        let found = reported::beside(self.catalog, &self.facts.reported, tasks);
        let line = |line: reported::ReportedLine| {
            let (name, version) = line.model.split_once(" (").unwrap_or((&line.model, ""));
            let version = version.trim_end_matches(')');
            let values: [(&str, &dyn Display); 3] =
                [("name", &name), ("version", &version), ("day", &line.day)];
            let key = match (in_full, version.is_empty()) {
                (true, false) => "run.reported_line",
                (true, true) => "run.reported_line_plain",
                (false, _) => "run.reported_short",
            };
            Reference { name: lang.fill(key, &values), y: line.value }
        };
        found.into_iter().filter(|line| is_reference(&line.model)).map(line).collect()
    }

    /// `llm-jp-eval-dev100, n = 300, v4-8b-exp2, 2026-11-21 14:03 JST`.
    fn mean_caption(&self, means: &[(&Scored, Mean)]) -> String {
        let n = means.last().map_or(0, |(_, mean)| mean.n);
        self.scores_caption(&self.facts.suite, n)
    }

    fn task_caption(&self, run: &TaskRun, found: &[(&Scored, &sekisho_store::ScoreRow)]) -> String {
        let n = found.last().map_or(0, |(_, row)| row.entry.n);
        self.scores_caption(&format!("{} {} ({})", run.profile, run.task, run.split), n)
    }

    fn scores_caption(&self, of: &str, n: u64) -> String {
        let frame = self.frame;
        let values: [(&str, &dyn Display); 4] = [
            ("of", &of),
            ("n", &format::count(n)),
            ("run", &self.facts.run.name),
            ("at", &frame.stamp(&frame.now)),
        ];
        frame.lang.fill("run.caption_scores", &values)
    }

    /// Mean of the chance levels, when every task of the suite has one.
    fn chance_of_mean(&self) -> Option<f64> {
        let tasks = self.suite_tasks();
        let levels: Vec<f64> =
            tasks.iter().map(|run| scored::chance(self.catalog, run)).collect::<Option<_>>()?;
        (!levels.is_empty()).then(|| levels.iter().sum::<f64>() / levels.len() as f64)
    }

    fn chance_line(&self, y: f64) -> Reference {
        let name = self.frame.lang.fill("run.chance", &[("value", &format::score(y))]);
        Reference { name, y }
    }

    /// The same for scores: it begins at the first checkpoint.
    fn score_chart(&self, y_title: &str) -> Chart {
        let base = self.chart(y_title, Numbers::Plain);
        let points = self.facts.scored.iter().map(|s| self.x(s.checkpoint.step, s.checkpoint.tokens));
        let last = self.x(self.facts.run.step, self.facts.run.tokens);
        Chart { x: Axis { range: self.range(points.chain([last])), ..base.x.clone() }, ..base }
    }
}

/// Whether the field draws a model as a line: those that are no open models, and people.
fn is_reference(model: &str) -> bool {
    ["GPT-", "Human", "human", "人間"].iter().any(|begin| model.starts_with(begin))
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
    (if p < ALPHA { "score.significant" } else { "score.not_significant" }, format::p_value(p))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sekisho_bench::Catalog;
    use sekisho_domain::Language;

    use super::super::axis::{Against, Ground};
    use super::super::run_load::Facts;
    use super::*;
    use crate::web::pages::fixtures;

    #[test]
    fn neighbours_under_the_same_settings_are_one_group() {
        let keys = [Some('a'), Some('a'), None, Some('a'), Some('b'), None, Some('a')];
        assert_eq!(groups(keys.into_iter()), [0, 0, 0, 0, 1, 1, 2]);
    }

    #[test]
    fn what_others_reported_of_the_same_tasks_is_a_line_with_its_day() {
        let catalog = Catalog::builtin();
        let frame = fixtures::frame(Language::En, "/runs/v4");
        let mut facts = fixtures::run_facts(2);
        for scored in &mut facts.scored {
            for work in Arc::make_mut(&mut scored.found.work) {
                (work.work.run.split, work.work.run.limit) = ("test".to_owned(), None);
            }
        }
        let curves = Curves {
            frame: &frame,
            catalog: &catalog,
            facts: &facts,
            against: Against::default(),
            ground: Ground::default(),
            is_whole: false,
            span: None,
            table_rows: 40,
        };
        let lines = curves.reported_lines(&curves.suite_tasks(), true);
        // GPT-3.5 on JCommonsenseQA, NIILC and JEMHopQA: 0.922, 0.447, 0.456.
        let line = lines.iter().find(|line| line.name.starts_with("GPT-3.5")).expect("it was reported");
        assert!((line.y - (0.922 + 0.447 + 0.456) / 3.0).abs() < 1e-12, "{}", line.y);
        assert!(line.name.contains("2025-04-14"), "{}", line.name);
        assert!(
            lines.iter().all(|line| !line.name.contains("Swallow")),
            "open models are rows, and no lines"
        );
        let mean = curves.mean();
        assert!(mean.file.contains("GPT-3.5") && mean.file.contains("GPT-4"), "{}", mean.file);
        assert!(!mean.figure.summary.contains(frame.t("run.no_reference")), "{}", mean.figure.summary);
    }

    #[test]
    fn a_difference_is_said_as_the_test_says_it_and_not_at_all_across_settings() {
        let catalog = Catalog::builtin();
        let said = |lang, facts: &Facts| {
            let frame = fixtures::frame(lang, "/runs/v4");
            Curves {
                frame: &frame,
                catalog: &catalog,
                facts,
                against: Against::default(),
                ground: Ground::default(),
                is_whole: false,
                span: None,
                table_rows: 40,
            }
            .mean()
            .figure
            .summary
        };
        let mut facts = fixtures::run_facts(2);
        let ja = said(Language::Ja, &facts);
        assert!(ja.contains("前回との差は+0.006です（有意差なし、p = 0.210）。"), "{ja}");
        assert!(
            ja.ends_with("参照値なし（同じプロファイル・評価タスク・splitの報告値がありません）。"),
            "{ja}"
        );
        if let Some(change) = &mut facts.change {
            change.p = 0.0002;
        }
        let en = said(Language::En, &facts);
        assert!(en.contains("+0.006 against the previous checkpoint (significant, p < 0.001)."), "{en}");
        for score in Arc::make_mut(&mut facts.scored[0].found.scores).tasks.iter_mut().flatten() {
            score.entry.fingerprint = sekisho_domain::Sha256::of("other settings");
        }
        let other = said(Language::En, &facts);
        assert!(other.contains("cannot be compared") && !other.contains("0.006"), "{other}");
    }
}
