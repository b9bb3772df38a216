//! `/queue/launches/{id}`: workers that were started together, their script and their logs.

use askama::Template;
use axum::Form;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use sekisho_domain::wire::{LaunchState, LaunchTask};
use sekisho_store::Launch;
use serde::Deserialize;

use super::parts;
use crate::service::launches::{self, Ask};
use crate::web::frame::Frame;
use crate::{App, Noun, Viewer, WebError};

#[derive(Template)]
#[template(path = "queue/launch.html")]
struct LaunchPage {
    frame: Frame,
    how: Vec<String>,
    path: String,
    title: String,
    state: &'static str,
    facts: Vec<(&'static str, String)>,
    message: String,
    tasks: Vec<TaskRow>,
    script: String,
    logs: Vec<(usize, String)>,
    may_cancel: bool,
    may_requeue: bool,
}

struct TaskRow {
    number: usize,
    state: &'static str,
    note: String,
}

/// What the buttons send.
#[derive(Deserialize)]
pub(crate) struct Act {
    csrf: String,
    #[serde(default)]
    task: Option<u32>,
}

/// `GET /queue/launches/{id}`.
pub(crate) async fn show(
    State(app): State<App>,
    viewer: Viewer,
    frame: Frame,
    Path(key): Path<String>,
) -> Result<Response, WebError> {
    viewer.reader()?;
    let launch = launches::find(&app, &key).await?;
    let (script, logs) = launches::papers(&launch).map_err(WebError::internal)?;
    parts::page(&view(frame, &launch, script, logs))
}

/// `POST /queue/launches/{id}/{action}`: cancel, requeue.
pub(crate) async fn act(
    State(app): State<App>,
    viewer: Viewer,
    Path((key, action)): Path<(String, String)>,
    Form(form): Form<Act>,
) -> Result<Response, WebError> {
    let actor = viewer.form_actor(&form.csrf)?;
    let launch = launches::find(&app, &key).await?;
    let asked = match (action.as_str(), form.task) {
        ("cancel", _) => Ask::Cancel,
        ("requeue", Some(task)) => Ask::Requeue(task),
        _ => return Err(WebError::not_found(Noun::Page, format!("/queue/launches/{key}/{action}"))),
    };
    launches::ask(&app, actor, &launch, asked).await?;
    Ok(Redirect::to(&format!("/queue/launches/{}", launch.id)).into_response())
}

fn view(frame: Frame, launch: &Launch, script: String, logs: Vec<(usize, String)>) -> LaunchPage {
    let row = |(number, task): (usize, &LaunchTask)| TaskRow {
        number,
        state: task.state.as_str(),
        note: task.note.clone(),
    };
    let or = |text: &str, key: &str| if text.is_empty() { frame.t(key).to_owned() } else { text.to_owned() };
    let job = or(&launch.job, "launches.no_job");
    let is_open = matches!(launch.state, LaunchState::Starting | LaunchState::Active);
    let mut facts = vec![
        (frame.t("launches.launcher"), launch.launcher.clone()),
        (frame.t("launches.job"), job.clone()),
        (frame.t("launches.pool"), or(&launch.pool, "launches.any_pool")),
        (frame.t("launches.created"), frame.stamp(&launch.created)),
        (frame.t("launches.folder"), launch.folder.clone()),
    ];
    if !launch.asked.is_empty() {
        facts.push((frame.t("launches.asked"), launch.asked.clone()));
    }
    LaunchPage {
        how: vec![format!("sekisho queue show {}", launch.id), format!("GET /api/v1/launches/{}", launch.id)],
        path: format!("/queue/launches/{}", launch.id),
        title: format!("{} {job}", launch.launcher),
        state: launch.state.as_str(),
        facts,
        message: launch.message.clone(),
        tasks: launch.tasks.iter().enumerate().map(row).collect(),
        script,
        logs,
        may_cancel: is_open && !frame.csrf.is_empty(),
        may_requeue: !launch.job.is_empty() && !frame.csrf.is_empty(),
        frame,
    }
}

#[cfg(test)]
pub(super) fn samples(frame: &Frame) -> Vec<String> {
    let launch = super::fixtures::launch();
    let logs = vec![(0, "worker 01 for http://…\n".to_owned())];
    let refused =
        Launch { state: LaunchState::Refused, tasks: Vec::new(), job: String::new(), ..launch.clone() };
    [
        view(frame.clone(), &launch, "#!/bin/bash\n".to_owned(), logs),
        view(frame.clone(), &refused, String::new(), Vec::new()),
    ]
    .map(|page| page.render().expect("renders"))
    .to_vec()
}
