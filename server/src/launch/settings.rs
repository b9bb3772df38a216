use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::config::ConfigError;

/// `[launchers.NAME]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LauncherSection {
    kind: Option<Kind>,
    pool: String,
    limit: Option<u32>,
    items: Option<u32>,
    idle: Option<u64>,
    server: Option<String>,
    command: Vec<String>,
    worker: Vec<String>,
    prologue: Vec<String>,
    flags: Vec<String>,
    throttle: Option<u32>,
    signal: Option<u32>,
    bin: Option<PathBuf>,
    conf: Option<PathBuf>,
    template: Option<PathBuf>,
    start: Vec<String>,
    look: Vec<String>,
    cancel: Vec<String>,
    requeue: Vec<String>,
    alive: Vec<String>,
    gone: Vec<String>,
    together: bool,
}

/// What starts workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Processes on this machine.
    Processes,
    /// `sbatch`.
    Slurm,
    /// Any command.
    Command,
}

impl Kind {
    /// As it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Processes => "processes",
            Self::Slurm => "slurm",
            Self::Command => "command",
        }
    }
}

/// A launcher as configured.
#[derive(Clone, Debug)]
pub struct LauncherSettings {
    /// Its name.
    pub name: String,
    /// What starts the workers.
    pub kind: Kind,
    /// The pool that they work for; empty for any.
    pub pool: String,
    /// Most workers at a time.
    pub limit: u32,
    /// Waiting items for which one more worker is started.
    pub items: u32,
    /// Seconds without work after which a worker ends.
    pub idle: u64,
    /// Address of the service as its workers reach it; the public one when absent.
    pub server: Option<String>,
    /// What stands in place of the program's own path, for example inside a container.
    pub command: Vec<String>,
    /// More flags for `sekisho worker`.
    pub worker: Vec<String>,
    /// Lines of shell before the worker.
    pub prologue: Vec<String>,
    /// Of Slurm.
    pub slurm: SlurmSettings,
    /// Of a command.
    pub template: TemplateSettings,
}

/// What is particular to Slurm.
#[derive(Clone, Debug, Default)]
pub struct SlurmSettings {
    /// Flags of `sbatch`, as the site wants them.
    pub flags: Vec<String>,
    /// Tasks of one array that may run at a time; as many as there are when absent.
    pub throttle: Option<u32>,
    /// Seconds before the time limit at which a worker is told to hand over what it has.
    pub signal: u32,
    /// Folder of `sbatch` and its siblings; those on PATH when absent.
    pub bin: Option<PathBuf>,
    /// `slurm.conf`, where it is not the site's usual one.
    pub conf: Option<PathBuf>,
}

/// What is particular to a command.
#[derive(Clone, Debug, Default)]
pub struct TemplateSettings {
    /// A file that is filled in and lies beside the script, for example the description of a Kubernetes Job.
    pub file: Option<PathBuf>,
    /// Starts; the first word that it prints is the id.
    pub start: Vec<String>,
    /// Prints how a job stands.
    pub look: Vec<String>,
    /// Ends a job.
    pub cancel: Vec<String>,
    /// Runs one task again.
    pub requeue: Vec<String>,
    /// Words of `look` that say that it runs or waits; none: whatever it prints.
    pub alive: Vec<String>,
    /// Words of a failed `look` that say that there is no such job any more.
    pub gone: Vec<String>,
    /// Whether one start is for all workers that are wanted, `{count}` of them, or for each.
    pub together: bool,
}

/// The launchers, by name.
pub(crate) fn read(
    sections: BTreeMap<String, LauncherSection>,
    base: &Path,
) -> Result<Vec<LauncherSettings>, ConfigError> {
    sections.into_iter().map(|(name, section)| one(name, section, base)).collect()
}

fn one(name: String, section: LauncherSection, base: &Path) -> Result<LauncherSettings, ConfigError> {
    let wrong = |key, value: &str, rule: &str| ConfigError::Value {
        key,
        value: value.to_owned(),
        rule: rule.to_owned(),
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    if name.is_empty() || !name.chars().all(plain) {
        return Err(wrong("launchers", &name, "a launcher's name is made of letters, digits, - and _"));
    }
    let Some(kind) = section.kind else {
        return Err(wrong("launchers.NAME.kind", "", "name one of processes, slurm, command"));
    };
    if kind == Kind::Command && (section.start.is_empty() || section.look.is_empty()) {
        let rule = "a launcher of kind command needs start and look; docs/launchers.md has examples for PBS and Kubernetes";
        return Err(wrong("launchers.NAME.start", &name, rule));
    }
    let mut lines = section.flags.iter().chain(&section.prologue).chain(&section.worker);
    if let Some(broken) = lines.find(|line| line.contains(['\n', '\r', '\0'])) {
        return Err(wrong("launchers.NAME.flags", broken, "a flag and a line of the prologue are one line"));
    }
    let limit = section.limit.unwrap_or(1);
    let items = section.items.unwrap_or(1);
    if items == 0 || section.throttle == Some(0) {
        return Err(wrong("launchers.NAME.items", "0", "items and throttle are at least 1"));
    }
    let absolute = |path: PathBuf| std::path::absolute(base.join(path));
    Ok(LauncherSettings {
        name,
        kind,
        pool: section.pool,
        limit,
        items,
        idle: section.idle.unwrap_or(600),
        server: section.server.map(|url| url.trim_end_matches('/').to_owned()),
        command: section.command,
        worker: section.worker,
        prologue: section.prologue,
        slurm: SlurmSettings {
            flags: section.flags,
            throttle: section.throttle,
            signal: section.signal.unwrap_or(120),
            bin: section.bin.map(absolute).transpose()?,
            conf: section.conf.map(absolute).transpose()?,
        },
        template: TemplateSettings {
            file: section.template.map(absolute).transpose()?,
            start: section.start,
            look: section.look,
            cancel: section.cancel,
            requeue: section.requeue,
            alive: section.alive,
            gone: section.gone,
            together: section.together,
        },
    })
}
