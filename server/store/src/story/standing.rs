use sekisho_domain::checkpoint::CheckpointState as State;
use sekisho_domain::manifest::{FileEntry, FileStamp};
use sekisho_domain::{Sha256, Text};
use serde_json::json;

use super::{at, checkpoint, id, run, verification};
use crate::{AuditEntry, Run, Store, StoreError, Verification};

fn entry(action: &str, second: i64) -> AuditEntry {
    AuditEntry {
        at: at(second),
        actor: "system".to_owned(),
        by: "system".to_owned(),
        action: action.to_owned(),
        object: "c".to_owned(),
        result: "done".to_owned(),
        detail: json!({}),
    }
}

fn stamp(inode: u64) -> FileStamp {
    FileStamp { path: "config.json".to_owned(), size: 3, modified: 1, changed: -2, inode }
}

pub(crate) async fn files_of_a_checkpoint_change_go_and_come_back(store: &dyn Store) {
    let owner = run(1);
    store.add_run(&owner).await.expect("run");
    let kept = checkpoint(2, &owner, 100);
    store.add_checkpoint(&kept).await.expect("add");
    let found = verification(Sha256::of("a"));
    store.set_verified(kept.id, "/store/a", true, &found, at(1)).await.expect("verified");
    store.set_stamps(kept.id, &[stamp(7)]).await.expect("stamps");
    let now = async || store.checkpoint(kept.id).await.expect("lookup").expect("is there");
    assert_eq!(now().await.stamps, [stamp(7)]);

    let reason = Text { en: "another file".to_owned(), ja: "別のファイル".to_owned() };
    let audit = entry("checkpoint.changed", 2);
    store.set_lost(kept.id, State::Changed, &reason, &audit).await.expect("changed");
    let changed = now().await;
    assert_eq!((changed.state, changed.refusal), (State::Changed, Some(reason.clone())));
    assert_eq!(changed.verification, Some(found.clone()), "what was found stays");
    store.set_found(kept.id, &[stamp(8)], &entry("checkpoint.restored", 3)).await.expect("found");
    let back = now().await;
    assert_eq!((back.state, back.refusal, back.stamps), (State::Verified, None, vec![stamp(8)]));
    let late = store.set_found(kept.id, &[], &entry("checkpoint.restored", 4)).await;
    assert!(matches!(late, Err(StoreError::Conflict(_))), "{late:?}");

    given_up(store, &owner, &reason).await;
}

/// All or none, and a step that was given up is handed over again.
async fn given_up(store: &dyn Store, owner: &Run, reason: &Text) {
    let second = checkpoint(3, owner, 200);
    store.add_checkpoint(&second).await.expect("add");
    let audit = entry("checkpoint.clean", 5);
    let both = [id(2), second.id];
    let early = store.give_up(&both, reason, &audit).await;
    assert!(matches!(early, Err(StoreError::Conflict(_))), "{early:?}");
    let state = async |id| store.checkpoint(id).await.expect("lookup").expect("is there").state;
    assert_eq!(state(id(2)).await, State::Verified, "all or none");
    let file = FileEntry { path: "config.json".to_owned(), size: 3, sha256: Sha256::of("{}") };
    let found = Verification { files: vec![file.clone()], ..verification(Sha256::of("a")) };
    store.set_verified(second.id, "/store/a", true, &found, at(6)).await.expect("verified");
    let names = async || store.checkpoints_in_folder("a").await.expect("list").len();
    assert_eq!(names().await, 2);
    let holding = async |project: &str| {
        store.checkpoints_holding(project, &[file.sha256, Sha256::of("x")]).await.expect("list").len()
    };
    assert_eq!((holding("default").await, holding("other").await), (1, 0), "within the project alone");
    store.give_up(&both, reason, &audit).await.expect("given up");
    assert_eq!((names().await, holding("default").await), (0, 0));
    let again = store.add_checkpoint(&checkpoint(4, owner, 200)).await.expect("add");
    assert_eq!(again.id, second.id, "the step is still taken");
    store.hand_over_again(second.id, "/store/b", false, at(7)).await.expect("again");
    let received = store.checkpoint(second.id).await.expect("lookup").expect("is there");
    assert_eq!((received.state, received.refusal, received.owned), (State::Received, None, false));
    store.verify_audit(&[]).await.expect("read").expect("a whole chain");
}
