//! 永井 downloads a release: who signed it, whether it is whole, and whether its scores can be repeated.

use std::path::Path;

use serde_json::{Value, json};
use tests::cli::{self, run};
use tests::data::data;
use tests::hub_double::{HubDouble, HubOptions};
use tests::official_client::OfficialClient;
use tests::service::text;
use tests::webdriver::{Browser, Window};

use super::stage::{Stage, release_in_review};
use crate::lab::{Lab, REPO, lineage};

#[test]
fn a_downloaded_folder_names_its_signer_and_every_file_that_was_changed() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let hub = runtime.block_on(HubDouble::start(HubOptions::default()));
    let lab = Lab::with_hub(hub.endpoint());
    let id = lab.approved(&lineage("L1"), &["ueda"]);
    lab.release(&["publish", "--wait", &id]).exits(0);
    let Some(client) = runtime.block_on(OfficialClient::find()) else { return };
    let folder = lab.folder.path().join("download");
    let into = folder.to_str().expect("text");
    let _ = runtime.block_on(client.run(false, &["fetch", hub.endpoint(), "", REPO, "main", into]));

    let pem = lab.service.visitor().get("/api/v1/signing-key").has(200).text;
    let key = lab.write("lab.pub", &pem);
    let verify = || run(cli::command(["verify"]).arg(&folder).arg("--key").arg(&key));
    let good = verify().exits(0);
    let report = run(cli::command(["verify", "--json"]).arg(&folder).arg("--key").arg(&key)).exits(0).json();
    let (listed, hint) = (&report["signature"]["listed"], text(&report["signature"]["hint"]));
    let told = format!("{}{}", good.stdout, good.stderr);
    assert!(told.contains(&format!("{listed}/{listed}")), "n of n files: {told}");
    assert!(told.contains(hint) && told.contains("given with --key"), "who signed: {told}");
    assert_eq!(json!([report["good"], report["signature"]["good"]]), json!([true, listed]));

    let files = crate::bad_input::names(&folder).into_iter().filter(|name| folder.join(name).is_file());
    let signed: Vec<String> = files.filter(|name| !name.starts_with('.') && name != "model.sig").collect();
    assert_eq!(json!(signed.len()), *listed);
    for name in signed {
        let path = folder.join(&name);
        let whole = fs_err::read(&path).expect("downloaded");
        let mut flipped = whole.clone();
        flipped[whole.len() / 2] ^= 1;
        fs_err::write(&path, &flipped).expect("written");
        let bad = verify().exits(1);
        assert!(bad.stderr.contains(&name), "{name}: {}", bad.stderr);
        fs_err::write(&path, &whole).expect("written");
    }
    verify().exits(0);
}

/// Runs a command of a card in a folder where the model lies, with the data at hand; answers its results.
fn repeated(command: &str, place: &Path) -> Vec<Value> {
    let data = data().expect("asked before").display().to_string();
    let words: Vec<String> = command
        .split_whitespace()
        .map(|word| if word == "DATA" { data.clone() } else { word.trim_matches('\'').to_owned() })
        .collect();
    assert_eq!(words[0], "sekisho", "{command}");
    let mut command = cli::command(&words[1..]);
    let report = run(command.arg("--json").current_dir(place)).exits(0).json();
    report["results"].as_array().expect("results").clone()
}

#[test]
fn the_command_under_the_cards_table_gives_the_same_score_under_the_same_settings() {
    let Some(browser) = Browser::open(Window { language: "ja", ..Window::default() }) else { return };
    let Some(stage) = Stage::last() else { return };
    let page = release_in_review(&stage.service, &stage.checkpoint);
    browser.goto(&format!("{}{page}?card=ja", stage.service.url()));
    browser.wait_for_text(".card-text", "再現コマンド");
    let commands = browser.evaluate(
        "return [...document.querySelectorAll('.card-text pre')].flatMap((block) => block.textContent.split('\\n'))
             .filter((line) => line.startsWith('sekisho eval '))",
    );
    let commands: Vec<&str> = commands.as_array().expect("lines").iter().map(text).collect();
    assert_eq!(commands.len(), 2, "one for each profile: {commands:?}");
    let rows = browser.evaluate(
        "return [...document.querySelectorAll('.card-text table tbody tr')].map((row) => row.textContent)",
    );
    let rows: Vec<String> = rows.as_array().expect("rows").iter().map(|row| text(row).to_owned()).collect();

    // The model as it would be downloaded, in a folder of the repository's name.
    let place = tempfile::tempdir().expect("a temporary folder");
    let id = page.rsplit('/').next().expect("an id");
    let out = place.path().join("gate-mini");
    let mut export = stage.service.command(&["release", "export", id, "--out"]);
    run(export.arg(&out)).exits(0);
    let scores: Vec<Value> = stage.evaluation["tasks"]
        .as_array()
        .expect("tasks")
        .iter()
        .flat_map(|task| task["scores"].as_array().cloned().unwrap_or_default())
        .collect();
    let mut compared = 0;
    for result in commands.iter().flat_map(|command| repeated(command, place.path())) {
        let same = |score: &&Value| {
            ["profile", "task", "metric", "split"].iter().all(|key| score[*key] == result[*key])
        };
        let score = scores.iter().find(same).unwrap_or_else(|| panic!("{result} in {scores:?}"));
        for key in ["value", "low", "high", "n", "fingerprint"] {
            assert_eq!(score[key], result[key], "{key} of {result}");
        }
        let short = text(&result["fingerprint"]).trim_start_matches("sha256:")[..8].to_owned();
        let shown = rows.iter().any(|row| row.contains(text(&result["metric"])) && row.contains(&short));
        compared += usize::from(shown);
    }
    assert_eq!(
        compared,
        rows.iter().filter(|row| row.contains("@")).count(),
        "every row of the table: {rows:?}"
    );
}
