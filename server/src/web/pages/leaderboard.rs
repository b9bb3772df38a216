//! `/leaderboard`: checkpoints on one suite, ranked by mean, with intervals.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::State;
use axum::http::{HeaderName, header};
use axum::response::{IntoResponse as _, Response};
use sekisho_bench::Catalog;
use sekisho_domain::evaluation::{TaskRun, WorkState};
use sekisho_domain::{CheckpointId, EvaluationId, Language, RunId};
use sekisho_store::{Checkpoint, Evaluation};

use super::board::{self, Board, Key, Row};
use super::parts::{self, Cell, Choice, Pager, ScoreCell, SortHead, When};
use super::scored::{self, Scored};
use crate::service::{comparisons, corpora};
use crate::web::charts;
use crate::web::format;
use crate::web::frame::Frame;
use crate::web::i18n::Words as _;
use crate::{App, WebError};

/// Evaluations that are looked at; older ones are reached from their runs.
const EVALUATIONS: u32 = 2000;
/// Rows on a page. Rows are compared with those on their page, so this bounds the number of tests.
const PAGE: usize = 25;

#[derive(Template)]
#[template(path = "leaderboard/leaderboard.html")]
struct LeaderboardPage {
    frame: Frame,
    how: Vec<String>,
    suites: Vec<Choice>,
    which: Vec<Choice>,
    notice: Option<String>,
    board: Option<BoardView>,
}

struct BoardView {
    suite: String,
    title: String,
    definition: String,
    heads: Vec<SortHead>,
    rows: Vec<RowView>,
    pager: Pager,
    csv: String,
    json: String,
}

struct RowView {
    /// `1`, `2–4`.
    rank: Option<String>,
    /// Why there is none.
    reason: String,
    run: String,
    run_href: String,
    checkpoint_href: String,
    step: String,
    tokens: String,
    tokens_exact: String,
    parameters: Cell,
    mean: ScoreCell,
    whisker: String,
    scores: Vec<ScoreCell>,
    when: When,
}

/// What the query asks for.
struct Asked {
    all: bool,
    sort: Option<String>,
    descending: bool,
}

/// `GET /leaderboard?suite=…&all=1&sort=mean&order=asc&page=2`.
pub(crate) async fn show(State(app): State<App>, frame: Frame) -> Result<Response, WebError> {
    let shown = load(&app, &frame, Rows::All).await?;
    parts::page(&view(&app.catalog, frame, shown))
}

/// `GET /leaderboard.csv`: the same rows in the same order, page by page; the header `Link` leads to the next ones. What descends from
/// an LZ subset is left out; the header `Sekisho-Left-Out` says how many checkpoints.
pub(crate) async fn csv(State(app): State<App>, frame: Frame) -> Result<Response, WebError> {
    let Shown { board, left_out, .. } = load(&app, &frame, Rows::ForExport).await?;
    let text = board.as_ref().map_or_else(String::new, |(board, _)| board::csv(board));
    let kind = [(header::CONTENT_TYPE, "text/csv; charset=utf-8")];
    let left_out = (left_out > 0).then(|| [("sekisho-left-out", format!("{left_out}; level-forbids-use"))]);
    Ok((kind, next(board.as_ref()), left_out, text).into_response())
}

/// `GET /leaderboard.json`: the same rows in the same order, page by page; the header `Link` leads to the next ones. What descends from
/// an LZ subset is left out, and a note says so.
pub(crate) async fn json(State(app): State<App>, frame: Frame) -> Result<Response, WebError> {
    let Shown { board, left_out, .. } = load(&app, &frame, Rows::ForExport).await?;
    let mut document = document(board.as_ref());
    if left_out > 0 {
        document["left_out"] = left_out.into();
        document["note"] = frame.fill("board.left_out", "n", left_out).into();
    }
    Ok((next(board.as_ref()), axum::Json(document)).into_response())
}

fn document(board: Option<&(Board, Pager)>) -> serde_json::Value {
    let suite = board.map(|(board, _)| &board.suite);
    let items = board.map(|(board, _)| board::json(board)).unwrap_or_default();
    let (page, pages, total) = board.map_or((1, 1, 0), |(_, pager)| (pager.number, pager.pages, pager.total));
    serde_json::json!({ "suite": suite, "page": page, "pages": pages, "total": total, "items": items })
}

