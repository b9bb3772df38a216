//! The ranking behind `/leaderboard`: which rows stand beside each other, and which of them may be ranked.

use std::cmp::Ordering;
use std::collections::HashMap;

use sekisho_domain::Sha256;
use sekisho_domain::evaluation::TaskRun;
use sekisho_store::{ScoreRow, WorkRow};
use serde::Serialize;

use super::parts::quoted;
use super::scored::{self, Mean, Scored};

/// One suite's board.
#[derive(Clone, Debug)]
pub(super) struct Board {
    pub(super) suite: String,
    /// Tasks of the suite, in its order.
    pub(super) tasks: Vec<TaskRun>,
    /// By rank; those without one last.
    pub(super) rows: Vec<Row>,
}

/// One checkpoint on the board.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) scored: Scored,
    /// Place among the ranked rows by mean, 1 for the highest; none while tasks are missing or settings differ.
    pub(super) place: Option<usize>,
    /// First and last place of the rows that tests cannot tell from this one.
    pub(super) rank: Option<(usize, usize)>,
    pub(super) mean: Option<Mean>,
    /// For each task whether its score, if there is one, was made under the settings of this column.
    pub(super) comparable: Vec<bool>,
}

impl Row {
    /// The score in a column: that of the task as the column runs it, else that of the same task run otherwise.
    pub(super) fn score(&self, task: &TaskRun) -> Option<&ScoreRow> {
        self.scored.score(task).ok().or_else(|| self.scored.score(&self.otherwise(task)?.work.run).ok())
    }

    /// The same task with another split, limit or number of shots.
    pub(super) fn otherwise(&self, task: &TaskRun) -> Option<&WorkRow> {
        let exact = self.scored.work.iter().any(|w| w.work.run == *task);
        let same = |w: &&WorkRow| (&w.work.run.profile, &w.work.run.task) == (&task.profile, &task.task);
        self.scored.work.iter().find(same).filter(|_| !exact)
    }

    /// What tests compare: the primary scores in the order of the columns.
    pub(super) fn primary(&self, tasks: &[TaskRun]) -> Vec<ScoreRow> {
        tasks.iter().filter_map(|task| self.scored.score(task).ok().cloned()).collect()
    }

    fn is_ranked(&self) -> bool {
        self.mean.is_some_and(|mean| mean.is_complete()) && self.comparable.iter().all(|same| *same)
    }
}

/// What rows are ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Mean,
    Tokens,
    Parameters,
    /// The task at this position.
    Task(usize),
}

impl Key {
    /// Reads `mean`, `tokens`, `parameters` or a task's position.
    pub(super) fn of(code: &str, tasks: usize) -> Option<Self> {
        match code {
            "mean" => Some(Self::Mean),
            "tokens" => Some(Self::Tokens),
            "parameters" => Some(Self::Parameters),
            position => position.parse().ok().filter(|i| *i < tasks).map(Self::Task),
        }
    }

    pub(super) fn code(self) -> String {
        match self {
            Self::Mean => "mean".to_owned(),
            Self::Tokens => "tokens".to_owned(),
            Self::Parameters => "parameters".to_owned(),
            Self::Task(position) => position.to_string(),
        }
    }
}

impl Board {
    /// Places the rows by mean. `tasks` are the columns. Only complete rows under the same settings get a place.
    pub(super) fn new(suite: &str, tasks: Vec<TaskRun>, scored: Vec<Scored>) -> Self {
        let settings: Vec<Option<Sha256>> = tasks.iter().map(|task| usual_settings(&scored, task)).collect();
        let mut rows: Vec<Row> = scored.into_iter().map(|scored| row(&tasks, &settings, scored)).collect();
        rows.sort_by(|a, b| {
            b.is_ranked().cmp(&a.is_ranked()).then_with(|| higher(mean_value(a), mean_value(b)))
        });
        for (i, row) in rows.iter_mut().enumerate() {
            row.place = row.is_ranked().then_some(i + 1);
        }
        Self { suite: suite.to_owned(), tasks, rows }
    }

