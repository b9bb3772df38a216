use sekisho_domain::wire::RegisterRun;
use sekisho_domain::{Sha256, Step, Tokens};

use super::*;
use crate::service::{checkpoints, runs};
use crate::web::pages::fixtures;

fn entry(path: &str, bytes: &str) -> FileEntry {
    FileEntry { path: path.to_owned(), size: bytes.len() as u64, sha256: Sha256::of(bytes) }
}

#[test]
fn bytes_count_and_times_only_raise_a_suspicion() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    fs_err::write(at("a"), "one").expect("written");
    fs_err::write(at("b"), "two").expect("written");
    let files = [entry("a", "one"), entry("b", "two")];
    let look = |before: &[FileStamp]| compare(folder.path(), &files, before);
    let Found::SameBytes(stamps) = look(&[]) else { panic!("never looked at: it is read") };
    assert_eq!(look(&stamps), Found::Same);
    fs_err::write(at("a"), "one").expect("written again");
    let Found::SameBytes(newer) = look(&stamps) else { panic!("read again and found the same") };
    assert_ne!(newer, stamps);
    fs_err::write(at("b"), "too").expect("written");
    assert_eq!(look(&newer), Found::Changed("b".to_owned()));
    fs_err::write(at("b"), "longer").expect("written");
    assert_eq!(look(&newer), Found::Changed("b".to_owned()));
    fs_err::remove_file(at("b")).expect("removed");
    assert_eq!(look(&newer), Found::Missing("b".to_owned()));
    fs_err::remove_file(at("a")).expect("removed");
    assert_eq!(look(&newer), Found::Gone);
    fs_err::remove_dir(folder.path()).expect("removed");
    assert_eq!(look(&newer), Found::Gone);
}

#[tokio::test]
async fn the_job_finds_changes_and_returns_once() {
    let root = tempfile::tempdir().expect("a folder");
    let config = crate::Config::defaults(root.path()).expect("a configuration");
    let app = crate::serve::open_app(config).await.expect("an application").0;
    let request = RegisterRun { name: "r".to_owned(), ..RegisterRun::default() };
    let (run, _) = runs::register(&app, &request, "mori").await.expect("a run");
    let folder = root.path().join("model");
    fs_err::create_dir(&folder).expect("a folder");
    fs_err::write(folder.join("a"), "one").expect("written");
    let added = checkpoints::add(&app, &run, Step(1), Tokens(1), &folder, false).await.expect("added");
    let found = fixtures::verified_checkpoint().verification.expect("verified");
    let found = Verification { files: vec![entry("a", "one")], ..found };
    let path = folder.display().to_string();
    app.store.set_verified(added.id, &path, false, &found, app.now()).await.expect("verified");
    let tick = async || {
        crate::jobs::standing::tick(&app).await.expect("a look");
        app.store.checkpoint(added.id).await.expect("store").expect("there")
    };
    let now = tick().await;
    assert_eq!((now.state, now.stamps.len()), (CheckpointState::Verified, 1), "it is known from now on");
    fs_err::write(folder.join("a"), "two").expect("written");
    assert_eq!(tick().await.state, CheckpointState::Changed);
    let reason = tick().await.refusal.expect("a reason");
    assert!(reason.en.contains("/a changed after") && reason.ja.contains("が変更されています"), "{reason:?}");
    fs_err::remove_dir_all(&folder).expect("removed");
    assert_eq!(tick().await.state, CheckpointState::Gone);
    // A disk that was away.
    fs_err::create_dir(&folder).expect("a folder");
    fs_err::write(folder.join("a"), "one").expect("written");
    assert_eq!(tick().await.state, CheckpointState::Verified);
    let kinds: Vec<String> = app
        .store
        .audit_after(0, 100)
        .await
        .expect("the log")
        .iter()
        .filter_map(|entry| entry.entry["action"].as_str().map(ToOwned::to_owned))
        .filter(|action| action.starts_with("checkpoint."))
        .collect();
    assert_eq!(kinds, ["checkpoint.changed", "checkpoint.changed", "checkpoint.restored"]);
}
