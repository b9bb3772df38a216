mod approve;
mod card;
mod export;
mod publish;
mod steps;
mod view;
mod yank;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use sekisho_domain::Language;
use serde_json::{Value, json};

use crate::client::{Client, ServerArgs, encode};
use crate::exit::{ExitStatus, Failed};
use crate::fields::words;
use crate::printer::Printer;
use crate::proposal;

/// Between two looks at weights that are being written.
const PAUSE: Duration = Duration::from_millis(500);

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
    /// Approve, signed in with `sekisho login` (a stored token never approves)
    Approve(approve::Args),
    /// Approve alone, as an admin signed in with `sekisho login`; the reason is recorded
    BreakGlass(approve::Args),
    /// Back to draft, with a comment, signed in with `sekisho login`
    Return(Act),
    /// End it as an approver, signed in with `sekisho login`
    Reject(Act),
    /// End it, as the author
    Withdraw(Act),
    /// Add a comment
    Comment(Act),
    /// Publish what is approved, or resume a publication
    Publish(publish::Args),
    /// Write what is, or would be, published into a folder
    Export(export::Args),
    /// Take a published release back, as far as that is possible
    Yank(yank::Args),
    /// Draft a revision of a published release: the same weights, another card
    Revise(Act),
    /// The model card: show it, and write its sections
    Card(card::Args),
    /// Releases, those waiting for approval first
    List(Options),
    /// One release
    Show {
        /// Its id
        id: String,
        #[command(flatten)]
        options: Options,
        /// Language of what the policy says
        #[arg(long, value_name = "ja|en", default_value = "en", hide_default_value = true)]
        lang: Language,
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
            view::show(&release, options, printer)?;
            Ok(ExitStatus::Ok)
        }
        Command::Freeze(args) => freeze(args, printer),
        Command::Request(args) => acted("request", args, printer),
        Command::Approve(args) => approve::run("approve", args, printer),
        Command::BreakGlass(args) => approve::run("break_glass", args, printer),
        Command::Return(args) => acted_in_person("return", args, printer),
        Command::Reject(args) => acted_in_person("reject", args, printer),
        Command::Withdraw(args) => acted("withdraw", args, printer),
        Command::Comment(args) => {
            // A comment is not on a version.
            let path = format!("{}/comment", path(&args.id));
            let release: Value =
                Client::new(&args.options.server)?.post(&path, &json!({ "comment": args.message }))?;
            view::show(&release, &args.options, printer)?;
            Ok(ExitStatus::Ok)
        }
        Command::Publish(args) => publish::run(args, printer),
        Command::Export(args) => export::run(args, printer),
        Command::Yank(args) => yank::run(args, printer),
        Command::Revise(args) => acted("revise", args, printer),
        Command::Card(args) => card::run(args, printer),
        Command::List(options) => view::list(options, printer),
        Command::Show { id, options, lang } => {
            let release: Value = Client::new(&options.server)?.get(&path(id))?;
            judged(&release, *lang, options, printer)
        }
    }
}

/// Of the API, and of the page.
fn path(id: &str) -> String {
    format!("/releases/{}", encode(id))
}

/// Acts on the version of the release that is there now; the server refuses if it changes in between.
fn act(client: &Client, id: &str, action: &str, body: &Value) -> anyhow::Result<Value> {
    let path = path(id);
    let release: Value = client.get(&path)?;
    let version = release["version"].as_u64().context("the server's answer has no version")?;
    client.post_seen(&format!("{path}/{action}"), version, body)
}

/// An action that did what was asked, whatever the policy said about the release before.
fn acted(action: &str, args: &Act, printer: &Printer) -> anyhow::Result<ExitStatus> {
    finish(&Client::new(&args.options.server)?, action, args, printer)
}

/// The same for what only a person does who has proved to be there.
fn acted_in_person(action: &str, args: &Act, printer: &Printer) -> anyhow::Result<ExitStatus> {
    finish(
        &Client::signed_in(&args.options.server, "approves, returns or rejects", &path(&args.id))?,
        action,
        args,
        printer,
    )
}

fn finish(client: &Client, action: &str, args: &Act, printer: &Printer) -> anyhow::Result<ExitStatus> {
    let release = act(client, &args.id, action, &json!({ "comment": args.message }))?;
    view::show(&release, &args.options, printer)?;
    Ok(ExitStatus::Ok)
}

/// Fixes the content; where its weights are written anew for that, waits until they are.
fn freeze(args: &Act, printer: &Printer) -> anyhow::Result<ExitStatus> {
    let client = Client::new(&args.options.server)?;
    let mut release = act(&client, &args.id, "freeze", &json!({ "comment": args.message }))?;
    if release["state"] == "frozen" {
        printer.say("The weights are being written as the release has them; the policy judges them then.");
        let spinner = printer.spinner("writing the weights");
        while release["state"] == "frozen" {
            std::thread::sleep(PAUSE);
            release = client.get(&path(&args.id))?;
        }
        spinner.finish_and_clear();
    }
    if release["state"] == "draft" {
        let steps = release["steps"].as_array();
        let failed = steps.into_iter().flatten().find(|step| step["name"] == "prepare");
        let reason = failed.map_or("it is a draft again", |step| words(step, "/detail/en"));
        return Err(Failed::user(format!("The release was not frozen: {reason}")));
    }
    judged(&release, Language::En, &args.options, printer)
}

/// What was asked is the policy's verdict.
fn judged(
    release: &Value,
    language: Language,
    options: &Options,
    printer: &Printer,
) -> anyhow::Result<ExitStatus> {
    view::show_in(language, release, options, printer)?;
    let refused = release["decision"]["verdict"] == "refused";
    Ok(if refused { ExitStatus::Refused } else { ExitStatus::Ok })
}
