use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit::ExitStatus;

/// The signals that end a command which serves, caught from when this is made.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// What a batch system sends before a time limit.
    soon: Signal,
}

impl Signals {
    /// Begins to catch them: before the command says that it is there to be signalled.
    pub(crate) fn catch() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            soon: signal(SignalKind::user_defined1())?,
        })
    }

    /// Waits for one. SIGTERM and SIGUSR1 are a clean end; Ctrl-C too, but says so in the exit code.
    pub(crate) async fn next(&mut self) -> ExitStatus {
        tokio::select! {
            _ = self.terminate.recv() => ExitStatus::Ok,
            _ = self.soon.recv() => ExitStatus::Ok,
            _ = self.interrupt.recv() => ExitStatus::Interrupted,
        }
    }
}

/// Which signal asked a computing command to stop.
pub(crate) struct Stopped {
    by_user: Arc<AtomicBool>,
}

impl Stopped {
    /// Ctrl-C rather than SIGTERM.
    pub(crate) fn by_user(&self) -> bool {
        self.by_user.load(Ordering::Relaxed)
    }
}

/// Sets `stop` on SIGTERM, SIGUSR1 or Ctrl-C. The computation looks at it between two steps and ends cleanly; a second signal kills as usual.
pub(crate) fn set_on_stop(stop: &Arc<AtomicBool>) -> anyhow::Result<Stopped> {
    let by_user = Arc::new(AtomicBool::new(false));
    let (stop, user) = (stop.clone(), by_user.clone());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut signals = {
        let _entered = runtime.enter();
        Signals::catch()?
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        runtime.block_on(async move {
            for count in 0.. {
                if signals.next().await == ExitStatus::Interrupted {
                    user.store(true, Ordering::Relaxed);
                }
                if count > 0 {
                    // The handlers stay installed, so the default action is taken by hand.
                    let _ = rustix::process::kill_process(
                        rustix::process::getpid(),
                        rustix::process::Signal::KILL,
                    );
                }
                stop.store(true, Ordering::Relaxed);
            }
        });
    })?;
    Ok(Stopped { by_user })
}
