//! The leaderboard.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use sekisho_bench::Catalog;
use sekisho_domain::WorkItemId;
use sekisho_domain::evaluation::TaskRun;
use sekisho_domain::reported::{ReportedModel, ReportedScore};
use sekisho_domain::wire::ContaminationMethod;
use sekisho_store::{Standing, StandingWork};

use super::board::{self, Board, Model, Pick};
use super::columns::Chosen;
use super::filters::Offered;
use super::rows::{Row, Rows};
use super::{Asked, Found, PAGE, Shown};
use crate::service::comparisons::{Comparison, TieTest};
use crate::service::contamination::Looked;
use crate::web::frame::Frame;
use crate::web::pages::fixtures::{scored, suite};
use crate::web::pages::parts::Pager;
use crate::web::pages::scored::Scored;

pub(super) use crate::web::pages::fixtures::frame;

/// Columns of the board: all items of test.
pub(super) fn board_tasks() -> Vec<TaskRun> {
    let whole = |run: &TaskRun| TaskRun { split: "test".to_owned(), limit: None, ..run.clone() };
    suite()[..2].iter().map(whole).collect()
}

/// What the store says of a scored checkpoint.
fn standing(row: Scored) -> Standing {
    let Scored { checkpoint, found, .. } = row;
    let verification = checkpoint.verification.as_ref();
    Standing {
        checkpoint: checkpoint.id,
        run: checkpoint.run,
        run_name: checkpoint.run_name,
        state: checkpoint.state,
        step: checkpoint.step,
        tokens: checkpoint.tokens,
        parameters: verification.map(|v| v.parameters),
        config: Some(serde_json::json!({ "model_type": "llama" })),
        is_continued: Some(false),
        released: None,
        work: found
            .work
            .iter()
            .zip(&found.scores.tasks)
            .map(|(row, score)| StandingWork {
                id: row.work.id,
                evaluation: row.evaluation,
                run: TaskRun { split: "test".to_owned(), limit: None, ..row.work.run.clone() },
                state: row.state,
                updated: row.updated,
                score: score.clone(),
            })
            .collect(),
    }
}

/// Rows of a board: ranked, tied, under other settings, on other items, half done, and reported elsewhere.
pub(super) fn board_models() -> Vec<Model> {
    let pair = |name: &str, first: Option<f64>, second: f64, settings: &str| {
        let mut row = scored(name, 1000, &[Some(second), first], settings);
        row.checkpoint.run_name = name.to_owned();
        standing(row)
    };
    let mut other_limit = pair("other-limit", Some(0.5), 0.4, "limit");
    let mut other_split = pair("other-split", Some(0.5), 0.4, "split");
    for work in other_limit.work.iter_mut().chain(&mut other_split.work) {
        work.run.limit = Some(100);
    }
    for work in &mut other_split.work {
        work.run.split = "dev".to_owned();
    }
    let mut continued = pair("tied", Some(0.5), 0.4, "usual");
    continued.is_continued = Some(true);
    let ours = [
        other_limit,
        other_split,
        pair("half", None, 0.9, "usual"),
        pair("last", Some(0.2), 0.2, "usual"),
        pair("good", Some(0.5), 0.4, "usual"),
        pair("other-settings", Some(0.93), 0.93, "other"),
        pair("best", Some(0.6), 0.5, "usual"),
        continued,
    ];
    let mut models: Vec<Model> = ours.into_iter().map(|standing| Model::Ours(Arc::new(standing))).collect();
    models.push(Model::Reported(Arc::new(elsewhere())));
    models
}

/// Somebody else's model, on exactly the columns.
fn elsewhere() -> ReportedModel {
    let score = |run: TaskRun| ReportedScore {
        profile: run.profile,
        task: run.task,
        split: run.split,
        shots: 4,
        share: 0.44,
    };
    ReportedModel {
        model: "Elsewhere 7B".to_owned(),
        source: "a board".to_owned(),
        day: "2025-04-14".parse().expect("a day"),
        license: "CC-BY-4.0".to_owned(),
        family: Some("llama".to_owned()),
        parameters: Some(7_000_000_000),
        active: None,
        tokens: None,
        model_license: Some("llama2".to_owned()),
        remark: Some("without a stop".to_owned()),
        scores: board_tasks().into_iter().map(score).collect(),
    }
}

/// The same as rows of one page, ranked, with what was looked up of them.
pub(super) fn board_rows() -> (Board, Vec<Row>) {
    let catalog = Catalog::builtin();
    let mut board = Board::new(&catalog, board_tasks(), None, board_models());
    board.sort(&catalog, board::Key::Mean, true);
    let mut lines = std::mem::take(&mut board.lines);
    board::tie(&mut lines, &[0, 1, 1, 2]);
    board.lines.clone_from(&lines);
    let row = |line: board::Line| {
        let mut mean = line.mean;
        if let Some(mean) = mean.as_mut().filter(|_| line.place.is_some()) {
            mean.interval = Some((mean.value - 0.04, mean.value + 0.04));
        }
        let first = line.picks.iter().find_map(Pick::score).map(|score| score.work);
        let found = match first.filter(|_| line.facts.name == "best") {
            Some(work) => HashMap::from([(work, looked())]),
            None => HashMap::<WorkItemId, Looked>::new(),
        };
        let environment = [("bos", "off"), ("engine", "sekisho"), ("dtype", "bf16")];
        let environment: BTreeMap<String, String> = match line.is_reported() {
            true => BTreeMap::new(),
            false => environment.map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
        };
        let evaluation = line.picks.iter().find_map(Pick::score).map(|score| score.evaluation);
        Row { is_pinned: false, mean, delta: None, found, environment, evaluation, line }
    };
    (board, lines.into_iter().map(row).collect())
}

fn looked() -> Looked {
    Looked { looked_for: 98, found: [3, 14, 15].into(), method: ContaminationMethod::default() }
}

/// A page of the board as the query of the frame asks for it.
pub(super) fn shown_board(frame: &Frame) -> Shown {
    let (board, mut rows) = board_rows();
    let mut pinned = rows[0].clone();
    pinned.is_pinned = true;
    rows.insert(0, pinned);
    let found = Comparison { difference: -0.1, low: -0.2, high: 0.01, p: 0.07 };
    let test = |found, corrected| TieTest { leader: 0, row: 1, found, corrected };
    let between = |test| ("best · 1000".to_owned(), "good · 1000".to_owned(), test);
    let tests = vec![
        between(test(Some(found), Some(0.14))),
        between(test(Some(Comparison { p: 0.0001, ..found }), Some(0.0003))),
        between(test(None, None)),
    ];
    let tasks = board_tasks();
    let chosen = Chosen {
        preset: Some("ja-4".to_owned()),
        title: "日本語4タスク".to_owned(),
        all: tasks.clone(),
        shown: tasks,
        ..Chosen::default()
    };
    let pager = Pager::new(frame, 1, PAGE, rows.len() + PAGE);
    let offered = Offered::of(&board);
    Shown {
        asked: Asked::of(frame),
        suites: ["llm-jp-eval-dev100", "demo"].map(ToOwned::to_owned).to_vec(),
        found: Some(Found {
            chosen,
            board,
            rows: Rows { rows, tests },
            pager,
            base: Some("best · 1000".to_owned()),
            offered,
        }),
        ..Shown::default()
    }
}
