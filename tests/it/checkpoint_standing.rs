//! Checkpoints whose files change after they were examined: found out before anything is made of them, and taken back when they are
//! what they were.

use std::path::Path;

use serde_json::{Value, json};
use tests::benchmark::{Benchmark, SUITE};
use tests::checkpoints::Recipe;
use tests::database::Database;
use tests::http::Api;
use tests::service::{Options, Service, text};
use tests::wait::until;

use crate::lab::{Lab, lineage};

const WEIGHTS: &str = "model.safetensors";

/// Other weights of the same size, under the times of the ones before: what `rsync --inplace --times` leaves.
fn change(folder: &Path) -> Vec<u8> {
    let file = folder.join(WEIGHTS);
    let (before, times) = (fs_err::read(&file).expect("read"), fs_err::metadata(&file).expect("there"));
    let mut after = before.clone();
    let last = after.len() - 1;
    after[last] ^= 1;
    fs_err::write(&file, &after).expect("written");
    let handle = std::fs::OpenOptions::new().write(true).open(&file).expect("opened");
    handle.set_modified(times.modified().expect("a time")).expect("set back");
    before
}

fn check(api: &Api, checkpoint: &Value) -> Value {
    api.post(&format!("/api/v1/checkpoints/{}/check", text(&checkpoint["id"])), &json!({})).has(200).json()
}

fn actions(service: &Service) -> Vec<String> {
    let all = Database::open(&service.dir()).audit();
    all.into_iter().map(|entry| entry.action).filter(|action| action.starts_with("checkpoint.")).collect()
}

#[test]
fn a_changed_file_is_named_and_the_right_one_is_taken_back() {
    let root = tempfile::tempdir().expect("a temporary folder");
    let folder = root.path().join("model");
    Recipe::default().write(&folder);
    let service = Service::start();
    let api = service.api();
    let checkpoint = service.ingest(&folder, "r", 1, 10);
    let id = text(&checkpoint["id"]);
    assert_eq!(check(&api, &checkpoint)["state"], "verified");
    // Nothing but the time of a file.
    fs_err::write(folder.join("config.json"), fs_err::read(folder.join("config.json")).expect("read"))
        .expect("written");
    assert_eq!(check(&api, &checkpoint)["state"], "verified", "the same bytes are the same file");

    let before = change(&folder);
    let changed = check(&api, &checkpoint);
    assert_eq!((&changed["state"], &changed["digest"]), (&json!("changed"), &checkpoint["digest"]));
    let sentence = text(&changed["refusal"]);
    assert!(sentence.contains(WEIGHTS) && sentence.contains("Put the bytes back"), "{sentence}");
    let page = service.visitor().get(&format!("/checkpoints/{id}?lang=ja")).has(200).text;
    assert!(page.contains("変更あり（要対応）") && page.contains("検証時のファイルに戻して"), "{page}");
    api.post(&format!("/api/v1/checkpoints/{id}/evaluations"), &json!({ "suite": "llm-jp-eval-dev100" }))
        .is_problem(409, "checkpoint-changed");
    let session = service.session("admin");
    assert!(session.get("/").has(200).text.contains(id), "it waits for who hands checkpoints over");

    fs_err::write(folder.join(WEIGHTS), before).expect("put back");
    assert_eq!(check(&api, &checkpoint)["state"], "verified");
    assert_eq!(actions(&service), ["checkpoint.changed", "checkpoint.restored"]);

    // A missing file is a change, a missing folder the end; the same files again bring it back.
    fs_err::remove_file(folder.join("tokenizer.json")).expect("removed");
    assert!(text(&check(&api, &checkpoint)["refusal"]).contains("tokenizer.json is missing"));
    fs_err::remove_dir_all(&folder).expect("removed");
    let gone = check(&api, &checkpoint);
    assert_eq!(gone["state"], "gone");
    let page = service.visitor().get(&format!("/checkpoints/{id}?lang=ja")).has(200).text;
    assert!(page.contains("重みは削除済みです（スコアは保持しています）"), "{page}");
    Recipe { seed: 2, ..Recipe::default() }.write(&folder);
    let body = json!({ "step": 1, "tokens": 10, "path": folder });
    api.post("/api/v1/runs/r/checkpoints", &body).is_problem(409, "checkpoint-exists");
    Recipe::default().write(&folder);
    assert_eq!(service.ingest(&folder, "r", 1, 10)["id"], checkpoint["id"]);
}

