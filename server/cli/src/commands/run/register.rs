use std::path::PathBuf;

use sekisho_domain::Tokens;
use sekisho_domain::wire::RegisterRun;
use sekisho_foreign::{Source, configuration};
use serde_json::{Value, json};

use crate::client::{Client, ServerArgs};
use crate::exit::{ExitStatus, Failed};
use crate::files;
use crate::printer::Printer;
use crate::warn::LanguageArgs;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Arguments or launch script of Megatron-LM, torchtitan's TOML, nanotron's YAML, or our spec.toml
    file: PathBuf,
    /// Whose it is [default: told by the text]
    #[arg(long, value_name = "TRAINER", value_parser = ["megatron", "torchtitan", "nanotron", "sekisho"])]
    from: Option<String>,
    /// Name of the run [default: the file's own]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Project of the run [default: default]
    #[arg(long, value_name = "NAME")]
    project: Option<String>,
    /// Suite that examines its checkpoints
    #[arg(long, value_name = "SUITE")]
    suite: Option<String>,
    /// Run that it goes on from
    #[arg(long, value_name = "RUN", requires = "parent_step")]
    parent: Option<String>,
    /// Update of the parent that it goes on from
    #[arg(long, value_name = "N", requires = "parent")]
    parent_step: Option<u64>,
    /// Where the experiment is talked about
    #[arg(long, value_name = "URL")]
    issue: Option<String>,
    /// Say what it comes to, and keep nothing
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    language: LanguageArgs,
    /// JSON on stdout
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Registers a run before it starts; the warnings come first.
pub(crate) fn run(args: &Args, printer: &Printer) -> anyhow::Result<ExitStatus> {
    let text = files::read(&args.file)?;
    let source = args.from.as_deref().and_then(Source::of);
    let file = args.file.display().to_string();
    let mut found = configuration(&file, &text, source).map_err(Failed::user)?;
    found.notes.iter().for_each(|note| printer.say(note));
    if let Some((parent, step)) = args.parent.as_ref().zip(args.parent_step) {
        found.spec["parent"] =
            json!({ "run": parent, "step": step, "state": "full", "data": "continue", "reset_steps": false });
    }
    let own = found.spec["name"].as_str().map(ToOwned::to_owned);
    let Some(name) = args.name.clone().or(own) else {
        return Err(Failed::user(format!("{file} does not name the run; give --name")));
    };
    let request = RegisterRun {
        name,
        planned_tokens: found.tokens().map(Tokens),
        spec: Some(found.spec),
        suite: args.suite.clone(),
        project: args.project.clone(),
        issue: args.issue.clone(),
    };
    let path = if args.check { "/runs?check=true" } else { "/runs" };
    let answer: Value = Client::new(&args.server)?.post(path, &request)?;
    if args.json {
        printer.json(&json!({ "run": answer, "spec": request.spec }))?;
        return Ok(ExitStatus::Ok);
    }
    for warning in answer["warnings"].as_array().into_iter().flatten() {
        let code = warning["code"].as_str().unwrap_or_default();
        let text = warning["text"][args.language.code()].as_str().unwrap_or_default();
        printer.say(&format!("warning: {code}: {text}"));
    }
    let state =
        if args.check { "not registered (--check)" } else { answer["state"].as_str().unwrap_or_default() };
    printer.facts(&[
        ("run", request.name.clone()),
        ("configuration of", found.source.as_str().to_owned()),
        (
            "planned tokens",
            request.planned_tokens.map_or_else(|| "—".to_owned(), |tokens| tokens.to_string()),
        ),
        ("state", state.to_owned()),
    ])?;
    Ok(ExitStatus::Ok)
}
