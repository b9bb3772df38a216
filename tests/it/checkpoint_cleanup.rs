//! Housekeeping: what is kept and why, what goes, and what stays whatever goes.

use std::path::PathBuf;

use serde_json::{Value, json};
use tests::checkpoints::Recipe;
use tests::cli;
use tests::database::Database;
use tests::service::{Service, text};

use crate::bad_input::names;

/// A service with a run of six checkpoints, of which one is somebody else's folder and two are the same files.
struct Stage {
    service: Service,
    root: tempfile::TempDir,
}

impl Stage {
    fn set() -> Self {
        let root = tempfile::tempdir().expect("a temporary folder");
        for seed in 1..=5 {
            Recipe { seed, ..Recipe::default() }.write(&root.path().join(format!("m{seed}")));
        }
        let service = Service::start();
        let rare =
            |keep: Value| json!({ "evaluate": { "every": 1_000_000 }, "checkpoint": { "keep": keep } });
        let register = |name: &str, spec: Value| {
            let _ = service.api().post("/api/v1/runs", &json!({ "name": name, "spec": spec })).has(201);
        };
        register("r", rare(json!(["every:1000", "last:1"])));
        register("s", rare(json!([])));
        let mut child = rare(json!([]));
        child["parent"] = json!({ "run": "r", "step": 300 });
        register("child", child);
        let stage = Self { service, root };
        for (step, seed) in [(100, 1), (200, 2), (300, 1), (1000, 3), (1200, 5)] {
            stage.hand_over("r", step, seed, true);
        }
        stage.hand_over("r", 1100, 4, false);
        stage.hand_over("s", 1, 1, true);
        stage
    }

    fn folder(&self, seed: u32) -> PathBuf {
        self.root.path().join(format!("m{seed}"))
    }

    fn hand_over(&self, run: &str, step: u64, seed: u32, copy: bool) -> Value {
        let step = step.to_string();
        let mut command =
            self.service.command(&["ingest", "--json", "--run", run, "--step", &step, "--tokens", "10"]);
        if copy {
            command.arg("--copy");
        }
        cli::run(command.arg(self.folder(seed))).exits(0).json()
    }

    fn states(&self) -> Vec<(u64, String)> {
        let all = self.service.api().get("/api/v1/runs/r/checkpoints").has(200).items();
        let one = |c: &Value| (c["step"].as_u64().expect("a step"), text(&c["state"]).to_owned());
        all.as_array().expect("a list").iter().map(one).collect()
    }

    fn clean(&self, flags: &[&str]) -> cli::Ended {
        cli::run(self.service.command(&["checkpoint", "clean", "--run", "r"]).args(flags))
    }
}

/// What is said of a step.
fn item(plan: &Value, step: u64) -> Value {
    let items = plan["items"].as_array().expect("items");
    items.iter().find(|item| item["step"] == step).cloned().expect("listed")
}

