mod level;

use std::path::{Path, PathBuf};

use sekisho_domain::Tokens;
use serde_json::{Value, json};

use crate::client::{Client, ServerArgs, encode};
use crate::exit::{ExitStatus, Failed};
use crate::fields::{cell, list};
use crate::files;
use crate::printer::Printer;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Subsets by corpus and id
    List(Options),
    /// One subset and its history
    Show {
        /// Its id
        subset: String,
        #[command(flatten)]
        options: Options,
    },
    /// Register subsets from a TOML or CSV file, or from what a run was trained on
    Import(Import),
    /// Change a release level, after a look at what that means
    Level(level::Args),
}

#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    server: ServerArgs,
    /// JSON on stdout
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
pub(crate) struct Import {
    /// [[subset]] tables, or CSV with a head line
    #[arg(required_unless_present = "run", conflicts_with = "run")]
    file: Option<PathBuf>,
    /// Run whose specification claims the subsets
    #[arg(long, value_name = "NAME")]
    run: Option<String>,
    /// Take what differs in anything but the level
    #[arg(long)]
    update: bool,
    #[command(flatten)]
    options: Options,
}

pub(crate) fn run(command: &Command, printer: &Printer) -> anyhow::Result<ExitStatus> {
    match command {
        Command::List(options) => {
            let subsets: Vec<Value> = Client::new(&options.server)?.list("/corpora")?;
            if options.json { printer.json(&subsets)? } else { table(&subsets, printer)? }
        }
        Command::Show { subset, options } => {
            let found: Value = Client::new(&options.server)?.get(&path(subset))?;
            if options.json { printer.json(&found)? } else { show(&found, printer)? }
        }
        Command::Import(args) => import(args, printer)?,
        Command::Level(args) => return level::run(args, printer),
    }
    Ok(ExitStatus::Ok)
}

fn path(subset: &str) -> String {
    format!("/corpora/{}", encode(subset))
}

fn table(subsets: &[Value], printer: &Printer) -> anyhow::Result<()> {
    let row = |subset: &Value| {
        let tokens = subset["tokens"].as_u64().map_or_else(|| "—".to_owned(), |n| Tokens(n).short());
        let text = |key: &str| cell(subset, key);
        vec![
            text("id"),
            text("corpus"),
            text("language"),
            tokens,
            text("level"),
            text("license"),
            text("evidence"),
        ]
    };
    let rows: Vec<_> = subsets.iter().map(row).collect();
    printer.table(&["id", "corpus", "language", "tokens", "level", "license", "evidence"], &rows)
}

/// What is registered, and who changed it when and why. What nobody has registered is left out, but for the two facts that a release
/// hangs on.
fn show(subset: &Value, printer: &Printer) -> anyhow::Result<()> {
    let mut facts = Vec::new();
    for key in [
        "id",
        "corpus",
        "language",
        "tokens",
        "tokenizer",
        "level",
        "license",
        "evidence",
        "evidence_sha256",
        "generator",
        "generator_license",
        "created",
        "updated",
    ] {
        let fact = match subset[key].as_u64() {
            Some(tokens) => Tokens(tokens).to_string(),
            None => cell(subset, key),
        };
        if !subset[key].is_null() || ["level", "license"].contains(&key) {
            facts.push((key, fact));
        }
    }
    printer.facts(&facts)?;
    let row =
        |change: &Value| ["at", "who", "before", "level", "reason"].map(|key| cell(change, key)).to_vec();
    let history: Vec<_> = subset["history"].as_array().into_iter().flatten().map(row).collect();
    if !history.is_empty() {
        printer.data("")?;
        printer.table(&["at", "who", "before", "level", "reason"], &history)?;
    }
    Ok(())
}

fn import(args: &Import, printer: &Printer) -> anyhow::Result<()> {
    let mut body = match (&args.file, &args.run) {
        (Some(file), _) => json!({ "text": files::read(file)?, "name": name(file) }),
        (None, Some(run)) => json!({ "run": run }),
        (None, None) => return Err(Failed::user("Name a file, or a run with --run.")),
    };
    body["update"] = json!(args.update);
    let imported: Value = Client::new(&args.options.server)?.post("/corpora", &body)?;
    if args.options.json {
        return printer.json(&imported);
    }
    let row = |what: &&str| {
        let ids = list(&imported[*what]);
        vec![(*what).to_owned(), ids.len().to_string(), ids.join(", ")]
    };
    let rows: Vec<_> = ["added", "updated", "unchanged"].iter().map(row).collect();
    printer.table(&["what", "subsets", "ids"], &rows)
}

/// The file's name alone: the service says it in its sentences, and sees by it whether the text is CSV.
fn name(file: &Path) -> String {
    file.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
