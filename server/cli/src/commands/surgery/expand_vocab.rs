use std::path::PathBuf;

use sekisho_trainer::surgery::expand;

use super::failed;
use crate::exit::ExitStatus;
use crate::printer::Printer;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Checkpoint with its tokenizer
    #[arg(value_name = "IN")]
    from: PathBuf,
    /// New folder
    #[arg(value_name = "OUT")]
    to: PathBuf,
    /// tokenizer.json of a tokenizer that keeps every old token at its place, or the folder it lies in
    #[arg(long, value_name = "TOKENIZER")]
    tokenizer: PathBuf,
    /// Rows are a multiple of this
    #[arg(long, value_name = "N", default_value_t = 1)]
    pad_to_multiple_of: usize,
    /// What was done, as JSON on stdout
    #[arg(long)]
    json: bool,
}

/// Rows for new tokens.
pub(crate) fn run(args: &Args, printer: &Printer) -> anyhow::Result<ExitStatus> {
    let done = expand(&args.from, &args.tokenizer, args.pad_to_multiple_of, &args.to)
        .map_err(|error| failed(&error))?;
    if args.json {
        printer.json(&done)?;
        return Ok(ExitStatus::Ok);
    }
    printer.facts(&[
        ("tokens kept", done.kept.to_string()),
        ("tokens added", done.added.to_string()),
        ("without old pieces", done.without_pieces.to_string()),
        ("rows for no token", done.padding.to_string()),
        ("weights", done.weights.to_string()),
        ("folder", args.to.display().to_string()),
    ])?;
    Ok(ExitStatus::Ok)
}
