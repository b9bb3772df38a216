//! `/`: what waits for the reader, then what runs.

use std::collections::BTreeSet;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use sekisho_domain::checkpoint::CheckpointState;
use sekisho_domain::release::ReleaseState;
use sekisho_domain::run::KeptEvent;
use sekisho_domain::user::Role;
use sekisho_domain::{RunId, Step};
use sekisho_store::{Checkpoint, Release, Run, User};

use super::overview_told;
use super::parts::{self, Readout, When};
use super::queue::Counts;
use super::release_more::last_step;
use super::runs::{self, RunRow};
use super::{schedule, site};
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
/// Events that are looked through for what waits.
const ALERTS: u32 = 20;
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
pub(super) struct Waiting {
    pub(super) href: String,
    pub(super) what: String,
    pub(super) why: String,
    pub(super) when: When,
}

/// `GET /`.
pub(crate) async fn show(State(app): State<App>, frame: Frame) -> Result<Response, WebError> {
    if frame.is_frozen() {
        return site::show(&app, frame).await;
    }
    if frame.param("tab") == Some("schedule") {
        return schedule::show(&app, frame).await;
    }
    let all = app.store.releases(RELEASES).await?;
    let mut waiting = Vec::new();
    let approvals = releases::valid_approvals_of(&app, &all).await?;
    for release in &all {
        let of_it = || approvals.get(&release.id).into_iter().flatten();
        let approved = |user: &User| of_it().any(|approval| approval.user == user.id);
        let seen = frame.user.as_ref().is_some_and(approved);
        let own = frame.user.as_ref().is_some_and(|user| user.id == release.author);
        let returned = own
            && release.state == ReleaseState::Draft
            && last_step(&app.store.comments(release.id).await?).is_some();
        waiting.extend(release_waits(&frame, release, seen, returned));
    }
    if let Some(user) = &frame.user {
        waiting.extend(overview_told::waits(&app, &frame, user, &all).await?);
    }
    if let Some(user) = frame.user.as_ref().filter(|user| may_hand_over(user)) {
        waiting.extend(unmended(&app, user).await?.iter().map(|checkpoint| refused(&frame, checkpoint)));
    }
    waiting.extend(alerts(&app, &frame).await?);
    let counts = Counts::load(&app).await?;
    let runs = runs::rows(&app, &frame, app.store.runs(RUNS).await?).await?;
    parts::page(&view(frame, waiting, runs, &counts, &all))
}

/// Events that detectors have proposed, of runs that this reader reports to.
async fn alerts(app: &App, frame: &Frame) -> Result<Vec<Waiting>, WebError> {
    let Some(user) = &frame.user else { return Ok(Vec::new()) };
    let mut waiting = Vec::new();
    for (run, event) in app.store.proposed_events(ALERTS).await? {
        let Some(run) = app.store.run(run).await? else { continue };
        if hands_over(user, Some(&run.project)) {
            waiting.push(alert(frame, &run, &event));
        }
    }
    Ok(waiting)
}

fn alert(frame: &Frame, run: &Run, event: &KeptEvent) -> Waiting {
    let at = frame.lang.fill("run.at_step", &[("step", &event.step)]);
    Waiting {
        href: format!("/runs/{}/events/{}", run.name, event.id),
        what: format!("{} · {at} · {}", run.name, frame.t(&format!("event_kind.{}", event.kind))),
        why: frame.t("overview.confirm_event").to_owned(),
        when: frame.when(event.at),
    }
}

/// Whether this reader hands checkpoints over, of some project at least.
fn may_hand_over(user: &User) -> bool {
    hands_over(user, None) || user.projects.keys().any(|project| hands_over(user, Some(project)))
}

/// Whether a refused checkpoint is anything that this person can do something about: in that project, or everywhere.
fn hands_over(user: &User, project: Option<&str>) -> bool {
    let has = |role| project.map_or_else(|| user.has(role), |project| user.has_in(project, role));
    has(Role::Contributor) || user.has(Role::Admin)
}

