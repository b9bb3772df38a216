//! Boards before they are filtered and ordered. They are read and ranked once after each change, and kept.

use std::sync::Arc;

use sekisho_domain::evaluation::TaskRun;
use sekisho_store::{Candidates, Standing};

use super::board::{Board, Model};
use super::columns::Chosen;
use super::{EVALUATIONS, For};
use crate::service::{corpora, reported};
use crate::web::frame::Frame;
use crate::{App, Kept, WebError};

/// Profile and task of each column, hidden or not, the suite that counts, and how many of the newest evaluations where not only the
/// last checkpoint of each run does.
type Question = (Vec<(String, String)>, Option<String>, Option<u32>);

/// What is kept of leaderboards while nothing that they show has changed.
#[derive(Debug, Default)]
pub struct Boards {
    /// The rows of a question.
    read: Kept<Question, Vec<Arc<Standing>>>,
    /// The board of its columns that are shown, by them and the mean over categories.
    ranked: Kept<(Question, Vec<TaskRun>, Option<String>), Board>,
}

/// A board, and what has become of its rows.
pub(super) struct Ranked {
    pub(super) board: Board,
    /// Rows that the store has.
    pub(super) candidates: usize,
    /// Rows that may not be handed on.
    pub(super) left_out: usize,
}

/// The board that is asked for.
pub(super) async fn board(
    app: &App,
    frame: &Frame,
    chosen: &Chosen,
    all: bool,
    why: For,
) -> Result<Ranked, WebError> {
    let version = app.store.board_version().await?;
    let question = (pairs(&chosen.all), chosen.suite.clone(), all.then_some(EVALUATIONS));
    let rows = read(app, version, &question).await?;
    let candidates = rows.len();
    if why == For::Reading {
        let key = (question, chosen.shown.clone(), chosen.categories.as_ref().map(|mean| mean.name.clone()));
        let board = app.boards.ranked.get(version, key, rank(app, chosen, rows.to_vec())).await?;
        return Ok(Ranked { board: (*board).clone(), candidates, left_out: 0 });
    }
    let mut rows = rows.to_vec();
    let left_out = leave_out(app, frame, &mut rows).await?;
    Ok(Ranked { board: rank(app, chosen, rows).await?, candidates, left_out })
}

/// The rows of these checkpoints on the columns, whatever suite examined them.
pub(super) async fn elsewhere(
    app: &App,
    frame: &Frame,
    chosen: &Chosen,
    which: Candidates<'_>,
    why: For,
) -> Result<Vec<Arc<Standing>>, WebError> {
    let found = app.store.standings(&pairs(&chosen.all), None, which).await?;
    let mut found = found.into_iter().map(Arc::new).collect();
    if why == For::Export {
        leave_out(app, frame, &mut found).await?;
    }
    Ok(found)
}

async fn read(app: &App, version: u64, question: &Question) -> Result<Arc<Vec<Arc<Standing>>>, WebError> {
    let (pairs, suite, limit) = question;
    let which = limit.map_or(Candidates::Latest, Candidates::All);
    let rows = async {
        let found = app.store.standings(pairs, suite.as_deref(), which).await?;
        Ok::<_, WebError>(found.into_iter().map(Arc::new).collect())
    };
    app.boards.read.get(version, question.clone(), rows).await
}

/// Our checkpoints, and the reported models that have a score in any of the columns, each at its place.
async fn rank(app: &App, chosen: &Chosen, rows: Vec<Arc<Standing>>) -> Result<Board, WebError> {
    let mut models: Vec<Model> = rows.into_iter().map(Model::Ours).collect();
    for row in reported::all(app).await? {
        if chosen.shown.iter().any(|column| reported::score(&app.catalog, &row, column).is_some()) {
            models.push(Model::Reported(Arc::new(row)));
        }
    }
    Ok(Board::new(&app.catalog, chosen.shown.clone(), chosen.categories.clone(), models))
}

/// Profile and task of each column, for the store.
fn pairs(columns: &[TaskRun]) -> Vec<(String, String)> {
    let mut pairs: Vec<(String, String)> =
        columns.iter().map(|run| (run.profile.clone(), run.task.clone())).collect();
    pairs.sort();
    pairs.dedup();
    pairs
}

/// Removes what may not be handed on, and what an export is not about; answers how many of the first.
async fn leave_out(app: &App, frame: &Frame, rows: &mut Vec<Arc<Standing>>) -> Result<usize, WebError> {
    let aside = frame.aside(app).await?;
    rows.retain(|row| !aside.contains(&row.run));
    let before = rows.len();
    let barred = corpora::barred_runs(app).await?;
    rows.retain(|row| !barred.contains_key(&row.run));
    Ok(before - rows.len())
}