    /// Orders the rows; places stay what they are. Rows without a place stand last in both directions, and so do, among each kind,
    /// those without the value.
    pub(super) fn sort(&mut self, key: Key, descending: bool) {
        let tasks = self.tasks.clone();
        let value = |row: &Row| match key {
            Key::Mean => mean_value(row),
            Key::Tokens => Some(row.scored.checkpoint.tokens.0 as f64),
            Key::Parameters => row.scored.checkpoint.verification.as_ref().map(|v| v.parameters as f64),
            Key::Task(i) => row.score(&tasks[i]).map(|score| score.entry.value),
        };
        self.rows.sort_by(|a, b| {
            let order = higher(value(a), value(b));
            let both = value(a).is_some() && value(b).is_some();
            let order = if descending || !both { order } else { order.reverse() };
            b.is_ranked().cmp(&a.is_ranked()).then(order)
        });
    }

    /// The positions of the ranked rows that are shown, by place.
    pub(super) fn ranked(&self) -> Vec<usize> {
        let mut ranked: Vec<usize> =
            (0..self.rows.len()).filter(|row| self.rows[*row].place.is_some()).collect();
        ranked.sort_by_key(|row| self.rows[*row].place);
        ranked
    }

    /// Gives each ranked row the places of its group, the number of which stands in `groups` in the order of [`Self::ranked`].
    pub(super) fn tie(&mut self, groups: &[usize]) {
        let ranked = self.ranked();
        let place = |i: usize| self.rows[ranked[i]].place.unwrap_or_default();
        let ends = |group: usize| {
            let mut of_group = (0..ranked.len()).filter(|i| groups.get(*i) == Some(&group)).map(place);
            let first = of_group.next()?;
            Some((first, of_group.next_back().unwrap_or(first)))
        };
        let ranks: Vec<_> = groups.iter().map(|group| ends(*group)).collect();
        for (row, rank) in ranked.into_iter().zip(ranks) {
            self.rows[row].rank = rank;
        }
    }
}

fn row(tasks: &[TaskRun], settings: &[Option<Sha256>], scored: Scored) -> Row {
    let mut row = Row { place: None, rank: None, mean: None, comparable: Vec::new(), scored };
    let same = |(task, usual): (&TaskRun, &Option<Sha256>)| match row.scored.score(task) {
        Ok(score) => Some(score.entry.fingerprint) == *usual,
        Err(_) => row.otherwise(task).is_none(),
    };
    row.comparable = tasks.iter().zip(settings).map(same).collect();
    row.mean = mean(tasks, &row);
    row
}

/// The mean over the columns. One over some of them, or of an evaluation with other tasks, is the plain mean of what stands in them.
fn mean(tasks: &[TaskRun], row: &Row) -> Option<Mean> {
    let scores: Vec<&ScoreRow> = tasks.iter().filter_map(|task| row.score(task)).collect();
    let shares: Vec<f64> = scores.iter().filter_map(|score| scored::share(score)).collect();
    let of = tasks.len() - (scores.len() - shares.len());
    let whole = row.scored.mean().filter(Mean::is_complete);
    if let Some(mean) = whole.filter(|mean| mean.of == of && scores.len() == tasks.len()) {
        return Some(mean);
    }
    let done = shares.len();
    let value = shares.iter().sum::<f64>() / done.max(1) as f64;
    let n = scores.iter().filter(|score| scored::share(score).is_some()).map(|score| score.entry.n).sum();
    (done > 0).then_some(Mean { value, interval: None, done, of, n })
}

fn mean_value(row: &Row) -> Option<f64> {
    row.mean.map(|mean| mean.value)
}

/// Higher first, nothing last.
fn higher(a: Option<f64>, b: Option<f64>) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) => b.total_cmp(&a),
        (a, b) => b.is_some().cmp(&a.is_some()),
    }
}

