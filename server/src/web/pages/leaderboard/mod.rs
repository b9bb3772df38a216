//! `/leaderboard`: models on the tasks of a suite or preset, ranked by mean, with intervals.
//!
//! What a request costs: the rows are read and ranked once after each change of a score (runs × columns) and kept (`App::boards`); to
//! filter and order them grows with the number of runs, and is a matter of microseconds. Everything else grows with the rows of one page: intervals and tests
//! are computed once and kept, contamination is asked for where a run has a report.

mod asked;
mod board;
mod boards;
mod cells;
mod columns;
mod export;
mod facts;
mod figures;
mod filters;
#[cfg(test)]
mod fixtures;
mod links;
pub(crate) mod reported;
mod rows;
mod view;

use axum::extract::State;
use axum::http::{HeaderName, header};
use axum::response::{IntoResponse as _, Response};
use sekisho_domain::evaluation::TaskRun;
use sekisho_domain::{CheckpointId, EvaluationId};
use sekisho_store::Candidates;

use self::asked::Asked;
use self::board::{Board, Key, Line, Model};
use self::boards::Ranked;
use self::columns::Chosen;
use self::filters::Offered;
use self::rows::Rows;
use super::parts::{self, Pager};
use crate::web::format;
use crate::web::frame::Frame;
use crate::web::i18n::Words as _;
use crate::{App, WebError};

pub use boards::Boards;
#[cfg(test)]
pub(super) use view::samples;

/// With all checkpoints: evaluations that are looked at, the newest first; older ones are reached from their runs.
const EVALUATIONS: u32 = 2000;
/// Rows on a page. Rows are compared with those on their page, so this bounds the number of tests.
const PAGE: usize = 25;
/// Rows that may be pinned.
const PINS: usize = 6;

/// `GET /leaderboard?suite=…&preset=…&hide=…&pin=…&base=…&all=1&sort=mean&order=asc&page=2`.
pub(crate) async fn show(State(app): State<App>, frame: Frame) -> Result<Response, WebError> {
    let why = if frame.is_frozen() { For::Export } else { For::Reading };
    let shown = load(&app, &frame, why).await?;
    parts::page(&view::page(&app.catalog, frame, shown))
}

/// `GET /leaderboard.csv`: the same rows in the same order, page by page; the header `Link` leads to the next ones. What descends from
/// an LZ subset is left out; the header `Sekisho-Left-Out` says how many checkpoints.
pub(crate) async fn csv(State(app): State<App>, frame: Frame) -> Result<Response, WebError> {
    let Shown { found, left_out, .. } = load(&app, &frame, For::Export).await?;
    let scale = |run: &TaskRun| scale_of(&app, run);
    let text = found.as_ref().map_or_else(String::new, |f| export::csv(&f.board, &f.rows.rows, &scale));
    let kind = [(header::CONTENT_TYPE, "text/csv; charset=utf-8")];
    let left_out = (left_out > 0).then(|| [("sekisho-left-out", format!("{left_out}; level-forbids-use"))]);
    Ok((kind, next(found.as_ref().map(|f| &f.pager)), left_out, text).into_response())
}

/// `GET /leaderboard.json`: the same rows in the same order, page by page; the header `Link` leads to the next ones. What descends from
/// an LZ subset is left out, and a note says so.
pub(crate) async fn json(State(app): State<App>, frame: Frame) -> Result<Response, WebError> {
    let Shown { found, left_out, .. } = load(&app, &frame, For::Export).await?;
    let scale = |run: &TaskRun| scale_of(&app, run);
    let mut document = document(found.as_ref(), &scale);
    if left_out > 0 {
        document["left_out"] = left_out.into();
        document["note"] = frame.fill("board.left_out", "n", left_out).into();
    }
    Ok((next(found.as_ref().map(|f| &f.pager)), axum::Json(document)).into_response())
}

fn scale_of(app: &App, run: &TaskRun) -> f64 {
    app.catalog.published_metric(&run.profile, &run.task).map_or(1.0, |metric| metric.1)
}

fn document(found: Option<&Found>, scale: &dyn Fn(&TaskRun) -> f64) -> serde_json::Value {
    let items = found.map(|f| export::json(&f.board, &f.rows.rows, scale)).unwrap_or_default();
    let (page, pages, total) = found.map_or((1, 1, 0), |f| (f.pager.number, f.pager.pages, f.pager.total));
    let (suite, preset) = (found.map(|f| &f.chosen.suite), found.map(|f| &f.chosen.preset));
    serde_json::json!({ "suite": suite, "preset": preset, "page": page, "pages": pages, "total": total, "items": items })
}

/// RFC 8288: where the next rows are.
fn next(pager: Option<&Pager>) -> Option<[(HeaderName, String); 1]> {
    let link = pager?.next.as_ref()?;
    Some([(header::LINK, format!("<{link}>; rel=\"next\""))])
}

/// What a page of the leaderboard is made from.
#[derive(Default)]
struct Shown {
    asked: Asked,
    /// Suites that have results, the newest first.
    suites: Vec<String>,
    /// The board that is asked for.
    found: Option<Found>,
    /// What is left out, in words.
    notices: Vec<String>,
    /// Checkpoints that are left out because they descend from an LZ subset.
    left_out: usize,
}

/// A board, and the part of it that is shown.
struct Found {
    chosen: Chosen,
    board: Board,
    rows: Rows,
    pager: Pager,
    /// Name of the line that the others are compared with.
    base: Option<String>,
    offered: Offered,
}

