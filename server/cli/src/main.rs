//! `sekisho`: parses the command line, calls a library, prints what came of it.

mod args;
mod cache;
mod client;
mod commands;
mod compute;
mod demo;
mod engine;
mod exit;
mod fields;
mod files;
mod logins;
mod parent;
mod partial;
mod printer;
mod proposal;
mod seen;
mod selection;
mod signals;
mod site;
mod training;
mod transfer;
mod warn;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let arguments = args::Cli::parse();
    printer::start_log(arguments.quiet);
    let printer = printer::Printer::new(arguments.quiet || arguments.no_progress);
    match commands::run(arguments.command, &printer) {
        Ok(status) => status.into(),
        Err(error) => printer.failure(&error).into(),
    }
}
