use std::collections::BTreeMap;

use sekisho_domain::manifest::FileEntry;
use sekisho_domain::release::{ReleaseState as State, Yank, YankExtent};
use sekisho_domain::user::Role;
use sekisho_domain::{ReleaseId, Sha256, Text};
use serde_json::json;

use super::{a_checkpoint, at, entry, id, user};
use crate::{
    Approval, ApprovalKind, Comment, HubCommit, Prepared, PublishStep, Release, StepState, Store, StoreError,
};

pub(super) fn draft(n: u32) -> Release {
    Release {
        id: id(n),
        project: "default".to_owned(),
        checkpoint: id(1),
        name: "Lab-8B".to_owned(),
        state: State::Draft,
        author: id(1),
        lineage: "[model]\nname = \"Lab-8B\"\n".to_owned(),
        path: "lab/lineage.toml".to_owned(),
        parents: BTreeMap::from([("base/lineage.toml".to_owned(), Sha256::of("parent").to_string())]),
        card_en: "# Lab-8B".to_owned(),
        card_ja: "# Lab-8B（日本語）".to_owned(),
        files: BTreeMap::from([("LICENSE".to_owned(), Sha256::of("text").to_string())]),
        given: vec!["LICENSE".to_owned()],
        missing: vec!["news.md".to_owned()],
        card_edits: BTreeMap::from([(
            "ja".to_owned(),
            BTreeMap::from([("contact".to_owned(), "連絡先".to_owned())]),
        )]),
        generated: BTreeMap::from([("training/spec.toml".to_owned(), Sha256::of("spec").to_string())]),
        prepared: Some(Prepared {
            path: "/data/releases/1".to_owned(),
            files: vec![FileEntry { path: "model.safetensors".to_owned(), size: 8, sha256: Sha256::of("w") }],
            weights: Sha256::of("weights"),
            digest: Sha256::of("digest"),
            dtype: "bf16".to_owned(),
        }),
        successor: None,
        yank: None,
        publish_at: Some(at(500)),
        channel: None,
        decision: None,
        digest: None,
        approvals_needed: 2,
        commit: None,
        url: None,
        version: 1,
        created: at(i64::from(n)),
        updated: at(i64::from(n)),
    }
}

fn approval(n: u32, digest: Sha256) -> Approval {
    Approval {
        user: id(n),
        user_name: format!("user-{n}"),
        kind: ApprovalKind::Approval,
        digest,
        comment: "確認しました".to_owned(),
        at: at(20),
    }
}

fn comment(action: &str) -> Comment {
    Comment {
        user: id(2),
        user_name: "user-2".to_owned(),
        action: action.to_owned(),
        text: "本文".to_owned(),
        at: at(30),
    }
}

async fn present(store: &dyn Store, id: ReleaseId) -> Release {
    store.release(id).await.expect("lookup").expect("is there")
}

async fn valid(store: &dyn Store) -> Vec<Approval> {
    store.valid_approvals(&[id(1)]).await.expect("approvals").remove(&id(1)).unwrap_or_default()
}

async fn audited(store: &dyn Store) -> u64 {
    store.verify_audit(&[]).await.expect("verify").expect("an unbroken chain")
}

pub(crate) async fn a_release_is_reviewed(store: &dyn Store) {
    for n in 1..=3 {
        let person = user(n, &format!("user-{n}"), &[Role::Approver]);
        store.add_user(&person, &entry("user.add")).await.expect("user");
    }
    a_checkpoint(store, 1, Sha256::of("a")).await;
    store.add_release(&draft(1), &entry("release.propose")).await.expect("add");
    store.add_release(&draft(2), &entry("release.propose")).await.expect("add");
    assert_eq!(present(store, id(1)).await, draft(1));
    assert_eq!(store.release(id(9)).await.expect("lookup"), None);

    changed_by_two(store).await;
    approved(store).await;
    published(store).await;

    let order: Vec<_> =
        store.releases(9).await.expect("list").into_iter().map(|release| release.id).collect();
    assert_eq!(order, [id(1), id(2)], "in review first, then newest");
    let of: Vec<_> =
        store.releases_of(id(1)).await.expect("list").into_iter().map(|release| release.id).collect();
    assert_eq!(of, [id(2), id(1)], "newest first");
    let together = store.releases_of_all(&[id(9), id(1)]).await.expect("list");
    assert_eq!(together, store.releases_of(id(1)).await.expect("list"));
    assert_eq!(store.releases_of_all(&[]).await.expect("list"), []);
    let of = async |states: &[State]| -> Vec<ReleaseId> {
        store.releases_in(states).await.expect("list").into_iter().map(|release| release.id).collect()
    };
    assert_eq!(of(&[State::InReview, State::Draft]).await, [id(2), id(1)]);
    assert_eq!(of(&[State::Draft, State::Published]).await, [id(2)]);
    assert_eq!(of(&[]).await, []);
}

