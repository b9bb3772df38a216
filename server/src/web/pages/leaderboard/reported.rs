//! `/leaderboard/reported`: brings in rows that others published. The file is looked at first; what is refused is named by line, and
//! what remains is saved by a second step.

use askama::Template;
use axum::Form;
use axum::extract::State;
use axum::response::{IntoResponse as _, Redirect, Response};
#[cfg(test)]
use sekisho_bench::Catalog;
use sekisho_domain::reported::ReportedModel;
use sekisho_domain::user::Role;
use serde::Deserialize;

use super::super::parts::{self, Cell};
use crate::service::reported::{self, COLUMNS, Read};
use crate::web::format;
use crate::web::frame::Frame;
use crate::{App, Viewer, WebError};

#[derive(Template)]
#[template(path = "leaderboard/reported.html")]
struct ReportedPage {
    frame: Frame,
    how: Vec<String>,
    columns: &'static str,
    can_keep: bool,
    notice: Option<String>,
    typed: String,
    /// What was read, once something was sent.
    preview: Option<Preview>,
    /// What is kept already.
    kept: Vec<ModelRow>,
}

struct Preview {
    rows: Vec<ModelRow>,
    /// Line and reason.
    refused: Vec<(u64, String)>,
}

struct ModelRow {
    model: String,
    source: String,
    day: String,
    license: String,
    parameters: Cell,
    /// `niilc 0.616`, as they enter a mean.
    scores: String,
    n: usize,
}

/// What the forms send.
#[derive(Deserialize)]
pub(crate) struct Sent {
    csrf: String,
    text: String,
    /// `save` of the second step.
    #[serde(default)]
    step: String,
}

/// `GET /leaderboard/reported`.
pub(crate) async fn show(State(app): State<App>, frame: Frame) -> Result<Response, WebError> {
    parts::page(&page(frame, None, String::new(), &reported::all(&app).await?))
}

/// `POST /leaderboard/reported`: shows what a file holds; with `step=save` it keeps what could be read.
pub(crate) async fn import(
    State(app): State<App>,
    frame: Frame,
    viewer: Viewer,
    Form(sent): Form<Sent>,
) -> Result<Response, WebError> {
    let actor = viewer.form_actor(&sent.csrf)?;
    actor.require(&reported::KEEPERS, sekisho_domain::user::Scope::Ingest)?;
    let text = sent.text.replace("\r\n", "\n");
    let read = reported::read(&app.catalog, &text);
    if sent.step == "save" {
        reported::import(&app, actor, read.models).await?;
        return Ok(Redirect::to("/leaderboard/reported").into_response());
    }
    parts::page(&page(frame, Some(&read), text, &reported::all(&app).await?))
}

fn page(frame: Frame, read: Option<&Read>, typed: String, kept: &[ReportedModel]) -> ReportedPage {
    let refused = |read: &Read| {
        read.refused.iter().map(|line| (line.line, line.reason.get(frame.lang).to_owned())).collect()
    };
    let rows = |models: &[ReportedModel]| models.iter().map(|row| model_row(&frame, row)).collect();
    let preview = read.map(|read| Preview { rows: rows(&read.models), refused: refused(read) });
    let nothing = read.filter(|read| read.models.is_empty());
    let is_keeper = |user: &sekisho_store::User| {
        user.has(Role::Admin) || reported::KEEPERS.iter().any(|role| user.has(*role))
    };
    ReportedPage {
        how: ["sekisho import reported FILE.csv", "GET /api/v1/reported"].map(ToOwned::to_owned).to_vec(),
        columns: COLUMNS,
        can_keep: frame.user.as_ref().is_some_and(is_keeper),
        notice: nothing.map(|_| frame.t("reported.nothing").to_owned()),
        typed,
        preview,
        kept: rows(kept),
        frame,
    }
}

fn model_row(frame: &Frame, row: &ReportedModel) -> ModelRow {
    let score = |score: &sekisho_domain::reported::ReportedScore| {
        format!("{} {}", score.task, format::score(score.share))
    };
    ModelRow {
        model: row.model.clone(),
        source: row.source.clone(),
        day: row.day.to_string(),
        license: row.license.clone(),
        parameters: Cell::of(row.parameters.map(format::short), frame.t("board.not_published")),
        scores: row.scores.iter().map(score).collect::<Vec<_>>().join(", "),
        n: row.scores.len(),
    }
}

#[cfg(test)]
pub(super) fn samples(frame: &Frame) -> Vec<String> {
    use sekisho_domain::UserId;

    let catalog = Catalog::builtin();
    let head = "model,source,date,license,profile,task,split,shots,value,scale\n";
    let line = "A,a board,2025-04-14,CC-BY-4.0,llm-jp-eval@1.3,niilc,test,4,0.5,1\n";
    let read = reported::read(
        &catalog,
        &format!("{head}{line}{}", line.replace("niilc", "nilc").replace("A,", "B,")),
    );
    assert_eq!((read.models.len(), read.refused.len()), (1, 1));
    let id: UserId = super::super::fixtures::id("hayashi");
    let user = super::super::fixtures::user("hayashi", id, &[Role::Contributor]);
    let signed_in = Frame { user: Some(user), csrf: "c".to_owned(), ..frame.clone() };
    let nothing = reported::read(&catalog, "id\nx\n");
    [
        page(frame.clone(), None, String::new(), reported::shipped()),
        page(signed_in.clone(), Some(&read), line.to_owned(), &[]),
        page(signed_in, Some(&nothing), "id\nx\n".to_owned(), &[]),
    ]
    .map(|page| page.render().expect("renders"))
    .to_vec()
}
