use std::path::PathBuf;

use sekisho_bench::{Catalog, TaskDefinition};

use crate::exit::{ExitStatus, Failed};
use crate::printer::Printer;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Every task that is known
    List {
        /// Folder with task files of your own
        #[arg(long, value_name = "DIR")]
        tasks: Option<PathBuf>,
    },
    /// The definition of one task
    Show {
        /// Task id (the newest version of each profile), or profile/task
        task: String,
        /// Folder with task files of your own
        #[arg(long, value_name = "DIR")]
        tasks: Option<PathBuf>,
    },
    /// Check task files of your own
    Check {
        /// The files
        #[arg(required = true, value_name = "TASK.toml")]
        files: Vec<PathBuf>,
    },
}

pub(crate) fn run(command: &Command, printer: &Printer) -> anyhow::Result<ExitStatus> {
    match command {
        Command::List { tasks } => {
            let catalog = catalog(tasks.as_ref())?;
            let rows: Vec<_> = catalog.iter().map(row).collect();
            printer.table(&["profile", "task", "metric", "shots", "licence", "title"], &rows)?;
        }
        Command::Show { task, tasks } => {
            let catalog = catalog(tasks.as_ref())?;
            // Of a bare id the newest version of every profile that has it.
            let newest = |d: &&TaskDefinition| {
                let profile = d.profile.split('@').next().unwrap_or_default();
                catalog.find(profile, &d.task).is_ok_and(|newest| newest.profile == d.profile)
            };
            let wanted = |d: &&TaskDefinition| d.name() == *task || (d.task == *task && newest(d));
            let found: Vec<&str> = catalog.iter().filter(wanted).map(TaskDefinition::toml).collect();
            if found.is_empty() {
                let near = sekisho_domain::nearest(task, catalog.iter().map(|d| d.task.as_str()));
                let hint = near.map_or_else(String::new, |near| format!("; did you mean \"{near}\"?"));
                return Err(Failed::with(ExitStatus::NotFound, format!("there is no task \"{task}\"{hint}")));
            }
            printer.data(&found.join("\n"))?;
        }
        Command::Check { files } => {
            for file in files {
                let name = file.display().to_string();
                let text = fs_err::read_to_string(file).map_err(Failed::user)?;
                TaskDefinition::from_toml(&name, &text).map_err(Failed::user)?;
                printer.say(&format!("{name}: ok"));
            }
        }
    }
    Ok(ExitStatus::Ok)
}

/// The built-in tasks and those of a folder.
pub(crate) fn catalog(dir: Option<&PathBuf>) -> anyhow::Result<Catalog> {
    let mut catalog = Catalog::builtin();
    let Some(dir) = dir else { return Ok(catalog) };
    let mut files = fs_err::read_dir(dir)
        .and_then(|entries| entries.map(|entry| entry.map(|e| e.path())).collect::<Result<Vec<_>, _>>())
        .map_err(Failed::user)?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    for file in files {
        let text = fs_err::read_to_string(&file).map_err(Failed::user)?;
        catalog.add(&file.display().to_string(), &text).map_err(Failed::user)?;
    }
    Ok(catalog)
}

fn row(task: &TaskDefinition) -> Vec<String> {
    vec![
        task.profile.clone(),
        task.task.clone(),
        task.primary.to_string(),
        task.shots.default.to_string(),
        task.license.clone(),
        task.title_en.clone(),
    ]
}
