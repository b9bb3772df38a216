use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// The children of a process that have not ended.
#[must_use]
pub fn children(parent: u32) -> Vec<u32> {
    let all = fs_err::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| stat(*pid).is_some_and(|(state, ppid)| state != 'Z' && ppid == parent)).collect()
}

/// Whether a process, of whomever, is there and has not ended.
#[must_use]
pub fn lives(pid: u32) -> bool {
    stat(pid).is_some_and(|(state, _)| state != 'Z')
}

/// State and parent, from `/proc/PID/stat`: `PID (NAME) STATE PARENT …`.
fn stat(pid: u32) -> Option<(char, u32)> {
    let text = fs_err::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

/// A process in a group of its own. What is left of the group is killed when this is dropped.
pub struct Process {
    child: Child,
    pid: Pid,
}

impl Process {
    /// Starts it.
    ///
    /// # Panics
    /// When the program is not there.
    #[must_use]
    pub fn spawn(command: &mut Command) -> Self {
        let child = command.process_group(0).spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let pid = Pid::from_child(&child);
        Self { child, pid }
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child can be waited for").is_none()
    }

    /// kill -9 of this process alone, and its end.
    pub fn kill9(&mut self) {
        self.child.kill().expect("a child can be killed");
        self.wait();
    }

    /// SIGTERM, and its end.
    pub fn terminate(&mut self) -> ExitStatus {
        kill_process(self.pid, Signal::TERM).expect("a child can be signalled");
        self.wait()
    }

    /// Its end.
    pub fn wait(&mut self) -> ExitStatus {
        self.child.wait().expect("a child can be waited for")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // An error says that nothing is left.
        let _ = kill_process_group(self.pid, Signal::KILL);
        let _ = self.child.wait();
    }
}
