//! Notices runs whose forecast has passed their planned end.

use std::time::Duration;

use sekisho_domain::run::{Planned, RunState};
use sekisho_store::Run;

use crate::service::plans;
use crate::{App, WebError};

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(20);

/// Looks every few seconds, for as long as the service runs.
pub async fn run(app: App) {
    loop {
        tokio::time::sleep(EVERY).await;
        if let Err(error) = tick(&app).await {
            tracing::error!(%error, "the plans could not be looked at");
        }
    }
}

async fn tick(app: &App) -> Result<(), WebError> {
    let plans = app.store.plans_in_force().await?;
    for run in app.store.runs_in(RunState::Running).await? {
        let Some(planned) = plans.get(&run.id).filter(|planned| planned.plan.end.is_some()) else { continue };
        if let Err(error) = look(app, &run, planned).await {
            tracing::error!(run = %run.name, %error, "a plan could not be looked at");
        }
    }
    Ok(())
}

/// Told once for each plan: another end is another promise.
async fn look(app: &App, run: &Run, planned: &Planned) -> Result<(), WebError> {
    let outlook = plans::outlook(app, run, Some(&planned.plan)).await?;
    if let Some(days) = outlook.delay_days.filter(|days| *days > 0.0) {
        app.store.note_behind(run.id, planned.at, days.ceil() as u64, app.now()).await?;
    }
    Ok(())
}
