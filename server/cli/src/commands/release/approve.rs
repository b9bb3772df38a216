use anyhow::Context as _;
use serde_json::{Value, json};

use super::{Act, path, view};
use crate::client::Client;
use crate::exit::ExitStatus;
use crate::printer::Printer;
use crate::seen::Seen;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    seen: Seen,
    #[command(flatten)]
    act: Act,
}

/// Approves what the person has seen: on a terminal it is shown before they are asked.
pub(super) fn run(action: &str, args: &Args, printer: &Printer) -> anyhow::Result<ExitStatus> {
    let Act { id, message, options } = &args.act;
    let path = path(id);
    let client = Client::signed_in(&options.server, "approves", &path)?;
    let release: Value = client.get(&path)?;
    args.seen.agree(&release["digest"], &view::to_approve(&release), printer)?;
    let version = release["version"].as_u64().context("the server's answer has no version")?;
    let done: Value =
        client.post_seen(&format!("{path}/{action}"), version, &json!({ "comment": message }))?;
    args.seen.tell(&release["digest"], printer);
    view::show(&done, options, printer)?;
    Ok(ExitStatus::Ok)
}
