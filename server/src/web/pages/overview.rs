//! `/`: what waits for the reader, then what runs.

use std::collections::BTreeSet;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use sekisho_domain::checkpoint::CheckpointState;
use sekisho_domain::release::ReleaseState;
use sekisho_domain::user::Role;
use sekisho_domain::{RunId, Step};
use sekisho_store::{Checkpoint, Release};

use super::parts::{self, Readout, When};
use super::queue::Counts;
use super::runs::{self, RunRow};
use crate::service::releases;
use crate::web::format;
use crate::web::frame::Frame;
use crate::web::i18n::Words as _;
use crate::{App, WebError};

/// Runs on the page; all are under `/runs`.
const RUNS: u32 = 10;
/// Refused checkpoints that are looked through, and those that are shown.
const REFUSED_READ: usize = 50;
const REFUSED: usize = 5;
/// Releases that are looked through for what waits.
const RELEASES: u32 = 200;

#[derive(Template)]
#[template(path = "overview/overview.html")]
struct OverviewPage {
    frame: Frame,
    how: Vec<String>,
    waiting: Vec<Waiting>,
    runs: Vec<RunRow>,
    queue: Vec<Readout>,
    releases: Vec<Readout>,
    alarm: Option<String>,
}

/// Something that waits for the reader.
struct Waiting {
    href: String,
    what: String,
    why: &'static str,
    when: When,
}

/// `GET /`.
pub(crate) async fn show(State(app): State<App>, frame: Frame) -> Result<Response, WebError> {
    let all = app.store.releases(RELEASES).await?;
    let mut waiting = Vec::new();
    let approvals = releases::valid_approvals_of(&app, &all).await?;
    for release in &all {
        let of_it = || approvals.get(&release.id).into_iter().flatten();
        let approved = |user: &sekisho_store::User| of_it().any(|approval| approval.user == user.id);
        let seen = frame.user.as_ref().is_some_and(approved);
        waiting.extend(release_waits(&frame, release, seen));
    }
    if may_hand_over(&frame) {
        waiting.extend(unmended(&app).await?.iter().map(|checkpoint| refused(&frame, checkpoint)));
    }
    let counts = Counts::load(&app).await?;
    let runs = runs::rows(&app, &frame, app.store.runs(RUNS).await?).await?;
    parts::page(&view(frame, waiting, runs, &counts, &all))
}

/// Whether a refused checkpoint is anything that this reader can do something about.
fn may_hand_over(frame: &Frame) -> bool {
    frame.user.as_ref().is_some_and(|user| user.has(Role::Contributor) || user.has(Role::Admin))
}

/// The newest refused checkpoints, apart from those whose step has a verified one by now: handed over again, mended.
async fn unmended(app: &App) -> Result<Vec<Checkpoint>, WebError> {
    let mut refused = app.store.checkpoints_in(CheckpointState::Refused).await?;
    refused.reverse();
    let runs: BTreeSet<RunId> = refused.iter().take(REFUSED_READ).map(|c| c.run).collect();
    let mut mended: BTreeSet<(RunId, Step)> = BTreeSet::new();
    for run in runs {
        let all = app.store.checkpoints_of_run(run).await?;
        let good = all.iter().filter(|c| c.state == CheckpointState::Verified);
        mended.extend(good.map(|c| (c.run, c.step)));
    }
    refused.truncate(REFUSED_READ);
    refused.retain(|c| !mended.contains(&(c.run, c.step)));
    // One line a step, however often it was refused.
    let mut seen = BTreeSet::new();
    refused.retain(|c| seen.insert((c.run, c.step)));
    refused.truncate(REFUSED);
    Ok(refused)
}

/// Whether a release waits for this reader: for their approval, or because it was returned to them.
fn release_waits(frame: &Frame, release: &Release, seen: bool) -> Option<Waiting> {
    let user = frame.user.as_ref()?;
    let own = user.id == release.author;
    let why = match release.state {
        ReleaseState::InReview if user.has(Role::Approver) && !own && !seen => "overview.approve",
        ReleaseState::Approved if user.has(Role::Publisher) => "overview.publish",
        ReleaseState::Draft | ReleaseState::PolicyChecked if own => "overview.continue",
        _ => return None,
    };
    Some(Waiting {
        href: format!("/releases/{}", release.id),
        what: release.name.clone(),
        why: frame.t(why),
        when: frame.when(release.updated),
    })
}

fn refused(frame: &Frame, checkpoint: &Checkpoint) -> Waiting {
    Waiting {
        href: format!("/checkpoints/{}", checkpoint.id),
        what: format!(
            "{} · {}",
            checkpoint.run_name,
            frame.lang.fill("run.at_step", &[("step", &checkpoint.step)])
        ),
        why: frame.t("overview.refused"),
        when: frame.when(checkpoint.updated),
    }
}

fn view(
    frame: Frame,
    waiting: Vec<Waiting>,
    runs: Vec<RunRow>,
    counts: &Counts,
    all: &[Release],
) -> OverviewPage {
    let number = |states: &[ReleaseState]| all.iter().filter(|r| states.contains(&r.state)).count() as u64;
    let open = [ReleaseState::Draft, ReleaseState::Frozen, ReleaseState::PolicyChecked];
    let releases = [
        ("overview.in_work", number(&open)),
        ("release_state.in_review", number(&[ReleaseState::InReview])),
        ("release_state.approved", number(&[ReleaseState::Approved, ReleaseState::Publishing])),
        ("release_state.published", number(&[ReleaseState::Published])),
    ];
    let readout = |(key, n): (&str, u64)| Readout::new(frame.t(key), format::count(n), "");
    OverviewPage {
        how: vec![
            "sekisho run list".to_owned(),
            "sekisho release list".to_owned(),
            "GET /api/v1/runs".to_owned(),
        ],
        waiting,
        runs,
        queue: counts.readouts(&frame),
        releases: releases.map(readout).to_vec(),
        alarm: counts.alarm(&frame),
        frame,
    }
}

#[cfg(test)]
pub(super) fn samples(frame: &Frame) -> Vec<String> {
    use super::fixtures;
    let facts = fixtures::run_facts(5);
    let runs = || vec![runs::row(frame, &facts.run, &fixtures::about(&facts))];
    let approver = fixtures::user("ueda", fixtures::id("ueda"), &[Role::Approver]);
    let reader = Frame { user: Some(approver), csrf: "c".to_owned(), ..frame.clone() };
    let mut waiting: Vec<Waiting> = release_waits(&reader, &fixtures::release(), false).into_iter().collect();
    assert_eq!(waiting.len(), 1);
    assert!(release_waits(&reader, &fixtures::release(), true).is_none());
    waiting.push(refused(&reader, &fixtures::refused_checkpoint()));
    assert!(!may_hand_over(&reader) && !may_hand_over(frame), "an approver hands nothing over");
    let idle = fixtures::counts(12, 0, 1);
    let full = view(reader, waiting, runs(), &idle, &[fixtures::release()]);
    let quiet = view(frame.clone(), Vec::new(), runs(), &fixtures::counts(0, 2, 0), &[]);
    let empty = view(frame.clone(), Vec::new(), Vec::new(), &Counts::default(), &[]);
    [full, quiet, empty].map(|page| page.render().expect("renders")).to_vec()
}
