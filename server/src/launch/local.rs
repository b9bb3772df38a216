use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::sync::watch;

/// Keeps one `sekisho worker` alive beside the service until it is told to stop.
pub struct LocalWorker {
    /// The executable: this one.
    pub program: PathBuf,
    /// URL of the service.
    pub server: String,
    /// Token with the scope `evaluate`; handed over in the environment, not on the command line, where `ps` shows it.
    pub token: String,
    /// Its name in the queue, the same after every start: what the last one held when it died is given back at once.
    pub name: String,
    /// Where the worker's own output goes.
    pub log: PathBuf,
}

impl LocalWorker {
    /// Starts the worker again whenever it ends, waiting longer each time it ends within a minute.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut wait = Duration::from_secs(1);
        while !*stop.borrow() {
            let started = std::time::Instant::now();
            match self.spawn() {
                Ok(mut child) => {
                    tokio::select! {
                        status = child.wait() => tracing::warn!(?status, log = %self.log.display(), "the local worker ended; it is started again"),
                        () = stopped(&mut stop) => return drain(child).await,
                    }
                }
                Err(error) => tracing::error!(%error, "the local worker could not be started"),
            }
            wait = if started.elapsed() > Duration::from_secs(60) {
                Duration::from_secs(1)
            } else {
                (wait * 2).min(Duration::from_secs(60))
            };
            let _ = tokio::time::timeout(wait, stopped(&mut stop)).await;
        }
    }

    fn spawn(&self) -> std::io::Result<Child> {
        let log = fs_err::OpenOptions::new().create(true).append(true).open(&self.log)?;
        Command::new(&self.program)
            .args(["worker", "--server", &self.server, "--name", &self.name])
            .env("SEKISHO_TOKEN", &self.token)
            .env(super::PARENT, std::process::id().to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::from(log.into_file()))
            .kill_on_drop(true)
            .spawn()
    }
}

/// Ends when a stop is asked for, or when nobody can ask any more.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// SIGTERM lets the worker finish its item; after ten seconds it is killed, and the lease runs out.
async fn drain(mut child: Child) {
    if let Some(pid) = child.id().and_then(|pid| rustix::process::Pid::from_raw(pid.cast_signed())) {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
    if tokio::time::timeout(Duration::from_secs(10), child.wait()).await.is_err() {
        let _ = child.kill().await;
    }
}
