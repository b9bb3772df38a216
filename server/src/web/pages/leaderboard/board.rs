//! The ranking: which rows stand beside each other, and which of them may be ranked.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use sekisho_bench::{Catalog, MeanDefinition, share_of_mean};
use sekisho_domain::Sha256;
use sekisho_domain::evaluation::{TaskRun, WorkState};
use sekisho_domain::reported::ReportedModel;
use sekisho_store::{ScoreRow, Standing, StandingWork};

use super::super::scored::Mean;
use super::facts::Facts;
use crate::service::comparisons::Primary;
use crate::service::reported;

/// The rows of one question, and its columns.
#[derive(Clone, Debug)]
pub(super) struct Board {
    /// What the columns run.
    pub(super) columns: Vec<TaskRun>,
    /// A mean of category means, where that takes the place of the plain mean.
    pub(super) categories: Option<MeanDefinition>,
    /// By rank; those without one last.
    pub(super) lines: Vec<Line>,
    /// The settings that most rows have, by column.
    usual: Vec<Option<Sha256>>,
}

/// Whose scores a line has.
#[derive(Clone, Debug)]
pub(super) enum Model {
    /// A checkpoint of ours.
    Ours(Arc<Standing>),
    /// Somebody else's numbers.
    Reported(Arc<ReportedModel>),
}

/// One model on the board. What does not depend on the other lines is shared with the kept board that it comes from.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) model: Model,
    pub(super) facts: Arc<Facts>,
    /// What stands in each column.
    pub(super) picks: Arc<Vec<Pick>>,
    pub(super) mean: Option<Mean>,
    /// Place among the ranked lines by mean, 1 for the highest.
    pub(super) place: Option<usize>,
    /// First and last place of the lines that tests cannot tell from this one.
    pub(super) rank: Option<(usize, usize)>,
}

/// What a line has in a column.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Pick {
    /// No score, and how far the work on it is.
    Missing(Option<WorkState>),
    /// The score of the task as the column and most other rows run it.
    Same(ScoreRow),
    /// A score that was made otherwise, and in what.
    Other(ScoreRow, Vec<Difference>),
    /// A reported share.
    Reported(f64),
}

/// In what a score differs from its column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Difference {
    Split(String),
    /// The first so many items; all of them when absent.
    Limit(Option<u64>),
    Shots(u32),
    /// The same run under another fingerprint: template, BOS, data files.
    Settings,
}

impl Pick {
    /// The score behind it, if it is ours.
    pub(super) const fn score(&self) -> Option<&ScoreRow> {
        match self {
            Self::Same(row) | Self::Other(row, _) => Some(row),
            Self::Missing(_) | Self::Reported(_) => None,
        }
    }

    /// Whether other items were asked, or otherwise many shots shown: no mean takes such a score in.
    fn is_foreign(&self) -> bool {
        matches!(self, Self::Other(_, differences) if differences.iter().any(|d| *d != Difference::Settings))
    }

    /// As it enters a mean; none where there is no score, or its metric enters no mean.
    pub(super) fn share(&self) -> Option<f64> {
        match self {
            Self::Same(row) | Self::Other(row, _) => share_of_mean(&row.entry.metric, row.entry.value),
            Self::Reported(share) => Some(*share),
            Self::Missing(_) => None,
        }
    }

    /// In the metric's own unit.
    fn value(&self, scale: f64) -> Option<f64> {
        match self {
            Self::Same(row) | Self::Other(row, _) => Some(row.entry.value),
            Self::Reported(share) => Some(share * scale),
            Self::Missing(_) => None,
        }
    }
}

impl Line {
    /// How URLs name it: the checkpoint's id, or the name of a reported model.
    pub(super) fn key(&self) -> String {
        match &self.model {
            Model::Ours(standing) => standing.checkpoint.to_string(),
            Model::Reported(row) => row.model.clone(),
        }
    }

    /// What tests compare: the primary scores in the order of the columns.
    pub(super) fn primary(&self) -> Primary {
        self.picks.iter().filter_map(Pick::score).cloned().collect()
    }

