//! One file per subcommand: its flags, and a function that calls a library and prints.

pub(crate) mod audit;
pub(crate) mod bundle;
pub(crate) mod channel;
pub(crate) mod checkpoint;
pub(crate) mod compare;
pub(crate) mod completions;
pub(crate) mod contamination;
pub(crate) mod convert;
pub(crate) mod corpus;
pub(crate) mod data;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod eval;
pub(crate) mod export;
pub(crate) mod gpu;
pub(crate) mod grid;
pub(crate) mod import;
pub(crate) mod ingest;
pub(crate) mod login;
pub(crate) mod logout;
pub(crate) mod policy;
pub(crate) mod presets;
pub(crate) mod project;
pub(crate) mod queue;
pub(crate) mod release;
pub(crate) mod replay;
pub(crate) mod run;
pub(crate) mod serve;
pub(crate) mod surgery;
pub(crate) mod tasks;
pub(crate) mod token;
pub(crate) mod train;
pub(crate) mod user;
pub(crate) mod verify;
pub(crate) mod watch;
pub(crate) mod webhook;
pub(crate) mod worker;

use crate::args::Command;
use crate::exit::ExitStatus;
use crate::printer::Printer;

pub(crate) fn run(command: Command, printer: &Printer) -> anyhow::Result<ExitStatus> {
    match command {
        Command::Demo(args) => demo::run(&args, printer),
        Command::Serve(args) => serve::run(&args, printer),
        Command::Worker(args) => worker::run(&args, printer),
        Command::Queue(command) => queue::run(&command, printer),
        Command::Bundle(command) => bundle::run(&command, printer),
        Command::Train(args) => train::run(&args, printer),
        Command::Grid(args) => grid::run(&args, printer),
        Command::Presets(args) => presets::run(&args, printer),
        Command::Replay(args) => replay::run(&args, printer),
        Command::Ingest(args) => ingest::run(&args, printer),
        Command::Watch(args) => watch::run(&args, printer),
        Command::Convert(args) => convert::run(&args, printer),
        Command::Surgery(command) => surgery::run(&command, printer),
        Command::Eval(args) => eval::run(&args, printer),
        Command::Tasks(command) => tasks::run(&command, printer),
        Command::Data(command) => data::run(&command, printer),
        Command::Compare(args) => compare::run(&args, printer),
        Command::Contamination(args) => contamination::run(&args, printer),
        Command::Export(command) => export::run(&command, printer),
        Command::Import(command) => import::run(&command, printer),
        Command::Policy(command) => policy::run(&command, printer),
        Command::Release(command) => release::run(&command, printer),
        Command::Channel(command) => channel::run(&command, printer),
        Command::Run(command) => run::run(&command, printer),
        Command::Checkpoint(command) => checkpoint::run(&command, printer),
        Command::Verify(args) => verify::run(&args, printer),
        Command::Audit(command) => audit::run(&command, printer),
        Command::Corpus(command) => corpus::run(&command, printer),
        Command::Project(command) => project::run(&command, printer),
        Command::Login(args) => login::run(&args, printer),
        Command::Logout(args) => logout::run(&args, printer),
        Command::User(command) => user::run(&command, printer),
        Command::Token(command) => token::run(&command, printer),
        Command::Webhook(command) => webhook::run(&command, printer),
        Command::Doctor(args) => doctor::run(&args, printer),
        Command::Gpu(args) => gpu::run(&args, printer),
        Command::Completions(args) => completions::run(&args, printer),
    }
}