/// The newest refused and changed checkpoints that this person may hand over again, apart from those whose step has a verified one by
/// now.
async fn unmended(app: &App, user: &User) -> Result<Vec<Checkpoint>, WebError> {
    let mut refused = app.store.checkpoints_in(CheckpointState::Refused).await?;
    refused.extend(app.store.checkpoints_in(CheckpointState::Changed).await?);
    refused.sort_by_key(|checkpoint| std::cmp::Reverse(checkpoint.updated));
    refused.truncate(REFUSED_READ);
    let runs: BTreeSet<RunId> = refused.iter().map(|c| c.run).collect();
    let (mut mended, mut own): (BTreeSet<(RunId, Step)>, BTreeSet<RunId>) = Default::default();
    for id in runs {
        let run = app.store.run(id).await?;
        if !run.is_some_and(|run| hands_over(user, Some(&run.project))) {
            continue;
        }
        own.insert(id);
        let all = app.store.checkpoints_of_run(id).await?;
        let good = all.iter().filter(|c| c.state == CheckpointState::Verified);
        mended.extend(good.map(|c| (c.run, c.step)));
    }
    refused.retain(|c| own.contains(&c.run) && !mended.contains(&(c.run, c.step)));
    // One line a step, however often it was refused.
    let mut seen = BTreeSet::new();
    refused.retain(|c| seen.insert((c.run, c.step)));
    refused.truncate(REFUSED);
    Ok(refused)
}

/// Whether a release waits for this reader: for their approval, or because it was returned to them.
fn release_waits(frame: &Frame, release: &Release, seen: bool, returned: bool) -> Option<Waiting> {
    let user = frame.user.as_ref()?;
    let own = user.id == release.author;
    let has = |role| user.has_in(&release.project, role) || user.has(Role::Admin);
    let why = match release.state {
        ReleaseState::InReview if user.has_in(&release.project, Role::Approver) && !own && !seen => {
            "overview.approve"
        }
        ReleaseState::Approved if has(Role::Publisher) => "overview.publish",
        ReleaseState::Draft if own && returned => "overview.returned",
        ReleaseState::Draft | ReleaseState::PolicyChecked if own => "overview.continue",
        _ => return None,
    };
    Some(Waiting {
        href: format!("/releases/{}", release.id),
        what: release.name.clone(),
        why: frame.t(why).to_owned(),
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
        why: frame
            .t(match checkpoint.state {
                CheckpointState::Changed => "overview.changed",
                _ => "overview.refused",
            })
            .to_owned(),
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
    let mut waiting: Vec<Waiting> =
        release_waits(&reader, &fixtures::release(), false, false).into_iter().collect();
    assert_eq!(waiting.len(), 1);
    assert!(release_waits(&reader, &fixtures::release(), true, false).is_none());
    let draft = Release { state: ReleaseState::Draft, author: fixtures::id("ueda"), ..fixtures::release() };
    let why = |returned| release_waits(&reader, &draft, false, returned).map(|waiting| waiting.why);
    assert_eq!(why(true).as_deref(), Some(frame.t("overview.returned")));
    assert_eq!(why(false).as_deref(), Some(frame.t("overview.continue")));
    waiting.push(refused(&reader, &fixtures::refused_checkpoint()));
    waiting.push(alert(&reader, &facts.run, &fixtures::event(12_300, "loss 1.95 → 4.2")));
    let mut user = reader.user.clone().expect("signed in");
    assert!(!may_hand_over(&user), "an approver hands nothing over");
    user.projects.insert("v4".to_owned(), vec![Role::Contributor]);
    assert!(may_hand_over(&user) && hands_over(&user, Some("v4")) && !hands_over(&user, Some("default")));
    let idle = fixtures::counts(12, 0, 1);
    let full = view(reader, waiting, runs(), &idle, &[fixtures::release()]);
    let quiet = view(frame.clone(), Vec::new(), runs(), &fixtures::counts(0, 2, 0), &[]);
    let empty = view(frame.clone(), Vec::new(), Vec::new(), &Counts::default(), &[]);
    [full, quiet, empty].map(|page| page.render().expect("renders")).to_vec()
}