    /// What the store says of it, if it is ours.
    pub(super) fn standing(&self) -> Option<&Standing> {
        match &self.model {
            Model::Ours(standing) => Some(standing),
            Model::Reported(_) => None,
        }
    }

    pub(super) const fn is_reported(&self) -> bool {
        matches!(self.model, Model::Reported(_))
    }

    /// Whether every column has a comparable score, so that means and differences of the whole row mean something.
    pub(super) fn is_whole(&self) -> bool {
        self.mean.is_some_and(|mean| mean.is_complete())
            && self.picks.iter().all(|pick| matches!(pick, Pick::Same(_) | Pick::Reported(_)))
    }

    /// Columns without a score.
    pub(super) fn missing(&self) -> usize {
        self.picks.iter().filter(|pick| matches!(pick, Pick::Missing(_))).count()
    }
}

/// What lines are ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Mean,
    Model,
    Stage,
    Parameters,
    Tokens,
    Missing,
    Updated,
    /// The task at this position.
    Task(usize),
}

impl Key {
    const NAMED: [(&'static str, Self); 7] = [
        ("mean", Self::Mean),
        ("model", Self::Model),
        ("stage", Self::Stage),
        ("parameters", Self::Parameters),
        ("tokens", Self::Tokens),
        ("missing", Self::Missing),
        ("updated", Self::Updated),
    ];

    /// Reads a column's name, or a task's position.
    pub(super) fn of(code: &str, tasks: usize) -> Option<Self> {
        let named = Self::NAMED.iter().find(|(name, _)| *name == code).map(|(_, key)| *key);
        named.or_else(|| code.parse().ok().filter(|i| *i < tasks).map(Self::Task))
    }

    pub(super) fn code(self) -> String {
        match self {
            Self::Task(position) => position.to_string(),
            named => {
                Self::NAMED.iter().find(|(_, key)| *key == named).map_or("", |(name, _)| name).to_owned()
            }
        }
    }
}

/// What a column holds, for sorting.
#[derive(PartialEq, PartialOrd)]
enum Value {
    Number(f64),
    Text(String),
}

impl Board {
    /// Places the lines by mean. Only complete rows of ours under the same settings get a place.
    pub(super) fn new(
        catalog: &Catalog,
        columns: Vec<TaskRun>,
        categories: Option<MeanDefinition>,
        models: Vec<Model>,
    ) -> Self {
        let mut board = Self { usual: vec![None; columns.len()], columns, categories, lines: Vec::new() };
        let lines = models.into_iter().map(|model| board.line(catalog, model)).collect::<Vec<_>>();
        board.lines = lines;
        board.usual = (0..board.columns.len()).map(|column| usual_settings(&board.lines, column)).collect();
        let mut lines = std::mem::take(&mut board.lines);
        lines.iter_mut().for_each(|line| board.settle(line));
        board.lines = lines;
        board.place();
        board
    }

    /// A line that stands beside the others without being one of them: it has no say in what is usual, and no place.
    pub(super) fn beside(&self, catalog: &Catalog, model: Model) -> Line {
        let mut line = self.line(catalog, model);
        self.settle(&mut line);
        line
    }

    fn line(&self, catalog: &Catalog, model: Model) -> Line {
        let picks = self.columns.iter().map(|column| pick(catalog, &model, column)).collect();
        Line {
            facts: Arc::new(Facts::of(&model)),
            model,
            picks: Arc::new(picks),
            mean: None,
            place: None,
            rank: None,
        }
    }

    /// Marks what was made under other settings than most, and forms the mean of the rest.
    fn settle(&self, line: &mut Line) {
        for (pick, usual) in Arc::make_mut(&mut line.picks).iter_mut().zip(&self.usual) {
            match pick {
                Pick::Same(row) if Some(row.entry.fingerprint) != *usual => {
                    *pick = Pick::Other(row.clone(), vec![Difference::Settings]);
                }
                _ => {}
            }
        }
        line.mean = self.mean(line);
    }

