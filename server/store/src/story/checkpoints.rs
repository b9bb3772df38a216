use sekisho_domain::checkpoint::CheckpointState as State;
use sekisho_domain::{CheckpointId, Sha256, Text};

use super::{at, checkpoint, id, run, verification};
use crate::{Checkpoint, Store, StoreError};

fn ids(checkpoints: &[Checkpoint]) -> Vec<CheckpointId> {
    checkpoints.iter().map(|checkpoint| checkpoint.id).collect()
}

pub(crate) async fn a_checkpoint_is_received_and_examined(store: &dyn Store) {
    let owner = run(1);
    store.add_run(&owner).await.expect("run");
    let late = checkpoint(2, &owner, 200);
    let early = checkpoint(3, &owner, 100);
    assert_eq!(store.add_checkpoint(&late).await.expect("add"), late);
    store.add_checkpoint(&early).await.expect("add");
    let again = Checkpoint { path: "elsewhere".to_owned(), ..checkpoint(4, &owner, 200) };
    assert_eq!(store.add_checkpoint(&again).await.expect("again"), late, "the one that is there");
    assert_eq!(ids(&store.checkpoints_of_run(owner.id).await.expect("list")), [early.id, late.id]);
    assert_eq!(ids(&store.checkpoints(10).await.expect("list")), [early.id, late.id], "newest first");
    assert_eq!(
        ids(&store.checkpoints_in(State::Received).await.expect("list")),
        [late.id, early.id],
        "oldest first"
    );

    examined(store, &late).await;
    refused_and_mended(store, &early).await;
}

async fn examined(store: &dyn Store, received: &Checkpoint) {
    let digest = Sha256::of("checkpoint");
    assert_eq!(store.checkpoint_by_digest(digest).await.expect("lookup"), None);
    store.start_verifying(received.id, at(10)).await.expect("start");
    store.start_verifying(received.id, at(11)).await.expect("start again after a stop");
    store.set_place(received.id, "/store/1", at(11)).await.expect("a place");
    assert_eq!(store.checkpoints_unevaluated().await.expect("list"), []);
    let found = verification(digest);
    store.set_verified(received.id, "/store/1", true, &found, at(12)).await.expect("verified");
    let now = store.checkpoint(received.id).await.expect("lookup").expect("is there");
    let expected = Checkpoint {
        state: State::Verified,
        path: "/store/1".to_owned(),
        owned: true,
        place: Some("/store/1".to_owned()),
        verification: Some(found),
        updated: at(12),
        ..received.clone()
    };
    assert_eq!(now, expected);
    assert_eq!(store.checkpoints_unevaluated().await.expect("list"), std::slice::from_ref(&now));
    assert_eq!(store.checkpoint_by_digest(digest).await.expect("lookup"), Some(now));
    let late = store.set_place(received.id, "/store/2", at(13)).await;
    assert!(matches!(late, Err(StoreError::Conflict(_))), "{late:?}");
    let error = store.start_verifying(received.id, at(13)).await.expect_err("examined already");
    assert_eq!(
        error.to_string(),
        "examining it is not possible while the checkpoint is verified; it is possible while it is received, verifying"
    );
    let missing = store.start_verifying(id(9), at(13)).await.expect_err("no such checkpoint");
    assert!(matches!(missing, StoreError::Missing { kind: "checkpoint", .. }), "{missing}");
}

async fn refused_and_mended(store: &dyn Store, received: &Checkpoint) {
    let reason =
        Text { en: "NaN in lm_head.weight".to_owned(), ja: "テンソル lm_head.weight にNaN".to_owned() };
    store.set_refused(received.id, &reason, at(20)).await.expect("refuse");
    let refused = store.checkpoint(received.id).await.expect("lookup").expect("is there");
    assert_eq!((refused.state, refused.refusal), (State::Refused, Some(reason)));
    let error = store.set_verified(received.id, "", false, &verification(Sha256::of("x")), at(21)).await;
    assert!(matches!(error, Err(StoreError::Conflict(_))), "{error:?}");
    let mended = Checkpoint { id: id(5), created: at(21), ..received.clone() };
    assert_eq!(store.add_checkpoint(&mended).await.expect("add").id, mended.id, "a refused one makes room");
    assert_eq!(store.checkpoints_in(State::Refused).await.expect("list").len(), 1);
}
