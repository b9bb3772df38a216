//! Webhooks: where it is told what happens, and what was sent.

use sekisho_domain::webhook::{MessageLanguage, PayloadFormat};
use serde_json::{Value, json};

use crate::client::{Client, ServerArgs, encode};
use crate::exit::ExitStatus;
use crate::fields::{self, words};
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

/// One webhook.
#[derive(clap::Args)]
pub(crate) struct One {
    /// Its id
    id: String,
    #[command(flatten)]
    options: Options,
}

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Webhooks of all projects
    List {
        #[command(flatten)]
        options: Options,
    },
    /// Add one; its secret is printed this once
    Add(Add),
    /// One webhook with its deliveries; with --message one delivery with its body and every attempt
    Show {
        /// Its id
        id: String,
        /// Id of a message, as in webhook-id
        #[arg(long, value_name = "MSG")]
        message: Option<String>,
        #[command(flatten)]
        options: Options,
    },
    /// Change what it is told, where, and how
    Set(Set),
    /// Send a test message
    Ping(One),
    /// Send again: one message, or all that were given up since a time
    Resend {
        /// Its id
        id: String,
        /// Id of the message
        #[arg(long, value_name = "MSG", required_unless_present = "since", conflicts_with = "since")]
        message: Option<String>,
        /// A time, as 2026-11-21T09:00:00+09:00
        #[arg(long, value_name = "TIME")]
        since: Option<String>,
        #[command(flatten)]
        options: Options,
    },
    /// Let its messages wait
    Pause(One),
    /// Let its messages go out again
    Resume(One),
    /// Make a new secret, printed this once; for a day both sign
    Rotate(One),
    /// Remove it with everything that was sent to it
    Delete {
        /// Its id
        id: String,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// What can be told
    Events {
        #[command(flatten)]
        options: Options,
    },
}

#[derive(clap::Args)]
pub(crate) struct Add {
    /// What people call it
    name: String,
    /// Where its messages go
    url: String,
    /// Events, as in release.*
    #[arg(long, value_delimiter = ',', default_value = "*", value_name = "GLOB")]
    events: Vec<String>,
    /// ja, en or both
    #[arg(long, default_value = "both")]
    language: MessageLanguage,
    /// standard, slack or discord
    #[arg(long, default_value = "standard")]
    format: PayloadFormat,
    /// Tokens between two messages of run.progress
    #[arg(long, value_name = "N")]
    every_tokens: Option<u64>,
    /// Whose happenings it is told
    #[arg(long, value_name = "NAME")]
    project: Option<String>,
    #[command(flatten)]
    options: Options,
}

#[derive(clap::Args)]
pub(crate) struct Set {
    /// Its id
    id: String,
    /// What people call it
    #[arg(long)]
    name: Option<String>,
    /// Where its messages go
    #[arg(long)]
    url: Option<String>,
    /// Events, as in release.*
    #[arg(long, value_delimiter = ',', value_name = "GLOB")]
    events: Option<Vec<String>>,
    /// ja, en or both
    #[arg(long)]
    language: Option<MessageLanguage>,
    /// standard, slack or discord
    #[arg(long)]
    format: Option<PayloadFormat>,
    /// Tokens between two messages of run.progress; 0 for none
    #[arg(long, value_name = "N")]
    every_tokens: Option<u64>,
    #[command(flatten)]
    options: Options,
}

pub(crate) fn run(command: &Command, printer: &Printer) -> anyhow::Result<ExitStatus> {
    match command {
        Command::List { options } => list(options, printer)?,
        Command::Add(args) => add(args, printer)?,
        Command::Show { id, message, options } => show(id, message.as_deref(), options, printer)?,
        Command::Set(args) => set(args, printer)?,
        Command::Ping(one) => {
            let sent = act(one, "ping")?;
            if one.options.json { printer.json(&sent)? } else { printer.data(words(&sent, "/id"))? }
        }
        Command::Resend { id, message, since, options } => {
            let body = json!({ "message": message, "since": since });
            let done: Value = Client::new(&options.server)?.post(&format!("{}/resend", path(id)), &body)?;
            if options.json { printer.json(&done)? } else { printer.data(&done["resent"].to_string())? }
        }
        Command::Pause(one) => tell(&act(one, "pause")?, &one.options, printer)?,
        Command::Resume(one) => tell(&act(one, "resume")?, &one.options, printer)?,
        Command::Rotate(one) => secret(&act(one, "rotate")?, &one.options, printer)?,
        Command::Delete { id, server } => Client::new(server)?.delete(&path(id))?,
        Command::Events { options } => events(options, printer)?,
    }
    Ok(ExitStatus::Ok)
}

