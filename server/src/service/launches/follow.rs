//! What becomes of workers that were started.

use std::path::Path;

use sekisho_domain::LaunchId;
use sekisho_domain::wire::{LaunchState, LaunchTask, TaskState};
use sekisho_store::Launch;

use super::Launchers;
use crate::launch::{LaunchError, Launcher, Order};
use crate::{App, WebError};

/// Seconds that a worker has to run before its launcher counts as one that works.
const SOUND: f64 = 60.0;

/// Whether a worker of this name is one of the launch.
pub(super) fn is_worker_of(worker: &str, launch: LaunchId) -> bool {
    worker.strip_prefix(&launch.to_string()).is_some_and(|rest| rest.starts_with('-'))
}

/// Brings one launch up to date.
pub(super) async fn follow(app: &App, launchers: &Launchers, launch: Launch) -> Result<(), WebError> {
    let mut now = launch.clone();
    let Some(launcher) = launchers.find(&launch.launcher) else {
        now.state = LaunchState::Ended;
        now.message = format!(
            "The configuration has no launcher \"{}\" any more; its workers are left alone.",
            launch.launcher
        );
        return keep(app, &launch, now).await;
    };
    match bring_up(app, launcher.as_ref(), &mut now).await {
        Ok(()) => settle(app, &launch, &mut now).await?,
        Err(LaunchError::Refused(words) | LaunchError::Away(words)) => {
            if now.message != words {
                tracing::warn!(launcher = %now.launcher, launch = %now.id, job = %now.job, "{words}");
            }
            now.message = words;
        }
    }
    keep(app, &launch, now).await
}

async fn bring_up(app: &App, launcher: &dyn Launcher, launch: &mut Launch) -> Result<(), LaunchError> {
    if launch.state == LaunchState::Starting {
        let tasks = u32::try_from(launch.tasks.len()).unwrap_or(u32::MAX);
        let order = Order { id: launch.id, tasks, folder: Path::new(&launch.folder) };
        let Some(job) = launcher.find(&order).await? else {
            launch.state = LaunchState::Ended;
            launch.tasks.clear();
            return Ok(());
        };
        (launch.job, launch.state) = (job, LaunchState::Active);
    }
    if !launch.asked.is_empty() {
        let asked = std::mem::take(&mut launch.asked);
        let done = match asked.strip_prefix("requeue ").and_then(|number| number.parse().ok()) {
            Some(number) => launcher.requeue(&launch.job, number).await,
            None => launcher.cancel(&launch.job).await,
        };
        // What cannot be asked now is asked again; what is refused is said, and over.
        if !matches!(done, Err(LaunchError::Away(_))) {
            let answered = app.store.launch_answered(launch.id, &asked).await;
            answered.map_err(|error| LaunchError::Away(error.to_string()))?;
        }
        if let Err(LaunchError::Refused(words)) = &done {
            launch.message.clone_from(words);
        }
        done?;
    }
    launch.tasks = launcher.look(&launch.job, &launch.tasks).await?;
    launch.message.clear();
    Ok(())
}

/// Sees what ended workers held, and whether all have ended.
async fn settle(app: &App, before: &Launch, now: &mut Launch) -> Result<(), WebError> {
    let worked = release(app, before, now).await?;
    let is_alive = now.tasks.iter().any(|task| task.state.is_alive());
    now.state = if is_alive { LaunchState::Active } else { LaunchState::Ended };
    let ran = app.now().seconds_since(now.created) > SOUND;
    let works =
        |task: &LaunchTask| task.state == TaskState::Ended || (task.state == TaskState::Running && ran);
    if worked || now.tasks.iter().any(works) {
        super::in_order(app, &now.launcher).await?;
    }
    let failed = now.tasks.iter().find(|task| task.state == TaskState::Failed);
    if let Some(failed) = failed.filter(|_| !is_alive && !worked && !now.tasks.iter().any(works)) {
        let words = format!("The workers of launch {} failed ({}). Its log says why.", now.id, failed.note);
        super::refused(app, &now.launcher, &words).await?;
    }
    Ok(())
}

/// What ended workers held waits again at once, and not when their leases run out. One that failed may have failed of its item, so
/// that is a try. Says whether there was any.
async fn release(app: &App, before: &Launch, now: &Launch) -> Result<bool, WebError> {
    let ended = |number: usize, task: &LaunchTask| {
        let was = before.tasks.get(number).is_none_or(|task| task.state.is_alive());
        was && !task.state.is_alive()
    };
    if !now.tasks.iter().enumerate().any(|(number, task)| ended(number, task)) {
        return Ok(false);
    }
    let mut any = false;
    let held = app.store.held_by(app.now()).await?;
    for (number, task) in now.tasks.iter().enumerate().filter(|(number, task)| ended(*number, task)) {
        let name = format!("{}-{number}-", now.id);
        for worker in held.keys().filter(|worker| worker.starts_with(&name)) {
            any = true;
            match task.state {
                TaskState::Failed => app.store.expire(worker, app.now()).await?,
                _ => app.store.free(worker, app.now()).await?,
            }
        }
    }
    Ok(any)
}

async fn keep(app: &App, before: &Launch, now: Launch) -> Result<(), WebError> {
    // What is asked of it is written by who asks.
    let now = Launch { asked: before.asked.clone(), ..now };
    if *before == now {
        return Ok(());
    }
    app.store.set_launch(&Launch { updated: app.now(), ..now }).await?;
    app.events.publish("queue", "state");
    Ok(())
}
