//! What starts workers, and what it has started.

use serde_json::{Value, json};

use crate::client::{Client, ServerArgs, encode};
use crate::exit::ExitStatus;
use crate::fields::{cell, words};
use crate::printer::Printer;

/// Where the server is, and in which form to answer.
#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    server: ServerArgs,
    /// JSON on stdout
    #[arg(long)]
    json: bool,
}

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Launchers: their workers, their limits, and what they said last
    Launchers {
        #[command(flatten)]
        options: Options,
    },
    /// What was started, newest first
    Launches {
        #[command(flatten)]
        options: Options,
    },
    /// One launch with its workers
    Show {
        /// Its id
        id: String,
        /// Its script and logs too
        #[arg(long)]
        logs: bool,
        #[command(flatten)]
        options: Options,
    },
    /// End the workers of a launch; what they have answered counts
    Cancel {
        /// Its id
        id: String,
        #[command(flatten)]
        options: Options,
    },
    /// Run one worker of a launch again
    Requeue {
        /// Its id
        id: String,
        /// Number of the worker
        task: u32,
        #[command(flatten)]
        options: Options,
    },
    /// Let a launcher start no more workers
    Pause {
        /// Its name in the configuration
        launcher: String,
        #[command(flatten)]
        options: Options,
    },
    /// Let a launcher go on
    Resume {
        /// Its name in the configuration
        launcher: String,
        #[command(flatten)]
        options: Options,
    },
}

pub(crate) fn run(command: &Command, printer: &Printer) -> anyhow::Result<ExitStatus> {
    match command {
        Command::Launchers { options } => {
            let found: Vec<Value> = Client::new(&options.server)?.list("/launchers")?;
            launchers(&found, options, printer)?;
        }
        Command::Launches { options } => launches(options, printer)?,
        Command::Show { id, logs, options } => show(id, *logs, options, printer)?,
        Command::Cancel { id, options } => {
            let launch = Client::new(&options.server)?.post(&format!("{}/cancel", path(id)), &json!({}))?;
            tell(&launch, options, printer)?;
        }
        Command::Requeue { id, task, options } => {
            let path = format!("{}/tasks/{task}/requeue", path(id));
            tell(&Client::new(&options.server)?.post(&path, &json!({}))?, options, printer)?;
        }
        Command::Pause { launcher, options } => switch(launcher, "pause", options, printer)?,
        Command::Resume { launcher, options } => switch(launcher, "resume", options, printer)?,
    }
    Ok(ExitStatus::Ok)
}

fn path(id: &str) -> String {
    format!("/launches/{}", encode(id))
}

fn switch(launcher: &str, action: &str, options: &Options, printer: &Printer) -> anyhow::Result<()> {
    let path = format!("/launchers/{}/{action}", encode(launcher));
    let launcher: Value = Client::new(&options.server)?.post(&path, &json!({}))?;
    if options.json {
        return printer.json(&launcher);
    }
    launchers(&[launcher], options, printer)
}

fn launchers(found: &[Value], options: &Options, printer: &Printer) -> anyhow::Result<()> {
    if options.json {
        return printer.json(&found);
    }
    let row = |launcher: &Value| {
        let mut row = ["name", "kind", "pool"].map(|key| cell(launcher, key)).to_vec();
        row.push(format!("{} / {}", launcher["workers"], launcher["limit"]));
        row.push(if launcher["paused"] == true { "yes" } else { "no" }.to_owned());
        row.extend(["again", "message"].map(|key| cell(launcher, key)));
        row
    };
    let rows: Vec<_> = found.iter().map(row).collect();
    printer.table(&["name", "kind", "pool", "workers", "paused", "asked again", "message"], &rows)
}

fn launches(options: &Options, printer: &Printer) -> anyhow::Result<()> {
    let found: Vec<Value> = Client::new(&options.server)?.list("/launches")?;
    if options.json {
        return printer.json(&found);
    }
    let row = |launch: &Value| {
        let mut row = ["id", "launcher", "job", "state"].map(|key| cell(launch, key)).to_vec();
        let tasks = launch["tasks"].as_array().map(Vec::as_slice).unwrap_or_default();
        let alive = tasks.iter().filter(|task| ["waiting", "running"].contains(&words(task, "/state")));
        row.push(format!("{} / {}", alive.count(), tasks.len()));
        row.extend(["updated", "message"].map(|key| cell(launch, key)));
        row
    };
    let rows: Vec<_> = found.iter().map(row).collect();
    printer.table(&["id", "launcher", "job", "state", "workers", "updated", "message"], &rows)
}

fn show(id: &str, logs: bool, options: &Options, printer: &Printer) -> anyhow::Result<()> {
    let client = Client::new(&options.server)?;
    let mut launch: Value = client.get(&path(id))?;
    if !logs {
        return tell(&launch, options, printer);
    }
    let papers: Value = client.get(&format!("{}/papers", path(id)))?;
    if options.json {
        launch["papers"] = papers;
        return printer.json(&launch);
    }
    tell(&launch, options, printer)?;
    printer.data(words(&papers, "/script"))?;
    for log in papers["logs"].as_array().into_iter().flatten() {
        printer.data(&format!("log of worker {}:\n{}", log["task"], words(log, "/text")))?;
    }
    Ok(())
}

fn tell(launch: &Value, options: &Options, printer: &Printer) -> anyhow::Result<()> {
    if options.json {
        return printer.json(launch);
    }
    let keys = ["id", "launcher", "pool", "job", "state", "asked", "message", "folder", "created", "updated"];
    printer.facts(&keys.map(|key| (key, cell(launch, key))))?;
    let tasks = launch["tasks"].as_array().cloned().unwrap_or_default();
    let row =
        |(number, task): (usize, &Value)| vec![number.to_string(), cell(task, "state"), cell(task, "note")];
    printer.table(&["worker", "state", "note"], &tasks.iter().enumerate().map(row).collect::<Vec<_>>())
}