/// Who the rows are for.
#[derive(Clone, Copy, PartialEq)]
enum For {
    Reading,
    /// What may be handed on: LZ bars scores in exports too.
    Export,
}

async fn load(app: &App, frame: &Frame, why: For) -> Result<Shown, WebError> {
    let mut asked = Asked::of(frame);
    let suites = app.store.evaluated_suites().await?;
    let names = |suites: Vec<(String, EvaluationId)>| suites.into_iter().map(|(name, _)| name).collect();
    let Some(chosen) = columns::choose(app, frame, &suites, &mut asked).await? else {
        return Ok(Shown { asked, suites: names(suites), ..Shown::default() });
    };
    let Ranked { mut board, candidates, left_out } =
        boards::board(app, frame, &chosen, asked.all, why).await?;
    let named = named_lines(app, frame, &mut asked, &chosen, &board, why).await?;
    let offered = Offered::of(&board);
    board.retain(|line| asked.filter.wants(line));
    sort(app, &mut asked, &mut board);
    let number = frame.param("page").and_then(|n| n.parse().ok()).unwrap_or(1);
    let pager = Pager::new(frame, number, PAGE, board.lines.len());
    let lines: Vec<Line> = board.lines.drain(pager.from..pager.to).collect();
    let is_ranked = board.categories.is_none();
    let rows = rows::load(app, named.pins, lines, named.base.as_ref(), is_ranked).await?;
    let mut notices: Vec<String> = asked
        .ignored
        .iter()
        .map(|(name, value)| frame.lang.fill("board.ignored", &[("name", name), ("value", value)]))
        .collect();
    if asked.all && candidates >= EVALUATIONS as usize {
        notices.push(frame.fill("board.cut", "n", format::count(u64::from(EVALUATIONS))));
    }
    if frame.is_frozen() && left_out > 0 {
        notices.push(frame.fill("board.left_out", "n", left_out));
    }
    let base = named.base.as_ref().map(rows::named);
    let found = Found { chosen, board, rows, pager, base, offered };
    Ok(Shown { asked, suites: names(suites), found: Some(found), notices, left_out })
}

/// The lines that the URL names.
#[derive(Default)]
struct Named {
    pins: Vec<Line>,
    base: Option<Line>,
}

/// Finds pins and base among the lines, or among all checkpoints, whatever suite examined them: that is how two of different settings
/// come to stand beside each other.
async fn named_lines(
    app: &App,
    frame: &Frame,
    asked: &mut Asked,
    chosen: &Chosen,
    board: &Board,
    why: For,
) -> Result<Named, WebError> {
    asked.pins.truncate(PINS);
    let wanted: Vec<String> = asked.pins.iter().chain(&asked.base).cloned().collect();
    let elsewhere: Vec<CheckpointId> = wanted
        .iter()
        .filter(|key| !board.lines.iter().any(|line| line.key() == **key))
        .filter_map(|key| key.parse().ok())
        .collect();
    let mut found = Vec::new();
    if !elsewhere.is_empty() {
        found = boards::elsewhere(app, frame, chosen, Candidates::These(&elsewhere), why).await?;
    }
    let others: Vec<Line> =
        found.into_iter().map(|row| board.beside(&app.catalog, Model::Ours(row))).collect();
    let find = |key: &String| board.lines.iter().chain(&others).find(|line| line.key() == *key).cloned();
    let pins = asked.pins.iter().filter_map(find).collect();
    let base = asked.base.as_ref().and_then(find);
    let named = asked.pins.iter().map(|key| ("pin", key)).chain(asked.base.iter().map(|key| ("base", key)));
    let unknown: Vec<(String, String)> = named
        .filter(|(_, key)| find(key).is_none())
        .map(|(name, key)| (name.to_owned(), key.clone()))
        .collect();
    asked.ignored.extend(unknown);
    Ok(Named { pins, base })
}

fn sort(app: &App, asked: &mut Asked, board: &mut Board) {
    let key = asked.sort.as_deref().map(|code| Key::of(code, board.columns.len()));
    if key == Some(None) {
        asked.ignored.extend(asked.sort.take().map(|code| ("sort".to_owned(), code)));
    }
    board.sort(&app.catalog, key.flatten().unwrap_or(Key::Mean), !asked.ascending);
}

#[cfg(test)]
mod tests {
    use sekisho_domain::Language;

    use super::*;

    #[test]
    fn an_export_says_how_much_there_is_and_where_it_goes_on() {
        let frame = fixtures::frame(Language::En, "/leaderboard.json");
        let of_page = |number: usize| {
            let (board, rows) = fixtures::board_rows();
            Found {
                chosen: Chosen::default(),
                offered: Offered::of(&board),
                board,
                rows: Rows { rows, tests: Vec::new() },
                pager: Pager::new(&frame, number, PAGE, PAGE + 7),
                base: None,
            }
        };
        let first = document(Some(&of_page(1)), &|_| 1.0);
        assert_eq!([&first["page"], &first["pages"], &first["total"]], [1, 2, 32]);
        let [(_, link)] = next(Some(&of_page(1).pager)).expect("there is more");
        assert_eq!(link, "</leaderboard.json?page=2>; rel=\"next\"");
        assert_eq!(next(Some(&of_page(2).pager)), None, "these were the last");
        assert_eq!(document(None, &|_| 1.0)["total"], 0);
    }
}
