//! Workers as tasks of Slurm's job arrays, by the site's own commands.

use async_trait::async_trait;
use sekisho_domain::wire::{LaunchTask, TaskState};
use tokio::process::Command;
use tokio::sync::OnceCell;

use super::script::{Script, quote};
use super::{LaunchError, Launcher, Order, SlurmSettings, ask};

/// What `squeue` and `sacct` are told to print of a task: its number, its state, why it waits, where it runs.
const SQUEUE: &str = "%K|%T|%r|%N";
const SACCT: &str = "JobID,State,Reason,NodeList";

/// What commands say when the controller, or the database behind `sacct`, is not there for now.
const AWAY: [&str; 7] = [
    "Unable to contact",
    "Socket timed out",
    "Connection refused",
    "Connection timed out",
    "Zero Bytes were transmitted",
    "temporarily unable",
    "backup controller in standby",
];

/// What the site has set, as `scontrol show config` prints it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Site {
    /// Tasks of an array.
    most: u32,
    /// Whether `sacct` knows of jobs.
    accounting: bool,
}

/// Starts job arrays.
pub(super) struct Slurm {
    script: Script,
    site: OnceCell<Site>,
}

impl Slurm {
    pub(super) fn new(script: Script) -> Self {
        Self { script, site: OnceCell::new() }
    }

    fn settings(&self) -> &SlurmSettings {
        &self.script.settings.slurm
    }

    fn command(&self, name: &str) -> Command {
        let path = self.settings().bin.as_ref().map_or_else(|| name.into(), |bin| bin.join(name));
        let mut command = Command::new(path);
        if let Some(conf) = &self.settings().conf {
            command.env("SLURM_CONF", conf);
        }
        // The service may itself run inside of a job; its workers are none of that job's.
        for (key, _) in std::env::vars_os() {
            let name = key.to_string_lossy();
            if name.starts_with("SBATCH_") || (name.starts_with("SLURM_") && name != "SLURM_CONF") {
                command.env_remove(&key);
            }
        }
        command
    }

    async fn ask(&self, name: &str, arguments: &[&str]) -> Result<String, LaunchError> {
        let output = ask::output(self.command(name).args(arguments)).await?;
        if output.status.success() {
            return Ok(ask::printed(&output));
        }
        let words = ask::words(&output);
        let away = AWAY.iter().any(|away| words.contains(away));
        Err(if away { LaunchError::Away(words) } else { LaunchError::Refused(words) })
    }

    /// Looked up once: a site changes it with a restart of its controller, and rarely.
    async fn site(&self) -> Result<Site, LaunchError> {
        let look = || async { Ok(site(&self.ask("scontrol", &["show", "config"]).await?)) };
        self.site.get_or_try_init(look).await.copied()
    }

    /// What `sbatch` reads in the script. All of it stands there, so that `sbatch worker.sh` by hand does the same.
    fn head(&self, order: &Order<'_>) -> String {
        let settings = self.settings();
        let throttle = settings.throttle.map_or_else(String::new, |most| format!("%{most}"));
        let logs = order.folder.join("logs/%a.log");
        let mut flags = vec![
            format!("--job-name={}", order.name()),
            format!("--array=0-{}{throttle}", order.tasks.saturating_sub(1)),
            format!("--output={}", quote(&logs.display().to_string())),
            "--open-mode=append".to_owned(),
            format!("--signal=B:USR1@{}", settings.signal),
        ];
        // The site's come last, so that they have the last word.
        flags.extend(settings.flags.iter().cloned());
        flags.iter().map(|flag| format!("#SBATCH {flag}\n")).collect()
    }
}

#[async_trait]
impl Launcher for Slurm {
    async fn most(&self) -> Result<u32, LaunchError> {
        Ok(self.site().await?.most)
    }

    async fn start(&self, order: &Order<'_>) -> Result<String, LaunchError> {
        let number = "${SLURM_ARRAY_TASK_ID:-0}";
        let path = self.script.write(order, &self.head(order), number, "${SLURM_RESTART_COUNT:-0}")?;
        let folder = order.folder.display().to_string();
        let script = path.display().to_string();
        let printed = self.ask("sbatch", &["--parsable", "--chdir", &folder, &script]).await?;
        // `ID` or `ID;CLUSTER`, perhaps behind a line of the site's.
        let last = printed.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
        let id = last.split(';').next().unwrap_or_default().trim();
        if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(LaunchError::Refused(format!("sbatch printed no job id: {printed}")));
        }
        Ok(id.to_owned())
    }

    async fn find(&self, order: &Order<'_>) -> Result<Option<String>, LaunchError> {
        let printed = self
            .ask("squeue", &["--noheader", "--states=all", "--name", &order.name(), "--format=%F"])
            .await?;
        Ok(printed.split_whitespace().next().map(ToOwned::to_owned))
    }

    async fn look(&self, job: &str, before: &[LaunchTask]) -> Result<Vec<LaunchTask>, LaunchError> {
        if self.site().await?.accounting {
            let format = format!("--format={SACCT}");
            let printed = self
                .ask("sacct", &["--allocations", "--noheader", "--parsable2", "--jobs", job, &format])
                .await?;
            return Ok(stands(&printed, before, Unheard::Stays));
        }
        let format = format!("--format={SQUEUE}");
        let asked =
            self.ask("squeue", &["--noheader", "--array", "--states=all", "--jobs", job, &format]).await;
        match asked {
            Ok(printed) => Ok(stands(&printed, before, Unheard::Ended)),
            // The controller forgets a job some minutes after its end.
            Err(LaunchError::Refused(words)) if words.contains("Invalid job id") => {
                Ok(stands("", before, Unheard::Ended))
            }
            Err(error) => Err(error),
        }
    }

    async fn cancel(&self, job: &str) -> Result<(), LaunchError> {
        match self.ask("scancel", &[job]).await {
            Err(LaunchError::Refused(words)) if words.contains("Invalid job id") => Ok(()),
            answer => answer.map(drop),
        }
    }

    async fn requeue(&self, job: &str, task: u32) -> Result<(), LaunchError> {
        self.ask("scontrol", &["requeue", &format!("{job}_{task}")]).await.map(drop)
    }
}

