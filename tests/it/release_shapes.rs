//! Weights in other shards or another type than the checkpoint's.

use serde_json::json;
use tests::hub_double::{HubDouble, HubOptions};
use tests::service::text;
use tests::wait::until;

use crate::lab::{Lab, REPO, lineage};

#[test]
fn weights_go_out_in_the_type_and_shards_that_the_release_asks_for() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let hub = runtime.block_on(HubDouble::start(HubOptions::default()));
    let lab = Lab::with_hub(hub.endpoint());
    let asked = lineage("L1").replace("[release]\n", "[release]\ndtype = \"bf16\"\nshard_size = \"1MB\"\n");
    let draft = lab.post(&json!({ "lineage": asked })).has(201).json();
    let id = text(&draft["id"]).to_owned();
    lab.release(&["freeze", &id]).exits(0);
    let judged = lab.show(&id);
    assert_eq!(judged["state"], "policy_checked");
    let _ = lab.act(&id, "request").has(200);
    let page = format!("/releases/{id}");
    let _ = lab.service.session("ueda").press(&page, &format!("{page}/approve"), "").has(303);
    lab.release(&["publish", "--wait", &id]).exits(0);
    let config = hub.bytes(REPO, "main", "config.json").expect("published");
    let config: serde_json::Value = serde_json::from_slice(&config).expect("JSON");
    let dtype = config.get("dtype").or_else(|| config.get("torch_dtype")).expect("a type");
    assert_eq!(dtype, "bfloat16");
    let weights = hub.bytes(REPO, "main", "model.safetensors").expect("it fits one shard");
    let header: serde_json::Value = {
        let length =
            usize::try_from(u64::from_le_bytes(weights[..8].try_into().expect("eight"))).expect("small");
        serde_json::from_slice(&weights[8..8 + length]).expect("a header")
    };
    let types: Vec<&str> =
        header.as_object().expect("tensors").values().filter_map(|t| t["dtype"].as_str()).collect();
    assert!(!types.is_empty() && types.iter().all(|dtype| *dtype == "BF16"), "{types:?}");
    let out = lab.folder.path().join("export");
    lab.release(&["export", &id, "--out", out.to_str().expect("text")]).exits(0);
    tests::cli::run(tests::cli::command(["verify"]).arg(&out)).exits(0);
}

/// Copies of checkpoints and prepared weights are found by their names, wherever the data folder is by now.
#[test]
fn a_data_folder_that_was_moved_still_has_the_weights_of_its_releases() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let hub = runtime.block_on(HubDouble::start(HubOptions::default()));
    let mut lab = Lab::with_hub(hub.endpoint());
    let model = lab.folder.path().join("model");
    let weights = fs_err::read(model.join("model.safetensors")).expect("weights");
    let copy = ["ingest", "--json", "--copy", "--run", "copied", "--step", "10", "--tokens", "1000"];
    lab.checkpoint = tests::cli::run(lab.service.command(&copy).arg(&model)).exits(0).json();
    fs_err::remove_dir_all(&model).expect("removed");
    let plain = lab.approved(&lineage("L1"), &["ueda"]);
    let made =
        lineage("L1").replace(REPO, "lab/gate-bf16").replace("[release]\n", "[release]\ndtype = \"bf16\"\n");
    let made = text(&lab.post(&json!({ "lineage": made })).has(201).json()["id"]).to_owned();
    lab.release(&["freeze", &made]).exits(0);
    let _ = lab.act(&made, "request").has(200);
    let page = format!("/releases/{made}");
    let _ = lab.service.session("ueda").press(&page, &format!("{page}/approve"), "").has(303);

    lab.service.move_data();
    let out = lab.folder.path().join("export");
    lab.release(&["export", &made, "--out", out.to_str().expect("text")]).exits(0);
    tests::cli::run(tests::cli::command(["verify"]).arg(&out)).exits(0);
    for id in [&plain, &made] {
        lab.release(&["publish", "--wait", id]).exits(0);
    }
    assert_eq!(hub.bytes(REPO, "main", "model.safetensors").expect("published"), weights);
    let exported = fs_err::read(out.join("model.safetensors")).expect("exported");
    assert_ne!(exported, weights, "it was written anew");
    assert_eq!(hub.bytes("lab/gate-bf16", "main", "model.safetensors").expect("published"), exported);

    // What is made now is made from the copy where that lies by now.
    let again =
        lineage("L1").replace(REPO, "lab/gate-again").replace("[release]\n", "[release]\ndtype = \"bf16\"\n");
    let again = text(&lab.post(&json!({ "lineage": again })).has(201).json()["id"]).to_owned();
    lab.release(&["freeze", &again]).exits(0);
    assert_eq!(lab.show(&again)["state"], "policy_checked");
}

#[test]
fn a_wish_that_cannot_be_met_is_told_and_a_killed_service_finishes_what_it_began() {
    let mut lab = Lab::new("");
    let wrong = lineage("L1").replace("[release]\n", "[release]\nshard_size = \"5GiB\"\n");
    lab.post(&json!({ "lineage": wrong })).is_problem(422, "release-target");
    let misspelt = lineage("L1").replace("[release]\n", "[release]\ndtype = \"fp8\"\n");
    lab.post(&json!({ "lineage": misspelt })).is_problem(422, "lineage");
    let asked = lineage("L1").replace("[release]\n", "[release]\ndtype = \"bf16\"\n");
    let draft = lab.post(&json!({ "lineage": asked })).has(201).json();
    let id = text(&draft["id"]).to_owned();
    let _ = lab.act(&id, "freeze").has(200);
    lab.service.kill9();
    lab.service.restart();
    let state = until("the release to be judged", 60, || {
        let shown = lab.show(&id);
        (shown["state"] != "frozen").then(|| text(&shown["state"]).to_owned())
    });
    assert_eq!(state, "policy_checked");
    let prepared = lab.service.dir().join("releases");
    let count = || fs_err::read_dir(&prepared).expect("a folder").count();
    fs_err::create_dir(prepared.join("half-written")).expect("made");
    lab.service.kill9();
    lab.service.restart();
    assert_eq!(count(), 1, "what no release refers to goes, what one refers to stays");
    let _ = lab.edit(&id, &asked).has(200);
    assert_eq!(count(), 0, "and so do those of a draft, at once");
}
