mod site;

use crate::exit::ExitStatus;
use crate::printer::Printer;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// The leaderboard, the runs with their curves and their checkpoints as files that open without a server
    Site(Box<site::Args>),
}

pub(crate) fn run(command: &Command, printer: &Printer) -> anyhow::Result<ExitStatus> {
    match command {
        Command::Site(args) => site::run(args, printer),
    }
}
