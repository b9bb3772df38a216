//! Workers where work waits: how many each launcher starts, how what was started goes, and what people ask of it.

mod follow;
mod start;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use sekisho_domain::LaunchId;
use sekisho_domain::user::{Role, Scope};
use sekisho_domain::wire::{LaunchState, LaunchView, LauncherView};
use sekisho_store::{Launch, LauncherStanding};

use super::people;
use crate::launch::{self, Common, Launcher, LauncherSettings};
use crate::serve::write_secret;
use crate::{Actor, App, Noun, WebError};

/// Seconds before a launcher that refused is asked again; they double up to the longest.
const FIRST_PAUSE: i64 = 30;
const LONGEST_PAUSE: i64 = 3600;
/// Bytes of a log that are shown, its last ones.
const SHOWN: u64 = 64 << 10;
/// The label of the token of launched workers.
const LABEL: &str = "launched workers";

/// The launchers of the configuration, opened.
pub struct Launchers(Vec<(LauncherSettings, Arc<dyn Launcher>)>);

impl Launchers {
    /// Opens them.
    #[must_use]
    pub fn open(settings: &[LauncherSettings], common: &Common) -> Self {
        Self(settings.iter().map(|one| (one.clone(), launch::open(one, common))).collect())
    }

    fn find(&self, name: &str) -> Option<&Arc<dyn Launcher>> {
        self.0.iter().find(|(settings, _)| settings.name == name).map(|(_, launcher)| launcher)
    }
}

/// The file with the token of launched workers, made where it is missing. It outlives a start of the service, as they do.
///
/// # Errors
/// When it cannot be written.
pub async fn token_file(app: &App) -> Result<PathBuf, WebError> {
    let file = app.config.dir.join("launch-token");
    let worker = people::find(app, "worker").await?;
    let ours = app.store.tokens(worker.id).await?.into_iter().filter(|token| token.label == LABEL);
    let ours: Vec<_> = ours.collect();
    if ours.len() == 1 && file.is_file() {
        return Ok(file);
    }
    for old in ours {
        people::revoke_token(app, None, &worker, &old).await?;
    }
    let text = people::add_token(app, &worker, LABEL, &[Scope::Evaluate], None, None).await?;
    write_secret(&file, &text).map_err(WebError::internal)?;
    Ok(file)
}

/// Looks at what was started, does what people have asked for, and starts what is missing.
///
/// # Errors
/// When the store fails. What a launcher says is kept with the launch and told where people look.
pub async fn pass(app: &App, launchers: &Launchers) -> Result<(), WebError> {
    for launch in app.store.open_launches().await? {
        follow::follow(app, launchers, launch).await?;
    }
    start::start(app, &launchers.0).await
}

/// Writes down what a launcher said, and when it is asked again.
async fn refused(app: &App, name: &str, words: &str) -> Result<(), WebError> {
    let before = app.store.launchers().await?.remove(name).unwrap_or_default();
    let pause = FIRST_PAUSE.saturating_mul(1 << before.refusals.min(10)).min(LONGEST_PAUSE);
    tracing::error!(launcher = name, again_in_seconds = pause, "workers could not be started: {words}");
    let standing = LauncherStanding {
        refusals: before.refusals.saturating_add(1),
        not_before: Some(app.now().plus_seconds(pause)),
        message: words.to_owned(),
        ..before
    };
    app.store.set_launcher(name, &standing).await?;
    app.events.publish("queue", "state");
    Ok(())
}

/// A launcher has shown that it works.
async fn in_order(app: &App, name: &str) -> Result<(), WebError> {
    let before = app.store.launchers().await?.remove(name).unwrap_or_default();
    if before.refusals > 0 || !before.message.is_empty() {
        app.store
            .set_launcher(name, &LauncherStanding { paused: before.paused, ..LauncherStanding::default() })
            .await?;
    }
    Ok(())
}

/// How the launchers of the configuration stand.
///
/// # Errors
/// When the store fails.
pub async fn standing(app: &App) -> Result<Vec<LauncherView>, WebError> {
    let standings = app.store.launchers().await?;
    let mut alive: BTreeMap<String, u32> = BTreeMap::new();
    for launch in app.store.open_launches().await? {
        *alive.entry(launch.launcher.clone()).or_default() += count(&launch);
    }
    let view = |settings: &LauncherSettings| {
        let standing = standings.get(&settings.name).cloned().unwrap_or_default();
        LauncherView {
            name: settings.name.clone(),
            kind: settings.kind.as_str().to_owned(),
            pool: settings.pool.clone(),
            limit: settings.limit,
            workers: alive.get(&settings.name).copied().unwrap_or(0),
            paused: standing.paused,
            message: standing.message,
            again: standing.not_before.filter(|again| *again > app.now()),
        }
    };
    Ok(app.config.launchers.iter().map(view).collect())
}

