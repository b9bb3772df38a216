use sekisho_domain::wire::RunView;

use crate::client::{Client, ServerArgs, encode};
use crate::exit::ExitStatus;
use crate::printer::Printer;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Runs, newest report first
    List {
        /// Only those of this project
        #[arg(long, value_name = "NAME")]
        project: Option<String>,
        #[command(flatten)]
        options: Options,
    },
    /// One run, by name or id
    Show {
        /// Name or id
        run: String,
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
        Command::List { project, options } => {
            let mut runs: Vec<RunView> = Client::new(&options.server)?.get("/runs")?;
            runs.retain(|run| project.as_ref().is_none_or(|project| run.project == *project));
            if options.json { printer.json(&runs)? } else { table(&runs, printer)? }
        }
        Command::Show { run, options } => {
            let found: RunView = Client::new(&options.server)?.get(&format!("/runs/{}", encode(run)))?;
            if options.json { printer.json(&found)? } else { table(&[found], printer)? }
        }
    }
    Ok(ExitStatus::Ok)
}

fn table(runs: &[RunView], printer: &Printer) -> anyhow::Result<()> {
    let rows: Vec<_> = runs.iter().map(row).collect();
    printer.table(&["run", "project", "state", "step", "tokens", "suite", "id"], &rows)
}

fn row(run: &RunView) -> Vec<String> {
    vec![
        run.name.clone(),
        run.project.clone(),
        run.state.to_string(),
        run.step.to_string(),
        run.tokens.short(),
        run.suite.clone().unwrap_or_else(|| "—".to_owned()),
        run.id.to_string(),
    ]
}
