use std::path::PathBuf;

use serde_json::{Value, json};

use crate::client::{Client, ServerArgs};
use crate::exit::{ExitStatus, Failed};
use crate::files;
use crate::printer::Printer;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// One line a score: model,source,date,license,profile,task,split,shots,value,scale
    #[arg(value_name = "FILE.csv")]
    file: PathBuf,
    /// Say what would be imported, and keep nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    server: ServerArgs,
    /// What was imported and refused as JSON on stdout
    #[arg(long)]
    json: bool,
}

/// Exits 1 when a line was refused, whatever else was imported.
pub(crate) fn run(args: &Args, printer: &Printer) -> anyhow::Result<ExitStatus> {
    let text = files::read(&args.file)?;
    let body = json!({ "text": text, "dry_run": args.dry_run });
    let imported: Value = Client::new(&args.server)?.post("/reported", &body)?;
    let empty = Vec::new();
    let list = |key: &str| imported[key].as_array().unwrap_or(&empty).clone();
    let refused = list("refused");
    if args.json {
        printer.json(&imported)?;
    } else {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let row = |model: &Value| {
            let scores = model["scores"].as_array().map_or(0, Vec::len);
            vec![text(&model["model"]), text(&model["source"]), text(&model["day"]), scores.to_string()]
        };
        let rows: Vec<_> = list("models").iter().map(row).collect();
        printer.table(&["model", "source", "date", "scores"], &rows)?;
    }
    for line in &refused {
        let reason = line["reason"]["en"].as_str().unwrap_or_default();
        printer.say(&format!("{}:{}: {reason}", args.file.display(), line["line"]));
    }
    if refused.is_empty() {
        return Ok(ExitStatus::Ok);
    }
    Err(Failed::user(
        "Some lines were refused; their models were not imported. Mend the lines and import again.",
    ))
}
