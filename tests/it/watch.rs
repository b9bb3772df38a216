//! A trainer's folder on its way to the service.

use std::path::Path;

use serde_json::Value;
use tests::checkpoints::Recipe;
use tests::cli;
use tests::service::Service;

use crate::bad_input::names;
use crate::convert::fixture;

fn copy(from: &Path, to: &Path) {
    fs_err::create_dir_all(to).expect("a folder");
    for entry in fs_err::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs_err::copy(entry.path(), target).expect("copied");
        }
    }
}

/// Steps and states that a round told of, and how it ended.
fn watch(service: &Service, dir: &Path, code: i32) -> Vec<(u64, String)> {
    let flags = ["watch", "--once", "--json", "--run", "r", "--tokens-per-step", "10"];
    let ended = cli::run(service.command(&flags).arg(dir)).exits(code);
    let line = |line: &str| {
        let told: Value = serde_json::from_str(line).expect("an object a line");
        assert!(told["time"].as_str().is_some_and(|time| time.ends_with('Z')), "{line}");
        (told["step"].as_u64().expect("a step"), told["state"].as_str().expect("a state").to_owned())
    };
    ended.stdout.lines().map(line).filter(|(_, state)| !state.starts_with("suite")).collect()
}

fn has(told: &[(u64, String)], step: u64, state: &str) -> bool {
    told.iter().any(|(s, t)| (*s, t.as_str()) == (step, state))
}

#[test]
fn what_a_trainer_writes_is_converted_handed_over_and_verified_once() {
    let root = tempfile::tempdir().expect("a temporary folder");
    let dir = root.path().join("run");
    copy(&fixture("legacy-2-1"), &dir);
    copy(&fixture("dist-2-2/iter_0012000"), &dir.join("iter_0011000"));
    Recipe::default().write(&dir.join("checkpoint-7"));
    // Not finished, and not a checkpoint.
    copy(&fixture("dist-1-1/iter_0012000"), &dir.join("iter_0013000"));
    fs_err::remove_file(dir.join("iter_0013000/.metadata")).expect("removed");
    fs_err::create_dir_all(dir.join("logs")).expect("a folder");

    let service = Service::start();
    let told = watch(&service, &dir, 0);
    for (step, state) in [
        (11_000, "converting"),
        (12_000, "converting"),
        (7, "verified"),
        (11_000, "verified"),
        (12_000, "verified"),
    ] {
        assert!(has(&told, step, state), "{told:?}");
    }
    assert!(!told.iter().any(|(step, _)| *step == 13_000), "{told:?}");
    let known = service.api().get("/api/v1/runs/r/checkpoints").has(200).items();
    let known: Vec<(u64, u64)> = known
        .as_array()
        .expect("a list")
        .iter()
        .map(|c| (c["step"].as_u64().expect("a step"), c["tokens"].as_u64().expect("tokens")))
        .collect();
    assert_eq!(known, [(7, 70), (11_000, 384_000 * 64), (12_000, 384_000 * 64)]);
    assert_eq!(names(&root.path().join("run-hf")), ["iter_0011000", "iter_0012000"]);

    // Started again it has nothing to say, until there is something new.
    assert!(watch(&service, &dir, 0).is_empty());
    fs_err::copy(fixture("dist-1-1/iter_0012000/.metadata"), dir.join("iter_0013000/.metadata"))
        .expect("copied");
    let told = watch(&service, &dir, 0);
    assert!(has(&told, 13_000, "verified") && told.iter().all(|(step, _)| *step == 13_000), "{told:?}");
}

#[test]
fn a_bad_checkpoint_is_named_and_does_not_stop_the_others() {
    let root = tempfile::tempdir().expect("a temporary folder");
    let dir = root.path().join("run");
    copy(&fixture("legacy-1-2"), &dir);
    copy(&fixture("dist-2-1/iter_0012000"), &dir.join("iter_0011000"));
    fs_err::remove_file(dir.join("iter_0011000/__1_0.distcp")).expect("removed");
    let hostile = dir.join("checkpoint-5");
    Recipe::default().write(&hostile);
    fs_err::write(hostile.join("model.safetensors"), b"\x80\x04cos\nsystem\n.").expect("written");

    let service = Service::start();
    let told = watch(&service, &dir, 1);
    for (step, state) in [(5, "refused"), (11_000, "not taken"), (12_000, "verified")] {
        assert!(has(&told, step, state), "{told:?}");
    }
    assert_eq!(names(&root.path().join("run-hf")), ["iter_0012000"], "nothing half-converted");
    // What the service has refused is not offered again.
    let told = watch(&service, &dir, 1);
    assert!(told.iter().all(|(step, _)| *step == 11_000), "{told:?}");
}