/// Workers of a launch that run or will.
fn count(launch: &Launch) -> u32 {
    let alive = launch.tasks.iter().filter(|task| task.state.is_alive()).count();
    u32::try_from(alive).unwrap_or(u32::MAX)
}

/// A launch by id.
///
/// # Errors
/// 404.
pub async fn find(app: &App, key: &str) -> Result<Launch, WebError> {
    let missing = || WebError::not_found(Noun::Launch, key);
    let id: LaunchId = key.parse().map_err(|_| missing())?;
    app.store.launch(id).await?.ok_or_else(missing)
}

/// A launch as it is shown.
#[must_use]
pub fn view(launch: Launch) -> LaunchView {
    LaunchView {
        id: launch.id,
        launcher: launch.launcher,
        pool: launch.pool,
        job: launch.job,
        state: launch.state,
        tasks: launch.tasks,
        message: launch.message,
        folder: launch.folder,
        asked: launch.asked,
        created: launch.created,
        updated: launch.updated,
    }
}

/// What somebody asks of a launch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// End all of it.
    Cancel,
    /// Run one of its workers again.
    Requeue(u32),
}

/// Notes what is asked; it is carried out within seconds, by the process that follows the launches.
///
/// # Errors
/// 403; 404 for a worker that it does not have; 409 when there is nothing to end.
pub async fn ask(app: &App, actor: &Actor, launch: &Launch, asked: Ask) -> Result<Launch, WebError> {
    actor.require(&[Role::Evaluator], Scope::Evaluate)?;
    let words = match asked {
        Ask::Cancel if !matches!(launch.state, LaunchState::Starting | LaunchState::Active) => {
            let detail = format!("Launch {} has ended; there is nothing to cancel.", launch.id);
            return Err(WebError::conflict("launch-ended", detail)
                .or_ja(format!("起動 {} はすでに終了しているため、取り消すものはありません。", launch.id)));
        }
        Ask::Cancel => "cancel".to_owned(),
        Ask::Requeue(task) if (task as usize) < launch.tasks.len() && !launch.job.is_empty() => {
            format!("requeue {task}")
        }
        Ask::Requeue(task) => return Err(WebError::not_found(Noun::LaunchTask, task)),
    };
    let detail = serde_json::json!({ "launcher": launch.launcher, "job": launch.job, "asked": words });
    let entry = people::entry(app, actor, "launch.ask", &launch.id.to_string(), "done", detail);
    app.store.ask_launch(launch.id, &words, &entry).await?;
    app.events.publish("queue", "state");
    find(app, &launch.id.to_string()).await
}

/// Tells a launcher to start none, or lets it go on.
///
/// # Errors
/// 403; 404 for one that the configuration does not name.
pub async fn pause(app: &App, actor: &Actor, name: &str, paused: bool) -> Result<LauncherView, WebError> {
    actor.require(&[Role::Evaluator], Scope::Evaluate)?;
    let missing = || WebError::not_found(Noun::Launcher, name);
    app.config.launchers.iter().find(|one| one.name == name).ok_or_else(missing)?;
    let action = if paused { "launcher.pause" } else { "launcher.resume" };
    let entry = people::entry(app, actor, action, name, "done", serde_json::json!({}));
    app.store.pause_launcher(name, paused, &entry).await?;
    app.events.publish("queue", "state");
    standing(app).await?.into_iter().find(|one| one.name == name).ok_or_else(missing)
}

/// The script of a launch, and the end of each log that is there, by worker.
///
/// # Errors
/// When they cannot be read.
pub fn papers(launch: &Launch) -> std::io::Result<(String, Vec<(usize, String)>)> {
    let folder = PathBuf::from(&launch.folder);
    let script = match fs_err::read_to_string(folder.join("worker.sh")) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        script => script?,
    };
    let mut logs = Vec::new();
    for number in 0..launch.tasks.len() {
        let path = folder.join(format!("logs/{number}.log"));
        if path.is_file() {
            logs.push((number, end(&path)?));
        }
    }
    Ok((script, logs))
}

fn end(path: &std::path::Path) -> std::io::Result<String> {
    use std::io::{Read as _, Seek as _, SeekFrom};
    let mut file = fs_err::File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(SHOWN)))?;
    let mut bytes = Vec::new();
    file.take(SHOWN).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
