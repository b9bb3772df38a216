//! The part of `/queue` about what starts workers.

use axum::Form;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use sekisho_domain::wire::LauncherView;
use sekisho_store::Launch;
use serde::Deserialize;

use super::parts::When;
use crate::service::launches;
use crate::web::frame::Frame;
use crate::{App, Noun, Viewer, WebError};

/// Launches on the page, newest first.
const LAUNCHES: u32 = 20;

/// What starts workers, and what it has started of late.
#[derive(Default)]
pub(super) struct Launching {
    pub(super) launchers: Vec<LauncherRow>,
    pub(super) launches: Vec<LaunchRow>,
}

pub(super) struct LauncherRow {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) pool: String,
    pub(super) workers: String,
    pub(super) paused: bool,
    pub(super) message: String,
    pub(super) again: Option<String>,
}

pub(super) struct LaunchRow {
    pub(super) href: String,
    pub(super) launcher: String,
    pub(super) job: String,
    pub(super) state: &'static str,
    pub(super) alive: usize,
    pub(super) tasks: usize,
    pub(super) message: String,
    pub(super) when: When,
}

impl Launching {
    /// Nothing for strangers: it names machines and folders.
    pub(super) async fn load(app: &App, frame: &Frame) -> Result<Self, WebError> {
        if frame.user.is_none() || app.config.launchers.is_empty() {
            return Ok(Self::default());
        }
        let (launchers, launches) =
            (launches::standing(app).await?, app.store.launches(None, LAUNCHES).await?);
        Ok(Self::of(frame, launchers, launches))
    }

    pub(super) fn of(frame: &Frame, launchers: Vec<LauncherView>, launches: Vec<Launch>) -> Self {
        Self {
            launchers: launchers.into_iter().map(|one| launcher_row(frame, one)).collect(),
            launches: launches.into_iter().map(|one| launch_row(frame, one)).collect(),
        }
    }
}

fn launcher_row(frame: &Frame, one: LauncherView) -> LauncherRow {
    LauncherRow {
        workers: format!("{} / {}", one.workers, one.limit),
        again: one.again.map(|again| frame.fill("launches.again", "at", frame.stamp(&again))),
        name: one.name,
        kind: one.kind,
        pool: one.pool,
        paused: one.paused,
        message: one.message,
    }
}

fn launch_row(frame: &Frame, one: Launch) -> LaunchRow {
    LaunchRow {
        href: format!("/queue/launches/{}", one.id),
        state: one.state.as_str(),
        alive: one.tasks.iter().filter(|task| task.state.is_alive()).count(),
        tasks: one.tasks.len(),
        when: frame.when(one.updated),
        launcher: one.launcher,
        job: one.job,
        message: one.message,
    }
}

/// What the buttons send.
#[derive(Deserialize)]
pub(crate) struct Act {
    csrf: String,
}

/// `POST /queue/launchers/{name}/{action}`: pause, resume.
pub(crate) async fn act(
    State(app): State<App>,
    viewer: Viewer,
    Path((name, action)): Path<(String, String)>,
    Form(form): Form<Act>,
) -> Result<Response, WebError> {
    let actor = viewer.form_actor(&form.csrf)?;
    let paused = match action.as_str() {
        "pause" => true,
        "resume" => false,
        _ => return Err(WebError::not_found(Noun::Page, format!("/queue/launchers/{name}/{action}"))),
    };
    launches::pause(&app, actor, &name, paused).await?;
    Ok(Redirect::to("/queue").into_response())
}
