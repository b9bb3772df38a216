//! `/?tab=schedule`: the runs by month, planned and done, with the forecast (工程表).

use askama::Template;
use axum::response::Response;
use sekisho_domain::release::ReleaseState;
use sekisho_domain::run::{EventKind, Plan, Planned, RunState, Segment};
use sekisho_domain::{RunId, Timestamp};
use sekisho_store::{Release, Run};

use super::parts::{self, Cell};
use super::run_readouts::delay;
use crate::service::plans::{self, Outlook, end_of};
use crate::web::charts::gantt::{self, GanttRow};
use crate::web::format;
use crate::web::frame::Frame;
use crate::web::i18n::Words as _;
use crate::{App, WebError};

/// Runs on the page, those that reported last.
const RUNS: u32 = 60;
/// Releases that are marked.
const RELEASES: u32 = 200;

#[derive(Template)]
#[template(path = "overview/schedule.html")]
struct SchedulePage {
    frame: Frame,
    how: Vec<String>,
    /// The schedule in one sentence.
    summary: String,
    svg: String,
    rows: Vec<Row>,
    /// Said when there are more.
    cut: Option<String>,
}

struct Row {
    href: String,
    name: String,
    state: &'static str,
    begun: Cell,
    planned_end: Cell,
    end: Cell,
    delay: Cell,
    gpu_days: Cell,
    budget: Cell,
}

/// What a row is made from.
struct About {
    run: Run,
    segments: Vec<Segment>,
    plan: Option<Planned>,
    outlook: Outlook,
}

/// The page; the overview answers with it for its tab.
pub(super) async fn show(app: &App, frame: Frame) -> Result<Response, WebError> {
    let mut runs = app.store.runs(RUNS + 1).await?;
    let cut = parts::cut(&frame, &mut runs, RUNS);
    let ids: Vec<RunId> = runs.iter().map(|run| run.id).collect();
    let mut segments = app.store.segments_of(&ids).await?;
    let devices = app.store.events_of(&ids, EventKind::Devices).await?;
    let mut plans_in_force = app.store.plans_in_force().await?;
    let mut all = Vec::with_capacity(runs.len());
    for run in runs {
        let (plan, segments) = (plans_in_force.remove(&run.id), segments.remove(&run.id).unwrap_or_default());
        // Only what still runs has a speed to be forecast by.
        let rows =
            if run.state == RunState::Running { plans::last_rows(app, &run).await? } else { Vec::new() };
        let devices = devices.get(&run.id).map_or(&[][..], Vec::as_slice);
        let in_force = plan.as_ref().map(|planned| &planned.plan);
        let outlook = plans::stands(&run, in_force, &rows, &segments, devices);
        all.push(About { segments, plan, outlook, run });
    }
    // In the order in which they began: a second try comes after the first.
    all.sort_by_key(|about| (begun(about).unwrap_or(about.run.created), about.run.created));
    let releases = app.store.releases(RELEASES).await?;
    parts::page(&page(frame, &all, &releases, cut))
}

fn begun(about: &About) -> Option<Timestamp> {
    about.segments.first().map(|segment| segment.first_at)
}

fn page(frame: Frame, all: &[About], releases: &[Release], cut: Option<String>) -> SchedulePage {
    let mut drawn: Vec<GanttRow> = released(&frame, releases).into_iter().collect();
    drawn.extend(all.iter().map(|about| bars(&frame, about)));
    let running = all.iter().filter(|about| about.run.state == RunState::Running).count();
    let late = all.iter().filter(|about| about.outlook.delay_days.is_some_and(|days| days >= 1.0)).count();
    let values: [(&str, &dyn std::fmt::Display); 3] =
        [("runs", &all.len()), ("running", &running), ("late", &late)];
    let summary = frame.lang.fill("schedule.summary", &values);
    let svg = gantt::draw(&drawn, frame.now, &frame.zone, &summary, frame.t("schedule.today"));
    SchedulePage {
        how: vec!["sekisho run plan NAME".to_owned(), "GET /api/v1/runs/{run}/plan".to_owned()],
        summary,
        svg,
        rows: all.iter().map(|about| row(&frame, about)).collect(),
        cut,
        frame,
    }
}