    /// The mean over the columns, or over those that are there; none over columns that ask different things.
    fn mean(&self, line: &Line) -> Option<Mean> {
        if line.picks.iter().any(Pick::is_foreign) {
            return None;
        }
        let shares: Vec<f64> = line.picks.iter().filter_map(Pick::share).collect();
        let n = line
            .picks
            .iter()
            .filter(|p| p.share().is_some())
            .filter_map(Pick::score)
            .map(|s| s.entry.n)
            .sum();
        if let Some(definition) = &self.categories {
            let share =
                |run: &TaskRun| line.picks[self.columns.iter().position(|column| column == run)?].share();
            let (_, mean) = definition.over(&self.columns, &share);
            let value = mean.value?;
            return Some(Mean { value, interval: None, done: mean.done, of: mean.of, n });
        }
        let scored = line.picks.iter().filter(|pick| !matches!(pick, Pick::Missing(_))).count();
        let of = self.columns.len() - (scored - shares.len());
        let value = shares.iter().sum::<f64>() / shares.len().max(1) as f64;
        (!shares.is_empty()).then_some(Mean { value, interval: None, done: shares.len(), of, n })
    }

    /// A mean of category means has no paired test here, so nothing is ranked by one.
    fn is_ranked(&self, line: &Line) -> bool {
        self.categories.is_none() && !line.is_reported() && line.is_whole()
    }

    /// Keeps the lines that a filter wants, and numbers them anew.
    pub(super) fn retain(&mut self, wanted: impl Fn(&Line) -> bool) {
        self.lines.retain(wanted);
        self.place();
    }

    fn place(&mut self) {
        let mut lines = std::mem::take(&mut self.lines);
        let higher = |a: &Line, b: &Line| mean_value(b).total_cmp(&mean_value(a));
        lines.sort_by(|a, b| self.is_ranked(b).cmp(&self.is_ranked(a)).then_with(|| higher(a, b)));
        for (i, line) in lines.iter_mut().enumerate() {
            line.place = self.is_ranked(line).then_some(i + 1);
        }
        self.lines = lines;
    }