fn site(config: &str) -> Site {
    let value = |key: &str| {
        config.lines().find_map(|line| {
            let (name, value) = line.split_once('=')?;
            (name.trim() == key).then(|| value.trim().to_owned())
        })
    };
    // The largest number of a task is one below.
    let most = value("MaxArraySize").and_then(|number| number.parse::<u32>().ok()).unwrap_or(1001);
    let storage = value("AccountingStorageType").unwrap_or_default();
    Site { most: most.max(1), accounting: storage.contains("slurmdbd") }
}

/// What a task is of which nothing is printed.
#[derive(Clone, Copy)]
enum Unheard {
    /// Gone: the controller prints all that it has.
    Ended,
    /// As before: accounting hears of a job a moment after its start.
    Stays,
}

/// The tasks from what is printed of them, `NUMBER|STATE|REASON|NODE`, where a number may be behind the job's id, and several that wait
/// may be one line, `12_[3-5]`.
fn stands(printed: &str, before: &[LaunchTask], unheard: Unheard) -> Vec<LaunchTask> {
    let gone = |task: &LaunchTask| match unheard {
        Unheard::Ended if task.state.is_alive() => {
            LaunchTask { state: TaskState::Ended, note: "no longer known to Slurm".to_owned() }
        }
        _ => task.clone(),
    };
    let mut tasks: Vec<LaunchTask> = before.iter().map(gone).collect();
    for line in printed.lines() {
        let mut fields = line.split('|').map(str::trim);
        let (Some(id), Some(state)) = (fields.next(), fields.next()) else { continue };
        let told: Vec<&str> =
            fields.filter(|word| !["", "None", "None assigned", "(null)"].contains(word)).collect();
        let task = LaunchTask { state: state_of(state), note: [&[state][..], &told].concat().join(", ") };
        for number in numbers(id) {
            if let Some(place) = tasks.get_mut(number) {
                place.clone_from(&task);
            }
        }
    }
    tasks
}

/// `3`, `12_3`, `12_[3-5,8%2]`.
fn numbers(id: &str) -> Vec<usize> {
    let of = id.split_once('_').map_or(id, |(_, of)| of);
    let of = of.trim_start_matches('[').trim_end_matches(']');
    let of = of.split('%').next().unwrap_or_default();
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse::<usize>().ok()?..=last.parse::<usize>().ok()?)
    };
    of.split(',').filter_map(range).flatten().collect()
}

/// Slurm's state, which may go on: `CANCELLED by 1000`.
fn state_of(state: &str) -> TaskState {
    match state.split([' ', '+']).next().unwrap_or_default() {
        "PENDING" | "REQUEUED" | "REQUEUE_HOLD" | "SPECIAL_EXIT" | "REQUEUE_FED" | "RESV_DEL_HOLD" => {
            TaskState::Waiting
        }
        "COMPLETED" => TaskState::Ended,
        // At the end of its time as well: what it could hand over until then counts.
        "CANCELLED" | "REVOKED" | "PREEMPTED" | "TIMEOUT" | "DEADLINE" => TaskState::Cancelled,
        "FAILED" | "NODE_FAIL" | "BOOT_FAIL" | "OUT_OF_MEMORY" => TaskState::Failed,
        _ => TaskState::Running,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_slurm_prints_is_understood() {
        let before = vec![LaunchTask::waiting(); 6];
        let printed = "7_0|COMPLETED|None|n1\n7_1|CANCELLED by 1000|None|n2\n7_2|RUNNING|None|n1\n7_[3-4,5%2]|PENDING|Priority|None assigned\n";
        let tasks = stands(printed, &before, Unheard::Stays);
        let states: Vec<TaskState> = tasks.iter().map(|task| task.state).collect();
        use TaskState::{Cancelled, Ended, Failed, Running, Waiting};
        assert_eq!(states, [Ended, Cancelled, Running, Waiting, Waiting, Waiting]);
        assert_eq!(tasks[2].note, "RUNNING, n1");
        assert_eq!(tasks[5].note, "PENDING, Priority");
        let later = stands("2|NODE_FAIL|NodeDown|n1\n", &tasks, Unheard::Ended);
        let states: Vec<TaskState> = later.iter().map(|task| task.state).collect();
        assert_eq!(states, [Ended, Cancelled, Failed, Ended, Ended, Ended]);
        assert_eq!(stands("", &before, Unheard::Stays), before, "accounting has not heard of it yet");
        assert_eq!(
            stands("9|RUNNING||\n4294967294|PENDING||", &before, Unheard::Stays),
            before,
            "no such number"
        );
    }

    #[test]
    fn what_a_site_has_set_is_found() {
        let text = "AccountingStorageType   = accounting_storage/slurmdbd\nMaxArraySize            = 1001\n";
        assert_eq!(site(text), Site { most: 1001, accounting: true });
        let without = "AccountingStorageType   = (null)\nMaxArraySize = 4\n";
        assert_eq!(site(without), Site { most: 4, accounting: false });
    }
}