/// The row on top: what went out.
fn released(frame: &Frame, releases: &[Release]) -> Option<GanttRow> {
    let is_out =
        |release: &&Release| matches!(release.state, ReleaseState::Published | ReleaseState::Superseded);
    let marks: Vec<(Timestamp, String)> =
        releases.iter().filter(is_out).map(|release| (release.updated, release.name.clone())).collect();
    let names: Vec<&str> = marks.iter().map(|(_, name)| name.as_str()).collect();
    let note = names.join(", ");
    let row = GanttRow {
        name: frame.t("nav.releases").to_owned(),
        href: "/releases".to_owned(),
        marks,
        note,
        ..GanttRow::default()
    };
    Some(row).filter(|row| !row.marks.is_empty())
}

fn bars(frame: &Frame, about: &About) -> GanttRow {
    let run = &about.run;
    let plan: Plan = about.plan.as_ref().map(|planned| planned.plan.clone()).unwrap_or_default();
    let from = begun(about).unwrap_or(run.created);
    let is_over = matches!(run.state, RunState::Finished | RunState::Failed);
    let end = plan.end.and_then(end_of);
    let note = [
        Some(run.name.clone()),
        Some(frame.word("run_state", run.state).to_owned()),
        about.outlook.delay_days.map(|days| delay(frame, days)),
    ];
    GanttRow {
        name: run.name.clone(),
        href: format!("/runs/{}", run.name),
        planned: (end.is_some() || !is_over).then_some((from, end)),
        done: about.segments.iter().map(|segment| (segment.first_at, segment.last_at)).collect(),
        forecast: about.outlook.forecast_end,
        marks: Vec::new(),
        note: note.into_iter().flatten().collect::<Vec<_>>().join(" · "),
    }
}

fn row(frame: &Frame, about: &About) -> Row {
    let (run, outlook) = (&about.run, &about.outlook);
    let plan = about.plan.as_ref().map(|planned| &planned.plan);
    let number =
        |days: f64| if days < 10.0 { format!("{days:.2}") } else { format::count(days.round() as u64) };
    let ended = about
        .segments
        .last()
        .filter(|_| run.state == RunState::Finished)
        .map(|last| frame.stamp(&last.last_at));
    let end = ended.or_else(|| outlook.forecast_end.map(|end| frame.stamp(&end)));
    Row {
        href: format!("/runs/{}", run.name),
        name: run.name.clone(),
        state: run.state.as_str(),
        begun: Cell::of(begun(about).map(|at| frame.stamp(&at)), frame.t("missing.not_reported")),
        planned_end: Cell::of(
            plan.and_then(|plan| plan.end).map(|end| end.to_string()),
            frame.t("missing.no_plan"),
        ),
        end: Cell::of(end, frame.t("missing.few_reports")),
        delay: Cell::of(outlook.delay_days.map(|days| delay(frame, days)), frame.t("missing.no_plan")),
        gpu_days: Cell::of(outlook.gpu_days_used.map(number), frame.t("missing.no_devices")),
        budget: Cell::of(plan.and_then(|plan| plan.budget_gpu_days).map(number), frame.t("missing.no_plan")),
    }
}

#[cfg(test)]
pub(super) fn samples(frame: &Frame) -> Vec<String> {
    use super::fixtures;
    let facts = fixtures::run_facts(3);
    let outlook = Outlook {
        tokens_per_day: Some(5e10),
        forecast_end: Some(frame.now.plus_seconds(40 * 86_400)),
        delay_days: Some(1.3),
        gpu_days_used: Some(612.4),
        yen_used: None,
    };
    let late = About {
        plan: facts.plans.first().cloned(),
        segments: facts.segments.clone(),
        outlook,
        run: facts.run.clone(),
    };
    let retry = About {
        run: Run { name: "v4-8b-exp2-retry".to_owned(), ..fixtures::run() },
        segments: Vec::new(),
        plan: None,
        outlook: Outlook::default(),
    };
    let out = Release { state: ReleaseState::Published, ..fixtures::release() };
    let full = page(frame.clone(), &[late, retry], &[out], None);
    assert_eq!(full.svg.matches("class=\"gantt-row\"").count(), 3);
    [full, page(frame.clone(), &[], &[], None)].map(|page| page.render().expect("renders")).to_vec()
}
