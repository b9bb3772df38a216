use std::path::PathBuf;

use sekisho_trainer::surgery::fold;

use super::failed;
use crate::exit::ExitStatus;
use crate::printer::Printer;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Checkpoint whose embeddings are read times a factor
    #[arg(value_name = "IN")]
    from: PathBuf,
    /// New folder
    #[arg(value_name = "OUT")]
    to: PathBuf,
    /// The factor [default: the root of the hidden size]
    #[arg(long, value_name = "F")]
    factor: Option<f64>,
    /// What was done, as JSON on stdout
    #[arg(long)]
    json: bool,
}

/// A factor that only our trainer knows becomes part of the table.
pub(crate) fn run(args: &Args, printer: &Printer) -> anyhow::Result<ExitStatus> {
    let done = fold(&args.from, args.factor, &args.to).map_err(|error| failed(&error))?;
    if args.json {
        printer.json(&done)?;
        return Ok(ExitStatus::Ok);
    }
    printer.say(&match done.exact {
        true => format!("The table times {} is exact.", done.factor),
        false => format!(
            "The table times {} was rounded; the largest relative error is {:.2e}. A power of two would be exact.",
            done.factor, done.largest_error
        ),
    });
    if done.untied {
        printer.say("The output layer, which has no factor, is a tensor of its own now.");
    }
    printer.data(&args.to.display().to_string())?;
    Ok(ExitStatus::Ok)
}
