//! Notices runs that have fallen silent: nobody looks at a curve at night.

use std::collections::HashMap;
use std::time::Duration;

use sekisho_domain::run::{EventKind, KeptEvent, RunState};
use sekisho_domain::{EventId, RunId, Step, Timestamp};
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
    let mut told = HashMap::new();
    loop {
        tokio::time::sleep(EVERY).await;
        if let Err(error) = tick(&app, &mut told).await {
            tracing::error!(%error, "the runs could not be looked at");
        }
    }
}

/// `told` holds the last report of each run that is known to be silent: until it reports again there is nothing to read.
async fn tick(app: &App, told: &mut HashMap<RunId, Timestamp>) -> Result<(), WebError> {
    let running = app.store.runs_in(RunState::Running).await?;
    told.retain(|id, since| running.iter().any(|run| run.id == *id && run.updated == *since));
    for run in running.iter().filter(|run| !told.contains_key(&run.id)).collect::<Vec<_>>() {
        match look(app, run).await {
            Ok(true) => drop(told.insert(run.id, run.updated)),
            Ok(false) => {}
            Err(error) => tracing::error!(run = %run.name, %error, "a run could not be looked at"),
        }
    }
    Ok(())
}

/// One event for each time that a run falls silent: for longer than three usual steps, and than three usual pauses between its reports
/// (a minute at least), since a trainer that gathers rows is silent in between. Answers whether it is silent.
async fn look(app: &App, run: &Run) -> Result<bool, WebError> {
    let silent = app.now().seconds_since(run.updated);
    let Some(last) = app.store.segments(run.id).await?.pop() else { return Ok(false) };
    if silent <= last.patience() {
        return Ok(false);
    }
    let first = Step(run.step.0.saturating_sub(UPDATES));
    let rows = app.store.metrics_between(run.id, first, run.step).await?;
    if silent <= STEPS * plans::seconds_per_step(&rows).unwrap_or(0.0) {
        return Ok(false);
    }
    let event = KeptEvent {
        // The same stall is found again after a restart, and is one event.
        note: run.updated.to_string(),
        ..KeptEvent::noticed(
            EventId::new(&*app.clock, &*app.entropy),
            EventKind::Stalled,
            run.step,
            app.now(),
        )
    };
    if app.store.put_event(run.id, &event).await? {
        app.events.publish(format!("run:{}", run.id), "event");
    }
    Ok(true)
}