/// RFC 8288: where the next rows are.
fn next(board: Option<&(Board, Pager)>) -> Option<[(HeaderName, String); 1]> {
    let link = board?.1.next.as_ref()?;
    Some([(header::LINK, format!("<{link}>; rel=\"next\""))])
}

/// What a page of the leaderboard is made from.
#[derive(Default)]
struct Shown {
    /// Suites that have results, the newest first.
    suites: Vec<String>,
    /// The rows of one page of the board that is asked for, and where that page lies.
    board: Option<(Board, Pager)>,
    /// What of the question was ignored, or what is left out.
    notice: Option<String>,
    /// Checkpoints that are left out because they descend from an LZ subset.
    left_out: usize,
}

/// Which rows are meant.
#[derive(Clone, Copy, PartialEq)]
enum Rows {
    All,
    /// Those that may be handed on: LZ bars scores in exports too.
    ForExport,
}

fn asked(frame: &Frame) -> Asked {
    Asked {
        all: frame.param("all") == Some("1"),
        sort: frame.param("sort").map(ToOwned::to_owned),
        descending: frame.param("order") != Some("asc"),
    }
}

async fn load(app: &App, frame: &Frame, which: Rows) -> Result<Shown, WebError> {
    let asked = asked(frame);
    let mut by_suite: BTreeMap<String, Vec<Evaluation>> = BTreeMap::new();
    let mut suites = Vec::new();
    let evaluations = app.store.evaluations(EVALUATIONS).await?;
    let is_cut = evaluations.len() >= EVALUATIONS as usize;
    for evaluation in evaluations {
        if !suites.contains(&evaluation.suite) {
            suites.push(evaluation.suite.clone());
        }
        by_suite.entry(evaluation.suite.clone()).or_default().push(evaluation);
    }
    let wanted = frame.param("suite");
    let known = wanted.filter(|suite| by_suite.contains_key(*suite));
    let Some(suite) = known.map(ToOwned::to_owned).or_else(|| suites.first().cloned()) else {
        return Ok(Shown::default());
    };
    let evaluations = by_suite.remove(&suite).unwrap_or_default();
    let newest = evaluations.first().map(|evaluation| evaluation.id);
    let mut scored = scored_rows(app, evaluations, asked.all).await?;
    let found = scored.len();
    if which == Rows::ForExport {
        let barred = corpora::barred_runs(app).await?;
        scored.retain(|row| !barred.contains_key(&row.checkpoint.run));
    }
    let left_out = found - scored.len();
    let tasks = columns(app, &suite, newest).await?;
    let mut board = Board::new(&suite, tasks, scored);
    let key = asked.sort.as_deref().map(|code| Key::of(code, board.tasks.len()));
    board.sort(key.flatten().unwrap_or(Key::Mean), asked.descending);
    let number = frame.param("page").and_then(|n| n.parse().ok()).unwrap_or(1);
    let pager = Pager::new(frame, number, PAGE, board.rows.len());
    board.rows = board.rows.drain(pager.from..pager.to).collect();
    let primary: Vec<_> = board.ranked().iter().map(|row| board.rows[*row].primary(&board.tasks)).collect();
    board.tie(&comparisons::ties(app, &primary).await?);
    let ignored = match (wanted, key) {
        (Some(wanted), _) if known.is_none() => Some(("suite", wanted.to_owned())),
        (_, Some(None)) => Some(("sort", asked.sort.unwrap_or_default())),
        _ => None,
    };
    let cut = is_cut.then(|| frame.fill("board.cut", "n", format::count(u64::from(EVALUATIONS))));
    let notice =
        ignored.map(|(name, value)| frame.lang.fill("board.ignored", &[("name", &name), ("value", &value)]));
    Ok(Shown { suites, board: Some((board, pager)), notice: notice.or(cut), left_out })
}

/// The tasks of the suite as this server knows it, or as its newest evaluation was run. An older evaluation with other tasks has no
/// say: it would make every newer row incomplete.
async fn columns(app: &App, suite: &str, newest: Option<EvaluationId>) -> Result<Vec<TaskRun>, WebError> {
    if let Ok(suite) = app.catalog.suite(suite) {
        return Ok(suite.tasks.clone());
    }
    let Some(newest) = newest else { return Ok(Vec::new()) };
    Ok(app.store.work_of(newest).await?.into_iter().map(|row| row.work.run).collect())
}

