use sekisho_domain::channel::{ChannelState, ChannelTakes};
use sekisho_domain::user::Role;
use sekisho_domain::{ChannelId, Sha256};

use super::releases::draft;
use super::{a_checkpoint, at, entry, id, user};
use crate::{Approval, ApprovalKind, Channel, Release, Store, StoreError};

fn channel(n: u32) -> Channel {
    Channel {
        id: id(n),
        project: "default".to_owned(),
        name: "減衰の枝".to_owned(),
        state: ChannelState::Proposed,
        author: id(1),
        reference: id(1),
        runs: "v4-8b-*".to_owned(),
        takes: ChannelTakes::BranchEnds,
        revision: "{run}".to_owned(),
        until: at(1000),
        digest: Sha256::of("channel"),
        approvals_needed: 2,
        active_since: None,
        version: 1,
        created: at(i64::from(n)),
        updated: at(i64::from(n)),
    }
}

fn approval(n: u32, digest: &str) -> Approval {
    Approval {
        user: id(n),
        user_name: format!("user-{n}"),
        kind: ApprovalKind::Approval,
        digest: Sha256::of(digest),
        comment: String::new(),
        at: at(20),
    }
}

pub(crate) async fn a_channel_takes_each_checkpoint_once(store: &dyn Store) {
    for n in 1..=3 {
        let person = user(n, &format!("user-{n}"), &[Role::Approver]);
        store.add_user(&person, &entry("user.add")).await.expect("user");
    }
    a_checkpoint(store, 1, Sha256::of("a")).await;
    store.add_release(&draft(1), &entry("release.propose")).await.expect("add");
    for n in 1..=2 {
        store.add_channel(&channel(n), &entry("channel.propose")).await.expect("add");
    }
    let all: Vec<ChannelId> = store.channels().await.expect("list").into_iter().map(|c| c.id).collect();
    assert_eq!(all, [id(2), id(1)], "newest first");
    assert_eq!(store.channel(id(9)).await.expect("lookup"), None);
    let now = async || store.channel(id(1)).await.expect("lookup").expect("is there");
    assert_eq!(now().await, channel(1));

    approved_by_two(store).await;

    let taken = Release { channel: Some(id(1)), ..draft(2) };
    let take =
        async |release: &Release| store.add_channel_release(id(1), release, &entry("release.propose")).await;
    take(&taken).await.expect("take");
    assert_eq!(store.release(id(2)).await.expect("lookup"), Some(taken.clone()));
    let again = take(&Release { id: id(3), ..taken }).await;
    assert!(matches!(again, Err(StoreError::Conflict(_))), "{again:?}");
    assert_eq!(store.release(id(3)).await.expect("lookup"), None, "neither is its release kept");
    assert_eq!(store.channel_releases(id(1)).await.expect("list"), [(id(1), id(2))]);
    assert_eq!(store.channel_releases(id(2)).await.expect("list"), []);

    let read = now().await;
    let ended = Channel { state: ChannelState::Ended, ..read.clone() };
    store.update_channel(&ended, &entry("channel.end")).await.expect("end");
    assert_eq!(now().await, Channel { version: read.version + 1, ..ended.clone() });
    let stale = store.update_channel(&ended, &entry("channel.end")).await;
    assert!(matches!(stale, Err(StoreError::Stale)), "{stale:?}");
}

async fn approved_by_two(store: &dyn Store) {
    let now = async || store.channel(id(1)).await.expect("lookup").expect("is there");
    let approve = async |channel: &Channel, approval: &Approval| {
        store.approve_channel(channel, approval, &entry("channel.approve")).await
    };
    approve(&now().await, &approval(2, "channel")).await.expect("approve");
    let stale = approve(&channel(1), &approval(3, "channel")).await;
    assert!(matches!(stale, Err(StoreError::Stale)), "read before: {stale:?}");
    let other = approve(&now().await, &approval(3, "other")).await;
    assert!(matches!(other, Err(StoreError::Stale)), "another digest: {other:?}");
    let twice = approve(&now().await, &approval(2, "channel")).await;
    assert!(matches!(twice, Err(StoreError::Conflict(_))), "{twice:?}");
    let active = Channel { state: ChannelState::Active, active_since: Some(at(30)), ..now().await };
    approve(&active, &approval(3, "channel")).await.expect("approve");
    assert_eq!(now().await, Channel { version: active.version + 1, ..active });
    let both = [approval(2, "channel"), approval(3, "channel")];
    assert_eq!(store.channel_approvals(id(1)).await.expect("approvals"), both);
}
