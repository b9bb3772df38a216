//! How workers are started: processes on this machine, Slurm, any other command. A launcher starts workers, says how they are and
//! ends them; how many there should be is decided in `service/launches.rs`, and what was started is kept in the database.

mod ask;
pub mod local;
mod processes;
mod script;
mod settings;
mod slurm;
mod template;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use sekisho_domain::LaunchId;
use sekisho_domain::wire::LaunchTask;

pub use settings::{Kind, LauncherSettings, SlurmSettings, TemplateSettings};
pub(crate) use settings::{LauncherSection, read as read_settings};

/// Variable with the process id of whoever starts a worker or trainer that is to end with it.
pub const PARENT: &str = "SEKISHO_PARENT";

/// Why a launcher did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LaunchError {
    /// It says no, in its own words.
    #[error("{0}")]
    Refused(String),
    /// It cannot be asked at present, and whether it did it is not known.
    #[error("{0}")]
    Away(String),
}

/// Workers that are asked for together.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    /// Their id; the names of the workers begin with it.
    pub id: LaunchId,
    /// How many, at most [`Launcher::most`].
    pub tasks: u32,
    /// Folder for the script and the logs, which is there.
    pub folder: &'a Path,
}

impl Order<'_> {
    /// The job's name, by which it is found again.
    #[must_use]
    pub fn name(&self) -> String {
        format!("sekisho-{}", self.id)
    }
}

/// What starts workers.
#[async_trait]
pub trait Launcher: Send + Sync {
    /// Workers that one start may ask for.
    async fn most(&self) -> Result<u32, LaunchError>;
    /// Starts workers; answers the id by which the launcher knows them.
    async fn start(&self, order: &Order<'_>) -> Result<String, LaunchError>;
    /// The id of what was started under this order, when nobody has kept it.
    async fn find(&self, order: &Order<'_>) -> Result<Option<String>, LaunchError>;
    /// How the workers of a job are, by number. `before` is what was last known of them.
    async fn look(&self, job: &str, before: &[LaunchTask]) -> Result<Vec<LaunchTask>, LaunchError>;
    /// Ends the workers of a job. Those that have ended are no error.
    async fn cancel(&self, job: &str) -> Result<(), LaunchError>;
    /// Runs one worker again.
    async fn requeue(&self, job: &str, task: u32) -> Result<(), LaunchError>;
}

/// What all workers are started with.
#[derive(Clone, Debug)]
pub struct Common {
    /// The executable: this one.
    pub program: PathBuf,
    /// Address of the service, where a launcher names no other.
    pub server: String,
    /// File with the workers' token.
    pub token_file: PathBuf,
}

/// The launcher of these settings.
#[must_use]
pub fn open(settings: &LauncherSettings, common: &Common) -> Arc<dyn Launcher> {
    let script = script::Script { settings: settings.clone(), common: common.clone() };
    match settings.kind {
        Kind::Processes => Arc::new(processes::Processes::new(script)),
        Kind::Slurm => Arc::new(slurm::Slurm::new(script)),
        Kind::Command => Arc::new(template::Template::new(script)),
    }
}