async fn changed_by_two(store: &dyn Store) {
    let before = audited(store).await;
    let read = present(store, id(1)).await;
    let frozen = Release {
        state: State::InReview,
        digest: Some(Sha256::of("content")),
        decision: Some(json!({"verdict": "allowed", "score": 0.1})),
        updated: at(10),
        ..read.clone()
    };
    store.update_release(&frozen, &entry("release.freeze"), None).await.expect("update");
    assert_eq!(present(store, id(1)).await, Release { version: read.version + 1, ..frozen.clone() });
    let stale = Release { name: "other".to_owned(), ..read };
    let error = store
        .update_release(&stale, &entry("release.edit"), Some(&comment("edit")))
        .await
        .expect_err("read before");
    assert!(matches!(error, StoreError::Stale), "{error}");
    assert_eq!(present(store, id(1)).await.name, frozen.name);
    assert_eq!(store.comments(id(1)).await.expect("comments"), [], "neither the comment");
    assert_eq!(audited(store).await, before + 1, "nor the audit entry is kept");
}

async fn approved(store: &dyn Store) {
    let digest = Sha256::of("content");
    let approve = async |approval: &Approval| {
        let read = present(store, id(1)).await;
        store.approve(&read, approval, &entry("release.approve")).await
    };
    approve(&approval(2, digest)).await.expect("approve");
    let version = present(store, id(1)).await.version;
    let twice = approve(&approval(2, digest)).await.expect_err("one person counts once");
    assert_eq!(twice.to_string(), "user-2 has approved exactly this content already");
    let other =
        approve(&approval(3, Sha256::of("other content"))).await.expect_err("not what the release holds");
    assert!(matches!(other, StoreError::Stale), "{other}");
    assert_eq!(present(store, id(1)).await.version, version, "nothing changed");
    approve(&approval(3, digest)).await.expect("approve");
    let stale = Release { version, ..present(store, id(1)).await };
    let error = store
        .approve(&stale, &approval(1, digest), &entry("release.approve"))
        .await
        .expect_err("read before");
    assert!(matches!(error, StoreError::Stale), "{error}");
    let both = [approval(2, digest), approval(3, digest)];
    assert_eq!(valid(store).await, both);
    let of_all = store.valid_approvals(&[id(1), id(2)]).await.expect("approvals");
    assert_eq!(of_all.into_keys().collect::<Vec<_>>(), [id(1)], "the other has none");

    returned_and_requested_again(store).await;
    approve(&approval(2, digest)).await.expect("the same person may approve it anew");
    assert_eq!(valid(store).await, [approval(2, digest)]);
    let all = [approval(2, digest), approval(3, digest), approval(2, digest)];
    assert_eq!(store.approvals(id(1)).await.expect("approvals"), all, "history is kept");

    let before = audited(store).await;
    store.add_comment(id(1), &comment("comment"), &entry("release.comment")).await.expect("comment");
    assert_eq!(audited(store).await, before + 1, "a comment is audited");
    assert_eq!(store.comments(id(1)).await.expect("comments"), [comment("return"), comment("comment")]);
}

/// Nobody has approved what was returned, even when it comes back without a change.
async fn returned_and_requested_again(store: &dyn Store) {
    let read = present(store, id(1)).await;
    let draft = Release { state: State::Draft, digest: None, ..read.clone() };
    store.update_release(&draft, &entry("release.return"), Some(&comment("return"))).await.expect("return");
    let again = Release { version: read.version + 1, ..read };
    store.update_release(&again, &entry("release.freeze"), None).await.expect("freeze");
    assert_eq!(valid(store).await, []);
}

