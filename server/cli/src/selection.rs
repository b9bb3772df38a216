//! Which tasks a command is about.

use std::path::PathBuf;

use sekisho_bench::{Catalog, TaskDefinition, TaskError};
use sekisho_domain::evaluation::TaskRun;

use crate::exit::{ExitStatus, Failed};

/// Tasks of a profile, or a suite. Flags that every command on benchmarks shares.
#[derive(clap::Args)]
pub(crate) struct Selection {
    /// Profile, with or without version
    #[arg(long, value_name = "P", required_unless_present = "suite")]
    profile: Option<String>,
    /// Tasks of the profile
    #[arg(long, value_name = "T[,T]", value_delimiter = ',', required_unless_present = "suite")]
    task: Vec<String>,
    /// A suite instead of a profile and tasks, with the split, limit and shots that it names
    #[arg(long, value_name = "S", conflicts_with_all = ["profile", "task", "split"])]
    pub(crate) suite: Option<String>,
    /// Folder with benchmark data: DIR/bench/<source>/… or DIR/<source>/…
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// Folder with task files of your own
    #[arg(long, value_name = "DIR")]
    pub(crate) tasks: Option<PathBuf>,
    /// dev or test
    #[arg(long, default_value = "test", value_name = "SPLIT", value_parser = ["dev", "test"])]
    split: String,
    /// Only the first N items [default: all, or what the suite says]
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
}

impl Selection {
    /// The tasks with their definitions, as they are to be run with this number of shots.
    ///
    /// # Errors
    /// Exit 3 for a suite, profile or task that there is not.
    pub(crate) fn runs(
        &self,
        catalog: &Catalog,
        shots: Option<u32>,
    ) -> anyhow::Result<Vec<(TaskDefinition, TaskRun)>> {
        let missing = |error: TaskError| Failed::with(ExitStatus::NotFound, error.to_string());
        let runs: Vec<TaskRun> = match &self.suite {
            Some(name) => {
                let mut runs = catalog.suite(name).map_err(missing)?.tasks.clone();
                for run in &mut runs {
                    run.limit = self.limit.or(run.limit);
                    run.shots = shots.or(run.shots);
                }
                runs
            }
            None => self
                .task
                .iter()
                .map(|task| TaskRun {
                    profile: self.profile.clone().unwrap_or_default(),
                    task: task.clone(),
                    split: self.split.clone(),
                    limit: self.limit,
                    shots,
                })
                .collect(),
        };
        runs.into_iter()
            .map(|mut run| {
                let definition = catalog.find(&run.profile, &run.task).map_err(missing)?.clone();
                run.profile.clone_from(&definition.profile);
                Ok((definition, run))
            })
            .collect()
    }
}