    /// Orders the lines; places stay what they are. Lines that are neither ranked nor complete reports stand last in both directions,
    /// and so do, among each kind, those without the value.
    pub(super) fn sort(&mut self, catalog: &Catalog, key: Key, descending: bool) {
        let columns = self.columns.clone();
        let value = |line: &Line| value(catalog, &columns, line, key);
        let stands = |line: &Line| line.place.is_some() || line.is_reported() && line.is_whole();
        self.lines.sort_by(|a, b| {
            let order = match (value(a), value(b)) {
                (Some(a), Some(b)) => {
                    let order = a.partial_cmp(&b).unwrap_or(Ordering::Equal);
                    if descending { order.reverse() } else { order }
                }
                (a, b) => b.is_some().cmp(&a.is_some()),
            };
            stands(b).cmp(&stands(a)).then(order)
        });
    }
}

/// The positions of the ranked lines among these, by place.
pub(super) fn ranked(lines: &[Line]) -> Vec<usize> {
    let mut ranked: Vec<usize> = (0..lines.len()).filter(|line| lines[*line].place.is_some()).collect();
    ranked.sort_by_key(|line| lines[*line].place);
    ranked
}

/// Gives each ranked line the places of its group, the number of which stands in `groups` in the order of [`ranked`].
pub(super) fn tie(lines: &mut [Line], groups: &[usize]) {
    let ranked = ranked(lines);
    let place = |i: usize| lines[ranked[i]].place.unwrap_or_default();
    let ends = |group: usize| {
        let mut of_group = (0..ranked.len()).filter(|i| groups.get(*i) == Some(&group)).map(place);
        let first = of_group.next()?;
        Some((first, of_group.next_back().unwrap_or(first)))
    };
    let ranks: Vec<_> = groups.iter().map(|group| ends(*group)).collect();
    for (line, rank) in ranked.into_iter().zip(ranks) {
        lines[line].rank = rank;
    }
}

fn mean_value(line: &Line) -> f64 {
    line.mean.map_or(f64::NEG_INFINITY, |mean| mean.value)
}

fn value(catalog: &Catalog, columns: &[TaskRun], line: &Line, key: Key) -> Option<Value> {
    let facts = &line.facts;
    match key {
        Key::Mean => line.mean.map(|mean| Value::Number(mean.value)),
        Key::Model => Some(Value::Text(facts.name.to_lowercase())),
        Key::Stage => facts.stage.map(|stage| Value::Text(stage.as_str().to_owned())),
        Key::Parameters => facts.parameters.map(|n| Value::Number(n as f64)),
        Key::Tokens => facts.tokens.map(|n| Value::Number(n as f64)),
        Key::Missing => Some(Value::Number(line.missing() as f64)),
        Key::Updated => Some(Value::Number(facts.day.unix_ms() as f64)),
        Key::Task(i) => {
            let scale = catalog.published_metric(&columns[i].profile, &columns[i].task).map_or(1.0, |m| m.1);
            line.picks[i].value(scale).filter(|value| !value.is_nan()).map(Value::Number)
        }
    }
}

/// The score of a task as the column runs it, else that of the same task run otherwise.
fn pick(catalog: &Catalog, model: &Model, column: &TaskRun) -> Pick {
    let standing = match model {
        Model::Ours(standing) => standing,
        Model::Reported(row) => {
            let found = reported::score(catalog, row, column);
            return found.map_or(Pick::Missing(None), |score| Pick::Reported(score.share));
        }
    };
    let of_task =
        |work: &&StandingWork| (&work.run.profile, &work.run.task) == (&column.profile, &column.task);
    let exact = || standing.work.iter().filter(of_task).filter(|work| catalog.same_run(&work.run, column));
    if let Some(row) = exact().find_map(|work| work.score.clone()) {
        return Pick::Same(row);
    }
    if let Some(work) = exact().next() {
        return Pick::Missing(Some(work.state));
    }
    let other = standing.work.iter().filter(of_task).find_map(|work| Some((work, work.score.clone()?)));
    other.map_or(Pick::Missing(None), |(work, row)| {
        let differences = differences(catalog, &work.run, &row, column);
        Pick::Other(row, differences)
    })
}

fn differences(catalog: &Catalog, run: &TaskRun, row: &ScoreRow, column: &TaskRun) -> Vec<Difference> {
    let mut differences = Vec::new();
    if run.split != column.split {
        differences.push(Difference::Split(run.split.clone()));
    }
    if run.limit != column.limit {
        differences.push(Difference::Limit(run.limit));
    }
    let wanted = match catalog.find(&column.profile, &column.task) {
        Ok(definition) => Some(definition.shots_of(column)),
        Err(_) => column.shots,
    };
    if wanted.is_some_and(|wanted| wanted != row.entry.shots) {
        differences.push(Difference::Shots(row.entry.shots));
    }
    differences
}

/// The fingerprint that most scores of a column have; of two equally frequent ones the newer.
fn usual_settings(lines: &[Line], column: usize) -> Option<Sha256> {
    let mut counts: HashMap<Sha256, (usize, i64)> = HashMap::new();
    for line in lines {
        if let Pick::Same(row) = &line.picks[column] {
            let seen = counts.entry(row.entry.fingerprint).or_default();
            *seen = (seen.0 + 1, seen.1.max(line.facts.day.unix_ms()));
        }
    }
    counts
        .into_iter()
        .max_by_key(|(fingerprint, seen)| (*seen, *fingerprint))
        .map(|(fingerprint, _)| fingerprint)
}

#[cfg(test)]
mod tests {
    use super::super::fixtures;
    use super::*;

    fn board() -> Board {
        Board::new(&Catalog::builtin(), fixtures::board_tasks(), None, fixtures::board_models())
    }

    fn places(board: &Board) -> Vec<(&str, Option<usize>)> {
        board.lines.iter().map(|line| (line.facts.name.as_str(), line.place)).collect()
    }

