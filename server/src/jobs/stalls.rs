//! Notices runs that have fallen silent: nobody looks at a curve at night.

use std::time::Duration;

use sekisho_domain::run::{EventKind, EventStatus, KeptEvent, RunState};
use sekisho_domain::{EventId, Step};
use sekisho_store::Run;

use crate::service::plans;
use crate::{App, WebError};

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(15);
/// Updates whose time says what is usual.
const UPDATES: u64 = 50;
/// A run is silent after so many usual steps.
const STEPS: f64 = 3.0;

/// Looks every few seconds, for as long as the service runs.
pub async fn run(app: App) {
    loop {
        tokio::time::sleep(EVERY).await;
        if let Err(error) = tick(&app).await {
            tracing::error!(%error, "the runs could not be looked at");
        }
    }
}

async fn tick(app: &App) -> Result<(), WebError> {
    for run in app.store.runs_in(RunState::Running).await? {
        if let Err(error) = look(app, &run).await {
            tracing::error!(run = %run.name, %error, "a run could not be looked at");
        }
    }
    Ok(())
}

/// One event for each time that a run falls silent: for longer than three usual steps, and than three usual pauses between its reports
/// (a minute at least), since a trainer that gathers rows is silent in between.
async fn look(app: &App, run: &Run) -> Result<(), WebError> {
    let silent = app.now().seconds_since(run.updated);
    let Some(last) = app.store.segments(run.id).await?.pop() else { return Ok(()) };
    if silent <= last.patience() {
        return Ok(());
    }
    let first = Step(run.step.0.saturating_sub(UPDATES));
    let rows = app.store.metrics_between(run.id, first, run.step).await?;
    if silent <= STEPS * plans::seconds_per_step(&rows).unwrap_or(0.0) {
        return Ok(());
    }
    let event = KeptEvent {
        id: EventId::new(&*app.clock, &*app.entropy),
        kind: EventKind::Stalled,
        step: run.step,
        // The same stall is found again at every look, and is one event.
        note: run.updated.to_string(),
        at: app.now(),
        status: EventStatus::Reported,
        by: "detector".to_owned(),
        seen: None,
        lost_seconds: None,
        decided_by: None,
        decided_at: None,
        remark: String::new(),
        version: 1,
    };
    if app.store.put_event(run.id, &event).await? {
        app.events.publish(format!("run:{}", run.id), "event");
    }
    Ok(())
}
