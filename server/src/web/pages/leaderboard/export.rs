//! `/leaderboard.json` and `/leaderboard.csv`: the rows of the page in their order, with every digit.

use sekisho_domain::evaluation::TaskRun;
use sekisho_domain::lineage::InputStage;
use sekisho_domain::{Sha256, Timestamp};
use serde::Serialize;

use super::super::parts::quoted;
use super::board::{Board, Model, Pick};
use super::rows::Row;

/// A row of `/leaderboard.json`.
#[derive(Serialize)]
pub(super) struct RowView {
    /// First place of the rows that tests cannot tell from this one.
    rank: Option<usize>,
    /// Their last place.
    rank_to: Option<usize>,
    /// The run; the model of a reported row.
    run: String,
    checkpoint: Option<String>,
    step: Option<u64>,
    tokens: Option<u64>,
    parameters: Option<u64>,
    /// 0–1. None over columns that ask different things.
    mean: Option<f64>,
    mean_low: Option<f64>,
    mean_high: Option<f64>,
    tasks_done: usize,
    tasks: usize,
    /// Parameters that a token meets, where that is fewer.
    active_parameters: Option<u64>,
    stage: Option<&'static str>,
    /// Who published a reported row; none of our own.
    source: Option<String>,
    /// When a score changed last; when a reported row was published.
    updated: Timestamp,
    /// Whether it was asked for by name and stands above the others.
    pinned: bool,
    /// What the mean is more than that of the base.
    difference: Option<f64>,
    /// Two-sided p-value of no difference, by paired bootstrap.
    p: Option<f64>,
    scores: Vec<ScoreView>,
}

/// A score of `/leaderboard.json`.
#[derive(Serialize)]
struct ScoreView {
    #[serde(flatten)]
    task: TaskRun,
    comparable: bool,
    metric: Option<String>,
    /// In the metric's own unit: BLEU runs to 100.
    value: Option<f64>,
    low: Option<f64>,
    high: Option<f64>,
    n: Option<u64>,
    fingerprint: Option<Sha256>,
}

pub(super) fn json(board: &Board, rows: &[Row], scale: &dyn Fn(&TaskRun) -> f64) -> Vec<RowView> {
    rows.iter().map(|row| row_view(board, row, scale)).collect()
}

fn row_view(board: &Board, row: &Row, scale: &dyn Fn(&TaskRun) -> f64) -> RowView {
    let score = |(task, pick): (&TaskRun, &Pick)| {
        let entry = pick.score().map(|score| &score.entry);
        let reported = match pick {
            Pick::Reported(share) => Some(share * scale(task)),
            _ => None,
        };
        ScoreView {
            task: task.clone(),
            comparable: !matches!(pick, Pick::Other(..)),
            metric: entry.map(|e| e.metric.clone()),
            value: entry.map(|e| e.value).or(reported),
            low: entry.map(|e| e.low),
            high: entry.map(|e| e.high),
            n: entry.map(|e| e.n),
            fingerprint: entry.map(|e| e.fingerprint),
        }
    };
    let (line, facts) = (&row.line, &row.line.facts);
    let interval = row.mean.and_then(|mean| mean.interval);
    let (ours, source) = match &line.model {
        Model::Ours(standing) => (Some(standing), None),
        Model::Reported(reported) => (None, Some(reported.source.clone())),
    };
    RowView {
        rank: line.rank.map(|rank| rank.0),
        rank_to: line.rank.map(|rank| rank.1),
        run: facts.name.clone(),
        checkpoint: ours.map(|standing| standing.checkpoint.to_string()),
        step: ours.map(|standing| standing.step.0),
        tokens: facts.tokens,
        parameters: facts.parameters,
        mean: row.mean.map(|mean| mean.value),
        mean_low: interval.map(|i| i.0),
        mean_high: interval.map(|i| i.1),
        tasks_done: row.mean.map_or(0, |mean| mean.done),
        tasks: row.mean.map_or(board.columns.len(), |mean| mean.of),
        active_parameters: facts.active,
        stage: facts.stage.map(InputStage::as_str),
        source,
        updated: facts.day,
        pinned: row.is_pinned,
        difference: row.delta.as_ref().and_then(|delta| delta.mean),
        p: row.delta.as_ref().and_then(|delta| delta.p),
        scores: board.columns.iter().zip(&*line.picks).map(score).collect(),
    }
}