async fn published(store: &dyn Store) {
    let step = |name: &str, state, detail: &str| PublishStep {
        name: name.to_owned(),
        state,
        detail: Text { en: detail.to_owned(), ja: format!("{detail}（日本語）") },
        at: at(40),
    };
    for step in [
        step("create", StepState::Intended, ""),
        step("commit", StepState::Intended, ""),
        step("create", StepState::Done, "private"),
        step("commit", StepState::Failed, "412"),
    ] {
        store.put_step(id(1), &step).await.expect("step");
    }
    let steps = store.steps(id(1)).await.expect("steps");
    assert_eq!(
        steps,
        [step("create", StepState::Done, "private"), step("commit", StepState::Failed, "412")],
        "as they began"
    );
    assert_eq!(store.steps(id(2)).await.expect("steps"), []);

    let commit =
        |text: &str| HubCommit { digest: Sha256::of(text), place: "https://hub/lab/x/tree/main".to_owned() };
    assert!(store.add_hub_commit(id(1), &commit("a")).await.expect("commit"));
    assert!(!store.add_hub_commit(id(1), &commit("a")).await.expect("commit"), "it is known");
    store.add_hub_commit(id(1), &commit("b")).await.expect("commit");
    store.drop_hub_commit(id(1), &commit("b")).await.expect("commit");
    assert_eq!(store.hub_commits(id(1)).await.expect("commits"), [commit("a")]);
    assert_eq!(store.hub_commits(id(2)).await.expect("commits"), []);
}

pub(crate) async fn a_release_takes_the_place_of_another(store: &dyn Store) {
    store.add_user(&user(1, "user-1", &[Role::Admin]), &entry("user.add")).await.expect("user");
    a_checkpoint(store, 1, Sha256::of("a")).await;
    for n in 1..=2 {
        store.add_release(&draft(n), &entry("release.propose")).await.expect("add");
    }
    let digest = Some(Sha256::of("content"));
    let alone = Approval { kind: ApprovalKind::BreakGlass, ..approval(1, Sha256::of("content")) };
    let review = Release { state: State::InReview, digest, ..present(store, id(1)).await };
    store.update_release(&review, &entry("release.request"), None).await.expect("update");
    let both = [approval(1, Sha256::of("content")), alone.clone()];
    for one in &both {
        let now = present(store, id(1)).await;
        store.approve(&now, one, &entry("release.approve")).await.expect("of another kind");
    }
    let again = store.approve(&present(store, id(1)).await, &alone, &entry("release.approve")).await;
    assert!(matches!(again, Err(StoreError::Conflict(_))), "{again:?}");
    assert_eq!(valid(store).await, both);

    let now = present(store, id(1)).await;
    let new = Release { state: State::Published, publish_at: None, ..now.clone() };
    let old = present(store, id(2)).await;
    let superseded = Release { state: State::Superseded, successor: Some(id(1)), ..old.clone() };
    let stale = Release { version: 7, ..superseded.clone() };
    let (entries, before) = ([entry("release.complete"), entry("release.supersede")], audited(store).await);
    let refused = store.complete_release(&new, &[stale], &entries).await;
    assert!(matches!(refused, Err(StoreError::Stale)), "{refused:?}");
    assert_eq!((present(store, id(1)).await, audited(store).await), (now, before), "both or neither");
    store.complete_release(&new, std::slice::from_ref(&superseded), &entries).await.expect("complete");
    assert_eq!(present(store, id(1)).await, Release { version: new.version + 1, ..new });
    assert_eq!(present(store, id(2)).await, Release { version: old.version + 1, ..superseded });
    assert_eq!(audited(store).await, before + 2);

    let yank = Yank {
        reason: "取り下げの依頼".to_owned(),
        by: "上田".to_owned(),
        at: at(90),
        extent: YankExtent::Hide,
        done: false,
    };
    let out = present(store, id(1)).await;
    let yanked = Release { state: State::Yanked, yank: Some(yank), ..out };
    store.update_release(&yanked, &entry("release.yank"), None).await.expect("update");
    assert_eq!(present(store, id(1)).await.yank, yanked.yank);
}
