//! A release as a folder, and the proof that it is what the lab signed.

use std::path::Path;

use sekisho_domain::Sha256;
use tests::cli::{self, Ended, run};
use tests::hub_double::{HubDouble, HubOptions};
use tests::official_client::OfficialClient;

use crate::lab::{Lab, REPO, lineage};

fn verify(folder: &Path) -> Ended {
    run(cli::command(["verify"]).arg(folder))
}

#[test]
fn what_was_approved_is_exported_signed_and_every_change_is_found() {
    let lab = Lab::new("");
    let id = lab.approved(&lineage("L1"), &["ueda"]);
    let out = lab.folder.path().join("export");
    let to = out.to_str().expect("text");
    lab.release(&["export", &id, "--out", to]).exits(0);
    lab.release(&["export", &id, "--out", to]).exits(4).says(&["export"]);
    let weights = fs_err::read(out.join("model.safetensors")).expect("exported");
    let original = fs_err::read(lab.folder.path().join("model/model.safetensors")).expect("the model");
    assert_eq!(Sha256::of(&weights), Sha256::of(original));
    assert!(!out.join("NOT_APPROVED.txt").exists());
    let good = verify(&out).exits(0);
    let told = format!("{}{}", good.stdout, good.stderr);
    assert!(told.contains("compare"), "the key came with the folder: {told}");
    let record = lab.show(&id)["decision"]["policy"].clone();
    let policy =
        format!("{} {}", record["name"].as_str().expect("text"), record["version"].as_str().expect("text"));
    let rows = ["signer", "policy", "approvals"].map(|name| {
        good.stdout
            .lines()
            .find(|line| line.starts_with(name))
            .unwrap_or_else(|| panic!("{name}: {told}"))
            .to_owned()
    });
    assert!(rows[0].contains("lab") && rows[0].contains(&id), "{rows:?}");
    assert!(rows[1].contains(&policy) && rows[2].contains("1 needed"), "{rows:?}");

    let mut flipped = weights.clone();
    *flipped.last_mut().expect("bytes") ^= 1;
    fs_err::write(out.join("model.safetensors"), &flipped).expect("written");
    let bad = verify(&out).exits(1);
    assert!(format!("{}{}", bad.stdout, bad.stderr).contains("model.safetensors"), "{bad:?}");
    fs_err::write(out.join("model.safetensors"), &weights).expect("written");
    verify(&out).exits(0);
    fs_err::write(out.join("extra.md"), "x").expect("written");
    verify(&out).exits(1);
    fs_err::remove_file(out.join("extra.md")).expect("removed");
    fs_err::remove_file(out.join("LICENSE")).expect("removed");
    verify(&out).exits(1);
    run(cli::command(["verify"]).arg(lab.folder.path().join("nothing"))).exits(3);
}

#[test]
fn what_nobody_approved_says_so_in_folder_and_card() {
    let lab = Lab::new("");
    let id = lab.in_review();
    let out = lab.folder.path().join("draft");
    let ended = lab.release(&["export", &id, "--out", out.to_str().expect("text")]).exits(0);
    assert!(ended.stderr.to_uppercase().contains("NOT APPROVED"), "{}", ended.stderr);
    let mark = fs_err::read_to_string(out.join("NOT_APPROVED.txt")).expect("a mark");
    assert!(mark.contains("未承認") && mark.contains("in_review"), "{mark}");
    let card = fs_err::read_to_string(out.join("README_ja.md")).expect("a card");
    assert!(card.contains("未承認"), "{card}");
    assert!(!out.join("model.sig").exists(), "nobody signs what nobody approved");
    assert!(!out.join("release.json").exists(), "nor says how many have");
    lab.service.visitor().get(&format!("/api/v1/releases/{id}/bundle")).is_problem(401, "sign-in-needed");
}