#[test]
fn a_changed_checkpoint_is_given_up_by_who_may() {
    let root = tempfile::tempdir().expect("a temporary folder");
    let folder = root.path().join("model");
    Recipe::default().write(&folder);
    let service = Service::start();
    let api = service.api();
    let checkpoint = service.ingest(&folder, "r", 1, 10);
    let path = format!("/checkpoints/{}", text(&checkpoint["id"]));
    api.post(&format!("/api/v1{path}/withdraw"), &json!({})).is_problem(409, "checkpoint-unchanged");
    let _ = change(&folder);
    assert_eq!(check(&api, &checkpoint)["state"], "changed");
    service.add_user("guest", &["viewer"]);
    let guest = service.session("guest");
    assert!(!guest.get(&path).has(200).text.contains("/withdraw"), "no button for who may not");
    let csrf = guest.csrf("/settings");
    assert_eq!(guest.post(&format!("{path}/withdraw"), &[("csrf", &csrf)]).status, 403);
    let admin = service.session("admin");
    let csrf = admin.csrf(&path);
    let _ = admin.post(&format!("{path}/withdraw"), &[("csrf", &csrf)]).has(303);
    let now = api.get(&format!("/api/v1{path}")).has(200).json();
    assert_eq!(now["state"], "gone");
    assert!(text(&now["refusal"]).contains("Withdrawn by admin"), "{now}");
    assert_eq!(actions(&service), ["checkpoint.changed", "checkpoint.withdraw"]);
}

#[test]
fn work_on_changed_files_is_not_handed_out() {
    let root = tempfile::tempdir().expect("a temporary folder");
    let benchmark = Benchmark::write(root.path(), 4, 40);
    let folder = root.path().join("model");
    Recipe::default().write(&folder);
    let service = Service::with(Options { config: benchmark.config(), ..Options::default() });
    let api = service.api();
    let checkpoint = service.ingest(&folder, "r", 1, 10);
    until("the evaluation", 30, || service.evaluation(&checkpoint));
    let before = change(&folder);
    let claim = || {
        let body = json!({ "worker": "w", "pool": "", "version": "", "loaded": null, "max": 4 });
        let items = api.post("/api/v1/work/claim", &body).has(200).json()["items"].clone();
        items.as_array().map(Vec::len).expect("a list")
    };
    let state = || {
        api.get(&format!("/api/v1/checkpoints/{}", text(&checkpoint["id"]))).has(200).json()["state"].clone()
    };
    assert_eq!(claim(), 0, "not even before it is known what has changed");
    until("the look", 30, || (state() == "changed").then_some(()));
    assert_eq!(claim(), 0);
    fs_err::write(folder.join(WEIGHTS), before).expect("put back");
    assert_eq!(check(&api, &checkpoint)["state"], "verified");
    assert!(claim() > 0, "{SUITE} is handed out again");
}

#[test]
fn a_release_is_neither_frozen_nor_published_from_changed_files() {
    let lab = Lab::new("");
    let folder = lab.folder.path().join("model");
    let file = lab.write("lab/lineage.toml", &lineage("L1")).display().to_string();
    let checkpoint = text(&lab.checkpoint["id"]);
    let draft =
        lab.release(&["propose", "--json", "--checkpoint", checkpoint, "--lineage", &file]).exits(0).json();
    let id = text(&draft["id"]);
    let before = change(&folder);
    lab.release(&["freeze", id]).exits(4).says(&[WEIGHTS, "changed after the checkpoint was examined"]);
    // A new proposal is refused as well.
    lab.release(&["propose", "--checkpoint", checkpoint, "--lineage", &file])
        .exits(4)
        .says(&["changed after"]);
    fs_err::write(folder.join(WEIGHTS), before).expect("put back");
    let _ = lab.release(&["freeze", id]).exits(0);
}