/// One row a run, its latest evaluated checkpoint, unless all are asked for.
async fn scored_rows(app: &App, evaluations: Vec<Evaluation>, all: bool) -> Result<Vec<Scored>, WebError> {
    let ids: Vec<CheckpointId> = evaluations.iter().map(|evaluation| evaluation.checkpoint).collect();
    let found = app.store.checkpoints_by_id(&ids).await?;
    let mut checkpoints: BTreeMap<CheckpointId, Checkpoint> = found.into_iter().map(|c| (c.id, c)).collect();
    let mut latest: BTreeMap<RunId, (Checkpoint, Evaluation)> = BTreeMap::new();
    let mut rows = Vec::new();
    for evaluation in evaluations {
        let Some(checkpoint) = checkpoints.remove(&evaluation.checkpoint) else { continue };
        if all {
            rows.push((checkpoint, Some(evaluation)));
            continue;
        }
        let finished = |e: &Evaluation| e.state == WorkState::Finished;
        match latest.get(&checkpoint.run) {
            Some((seen, of)) if (finished(of), seen.step) >= (finished(&evaluation), checkpoint.step) => {}
            _ => drop(latest.insert(checkpoint.run, (checkpoint, evaluation))),
        }
    }
    rows.extend(latest.into_values().map(|(checkpoint, evaluation)| (checkpoint, Some(evaluation))));
    Scored::of_evaluations(app, rows).await
}

fn view(catalog: &Catalog, frame: Frame, shown: Shown) -> LeaderboardPage {
    let asked = asked(&frame);
    let chosen = shown.board.as_ref().map_or("", |(board, _)| board.suite.as_str());
    let first = parts::unpaged(&frame);
    let suite = |name: &String| Choice {
        label: suite_title(catalog, &frame, name),
        href: first.with("suite", name),
        current: name == chosen,
    };
    let which = [("", "board.latest"), ("1", "board.all")].map(|(value, key)| Choice {
        label: frame.t(key).to_owned(),
        href: first.with("all", value),
        current: asked.all == (value == "1"),
    });
    LeaderboardPage {
        how: vec![format!("GET {}", data_link(&frame, "json")), format!("GET {}", data_link(&frame, "csv"))],
        suites: shown.suites.iter().map(suite).collect(),
        which: which.to_vec(),
        notice: shown.notice,
        board: shown.board.map(|(board, pager)| board_view(catalog, &frame, &asked, &board, pager)),
        frame,
    }
}

/// The same rows as CSV or JSON. Language and theme are the reader's, not the data's.
fn data_link(frame: &Frame, kind: &str) -> String {
    Frame { path: format!("/leaderboard.{kind}"), ..frame.clone() }.with("", "")
}

fn suite_title(catalog: &Catalog, frame: &Frame, name: &str) -> String {
    match catalog.suite(name) {
        Ok(suite) if frame.lang == Language::Ja => suite.title_ja.clone(),
        Ok(suite) => suite.title_en.clone(),
        Err(_) => name.to_owned(),
    }
}

fn board_view(catalog: &Catalog, frame: &Frame, asked: &Asked, board: &Board, pager: Pager) -> BoardView {
    let tasks: Vec<String> = board.tasks.iter().map(|t| t.task.clone()).collect();
    let splits: Vec<String> = board.tasks.iter().map(|t| parts::run_note(frame.lang, t)).collect();
    let same = splits.iter().all(|s| Some(s) == splits.first());
    let how =
        if same { splits.first().cloned().unwrap_or_default() } else { frame.t("board.mixed").to_owned() };
    BoardView {
        suite: board.suite.clone(),
        title: suite_title(catalog, frame, &board.suite),
        definition: frame
            .lang
            .fill("board.definition", &[("n", &tasks.len()), ("tasks", &tasks.join(", ")), ("how", &how)]),
        heads: heads(catalog, frame, asked, board),
        rows: board.rows.iter().map(|row| row_view(frame, board, row)).collect(),
        pager,
        csv: data_link(frame, "csv"),
        json: data_link(frame, "json"),
    }
}