    #[test]
    fn complete_rows_have_a_place_and_others_stand_last_without() {
        let board = board();
        let places = places(&board);
        let ranked = [("best", Some(1)), ("good", Some(2)), ("tied", Some(3)), ("last", Some(4))];
        assert_eq!(places[..4], ranked);
        assert!(places[4..].iter().all(|(_, place)| place.is_none()), "{places:?}");
        let of = |name: &str| board.lines.iter().find(|line| line.facts.name == name).expect("a line");
        let half = of("half").mean.expect("a mean");
        assert_eq!((half.done, half.of, half.interval, of("half").missing()), (1, 2, None, 1));
        let other = of("other-settings");
        assert!(
            other.picks.iter().all(|p| matches!(p, Pick::Other(_, why) if *why == [Difference::Settings]))
        );
        assert!(other.mean.is_some(), "one setting throughout");
        let limit = of("other-limit");
        assert!(
            limit
                .picks
                .iter()
                .all(|p| matches!(p, Pick::Other(_, why) if *why == [Difference::Limit(Some(100))]))
        );
        assert_eq!(limit.mean, None, "no mean over what asks other items than the column");
    }

    #[test]
    fn a_reported_row_stands_by_its_mean_and_takes_no_place() {
        let mut board = board();
        board.sort(&Catalog::builtin(), Key::Mean, true);
        let names: Vec<&str> = board.lines.iter().map(|line| line.facts.name.as_str()).collect();
        // 0.45 and 0.45, then 0.44 reported, then 0.2.
        assert_eq!(names[..5], ["best", "good", "tied", "Elsewhere 7B", "last"]);
        assert_eq!((board.lines[3].place, board.lines[4].place), (None, Some(4)));
    }

    #[test]
    fn rows_that_tests_cannot_tell_apart_share_their_places() {
        let mut board = board();
        tie(&mut board.lines, &[0, 1, 1, 2]);
        let ranks: Vec<_> = board.lines.iter().map(|line| line.rank).collect();
        assert_eq!(ranks[..5], [Some((1, 1)), Some((2, 3)), Some((2, 3)), Some((4, 4)), None]);
        board.sort(&Catalog::builtin(), Key::Mean, false);
        assert_eq!(board.lines[0].rank, Some((4, 4)));
        tie(&mut board.lines, &[0, 0, 0, 0]);
        assert!(board.lines.iter().filter(|l| l.place.is_some()).all(|line| line.rank == Some((1, 4))));
    }

    #[test]
    fn another_order_keeps_the_places_and_what_cannot_be_ranked_last() {
        let mut board = board();
        for (key, descending) in
            [(Key::Task(1), true), (Key::Task(1), false), (Key::Model, false), (Key::Mean, false)]
        {
            board.sort(&Catalog::builtin(), key, descending);
            let stands: Vec<bool> =
                board.lines.iter().map(|line| line.place.is_some() || line.is_reported()).collect();
            assert_eq!(
                stands,
                [true, true, true, true, true, false, false, false, false],
                "{key:?} {descending}"
            );
        }
        assert_eq!(board.lines[0].place, Some(4));
        assert_eq!(Key::of("7", 2), None);
        for (name, key) in Key::NAMED {
            assert_eq!((Key::of(name, 0), key.code().as_str()), (Some(key), name));
        }
    }

    #[test]
    fn a_filter_numbers_the_rest_anew() {
        let mut board = board();
        board.retain(|line| line.facts.name != "best");
        assert_eq!(places(&board)[0], ("good", Some(1)));
    }

    #[test]
    fn a_mean_of_category_means_is_told_and_ranks_nothing() {
        let catalog = Catalog::builtin();
        let suite = catalog.suite("llm-jp-eval-1.3").expect("built in");
        let board = Board::new(
            &catalog,
            fixtures::board_tasks(),
            suite.means.first().cloned(),
            fixtures::board_models(),
        );
        let best = board.lines.iter().find(|line| line.facts.name == "best").expect("a line");
        let mean = best.mean.expect("a mean");
        // MC is JCommonsenseQA alone; QA lacks JEMHopQA.
        assert_eq!((mean.done, mean.of), (1, 9));
        assert!(board.lines.iter().all(|line| line.place.is_none()));
    }
}
