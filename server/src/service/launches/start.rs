//! How many workers are started: as many as what waits is worth, none that would find nothing, and never more than the limit.

use std::collections::HashMap;
use std::sync::Arc;

use sekisho_domain::LaunchId;
use sekisho_domain::wire::{LaunchState, LaunchTask};
use sekisho_store::Launch;

use crate::launch::{LaunchError, Launcher, LauncherSettings, Order};
use crate::{App, WebError};

/// Starts what is missing, launcher by launcher. Work for any pool is counted once: what one launcher's workers will take is not
/// there for the next one.
pub(super) async fn start(
    app: &App,
    launchers: &[(LauncherSettings, Arc<dyn Launcher>)],
) -> Result<(), WebError> {
    let most = |settings: &LauncherSettings| u64::from(settings.limit) * u64::from(settings.items);
    let all = launchers.iter().map(|(settings, _)| most(settings)).sum();
    let mut common = app.store.waiting_in("", all, app.now()).await?;
    let (open, held) = (app.store.open_launches().await?, app.store.held_by(app.now()).await?);
    let standings = app.store.launchers().await?;
    for (settings, launcher) in launchers {
        let own = match settings.pool.as_str() {
            "" => 0,
            pool => app.store.waiting_in(pool, most(settings), app.now()).await?,
        };
        let workers = Workers::of(&settings.name, &open, &held);
        let standing = standings.get(&settings.name);
        let rests = standing.is_some_and(|standing| {
            standing.paused || standing.not_before.is_some_and(|time| time > app.now())
        });
        let more = if rests { 0 } else { workers.wanted(settings, own + common) };
        let will_take = (u64::from(workers.idle()) + u64::from(more)) * u64::from(settings.items);
        common -= common.min(will_take.saturating_sub(own));
        if more > 0 {
            order(app, settings, launcher.as_ref(), more).await?;
        }
    }
    Ok(())
}

/// Workers of one launcher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Workers {
    /// That run or will.
    alive: u32,
    /// That have work.
    busy: u32,
}

impl Workers {
    fn of(launcher: &str, open: &[Launch], held: &HashMap<String, u64>) -> Self {
        let ours: Vec<&Launch> = open.iter().filter(|launch| launch.launcher == launcher).collect();
        let is_ours =
            |worker: &&String| ours.iter().any(|launch| super::follow::is_worker_of(worker, launch.id));
        let busy = held.keys().filter(is_ours).count();
        Self {
            alive: ours.iter().map(|launch| super::count(launch)).sum(),
            busy: u32::try_from(busy).unwrap_or(u32::MAX),
        }
    }

    /// Those that will ask for work.
    const fn idle(self) -> u32 {
        self.alive.saturating_sub(self.busy)
    }

    /// How many more are started for so many items.
    fn wanted(self, settings: &LauncherSettings, waiting: u64) -> u32 {
        let items = u64::from(settings.items);
        let uncovered = waiting.saturating_sub(u64::from(self.idle()) * items);
        let room = settings.limit.saturating_sub(self.alive);
        u32::try_from(uncovered.div_ceil(items)).unwrap_or(u32::MAX).min(room)
    }
}

/// Asks for workers, in as many parts as the launcher needs.
async fn order(
    app: &App,
    settings: &LauncherSettings,
    launcher: &dyn Launcher,
    mut more: u32,
) -> Result<(), WebError> {
    let most = match launcher.most().await {
        Ok(most) => most.max(1),
        Err(LaunchError::Refused(words) | LaunchError::Away(words)) => {
            return super::refused(app, &settings.name, &words).await;
        }
    };
    while more > 0 {
        let tasks = more.min(most);
        more -= tasks;
        if !one(app, settings, launcher, tasks).await? {
            break;
        }
    }
    Ok(())
}

/// The row comes first: whatever happens then, what was started is found again by its name.
async fn one(
    app: &App,
    settings: &LauncherSettings,
    launcher: &dyn Launcher,
    tasks: u32,
) -> Result<bool, WebError> {
    let id = LaunchId::new(&*app.clock, &*app.entropy);
    let folder = app.config.dir.join("launches").join(id.to_string());
    fs_err::create_dir_all(folder.join("logs")).map_err(WebError::internal)?;
    let mut launch = Launch {
        id,
        launcher: settings.name.clone(),
        pool: settings.pool.clone(),
        job: String::new(),
        state: LaunchState::Starting,
        tasks: vec![LaunchTask::waiting(); tasks as usize],
        message: String::new(),
        folder: folder.display().to_string(),
        asked: String::new(),
        created: app.now(),
        updated: app.now(),
    };
    app.store.add_launch(&launch).await?;
    let answer = launcher.start(&Order { id, tasks, folder: &folder }).await;
    let is_started = answer.is_ok();
    match answer {
        Ok(job) => {
            tracing::info!(launcher = %settings.name, launch = %id, job, tasks, "workers are started");
            (launch.job, launch.state) = (job, LaunchState::Active);
        }
        Err(LaunchError::Refused(words)) => {
            (launch.state, launch.message) = (LaunchState::Refused, words.clone());
            launch.tasks.clear();
            super::refused(app, &settings.name, &words).await?;
        }
        // It may have been taken all the same; the next look finds out.
        Err(LaunchError::Away(words)) => {
            launch.message.clone_from(&words);
            super::refused(app, &settings.name, &words).await?;
        }
    }
    launch.updated = app.now();
    app.store.set_launch(&launch).await?;
    app.events.publish("queue", "state");
    Ok(is_started)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launch::{Kind, SlurmSettings, TemplateSettings};

    fn settings(limit: u32, items: u32) -> LauncherSettings {
        LauncherSettings {
            name: "gpu".to_owned(),
            kind: Kind::Slurm,
            pool: String::new(),
            limit,
            items,
            idle: 600,
            server: None,
            command: Vec::new(),
            worker: Vec::new(),
            prologue: Vec::new(),
            slurm: SlurmSettings::default(),
            template: TemplateSettings::default(),
        }
    }

    #[test]
    fn just_enough_are_started() {
        let wanted = |alive, busy, limit, items, waiting| {
            Workers { alive, busy }.wanted(&settings(limit, items), waiting)
        };
        assert_eq!(wanted(0, 0, 8, 1, 0), 0, "none while nothing waits");
        assert_eq!(wanted(0, 0, 8, 1, 3), 3);
        assert_eq!(wanted(0, 0, 8, 1, 300), 8, "never more than the limit");
        assert_eq!(wanted(8, 8, 8, 1, 300), 0);
        assert_eq!(wanted(3, 1, 8, 1, 3), 1, "two will take two");
        assert_eq!(wanted(0, 0, 8, 4, 9), 3, "four items are worth a worker");
        assert_eq!(wanted(9, 0, 8, 1, 300), 0, "the limit was lowered");
    }
}
