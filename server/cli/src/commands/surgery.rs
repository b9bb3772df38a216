mod expand_vocab;
mod fold;
mod soup;

use sekisho_trainer::surgery::SurgeryError;

use crate::exit::{ExitStatus, Failed};
use crate::printer::Printer;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Rows for a larger vocabulary: each new token has the mean of its old pieces
    ExpandVocab(expand_vocab::Args),
    /// The weighted mean of several checkpoints of one model
    Soup(soup::Args),
    /// Multiply the factor of scaled embeddings into the table
    Fold(fold::Args),
}

pub(crate) fn run(command: &Command, printer: &Printer) -> anyhow::Result<ExitStatus> {
    match command {
        Command::ExpandVocab(args) => expand_vocab::run(args, printer),
        Command::Soup(args) => soup::run(args, printer),
        Command::Fold(args) => fold::run(args, printer),
    }
}

fn failed(error: &SurgeryError) -> anyhow::Error {
    let status = match error {
        SurgeryError::Exists(_) => ExitStatus::Conflict,
        _ => ExitStatus::Failure,
    };
    Failed::with(status, error.to_string())
}
