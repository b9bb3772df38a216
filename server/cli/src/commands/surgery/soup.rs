use std::path::PathBuf;

use anyhow::Context as _;
use sekisho_trainer::surgery::soup;

use super::failed;
use crate::exit::ExitStatus;
use crate::printer::Printer;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Checkpoints of one model, and last the new folder
    #[arg(value_name = "IN IN OUT", num_args = 3.., required = true)]
    folders: Vec<PathBuf>,
    /// Share of each, adding up to 1 [default: equal ones]
    #[arg(long, value_name = "W,W", value_delimiter = ',')]
    weights: Vec<f64>,
    /// What was made of what, as JSON on stdout
    #[arg(long)]
    json: bool,
}

/// The mean of several checkpoints.
pub(crate) fn run(args: &Args, printer: &Printer) -> anyhow::Result<ExitStatus> {
    // clap asks for three.
    let (to, models) = args.folders.split_last().context("no folders")?;
    let made = soup(models, &args.weights, to).map_err(|error| failed(&error))?;
    if args.json {
        printer.json(&made)?;
        return Ok(ExitStatus::Ok);
    }
    for one in &made.of {
        printer.say(&format!("{:.4} of {} ({})", one.share, one.folder.display(), one.weights.short()));
    }
    printer.data(&to.display().to_string())?;
    Ok(ExitStatus::Ok)
}