/// The columns that sort: parameters, tokens, mean, each task.
fn heads(catalog: &Catalog, frame: &Frame, asked: &Asked, board: &Board) -> Vec<SortHead> {
    let current =
        asked.sort.as_deref().and_then(|code| Key::of(code, board.tasks.len())).unwrap_or(Key::Mean);
    let head = |key: Key, label: &str, sub: String, title: String| SortHead {
        label: label.to_owned(),
        sub,
        title,
        href: sort_link(frame, key, key == current && asked.descending),
        sorted: match (key == current, asked.descending) {
            (false, _) => "",
            (true, true) => "descending",
            (true, false) => "ascending",
        },
    };
    let mut heads = vec![
        head(Key::Parameters, frame.t("board.parameters"), String::new(), String::new()),
        head(Key::Tokens, frame.t("run.tokens"), String::new(), String::new()),
        head(Key::Mean, frame.t("run.mean_short"), frame.t("score.interval").to_owned(), String::new()),
    ];
    for (i, task) in board.tasks.iter().enumerate() {
        let ranked = board.rows.iter().filter(|row| row.place.is_some()).chain(&board.rows);
        let entry = ranked.into_iter().find_map(|row| row.score(task)).map(|row| &row.entry);
        let sub = entry.map_or_else(String::new, parts::head_note);
        let title =
            format!("{} ({})", scored::title(frame.lang, catalog, task), parts::run_note(frame.lang, task));
        heads.push(head(Key::Task(i), &task.task, sub, title));
    }
    heads
}

/// This page ordered by that column, and in the other direction when it is so already.
fn sort_link(frame: &Frame, key: Key, ascending: bool) -> String {
    let mut sorted = frame.clone();
    sorted.query.retain(|(name, _)| !["order", "sort", "page"].contains(&name.as_str()));
    if ascending {
        sorted.query.push(("order".to_owned(), "asc".to_owned()));
    }
    sorted.with("sort", &key.code())
}

fn row_view(frame: &Frame, board: &Board, row: &Row) -> RowView {
    let checkpoint = &row.scored.checkpoint;
    RowView {
        rank: row.rank.map(
            |(first, last)| {
                if first == last { first.to_string() } else { format!("{first}–{last}") }
            },
        ),
        reason: reason(frame, board, row),
        run: checkpoint.run_name.clone(),
        run_href: format!("/runs/{}", checkpoint.run_name),
        checkpoint_href: format!("/checkpoints/{}", checkpoint.id),
        step: checkpoint.step.to_string(),
        tokens: checkpoint.tokens.short(),
        tokens_exact: checkpoint.tokens.to_string(),
        parameters: Cell::of(
            checkpoint.verification.as_ref().map(|v| format::short(v.parameters)),
            frame.t("missing.unverified"),
        ),
        mean: mean_cell(frame, row),
        whisker: whisker(row),
        scores: board
            .tasks
            .iter()
            .zip(&row.comparable)
            .map(|(task, same)| score_cell(frame, row, task, *same))
            .collect(),
        when: frame.when(row.scored.evaluation.as_ref().map_or(checkpoint.updated, |e| e.updated)),
    }
}

/// Why a row has no rank: which tasks were run under other settings, or how many are missing.
fn reason(frame: &Frame, board: &Board, row: &Row) -> String {
    let other: Vec<String> = board
        .tasks
        .iter()
        .zip(&row.comparable)
        .filter(|(_, same)| !**same)
        .map(|(task, _)| match row.otherwise(task) {
            Some(own) => format!("{} ({})", task.task, parts::run_note(frame.lang, &own.work.run)),
            None => task.task.clone(),
        })
        .collect();
    if !other.is_empty() {
        return frame.fill("board.not_comparable", "tasks", other.join(", "));
    }
    let (done, of) = row.mean.map_or((0, board.tasks.len()), |mean| (mean.done, mean.of));
    frame.lang.fill("board.incomplete", &[("done", &done), ("of", &of)])
}

/// `0.412 ± 0.039`.
fn mean_cell(frame: &Frame, row: &Row) -> ScoreCell {
    let cell = row.scored.mean_cell(frame.lang);
    let Some(mean) = row.mean else { return cell };
    let cell = ScoreCell { value: format::score(mean.value), missing: None, ..cell };
    match mean.interval {
        Some((low, high)) => ScoreCell {
            note: format!("{} {}", format::score(mean.value), format::interval(low, high)),
            interval: format!("± {}", format::score((high - low) / 2.0)),
            ..cell
        },
        None => ScoreCell {
            interval: frame.lang.fill("score.tasks_done", &[("done", &mean.done), ("of", &mean.of)]),
            ..cell
        },
    }
}

