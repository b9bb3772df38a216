//! Processes that `serve` and `demo` start end with it, however it ends: nobody would hear of what they compute.

use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

use crate::exit::{ExitStatus, Failed};

/// Has this process killed when the one that started it dies, if that one asked for it. What was handed over or saved by then
/// is safe; everything else is done again.
pub(crate) fn follow() -> anyhow::Result<()> {
    let Ok(parent) = std::env::var(sekisho_server::launch::PARENT) else { return Ok(()) };
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // It may have died before the line above.
    if getppid().map(Pid::as_raw_nonzero).is_some_and(|pid| pid.to_string() == parent) {
        return Ok(());
    }
    Err(Failed::with(ExitStatus::Failure, "the process that started this one is gone"))
}