/// 永井: downloads with the official client, and asks who signed.
#[test]
fn a_download_with_the_official_client_verifies() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let hub = runtime.block_on(HubDouble::start(HubOptions::default()));
    let lab = Lab::with_hub(hub.endpoint());
    let id = lab.approved(&lineage("L1"), &["ueda"]);
    let planned = lab.release(&["publish", "--dry-run", &id]).exits(0);
    assert!(format!("{}{}", planned.stdout, planned.stderr).contains("model.safetensors"), "{planned:?}");
    assert_eq!(hub.is_private(REPO), None, "a dry run changes nothing");
    lab.release(&["publish", "--wait", &id]).exits(0);
    let mut by_name = cli::command(["verify", REPO, "--endpoint", hub.endpoint(), "--json"]);
    let report = run(&mut by_name).exits(0).json();
    assert!(report.is_object(), "{report}");
    let key = lab.folder.path().join("lab.pub");
    let pem = lab.service.visitor().get("/api/v1/signing-key").has(200).text;
    fs_err::write(&key, pem).expect("written");
    runtime.block_on(async {
        let Some(client) = OfficialClient::find().await else { return };
        let folder = lab.folder.path().join("download");
        let into = folder.to_str().expect("text");
        let _ = client.run(false, &["fetch", hub.endpoint(), "", REPO, "main", into]).await;
        assert!(folder.join(".cache").is_dir(), "the official client leaves its cache there");
        let ended = run(cli::command(["verify"]).arg(&folder).arg("--key").arg(&key)).exits(0);
        let told = format!("{}{}", ended.stdout, ended.stderr);
        assert!(!told.contains("differs"), "{told}");
    });
}

/// A checkpoint handed over by reference lies where its owner may still write.
#[test]
fn a_file_that_was_replaced_by_a_link_after_it_was_examined_leaves_by_no_way() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let hub = runtime.block_on(HubDouble::start(HubOptions::default()));
    let lab = Lab::with_hub(hub.endpoint());
    let id = lab.approved(&lineage("L1"), &["ueda"]);
    let secret = lab.service.dir().join("admin-token");
    let file = lab.folder.path().join("model/tokenizer.json");
    let examined = fs_err::read(&file).expect("there");
    let at = format!("/api/v1/releases/{id}/files/tokenizer.json");
    assert_eq!(lab.author.get(&at).has(200).text.as_bytes(), examined);

    // As long as the secret is, and with the very bytes that were examined: a link out of the folder is no file of it.
    let copy = lab.folder.path().join("elsewhere.json");
    fs_err::write(&copy, &examined).expect("written");
    for target in [&secret, &copy] {
        fs_err::remove_file(&file).expect("removed");
        std::os::unix::fs::symlink(target, &file).expect("a link");
        lab.author.get(&at).is_problem(409, "checkpoint-changed");
    }
    let out = lab.folder.path().join("export");
    lab.release(&["export", &id, "--out", out.to_str().expect("text")]).exits(4);
    assert!(!out.exists(), "nothing of it is kept");
    lab.act(&id, "publish").is_problem(409, "checkpoint-changed");
    assert_eq!(hub.is_private(REPO), None, "nothing was sent");

    // Another size, and the folder itself a link to another one.
    fs_err::remove_file(&file).expect("removed");
    fs_err::write(&file, b"{}").expect("written");
    lab.author.get(&at).is_problem(409, "checkpoint-changed");
    fs_err::write(&file, &examined).expect("written");
    let _ = lab.author.get(&at).has(200);
    let (model, moved) = (lab.folder.path().join("model"), lab.folder.path().join("moved"));
    fs_err::rename(&model, &moved).expect("moved");
    std::os::unix::fs::symlink(&moved, &model).expect("a link");
    lab.author.get(&at).is_problem(409, "checkpoint-changed");
}

#[test]
fn an_export_needs_a_role_in_the_project_and_is_written_down() {
    let lab = Lab::new("");
    let id = lab.approved(&lineage("L1"), &["ueda"]);
    let (bundle, file) =
        (format!("/api/v1/releases/{id}/bundle"), format!("/api/v1/releases/{id}/files/LICENSE"));
    lab.service.add_user("kimura", &["viewer"]);
    let (viewer, _) = lab.service.token_of("kimura", &["read"]);
    let (trainer, _) = lab.service.token_of("mori", &["ingest"]);
    for path in [&bundle, &file, &format!("/api/v1/releases/{id}/plan")] {
        viewer.get(path).is_problem(403, "role-missing");
        trainer.get(path).is_problem(403, "scope-missing");
    }
    for path in ["/api/v1/users", "/api/v1/audit", "/api/v1/audit/head"] {
        trainer.get(path).is_problem(403, "scope-missing");
    }
    assert!(lab.audit(&id).iter().all(|line| line.2 != "release.export"), "nobody has taken it yet");
    let _ = lab.author.get(&bundle).has(200);
    let _ = lab.author.get(&file).has(200);
    let taken: Vec<_> = lab.audit(&id).into_iter().filter(|line| line.2 == "release.export").collect();
    let by = ("mori".to_owned(), "token".to_owned(), "release.export".to_owned(), "done".to_owned());
    assert_eq!(taken, [by], "once, with the list of files");
}
