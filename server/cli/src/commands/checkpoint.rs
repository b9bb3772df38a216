mod clean;

use sekisho_domain::wire::CheckpointView;

use crate::client::{Client, ServerArgs, encode};
use crate::exit::ExitStatus;
use crate::printer::Printer;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Checkpoints of a run, by step
    List {
        /// Name or id of the run
        run: String,
        #[command(flatten)]
        options: Options,
    },
    /// One checkpoint
    Show {
        /// Its id
        id: String,
        #[command(flatten)]
        options: Options,
    },
    /// Look whether the files are still those that were examined
    Check {
        /// Its id
        id: String,
        #[command(flatten)]
        options: Options,
    },
    /// Give up a checkpoint whose files have changed; its scores stay
    Withdraw {
        /// Its id
        id: String,
        #[command(flatten)]
        options: Options,
    },
    /// List which weights of a run are kept and why, and remove the others
    Clean(clean::Args),
    /// Queue a verified checkpoint for a suite
    Evaluate {
        /// Its id
        id: String,
        /// Name of the suite
        #[arg(long)]
        suite: String,
        #[command(flatten)]
        options: Options,
    },
}

#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    server: ServerArgs,
    /// JSON on stdout
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(command: &Command, printer: &Printer) -> anyhow::Result<ExitStatus> {
    match command {
        Command::List { run, options } => {
            let found: Vec<CheckpointView> =
                Client::new(&options.server)?.list(&format!("/runs/{}/checkpoints", encode(run)))?;
            if options.json { printer.json(&found)? } else { table(&found, printer)? }
        }
        Command::Show { id, options } => {
            let found: CheckpointView =
                Client::new(&options.server)?.get(&format!("/checkpoints/{}", encode(id)))?;
            if options.json { printer.json(&found)? } else { table(std::slice::from_ref(&found), printer)? }
        }
        Command::Check { id, options } => act("check", id, options, printer)?,
        Command::Withdraw { id, options } => act("withdraw", id, options, printer)?,
        Command::Clean(args) => return clean::run(args, printer),
        Command::Evaluate { id, suite, options } => {
            let path = format!("/checkpoints/{}/evaluations", encode(id));
            let answer: serde_json::Value =
                Client::new(&options.server)?.post(&path, &serde_json::json!({ "suite": suite }))?;
            printer.json(&answer)?;
        }
    }
    Ok(ExitStatus::Ok)
}

fn act(action: &str, id: &str, options: &Options, printer: &Printer) -> anyhow::Result<()> {
    let path = format!("/checkpoints/{}/{action}", encode(id));
    let found: CheckpointView = Client::new(&options.server)?.post(&path, &serde_json::json!({}))?;
    if options.json { printer.json(&found) } else { table(std::slice::from_ref(&found), printer) }
}

fn table(checkpoints: &[CheckpointView], printer: &Printer) -> anyhow::Result<()> {
    let rows: Vec<_> = checkpoints.iter().map(row).collect();
    printer.table(&["run", "step", "tokens", "state", "digest", "id"], &rows)?;
    for refused in checkpoints.iter().filter_map(|c| c.refusal.as_ref()) {
        printer.say(refused);
    }
    Ok(())
}

fn row(checkpoint: &CheckpointView) -> Vec<String> {
    vec![
        checkpoint.run_name.clone(),
        checkpoint.step.to_string(),
        checkpoint.tokens.short(),
        checkpoint.state.to_string(),
        checkpoint.digest.map_or_else(|| "—".to_owned(), |d| d.short()),
        checkpoint.id.to_string(),
    ]
}