/// The fingerprint that most scores of a task have; of two equally frequent ones the newer.
fn usual_settings(scored: &[Scored], task: &TaskRun) -> Option<Sha256> {
    let mut counts: HashMap<Sha256, (usize, i64)> = HashMap::new();
    for s in scored {
        if let (Ok(row), Some(evaluation)) = (s.score(task), &s.evaluation) {
            let seen = counts.entry(row.entry.fingerprint).or_default();
            *seen = (seen.0 + 1, seen.1.max(evaluation.created.unix_ms()));
        }
    }
    counts
        .into_iter()
        .max_by_key(|(fingerprint, seen)| (*seen, *fingerprint))
        .map(|(fingerprint, _)| fingerprint)
}

/// A row of `/leaderboard.json`.
#[derive(Serialize)]
pub(super) struct RowView {
    /// First place of the rows that tests cannot tell from this one.
    rank: Option<usize>,
    /// Their last place.
    rank_to: Option<usize>,
    run: String,
    checkpoint: String,
    step: u64,
    tokens: u64,
    parameters: Option<u64>,
    mean: Option<f64>,
    mean_low: Option<f64>,
    mean_high: Option<f64>,
    tasks_done: usize,
    tasks: usize,
    scores: Vec<ScoreView>,
}

/// A score of `/leaderboard.json`.
#[derive(Serialize)]
struct ScoreView {
    #[serde(flatten)]
    task: TaskRun,
    comparable: bool,
    metric: Option<String>,
    value: Option<f64>,
    low: Option<f64>,
    high: Option<f64>,
    n: Option<u64>,
    fingerprint: Option<Sha256>,
}

/// The board as `/leaderboard.json` has it.
pub(super) fn json(board: &Board) -> Vec<RowView> {
    board.rows.iter().map(|row| row_view(board, row)).collect()
}

fn row_view(board: &Board, row: &Row) -> RowView {
    let checkpoint = &row.scored.checkpoint;
    let score = |(task, comparable): (&TaskRun, &bool)| {
        let entry = row.score(task).map(|score| &score.entry);
        ScoreView {
            task: task.clone(),
            comparable: *comparable,
            metric: entry.map(|e| e.metric.clone()),
            value: entry.map(|e| e.value),
            low: entry.map(|e| e.low),
            high: entry.map(|e| e.high),
            n: entry.map(|e| e.n),
            fingerprint: entry.map(|e| e.fingerprint),
        }
    };
    let interval = row.mean.and_then(|mean| mean.interval);
    RowView {
        rank: row.rank.map(|rank| rank.0),
        rank_to: row.rank.map(|rank| rank.1),
        run: checkpoint.run_name.clone(),
        checkpoint: checkpoint.id.to_string(),
        step: checkpoint.step.0,
        tokens: checkpoint.tokens.0,
        parameters: checkpoint.verification.as_ref().map(|v| v.parameters),
        mean: row.mean.map(|mean| mean.value),
        mean_low: interval.map(|i| i.0),
        mean_high: interval.map(|i| i.1),
        tasks_done: row.mean.map_or(0, |mean| mean.done),
        tasks: board.tasks.len(),
        scores: board.tasks.iter().zip(&row.comparable).map(score).collect(),
    }
}

/// The board as `/leaderboard.csv` has it: one line a row, for each task its value, interval and n.
pub(super) fn csv(board: &Board) -> String {
    let mut lines = vec![csv_head(board)];
    for view in json(board) {
        let number = |value: Option<f64>| value.map_or_else(String::new, |v| v.to_string());
        let whole = |value: Option<u64>| value.map_or_else(String::new, |v| v.to_string());
        let mut fields = vec![
            whole(view.rank.map(|rank| rank as u64)),
            whole(view.rank_to.map(|rank| rank as u64)),
            quoted(&view.run),
            view.checkpoint.clone(),
            view.step.to_string(),
            view.tokens.to_string(),
            whole(view.parameters),
            number(view.mean),
            number(view.mean_low),
            number(view.mean_high),
            format!("{}/{}", view.tasks_done, view.tasks),
        ];
        for score in &view.scores {
            let fingerprint = score.fingerprint.map_or_else(String::new, |f| f.to_string());
            fields.extend([
                number(score.value),
                number(score.low),
                number(score.high),
                whole(score.n),
                fingerprint,
            ]);
        }
        lines.push(fields.join(","));
    }
    lines.join("\n") + "\n"
}

