use std::io::IsTerminal as _;

use anyhow::Context as _;
use sekisho_domain::lineage::Level;
use serde_json::{Value, json};

use super::{Options, path};
use crate::client::Client;
use crate::exit::{ExitStatus, Failed};
use crate::fields::{cell, words};
use crate::printer::{Printer, aligned};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Id of the subset
    subset: String,
    /// L1, L2, L3, LX or LZ
    level: Level,
    /// Why; kept with the change
    #[arg(long, value_name = "TEXT", required_unless_present = "dry_run")]
    reason: Option<String>,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Only show what it would mean
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    options: Options,
}

/// The version is read before the effects are: what was not seen is not changed.
pub(super) fn run(args: &Args, printer: &Printer) -> anyhow::Result<ExitStatus> {
    let (client, path) = (Client::new(&args.options.server)?, path(&args.subset));
    let subset: Value = client.get(&path)?;
    let effects: Value = client.get(&format!("{path}/effects?level={}", args.level))?;
    printer.say(&format!("{}: {} → {} means", args.subset, cell(&subset, "level"), args.level));
    for line in told(&effects) {
        printer.say(&line);
    }
    if args.dry_run {
        if args.options.json {
            printer.json(&effects)?;
        }
        return Ok(ExitStatus::Ok);
    }
    if !args.yes && !agreed(printer)? {
        return Err(Failed::user("Nothing was changed."));
    }
    let before = words(&subset, "/level").parse::<Level>().ok();
    let client = match Level::loosens(before, args.level) {
        true => Client::signed_in(&args.options.server, "loosens a level", &path)?,
        false => client,
    };
    let version = subset["version"].as_u64().context("the server's answer has no version")?;
    let body = json!({ "level": args.level, "reason": args.reason });
    let changed: Value = client.post_seen(&format!("{path}/level"), version, &body)?;
    if args.options.json {
        printer.json(&changed)?;
    } else {
        super::table(&[changed], printer)?;
    }
    Ok(ExitStatus::Ok)
}

fn agreed(printer: &Printer) -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() {
        let text = "Nobody can be asked: stdin is no terminal. Look at what it means, and say --yes.";
        return Err(Failed::with(ExitStatus::Unexpected, text));
    }
    printer.confirm("Change it?")
}

/// What a change would mean, as lines.
fn told(effects: &Value) -> Vec<String> {
    let all = |key: &str, text: fn(&Value) -> String| {
        let texts: Vec<String> = effects[key].as_array().into_iter().flatten().map(text).collect();
        if texts.is_empty() { "none".to_owned() } else { texts.join(", ") }
    };
    let facts = [
        ("runs", all("runs", run_of)),
        ("checkpoints", effects["checkpoints"].to_string()),
        ("open releases", all("open", release_of)),
        ("published releases", all("published", release_of)),
    ];
    let mut lines: Vec<String> = aligned(&facts).iter().map(|line| format!("  {line}")).collect();
    let falls = |release: &Value| release["allowed_now"] == true && release["allowed_then"] == false;
    if effects["published"].as_array().is_some_and(|published| published.iter().any(falls)) {
        lines.push(
            "  What is published stays as it is. Take it back with `sekisho release yank` where it must not."
                .to_owned(),
        );
    }
    lines
}

fn run_of(run: &Value) -> String {
    let through = match run["through"].as_str() {
        Some(through) => format!(", through {through}"),
        None => String::new(),
    };
    format!("{} ({}{through})", words(run, "/name"), words(run, "/state"))
}

fn release_of(release: &Value) -> String {
    let verdict = |key: &str| if release[key] == true { "allowed" } else { "refused" };
    let (now, then) = (verdict("allowed_now"), verdict("allowed_then"));
    let change = if now == then { format!("{now} still") } else { format!("{now} now, {then} then") };
    format!("{} ({}): {change}", words(release, "/name"), words(release, "/state"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::told;

    #[test]
    fn what_a_change_means_is_told_in_full() {
        let release = |name: &str, now: bool, then: bool| json!({ "id": "x", "name": name, "state": "published", "allowed_now": now, "allowed_then": then });
        let effects = json!({
            "runs": [{ "name": "base", "state": "finished" }, { "name": "sft", "state": "running", "through": "base" }],
            "checkpoints": 12,
            "open": [],
            "published": [release("lab-8b", true, false), release("lab-1b", false, false)],
        });
        assert_eq!(
            told(&effects),
            [
                "  runs                base (finished), sft (running, through base)",
                "  checkpoints         12",
                "  open releases       none",
                "  published releases  lab-8b (published): allowed now, refused then, lab-1b (published): refused still",
                "  What is published stays as it is. Take it back with `sekisho release yank` where it must not.",
            ]
        );
    }
}
