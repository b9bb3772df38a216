use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use crate::client::{Client, ServerArgs};
use crate::exit::{ExitStatus, Failed};
use crate::printer::Printer;
use crate::proposal;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Draft a release of a verified checkpoint
    Propose {
        /// Id of the checkpoint
        #[arg(long, value_name = "ID")]
        checkpoint: String,
        /// Lineage and release file
        #[arg(long, value_name = "LINEAGE.toml")]
        lineage: PathBuf,
        #[command(flatten)]
        options: Options,
    },
    /// Fix the content and let the policy judge it
    Freeze(Act),
    /// Ask for approvals
    Request(Act),
    /// Approve: in the browser, signed in (a stored token never approves)
    Approve(Act),
    /// Back to draft, with a comment
    Return(Act),
    /// End it, as an approver
    Reject(Act),
    /// End it, as the author
    Withdraw(Act),
    /// Add a comment
    Comment(Act),
    /// Publish what is approved, or resume a publication
    Publish {
        #[command(flatten)]
        act: Act,
        /// Wait until it is out; exit 1 when it stops
        #[arg(long)]
        wait: bool,
    },
    /// Releases, those waiting for approval first
    List(Options),
    /// One release
    Show {
        /// Its id
        id: String,
        #[command(flatten)]
        options: Options,
    },
}

#[derive(clap::Args)]
pub(crate) struct Act {
    /// Id of the release
    id: String,
    /// Comment, kept with the release
    #[arg(long, short, default_value = "")]
    message: String,
    #[command(flatten)]
    options: Options,
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
        Command::Propose { checkpoint, lineage, options } => {
            let mut body = proposal::gather(lineage, printer)?;
            body["checkpoint"] = json!(checkpoint);
            let release: Value = Client::new(&options.server)?.post("/releases", &body)?;
            show(&release, options, printer)?;
            Ok(ExitStatus::Ok)
        }
        Command::Freeze(args) => judged(&act("freeze", args)?, &args.options, printer),
        Command::Request(args) => acted("request", args, printer),
        Command::Approve(args) => {
            let url = args.options.server.server.trim_end_matches('/');
            let text = format!(
                "A stored token never approves. Sign in in the browser and approve at {url}/releases/{}.",
                args.id
            );
            Err(Failed::with(ExitStatus::Refused, text))
        }
        Command::Return(args) => acted("return", args, printer),
        Command::Reject(args) => acted("reject", args, printer),
        Command::Withdraw(args) => acted("withdraw", args, printer),
        Command::Comment(args) => acted("comment", args, printer),
        Command::Publish { act: args, wait: false } => acted("publish", args, printer),
        Command::Publish { act: args, wait: true } => {
            let release = act("publish", args)?;
            let release = follow(&Client::new(&args.options.server)?, &release, printer)?;
            show(&release, &args.options, printer)?;
            Ok(ExitStatus::Ok)
        }
        Command::List(options) => list(options, printer),
        Command::Show { id, options } => {
            let release: Value = Client::new(&options.server)?.get(&format!("/releases/{id}"))?;
            judged(&release, options, printer)
        }
    }
}

/// Acts on the version of the release that is there now; the server refuses if it changes in between.
fn act(action: &str, args: &Act) -> anyhow::Result<Value> {
    let client = Client::new(&args.options.server)?;
    let release: Value = client.get(&format!("/releases/{}", args.id))?;
    let body = json!({ "version": release["version"], "comment": args.message });
    client.post(&format!("/releases/{}/{action}", args.id), &body)
}

/// An action that did what was asked, whatever the policy said about the release before.
fn acted(action: &str, args: &Act, printer: &Printer) -> anyhow::Result<ExitStatus> {
    show(&act(action, args)?, &args.options, printer)?;
    Ok(ExitStatus::Ok)
}

/// What was asked is the policy's verdict.
fn judged(release: &Value, options: &Options, printer: &Printer) -> anyhow::Result<ExitStatus> {
    show(release, options, printer)?;
    let refused = release["decision"]["verdict"] == "refused";
    Ok(if refused { ExitStatus::Refused } else { ExitStatus::Ok })
}

/// Tells each step of a publication as it is done, until it is out or has stopped.
fn follow(client: &Client, release: &Value, printer: &Printer) -> anyhow::Result<Value> {
    let path = format!("/releases/{}", release["id"].as_str().unwrap_or_default());
    let mut told = Vec::new();
    loop {
        let release: Value = client.get(&path)?;
        let state = release["state"].as_str().unwrap_or_default();
        let steps = release["steps"].as_array().cloned().unwrap_or_default();
        for step in steps.iter().filter(|step| step["state"] == "done") {
            if !told.contains(&step["name"]) {
                told.push(step["name"].clone());
                printer.say(&format!("{}: {}", words(step, "/name"), words(step, "/detail/en")));
            }
        }
        let running = release["publishing"] == true;
        if state == "published" {
            return Ok(release);
        }
        if !running {
            let stop = steps.iter().find(|step| is_stop(step));
            let reason = stop.map_or("it is no longer being published", |step| words(step, "/detail/en"));
            return Err(Failed::with(
                ExitStatus::Failure,
                format!("The publication stopped ({state}): {reason}"),
            ));
        }
        std::thread::sleep(Duration::from_millis(300));
    }
}

/// Whether a publication stopped at this step: on an error, or not knowing whether it took effect.
fn is_stop(step: &Value) -> bool {
    step["state"] == "failed" || (step["state"] == "intended" && !words(step, "/detail/en").is_empty())
}

fn words<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn list(options: &Options, printer: &Printer) -> anyhow::Result<ExitStatus> {
    let releases: Vec<Value> = Client::new(&options.server)?.get("/releases")?;
    if options.json {
        printer.json(&releases)?;
    } else {
        let rows: Vec<_> = releases.iter().map(row).collect();
        printer.table(&["name", "state", "verdict", "approvals", "repository", "id"], &rows)?;
    }
    Ok(ExitStatus::Ok)
}

/// The release, what the policy holds against it, and where its publication stopped.
fn show(release: &Value, options: &Options, printer: &Printer) -> anyhow::Result<()> {
    if options.json {
        printer.json(release)?;
    } else {
        printer.table(&["name", "state", "verdict", "approvals", "repository", "id"], &[row(release)])?;
    }
    for finding in release["decision"]["violations"].as_array().into_iter().flatten() {
        printer.say(&format!("{}: {}", words(finding, "/code"), words(finding, "/text/en")));
    }
    // While it is being published, what stands there may be of the last time.
    let has_stopped = release["state"] == "publishing" && release["publishing"] != true;
    let steps = release["steps"].as_array().filter(|_| has_stopped);
    for step in steps.into_iter().flatten().filter(|step| is_stop(step)) {
        printer.say(&format!("stopped at {}: {}", words(step, "/name"), words(step, "/detail/en")));
    }
    Ok(())
}

fn row(release: &Value) -> Vec<String> {
    let text = |key: &str| release[key].as_str().unwrap_or("—").to_owned();
    let verdict = release["decision"]["verdict"].as_str().unwrap_or("—").to_owned();
    let approvals = format!("{}/{}", release["approvals"], release["approvals_needed"]);
    vec![text("name"), text("state"), verdict, approvals, text("repo"), text("id")]
}