fn csv_head(board: &Board) -> String {
    let own = "rank,rank_to,run,checkpoint,step,tokens,parameters,mean,mean_low,mean_high,tasks".to_owned();
    let mut heads = vec![own];
    for task in &board.tasks {
        let name = quoted(&format!("{}/{}", task.profile, task.task));
        heads.extend(["", " low", " high", " n", " fingerprint"].map(|part| format!("{name}{part}")));
    }
    heads.join(",")
}

#[cfg(test)]
mod tests {
    use super::super::fixtures;
    use super::*;

    fn board() -> Board {
        Board::new("suite", fixtures::board_tasks(), fixtures::board_rows())
    }

    fn places(board: &Board) -> Vec<(&str, Option<usize>)> {
        board.rows.iter().map(|row| (row.scored.checkpoint.run_name.as_str(), row.place)).collect()
    }

    #[test]
    fn complete_rows_have_a_place_and_others_stand_last_without() {
        let board = board();
        let expected = [
            ("best", Some(1)),
            ("good", Some(2)),
            ("tied", Some(3)),
            ("last", Some(4)),
            ("other-settings", None),
            ("half", None),
            ("other-limit", None),
        ];
        assert_eq!(places(&board), expected);
        let of = |name: &str| board.rows.iter().find(|row| row.scored.checkpoint.run_name == name);
        let half = of("half").and_then(|row| row.mean).expect("a mean");
        assert_eq!((half.done, half.of, half.interval), (1, 2, None));
        assert_eq!(of("half").map(|row| row.comparable.clone()), Some(vec![true, true]));
        assert_eq!(of("other-settings").map(|row| row.comparable.clone()), Some(vec![false, false]));
        let limit = of("other-limit").expect("is there");
        assert_eq!(limit.comparable, [false, false], "the same tasks with another limit");
        assert!(board.tasks.iter().all(|task| limit.score(task).is_some()), "its scores are shown");
    }

    #[test]
    fn rows_that_tests_cannot_tell_apart_share_their_places() {
        let mut board = board();
        board.tie(&[0, 1, 1, 2]);
        let ranks: Vec<_> = board.rows.iter().map(|row| row.rank).collect();
        assert_eq!(ranks[..5], [Some((1, 1)), Some((2, 3)), Some((2, 3)), Some((4, 4)), None]);
        board.sort(Key::Mean, false);
        assert_eq!(board.rows[0].rank, Some((4, 4)));
        board.tie(&[0, 0, 0, 0]);
        assert!(board.rows[..4].iter().all(|row| row.rank == Some((1, 4))));
    }

    #[test]
    fn another_order_keeps_the_places_and_the_ranked_rows_first() {
        let mut board = board();
        for (key, descending) in [(Key::Task(1), true), (Key::Task(1), false), (Key::Mean, false)] {
            board.sort(key, descending);
            let places: Vec<_> = board.rows.iter().map(|row| row.place.is_some()).collect();
            assert_eq!(places, [true, true, true, true, false, false, false], "{key:?} {descending}");
        }
        assert_eq!(board.rows[0].place, Some(4));
        assert_eq!(Key::of("7", 2), None);
    }

    #[test]
    fn the_csv_has_one_line_a_row_and_no_formula() {
        let mut board = board();
        board.tie(&[0, 1, 1, 2]);
        let text = csv(&board);
        assert_eq!(text.lines().count(), board.rows.len() + 1);
        let fields = text.lines().next().map(|l| l.split(',').count());
        assert!(text.lines().all(|line| Some(line.split(',').count()) == fields), "{text}");
        assert!(text.lines().nth(2).is_some_and(|line| line.starts_with("2,3,")), "{text}");
    }
}
