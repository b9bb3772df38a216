use sekisho_domain::release::YankExtent;
use serde_json::{Value, json};

use super::steps::{Goal, follow};
use super::{Options, act, view};
use crate::client::Client;
use crate::exit::ExitStatus;
use crate::printer::Printer;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Id of the release
    id: String,
    /// The card alone says it; the Hub asks for permission before a download; or the repository is hidden
    #[arg(long, value_name = "card|gate|hide", required_unless_present = "resume")]
    extent: Option<YankExtent>,
    /// Why; it stands in the card
    #[arg(long, short, value_name = "REASON", required_unless_present = "resume")]
    message: Option<String>,
    /// Carry out again what was decided before and the Hub does not show yet
    #[arg(long, conflicts_with_all = ["extent", "message"])]
    resume: bool,
    /// Wait until the Hub shows it; exit 1 when it stops
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    options: Options,
}

pub(super) fn run(args: &Args, printer: &Printer) -> anyhow::Result<ExitStatus> {
    let client = Client::new(&args.options.server)?;
    // The steps that were done by now are those of the publication.
    let published: Value = client.get(&super::path(&args.id))?;
    let before = published["steps"].as_array().cloned().unwrap_or_default();
    let mut release = if args.resume {
        client.post(&format!("{}/resume", super::path(&args.id)), &json!({}))?
    } else {
        let body = json!({ "extent": args.extent, "comment": args.message });
        act(&client, &args.id, "yank", &body)?
    };
    if args.wait {
        let goal = Goal { what: "yank", reached: |release| release["yank"]["done"] == true, before };
        release = follow(&client, &args.id, &goal, printer)?;
    }
    view::show(&release, &args.options, printer)?;
    Ok(ExitStatus::Ok)
}
