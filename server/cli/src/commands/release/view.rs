use sekisho_domain::Language;
use serde_json::Value;

use super::{Options, steps};
use crate::client::Client;
use crate::exit::ExitStatus;
use crate::fields::{cell, list as list_of, words};
use crate::printer::Printer;

const COLUMNS: [&str; 10] = [
    "name",
    "state",
    "verdict",
    "approvals",
    "repository",
    "revision",
    "visibility",
    "licence",
    "updated",
    "id",
];

pub(super) fn list(options: &Options, printer: &Printer) -> anyhow::Result<ExitStatus> {
    let releases: Vec<Value> = Client::new(&options.server)?.list("/releases")?;
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
    show_in(Language::En, release, options, printer)
}

/// The same, with what the policy says in this language.
pub(super) fn show_in(
    language: Language,
    release: &Value,
    options: &Options,
    printer: &Printer,
) -> anyhow::Result<()> {
    let told = told(release, language);
    if options.json {
        printer.json(release)?;
        // The same for the person at the terminal: what stands in the document is long.
        told.iter().for_each(|line| printer.say(line));
        return Ok(());
    }
    printer.table(&COLUMNS, &[row(release)])?;
    let more = more(release);
    if !more.is_empty() {
        printer.facts(&more)?;
    }
    if told.is_empty() { Ok(()) } else { printer.data(&told.join("\n")) }
}

/// What bars it, what the policy warns of, and where its publication stopped.
fn told(release: &Value, language: Language) -> Vec<String> {
    let text = format!("/text/{language}");
    let finding = |finding: &Value| format!("{}: {}", words(finding, "/code"), words(finding, &text));
    let of = |kind: &str| release["decision"][kind].as_array().cloned().unwrap_or_default();
    let mut told: Vec<String> = of("violations").iter().map(finding).collect();
    told.extend(of("warnings").iter().map(|warning| format!("warning {}", finding(warning))));
    // While it is being published, what stands there may be of the last time.
    let has_stopped = release["state"] == "publishing" && release["publishing"] != true;
    let listed = release["steps"].as_array().filter(|_| has_stopped);
    let detail = format!("/detail/{language}");
    let stops = listed.into_iter().flatten().filter(|step| steps::is_stop(step));
    told.extend(stops.map(|step| format!("stopped at {}: {}", words(step, "/name"), words(step, &detail))));
    told
}

fn row(release: &Value) -> Vec<String> {
    let text = |key: &str| cell(release, key);
    let verdict = cell(&release["decision"], "verdict");
    let approvals = format!("{}/{}", release["approvals"], release["approvals_needed"]);
    let (repo, revision, visibility) = (text("repo"), text("revision"), text("visibility"));
    let (name, state, updated, id) = (text("name"), text("state"), text("updated"), text("id"));
    vec![name, state, verdict, approvals, repo, revision, visibility, licence(release), updated, id]
}

fn licence(release: &Value) -> String {
    let all = list_of(&release["license"]);
    if all.is_empty() { "—".to_owned() } else { all.join(", ") }
}

fn count(release: &Value, kind: &str) -> usize {
    release["decision"][kind].as_array().map_or(0, Vec::len)
}

/// What somebody looks at before they approve it.
pub(super) fn to_approve(release: &Value) -> Vec<(&'static str, String)> {
    let mut facts =
        [("name", "name"), ("repository", "repo"), ("branch", "revision"), ("visibility", "visibility")]
            .map(|(name, key)| (name, cell(release, key)))
            .to_vec();
    facts.push(("licence", licence(release)));
    facts.push(("verdict", cell(&release["decision"], "verdict")));
    let warnings = release["decision"]["warnings"].as_array().into_iter().flatten();
    facts.extend(warnings.map(|warning| ("warning", words(warning, "/text/en").to_owned())));
    facts.push(("digest", cell(release, "digest")));
    facts
}

/// What only some releases have.
fn more(release: &Value) -> Vec<(&'static str, String)> {
    let mut more = Vec::new();
    let policy = &release["decision"]["policy"];
    if policy["name"].is_string() {
        more.push(("policy", format!("{} {}", words(policy, "/name"), words(policy, "/version"))));
    }
    for kind in ["warnings", "obligations"] {
        let count = count(release, kind);
        if count > 0 {
            more.push((kind, count.to_string()));
        }
    }
    if release["digest"].is_string() {
        more.push(("digest", cell(release, "digest")));
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
    use sekisho_domain::Language;
    use serde_json::json;

    use super::{more, row, to_approve, told};

    #[test]
    fn what_a_release_has_is_shown_and_nothing_else() {
        let draft = json!({
            "id": "01", "name": "m", "state": "draft", "decision": null, "approvals": 0, "approvals_needed": 2,
            "repo": null, "publish_at": null, "successor": null, "yank": null, "updated": "2026-01-01T00:00:00Z",
        });
        assert_eq!(row(&draft), ["m", "draft", "—", "0/2", "—", "—", "—", "—", "2026-01-01T00:00:00Z", "01"]);
        assert!(more(&draft).is_empty());
        let yanked = json!({
            "decision": { "policy": { "name": "base", "version": "3" }, "warnings": [{}], "obligations": [{}, {}] },
            "successor": "02",
            "yank": { "extent": "hide", "by": "ueda", "at": "2026-01-01T00:00:00Z", "reason": "wrong data", "done": false },
        });
        let told: Vec<String> =
            more(&yanked).into_iter().map(|(name, text)| format!("{name}: {text}")).collect();
        assert_eq!(told[..4], ["policy: base 3", "warnings: 1", "obligations: 2", "superseded by: 02"]);
        assert!(
            told[4].starts_with("taken back: hide, by ueda at 2026-01-01T00:00:00Z: wrong data  (the Hub")
        );
    }

    #[test]
    fn findings_are_told_in_the_language_that_was_asked_for() {
        let finding = |code: &str| json!({ "code": code, "text": { "en": "it bars", "ja": "公開不可です" } });
        let release = json!({
            "name": "m", "repo": "lab/m", "revision": "main", "visibility": "private", "license": ["apache-2.0", "mit"],
            "state": "publishing", "publishing": false, "digest": "00ff",
            "decision": { "verdict": "allowed", "violations": [finding("a")], "warnings": [finding("b")] },
            "steps": [{ "name": "upload", "state": "failed", "detail": { "en": "no route", "ja": "接続できません" } }],
        });
        assert_eq!(
            told(&release, Language::Ja),
            ["a: 公開不可です", "warning b: 公開不可です", "stopped at upload: 接続できません"]
        );
        assert_eq!(told(&release, Language::En)[1], "warning b: it bars");
        let facts = to_approve(&release);
        for fact in [
            ("repository", "lab/m"),
            ("licence", "apache-2.0, mit"),
            ("warning", "it bars"),
            ("digest", "00ff"),
        ] {
            assert!(facts.contains(&(fact.0, fact.1.to_owned())), "{fact:?}");
        }
    }
}
