//! Channels: what goes out by itself to a private repository, under a blanket approval.

use anyhow::Context as _;
use sekisho_domain::channel::ChannelTakes;
use serde_json::{Value, json};

use crate::client::{Client, ServerArgs, encode};
use crate::exit::ExitStatus;
use crate::fields::{cell, words};
use crate::printer::Printer;
use crate::seen::Seen;

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
    /// Channels, newest first
    List {
        #[command(flatten)]
        options: Options,
    },
    /// One channel with its approvals and what it has taken
    Show {
        /// Its id
        id: String,
        #[command(flatten)]
        options: Options,
    },
    /// Propose that checkpoints go out by themselves, like a release that is out
    Propose(Propose),
    /// Give the blanket approval; needs `sekisho login`
    Approve {
        /// Its id
        id: String,
        /// Comment, kept with the approval
        #[arg(long, short, default_value = "", hide_default_value = true)]
        message: String,
        #[command(flatten)]
        seen: Seen,
        #[command(flatten)]
        options: Options,
    },
    /// End a channel: it takes nothing more, and what is on its way stops before its next step
    End {
        /// Its id
        id: String,
        /// Why; kept in the audit log
        #[arg(long, short, default_value = "", hide_default_value = true)]
        message: String,
        #[command(flatten)]
        options: Options,
    },
}

#[derive(clap::Args)]
pub(crate) struct Propose {
    /// What people call it
    name: String,
    /// Id of the published release, in a private repository, that the others are like
    #[arg(long, value_name = "RELEASE")]
    reference: String,
    /// Names of runs, with * and ?
    #[arg(long, value_name = "GLOB")]
    runs: String,
    /// `branch_ends`, `run_ends` or `every`
    #[arg(long, default_value = "branch_ends")]
    takes: ChannelTakes,
    /// Branch on the Hub; {run} and {step} are filled in
    #[arg(long, default_value = "{run}")]
    revision: String,
    /// Last day of the blanket approval, YYYY-MM-DD
    #[arg(long, value_name = "DATE")]
    until: String,
    #[command(flatten)]
    options: Options,
}

pub(crate) fn run(command: &Command, printer: &Printer) -> anyhow::Result<ExitStatus> {
    match command {
        Command::List { options } => list(options, printer)?,
        Command::Show { id, options } => {
            let channel: Value = Client::new(&options.server)?.get(&path(id))?;
            tell(&channel, options, printer)?;
        }
        Command::Propose(args) => propose(args, printer)?,
        Command::Approve { id, message, seen, options } => {
            let client = Client::signed_in(&options.server, "approves", &path(id))?;
            let channel: Value = client.get(&path(id))?;
            seen.agree(&channel["digest"], &facts(&channel), printer)?;
            let approved = act(&client, &channel, "approve", message)?;
            seen.tell(&channel["digest"], printer);
            tell(&approved, options, printer)?;
        }
        Command::End { id, message, options } => {
            let client = Client::new(&options.server)?;
            tell(&act(&client, &client.get(&path(id))?, "end", message)?, options, printer)?;
        }
    }
    Ok(ExitStatus::Ok)
}

fn path(id: &str) -> String {
    format!("/channels/{}", encode(id))
}

/// On the version of the channel that was looked at.
fn act(client: &Client, channel: &Value, action: &str, message: &str) -> anyhow::Result<Value> {
    let version = channel["version"].as_u64().context("the server's answer has no version")?;
    let path = path(words(channel, "/id"));
    client.post_seen(&format!("{path}/{action}"), version, &json!({ "comment": message }))
}

fn propose(args: &Propose, printer: &Printer) -> anyhow::Result<()> {
    let body = json!({
        "name": args.name, "reference": args.reference, "runs": args.runs, "takes": args.takes,
        "revision": args.revision, "until": args.until,
    });
    let channel: Value = Client::new(&args.options.server)?.post("/channels", &body)?;
    tell(&channel, &args.options, printer)
}

fn list(options: &Options, printer: &Printer) -> anyhow::Result<()> {
    let channels: Vec<Value> = Client::new(&options.server)?.list("/channels")?;
    if options.json {
        return printer.json(&channels);
    }
    let row = |channel: &Value| {
        let mut row = ["id", "name", "state", "runs", "takes"].map(|key| cell(channel, key)).to_vec();
        row.extend([approvals(channel), cell(channel, "until"), count(&channel["releases"]).to_string()]);
        row
    };
    let rows: Vec<_> = channels.iter().map(row).collect();
    printer.table(&["id", "name", "state", "runs", "takes", "approvals", "until", "releases"], &rows)
}

fn tell(channel: &Value, options: &Options, printer: &Printer) -> anyhow::Result<()> {
    if options.json {
        return printer.json(channel);
    }
    printer.facts(&facts(channel))?;
    let taken = channel["releases"].as_array().cloned().unwrap_or_default();
    if taken.is_empty() {
        return Ok(());
    }
    let row = |taken: &Value| vec![cell(taken, "release"), cell(taken, "checkpoint")];
    printer.table(&["release", "checkpoint"], &taken.iter().map(row).collect::<Vec<_>>())
}

/// What it lets out, and who has approved that.
fn facts(channel: &Value) -> Vec<(&'static str, String)> {
    let keys =
        ["id", "name", "project", "state", "reference", "runs", "takes", "revision", "until", "digest"];
    let mut facts = keys.map(|key| (key, cell(channel, key))).to_vec();
    facts.push(("approvals", approvals(channel)));
    facts
}

/// `1 / 2 (ueda)`.
fn approvals(channel: &Value) -> String {
    let given = channel["approvals"].as_array().cloned().unwrap_or_default();
    let names: Vec<&str> = given.iter().map(|approval| words(approval, "/user")).collect();
    let names = if names.is_empty() { String::new() } else { format!(" ({})", names.join(", ")) };
    format!("{} / {}{names}", given.len(), channel["approvals_needed"])
}

fn count(list: &Value) -> usize {
    list.as_array().map_or(0, Vec::len)
}
