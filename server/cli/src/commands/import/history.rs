use std::path::{Path, PathBuf};

use indicatif::ProgressBar;
use sekisho_foreign::{History, tensorboard, wandb};

use super::send::{Sender, Target};
use crate::exit::{ExitStatus, Failed};
use crate::printer::Printer;

/// How the bar looks on a terminal.
pub(super) const BAR: &str = "{msg}  {wide_bar} {pos}/{len} rows  {eta} left";

#[derive(clap::Args)]
pub(crate) struct WandbArgs {
    /// CSV of a chart, or CSV or JSON lines of the run's history
    path: PathBuf,
    /// W&B's run, where a chart shows several
    #[arg(long, value_name = "NAME")]
    wandb_run: Option<String>,
    #[command(flatten)]
    target: Target,
}

#[derive(clap::Args)]
pub(crate) struct TensorboardArgs {
    /// A run's folder of events.out.tfevents.* files, or one of them
    path: PathBuf,
    #[command(flatten)]
    target: Target,
}

pub(super) fn wandb(args: &WandbArgs, printer: &Printer) -> anyhow::Result<ExitStatus> {
    let bytes = fs_err::read(&args.path).map_err(|error| missing(&error))?;
    let name = args.path.display().to_string();
    let history = wandb::read(&name, &bytes, args.wandb_run.as_deref()).map_err(Failed::user)?;
    take(history, &args.target, printer)
}

pub(super) fn tensorboard(args: &TensorboardArgs, printer: &Printer) -> anyhow::Result<ExitStatus> {
    let mut paths = Vec::new();
    if args.path.is_dir() {
        collect(&args.path, &mut paths).map_err(Failed::user)?;
    } else {
        paths.push(args.path.clone());
    }
    if paths.is_empty() {
        let text = format!(
            "there is no events.out.tfevents.* file in {}; name the folder that was given to SummaryWriter or --tensorboard-dir",
            args.path.display()
        );
        return Err(Failed::with(ExitStatus::NotFound, text));
    }
    let folder = |path: &Path| {
        let below = path.parent().and_then(|parent| parent.strip_prefix(&args.path).ok());
        below.map(|below| below.display().to_string()).unwrap_or_default()
    };
    let files: Vec<(String, String, Vec<u8>)> = paths
        .iter()
        .map(|path| {
            Ok((
                path.display().to_string(),
                folder(path),
                fs_err::read(path).map_err(|error| missing(&error))?,
            ))
        })
        .collect::<anyhow::Result<_>>()?;
    let files: Vec<tensorboard::File<'_>> =
        files.iter().map(|(name, folder, bytes)| tensorboard::File { name, folder, bytes }).collect();
    take(tensorboard::read(&files).map_err(Failed::user)?, &args.target, printer)
}

fn take(mut history: History, target: &Target, printer: &Printer) -> anyhow::Result<ExitStatus> {
    history.notes.iter().for_each(|note| printer.say(note));
    target.count_tokens(&mut history.rows);
    if history.rows.iter().all(|row| row.tokens.is_none()) {
        printer.say("no tokens are in the history, so curves over tokens stay empty; give --tokens-per-step");
    }
    if target.check {
        target.show(None, &history.rows, printer)?;
        return Ok(ExitStatus::Ok);
    }
    let mut sender = Sender::begin(target, None, &history.rows, printer)?;
    let bar: ProgressBar = printer.bar(history.rows.len() as u64, BAR);
    sender.rows(&history.rows, &bar)?;
    bar.finish_and_clear();
    sender.marks(&history.marks)?;
    sender.finish(printer)
}

/// Event files below a folder; links are not followed, as they could lead back up.
fn collect(folder: &Path, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    let mut entries = fs_err::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(fs_err::DirEntry::file_name);
    for entry in entries {
        let kind = entry.file_type()?;
        if kind.is_dir() {
            collect(&entry.path(), found)?;
        } else if entry.file_name().to_string_lossy().contains("tfevents") && entry.path().is_file() {
            found.push(entry.path());
        }
    }
    Ok(())
}

/// Nothing there is exit 3.
pub(super) fn missing(error: &std::io::Error) -> anyhow::Error {
    let status = match error.kind() {
        std::io::ErrorKind::NotFound => ExitStatus::NotFound,
        _ => ExitStatus::Failure,
    };
    Failed::with(status, error.to_string())
}
