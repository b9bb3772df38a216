use serde_json::Value;

use super::{Options, steps};
use crate::client::Client;
use crate::exit::ExitStatus;
use crate::fields::{cell, words};
use crate::printer::Printer;

const COLUMNS: [&str; 6] = ["name", "state", "verdict", "approvals", "repository", "id"];

pub(super) fn list(options: &Options, printer: &Printer) -> anyhow::Result<ExitStatus> {
    let releases: Vec<Value> = Client::new(&options.server)?.get("/releases")?;
    if options.json {
        printer.json(&releases)?;
    } else {
        let rows: Vec<_> = releases.iter().map(row).collect();
        printer.table(&COLUMNS, &rows)?;
    }
    Ok(ExitStatus::Ok)
}

/// The release, what the policy holds against it, and where its publication stopped.
pub(super) fn show(release: &Value, options: &Options, printer: &Printer) -> anyhow::Result<()> {
    if options.json {
        printer.json(release)?;
    } else {
        printer.table(&COLUMNS, &[row(release)])?;
        let more = more(release);
        if !more.is_empty() {
            printer.facts(&more)?;
        }
    }
    for finding in release["decision"]["violations"].as_array().into_iter().flatten() {
        printer.say(&format!("{}: {}", words(finding, "/code"), words(finding, "/text/en")));
    }
    // While it is being published, what stands there may be of the last time.
    let has_stopped = release["state"] == "publishing" && release["publishing"] != true;
    let listed = release["steps"].as_array().filter(|_| has_stopped);
    for step in listed.into_iter().flatten().filter(|step| steps::is_stop(step)) {
        printer.say(&format!("stopped at {}: {}", words(step, "/name"), words(step, "/detail/en")));
    }
    Ok(())
}

fn row(release: &Value) -> Vec<String> {
    let text = |key: &str| cell(release, key);
    let verdict = cell(&release["decision"], "verdict");
    let approvals = format!("{}/{}", release["approvals"], release["approvals_needed"]);
    vec![text("name"), text("state"), verdict, approvals, text("repo"), text("id")]
}

/// What only some releases have.
fn more(release: &Value) -> Vec<(&'static str, String)> {
    let mut more = Vec::new();
    let policy = &release["decision"]["policy"];
    if policy["name"].is_string() {
        more.push(("policy", format!("{} {}", words(policy, "/name"), words(policy, "/version"))));
    }
    for (key, name) in
        [("publish_at", "goes out at"), ("url", "published at"), ("successor", "superseded by")]
    {
        if let Some(text) = release[key].as_str() {
            more.push((name, text.to_owned()));
        }
    }
    let yank = &release["yank"];
    if yank.is_object() {
        let done = if yank["done"] == true { "" } else { "  (the Hub does not show it yet)" };
        let text = |key: &str| cell(yank, key);
        let (extent, by, at, reason) = (text("extent"), text("by"), text("at"), text("reason"));
        more.push(("taken back", format!("{extent}, by {by} at {at}: {reason}{done}")));
    }
    more
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{more, row};

    #[test]
    fn what_a_release_has_is_shown_and_nothing_else() {
        let draft = json!({
            "id": "01", "name": "m", "state": "draft", "decision": null, "approvals": 0, "approvals_needed": 2,
            "repo": null, "publish_at": null, "successor": null, "yank": null,
        });
        assert_eq!(row(&draft), ["m", "draft", "—", "0/2", "—", "01"]);
        assert!(more(&draft).is_empty());
        let yanked = json!({
            "decision": { "policy": { "name": "base", "version": "3" } },
            "successor": "02",
            "yank": { "extent": "hide", "by": "ueda", "at": "2026-01-01T00:00:00Z", "reason": "wrong data", "done": false },
        });
        let told: Vec<String> =
            more(&yanked).into_iter().map(|(name, text)| format!("{name}: {text}")).collect();
        assert_eq!(told[..2], ["policy: base 3", "superseded by: 02"]);
        assert!(
            told[2].starts_with("taken back: hide, by ueda at 2026-01-01T00:00:00Z: wrong data  (the Hub")
        );
    }
}