#[test]
fn what_the_rule_keeps_stays_and_what_others_need_too() {
    let stage = Stage::set();
    let api = stage.service.api();
    let plan = api.get("/api/v1/runs/r/cleanup").has(200).json();
    assert_eq!(plan["rule"], json!({ "every": 1000, "last": 1, "best": 0 }), "that of the specification");
    let reasons = |step: u64| -> Vec<String> {
        let kept = item(&plan, step)["kept"].as_array().expect("reasons").clone();
        kept.iter().map(|kept| text(&kept["reason"]).to_owned()).collect()
    };
    assert_eq!(reasons(1000), ["every"]);
    assert_eq!(reasons(1200), ["last"]);
    assert_eq!(reasons(300), ["branch"]);
    assert_eq!(item(&plan, 300)["kept"][0]["name"], "child");
    for step in [100, 200, 1100] {
        assert_eq!(reasons(step), [""; 0], "{step}");
    }
    // Configuration and tokenizer are the same files as those of other checkpoints, and are on the disk once.
    let freed = fs_err::metadata(stage.folder(2).join("model.safetensors")).expect("there").len();
    assert_eq!(item(&plan, 100)["freed_bytes"], 0, "others are made of the same files");
    assert_eq!((&item(&plan, 200)["freed_bytes"], &plan["freed_bytes"]), (&json!(freed), &json!(freed)));
    let other = stage.folder(4).display().to_string();
    assert_eq!(plan["shell"], json!(format!("rm -r -- '{other}'")));

    // Nothing happens without a yes, on the page neither.
    let page = stage.service.visitor().get("/runs/r/cleanup?lang=ja").has(200).text;
    assert!(page.contains("childの分岐元") && page.contains(&other), "{page}");
    let table = stage.service.visitor().get("/runs/r?tab=checkpoints&lang=ja").has(200).text;
    assert!(table.contains("残す理由") && table.contains("childの分岐元"), "{table}");
    let listed = stage.clean(&[]).exits(0);
    assert!(listed.stdout.contains("branch (child)") && listed.stderr.contains("--yes"), "{listed:?}");
    assert!(stage.states().iter().all(|(_, state)| state == "verified"));

    let done = stage.clean(&["--yes", "--json"]).exits(0).json();
    assert_eq!((&done["freed_bytes"], &done["by_reference"]), (&json!(freed), &json!([other])));
    let gone: Vec<u64> =
        stage.states().into_iter().filter(|(_, state)| state == "gone").map(|(step, _)| step).collect();
    assert_eq!(gone, [100, 200]);
    assert_eq!(names(&stage.service.dir().join("checkpoints")).len(), 3, "what others need stays");
    assert!(stage.folder(4).join("model.safetensors").is_file(), "what is not ours is left alone");
    for checkpoint in api.get("/api/v1/runs/s/checkpoints").has(200).items().as_array().expect("a list") {
        let path = format!("/api/v1/checkpoints/{}/check", text(&checkpoint["id"]));
        assert_eq!(api.post(&path, &json!({})).has(200).json()["state"], "verified");
    }
    let audit = Database::open(&stage.service.dir()).audit();
    let entry = audit.iter().find(|entry| entry.action == "checkpoint.clean").expect("on record");
    assert_eq!((&entry.detail["steps"], entry.actor.as_str()), (&json!([200, 100]), "admin"));

    let page = format!("/checkpoints/{}?lang=ja", text(&item(&plan, 200)["checkpoint"]));
    assert!(
        stage
            .service
            .visitor()
            .get(&page)
            .has(200)
            .text
            .contains("重みは削除済みです（スコアは保持しています）")
    );
    assert_eq!(stage.hand_over("r", 200, 2, true)["id"], item(&plan, 200)["checkpoint"], "it may come back");
}

#[test]
fn only_what_was_seen_is_removed_and_only_by_who_may() {
    let stage = Stage::set();
    let api = stage.service.api();
    let plan = api.get("/api/v1/runs/r/cleanup?every=0&last=2&best=0").has(200).json();
    let body = json!({ "rule": plan["rule"], "plan": plan["plan"] });
    stage.service.add_user("guest", &["viewer"]);
    let (guest, _) = stage.service.token_of("guest", &["read", "ingest"]);
    guest.post("/api/v1/runs/r/cleanup", &body).is_problem(403, "role-missing");
    api.get("/api/v1/runs/r/cleanup?every=0").is_problem(422, "cleanup-rule");
    // Another branch is registered meanwhile.
    let spec = json!({ "parent": { "run": "r", "step": 1000 } });
    let _ = api.post("/api/v1/runs", &json!({ "name": "late", "spec": spec })).has(201);
    api.post("/api/v1/runs/r/cleanup", &body).is_problem(409, "cleanup-changed");
    assert!(stage.states().iter().all(|(_, state)| state == "verified"));

    // The form of the page does the same.
    let admin = stage.service.session("admin");
    let page = "/runs/r/cleanup?every=0&last=2&best=0";
    let text = admin.get(page).has(200).text;
    let field = |name: &str| tests::http::hidden(&text, name).expect("a field");
    let (csrf, plan) = (field("csrf"), field("plan"));
    let fields =
        [("csrf", csrf.as_str()), ("plan", plan.as_str()), ("every", "0"), ("last", "2"), ("best", "0")];
    let answer = admin.post("/runs/r/cleanup", &fields).has(303);
    let next = answer.headers["location"].to_str().expect("a path").to_owned();
    assert!(admin.get(&next).has(200).text.contains("Removed the weights of 2"), "{next}");
    let csv = stage.service.visitor().get("/runs/r/cleanup.csv?last=2").has(200).text;
    assert!(csv.starts_with("step,checkpoint,state,owned,bytes,freed_bytes,kept,path\n1200,"), "{csv}");
    stage.clean(&["--keep", "first:3"]).exits(2);
}

#[test]
fn a_folder_that_another_run_stands_on_is_not_offered_for_removal() {
    let stage = Stage::set();
    let plan = || stage.service.api().get("/api/v1/runs/r/cleanup").has(200).json();
    assert!(plan()["shell"].is_string());
    stage.hand_over("s", 5, 4, false);
    assert_eq!(plan()["shell"], Value::Null);
}