/// One line a row, for each task its value, interval, n and fingerprint.
pub(super) fn csv(board: &Board, rows: &[Row], scale: &dyn Fn(&TaskRun) -> f64) -> String {
    let mut lines = vec![csv_head(board)];
    for view in json(board, rows, scale) {
        let number = |value: Option<f64>| value.map_or_else(String::new, |v| v.to_string());
        let whole = |value: Option<u64>| value.map_or_else(String::new, |v| v.to_string());
        let mut fields = vec![
            whole(view.rank.map(|rank| rank as u64)),
            whole(view.rank_to.map(|rank| rank as u64)),
            quoted(&view.run),
            view.checkpoint.unwrap_or_default(),
            whole(view.step),
            whole(view.tokens),
            whole(view.parameters),
            number(view.mean),
            number(view.mean_low),
            number(view.mean_high),
            format!("{}/{}", view.tasks_done, view.tasks),
            whole(view.active_parameters),
            view.stage.unwrap_or_default().to_owned(),
            quoted(&view.source.unwrap_or_default()),
            view.updated.to_string(),
            view.pinned.to_string(),
            number(view.difference),
            number(view.p),
        ];
        for score in &view.scores {
            let fingerprint = score.fingerprint.map_or_else(String::new, |f| f.to_string());
            fields.extend([
                number(score.value),
                number(score.low),
                number(score.high),
                whole(score.n),
                fingerprint,
                score.comparable.to_string(),
            ]);
        }
        lines.push(fields.join(","));
    }
    lines.join("\n") + "\n"
}

fn csv_head(board: &Board) -> String {
    let own = "rank,rank_to,run,checkpoint,step,tokens,parameters,mean,mean_low,mean_high,tasks,active_parameters,stage,source,updated,pinned,difference,p";
    let mut heads = vec![own.to_owned()];
    for task in &board.columns {
        let name = quoted(&format!("{}/{}", task.profile, task.task));
        let parts = ["", " low", " high", " n", " fingerprint", " comparable"];
        heads.extend(parts.map(|part| format!("{name}{part}")));
    }
    heads.join(",")
}

#[cfg(test)]
mod tests {
    use super::super::fixtures;
    use super::*;

    #[test]
    fn the_csv_has_one_line_a_row_and_no_formula() {
        let (board, rows) = fixtures::board_rows();
        let text = csv(&board, &rows, &|_| 1.0);
        assert_eq!(text.lines().count(), rows.len() + 1);
        let fields = text.lines().next().map(|l| l.split(',').count());
        assert!(text.lines().all(|line| Some(line.split(',').count()) == fields), "{text}");
        assert!(text.lines().any(|line| line.starts_with("2,3,good")), "{text}");
        assert!(text.lines().any(|line| line.starts_with(",,Elsewhere 7B,,,,7000000000,0.44")), "{text}");
    }

    #[test]
    fn a_reported_value_is_in_the_unit_of_its_metric() {
        let (board, rows) = fixtures::board_rows();
        let views = json(&board, &rows, &|_| 100.0);
        let of = |name: &str| serde_json::json!(views.iter().find(|view| view.run == name));
        assert_eq!(of("Elsewhere 7B")["scores"][0]["value"].as_f64(), Some(44.0));
        assert_eq!(of("best")["scores"][0]["value"].as_f64(), Some(0.5), "ours is in it already");
        assert_eq!(of("other-limit")["mean"], serde_json::Value::Null);
        assert_eq!(of("other-limit")["scores"][0]["comparable"], false);
    }
}
