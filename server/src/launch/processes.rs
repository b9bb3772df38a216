//! Workers as processes on this machine. They end with the service.

use std::collections::HashMap;
use std::process::{ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use rustix::process::{Pid, Signal};
use sekisho_domain::wire::{LaunchTask, TaskState};
use tokio::process::{Child, Command};

use super::script::Script;
use super::{LaunchError, Launcher, Order};

/// A machine has so many processes for us at most; a launcher's limit is below.
const MOST: u32 = 256;

/// Starts processes.
pub(super) struct Processes {
    script: Script,
    running: Mutex<HashMap<String, Vec<Child>>>,
}

impl Processes {
    pub(super) fn new(script: Script) -> Self {
        Self { script, running: Mutex::default() }
    }

    fn spawn(&self, order: &Order<'_>, number: u32) -> std::io::Result<Child> {
        let log = order.folder.join(format!("logs/{number}.log"));
        let log = fs_err::OpenOptions::new().create(true).append(true).open(log)?;
        let command = self.script.command();
        let token = fs_err::read_to_string(&self.script.common.token_file)?;
        Command::new(&command[0])
            .args(&command[1..])
            .args(["--name", &format!("{}-{number}-0", order.id)])
            .env("SEKISHO_TOKEN", token.trim())
            .env(super::PARENT, std::process::id().to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::from(log.into_file()))
            .kill_on_drop(true)
            .spawn()
    }
}

#[async_trait]
impl Launcher for Processes {
    async fn most(&self) -> Result<u32, LaunchError> {
        Ok(MOST)
    }

    async fn start(&self, order: &Order<'_>) -> Result<String, LaunchError> {
        let children =
            (0..order.tasks).map(|number| self.spawn(order, number)).collect::<Result<Vec<_>, _>>();
        let children = children.map_err(|error| {
            let command = self.script.command();
            LaunchError::Refused(format!("A worker could not be started ({}): {error}", command[0]))
        })?;
        let job = order.id.to_string();
        self.running.lock().unwrap_or_else(PoisonError::into_inner).insert(job.clone(), children);
        Ok(job)
    }

    async fn find(&self, _: &Order<'_>) -> Result<Option<String>, LaunchError> {
        Ok(None)
    }

    async fn look(&self, job: &str, before: &[LaunchTask]) -> Result<Vec<LaunchTask>, LaunchError> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(children) = running.get_mut(job) else {
            let gone = |task: &LaunchTask| match task.state.is_alive() {
                true => LaunchTask { state: TaskState::Cancelled, note: "ended with the service".to_owned() },
                false => task.clone(),
            };
            return Ok(before.iter().map(gone).collect());
        };
        let tasks: Vec<LaunchTask> = children.iter_mut().map(stands).collect();
        if !tasks.iter().any(|task| task.state.is_alive()) {
            running.remove(job);
        }
        Ok(tasks)
    }

    async fn cancel(&self, job: &str) -> Result<(), LaunchError> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        for child in running.get_mut(job).into_iter().flatten() {
            if let Some(pid) = child.id().and_then(|pid| Pid::from_raw(pid.cast_signed())) {
                let _ = rustix::process::kill_process(pid, Signal::TERM);
            }
        }
        Ok(())
    }

    async fn requeue(&self, _: &str, _: u32) -> Result<(), LaunchError> {
        Err(LaunchError::Refused(
            "A process is not run again by hand; where work waits, another one is started.".to_owned(),
        ))
    }
}

fn stands(child: &mut Child) -> LaunchTask {
    match child.try_wait() {
        Ok(None) => LaunchTask {
            state: TaskState::Running,
            note: child.id().map_or_else(String::new, |pid| format!("process {pid}")),
        },
        Ok(Some(status)) => ended(status),
        Err(error) => LaunchTask { state: TaskState::Failed, note: error.to_string() },
    }
}

fn ended(status: ExitStatus) -> LaunchTask {
    let state = if status.success() { TaskState::Ended } else { TaskState::Failed };
    LaunchTask { state, note: status.to_string() }
}