fn whisker(row: &Row) -> String {
    match row.mean {
        Some(scored::Mean { interval: Some((low, high)), value, .. }) => charts::whisker(low, value, high),
        _ => String::new(),
    }
}

fn score_cell(frame: &Frame, row: &Row, task: &TaskRun, comparable: bool) -> ScoreCell {
    match row.score(task) {
        Some(score) => ScoreCell {
            interval: format!("± {}", format::score((score.entry.high - score.entry.low) / 2.0)),
            href: Some(format!("/evals/{}/samples?work={}", score.evaluation, score.work)),
            mark: if comparable { String::new() } else { frame.t("board.settings_differ").to_owned() },
            ..ScoreCell::of(frame.lang, &score.entry)
        },
        None => {
            let state = row.scored.score(task).err().flatten();
            ScoreCell::missing(parts::missing_reason(frame.lang, state))
        }
    }
}

#[cfg(test)]
pub(super) fn samples(frame: &Frame) -> Vec<String> {
    let catalog = Catalog::builtin();
    let mut board =
        Board::new("llm-jp-eval-dev100", super::fixtures::board_tasks(), super::fixtures::board_rows());
    board.tie(&[0, 1, 1, 2]);
    let pager = Pager::new(frame, 1, PAGE, board.rows.len() + PAGE);
    let suites = ["llm-jp-eval-dev100", "demo"].map(ToOwned::to_owned).to_vec();
    let shown = Shown { suites, board: Some((board, pager)), notice: Some("sort".to_owned()), left_out: 0 };
    let full = view(&catalog, frame.clone(), shown);
    assert_eq!(full.board.as_ref().and_then(|b| b.rows[1].rank.clone()).as_deref(), Some("2–3"));
    let empty = view(&catalog, frame.clone(), Shown::default());
    [full, empty].map(|page| page.render().expect("renders")).to_vec()
}

#[cfg(test)]
mod tests {
    use super::super::fixtures;
    use super::*;

    #[test]
    fn a_column_head_sorts_and_then_turns_round() {
        let mut frame = fixtures::frame(Language::En, "/leaderboard");
        assert_eq!(sort_link(&frame, Key::Tokens, false), "/leaderboard?sort=tokens");
        frame.query = vec![("sort".to_owned(), "tokens".to_owned()), ("all".to_owned(), "1".to_owned())];
        assert_eq!(sort_link(&frame, Key::Tokens, true), "/leaderboard?all=1&order=asc&sort=tokens");
        frame.query.push(("lang".to_owned(), "ja".to_owned()));
        assert_eq!(data_link(&frame, "json"), "/leaderboard.json?sort=tokens&all=1");
    }

    #[test]
    fn a_row_without_a_rank_names_the_task_that_was_run_otherwise() {
        let frame = fixtures::frame(Language::En, "/leaderboard");
        let mut rows = fixtures::board_rows();
        let odd = rows.iter_mut().find(|row| row.checkpoint.run_name == "other-limit").expect("a row");
        // The same name under another profile comes first, and is another task.
        let mut foreign = odd.work[0].clone();
        foreign.work.run.profile = "other@1".to_owned();
        odd.work.insert(0, foreign);
        odd.scores.tasks.insert(0, None);
        let board = Board::new("demo", fixtures::board_tasks(), rows);
        let row = board.rows.iter().find(|row| row.scored.checkpoint.run_name == "other-limit");
        let told = reason(&frame, &board, row.expect("a row"));
        let profile = &board.tasks[0].profile;
        assert!(told.contains(&format!("({profile}")) && !told.contains("other@1"), "{told}");
    }

    #[test]
    fn an_export_says_how_much_there_is_and_where_it_goes_on() {
        let frame = fixtures::frame(Language::En, "/leaderboard.json");
        let board = || Board::new("demo", fixtures::board_tasks(), fixtures::board_rows());
        let of_page = |number: usize| (board(), Pager::new(&frame, number, PAGE, PAGE + 7));
        let first = document(Some(&of_page(1)));
        assert_eq!([&first["page"], &first["pages"], &first["total"]], [1, 2, 32]);
        let [(_, link)] = next(Some(&of_page(1))).expect("there is more");
        assert_eq!(link, "</leaderboard.json?page=2>; rel=\"next\"");
        assert_eq!(next(Some(&of_page(2))), None, "these were the last");
        assert_eq!(document(None)["total"], 0);
    }
}