/// A text or a number as a cell of a table.
fn cell(value: &Value, key: &str) -> String {
    if value[key].is_number() { value[key].to_string() } else { fields::cell(value, key) }
}

fn path(id: &str) -> String {
    format!("/webhooks/{}", encode(id))
}

fn act(one: &One, action: &str) -> anyhow::Result<Value> {
    Client::new(&one.options.server)?.post(&format!("{}/{action}", path(&one.id)), &json!({}))
}

fn add(args: &Add, printer: &Printer) -> anyhow::Result<()> {
    let body = json!({
        "name": args.name, "url": args.url, "events": args.events, "language": args.language, "format": args.format,
        "every_tokens": args.every_tokens, "project": args.project,
    });
    let made: Value = Client::new(&args.options.server)?.post("/webhooks", &body)?;
    secret(&made, &args.options, printer)
}

fn set(args: &Set, printer: &Printer) -> anyhow::Result<()> {
    let body = json!({
        "name": args.name, "url": args.url, "events": args.events, "language": args.language, "format": args.format,
        "every_tokens": args.every_tokens,
    });
    tell(&Client::new(&args.options.server)?.post(&path(&args.id), &body)?, &args.options, printer)
}

fn list(options: &Options, printer: &Printer) -> anyhow::Result<()> {
    let found: Vec<Value> = Client::new(&options.server)?.list("/webhooks")?;
    if options.json {
        return printer.json(&found);
    }
    let keys = ["id", "project", "name", "state", "url", "format", "failures", "undelivered"];
    let row = |webhook: &Value| keys.map(|key| cell(webhook, key)).to_vec();
    printer.table(&keys, &found.iter().map(row).collect::<Vec<_>>())
}

fn show(id: &str, message: Option<&str>, options: &Options, printer: &Printer) -> anyhow::Result<()> {
    let client = Client::new(&options.server)?;
    let deliveries = format!("{}/deliveries", path(id));
    if let Some(message) = message {
        let found: Value = client.get(&format!("{deliveries}/{}", encode(message)))?;
        return if options.json { printer.json(&found) } else { delivery(&found, printer) };
    }
    let webhook: Value = client.get(&path(id))?;
    if options.json {
        return printer.json(&webhook);
    }
    tell(&webhook, options, printer)?;
    let found: Vec<Value> = client.list(&deliveries)?;
    let keys = ["id", "type", "state", "attempts", "created"];
    let row = |message: &Value| keys.map(|key| cell(message, key)).to_vec();
    printer.table(&keys, &found.iter().map(row).collect::<Vec<_>>())
}

fn delivery(message: &Value, printer: &Printer) -> anyhow::Result<()> {
    printer.facts(&["id", "type", "state", "created", "body"].map(|key| (key, cell(message, key))))?;
    let keys = ["at", "status", "ms", "error", "answer"];
    let row = |attempt: &Value| keys.map(|key| cell(attempt, key)).to_vec();
    let tries = message["tries"].as_array().cloned().unwrap_or_default();
    printer.table(&keys, &tries.iter().map(row).collect::<Vec<_>>())
}

/// The webhook, and its secret where it was just made.
fn secret(webhook: &Value, options: &Options, printer: &Printer) -> anyhow::Result<()> {
    if options.json {
        return printer.json(webhook);
    }
    printer.facts(&["id", "secret"].map(|key| (key, cell(webhook, key))))
}

fn tell(webhook: &Value, options: &Options, printer: &Printer) -> anyhow::Result<()> {
    if options.json {
        return printer.json(webhook);
    }
    let keys = [
        "id",
        "project",
        "name",
        "state",
        "url",
        "language",
        "format",
        "every_tokens",
        "failures",
        "undelivered",
    ];
    let mut facts = keys.map(|key| (key, cell(webhook, key))).to_vec();
    let events = webhook["events"].as_array().cloned().unwrap_or_default();
    facts.push(("events", events.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")));
    printer.facts(&facts)
}

fn events(options: &Options, printer: &Printer) -> anyhow::Result<()> {
    let found: Vec<Value> = Client::new(&options.server)?.list("/webhooks/events")?;
    if options.json {
        return printer.json(&found);
    }
    let row = |event: &Value| vec![cell(event, "type"), words(event, "/when/en").to_owned()];
    printer.table(&["type", "when"], &found.iter().map(row).collect::<Vec<_>>())
}
