use sekisho_domain::user::{Role, Scope};
use sekisho_domain::{Sha256, UserId};

use super::{at, entry, id, user};
use crate::{ApiToken, LoginLink, Session, SessionKind, Store, StoreError, User};

pub(crate) async fn people_sign_in(store: &dyn Store) {
    let author = user(1, "森", &[Role::Viewer, Role::Contributor]);
    let approver = user(2, "上田", &[]);
    let add = entry("user.add");
    store.add_user(&author, &add).await.expect("add");
    store.add_user(&approver, &add).await.expect("add");
    let taken = store.add_user(&user(3, "森", &[]), &add).await.expect_err("the name is taken");
    assert_eq!(taken.to_string(), "the name \"森\" is taken; choose another");
    assert_eq!(store.user(author.id).await.expect("lookup"), Some(author.clone()));
    assert_eq!(store.user_by_name("上田").await.expect("lookup"), Some(approver.clone()));
    assert_eq!(store.user_by_name("誰か").await.expect("lookup"), None);
    store.set_roles(approver.id, &[Role::Approver], &entry("user.roles")).await.expect("roles");
    assert!(store.user(approver.id).await.expect("lookup").expect("is there").has(Role::Approver));
    assert_eq!(store.users().await.expect("list").len(), 2);
    let missing = store.set_roles(id(9), &[], &entry("user.roles")).await.expect_err("no such user");
    assert!(matches!(missing, StoreError::Missing { kind: "user", .. }), "{missing}");

    let (admin, first) = (user(4, "admin", &[Role::Admin]), token(4, id(4)));
    store.add_user_with_token(&admin, &first, &add).await.expect("both");
    assert_eq!(store.token(first.hash, at(5)).await.expect("lookup"), Some((admin.clone(), first.clone())));
    let again = ApiToken { user: id(5), ..first };
    let twice = store.add_user_with_token(&user(5, "second", &[]), &again, &add).await;
    assert!(matches!(twice, Err(StoreError::Conflict(_))), "{twice:?}");
    assert_eq!(store.user(id(5)).await.expect("lookup"), None, "neither");
    assert_eq!(audited(store).await, 4, "an entry for each change, and none for what was refused");
    one_admin_stays(store, &admin, &author).await;

    tokens(store, &author).await;
    links(store, author.id).await;
    sessions(store, author.id).await;
}

async fn audited(store: &dyn Store) -> u64 {
    store.verify_audit(&[]).await.expect("verify").expect("an unbroken chain")
}

async fn one_admin_stays(store: &dyn Store, admin: &User, other: &User) {
    let set = async |id, roles: &[Role]| store.set_roles(id, roles, &entry("user.roles")).await;
    let before = audited(store).await;
    let error = set(admin.id, &[Role::Viewer]).await.expect_err("the only one");
    assert_eq!(error.to_string(), "admin is the only admin; make somebody else one first");
    assert_eq!(audited(store).await, before);
    set(other.id, &[Role::Admin]).await.expect("a second one");
    let (one, two) = tokio::join!(set(admin.id, &[]), set(other.id, &[]));
    assert!(one.is_ok() != two.is_ok(), "of two who take it from each other one stays: {one:?}, {two:?}");
    set(admin.id, &admin.roles).await.expect("back");
    set(other.id, &other.roles).await.expect("back");
    assert_eq!(audited(store).await, before + 4);
}

pub(crate) fn token(n: u32, user: UserId) -> ApiToken {
    ApiToken {
        id: id(n),
        user,
        label: "trainer".to_owned(),
        hash: Sha256::of(format!("secret {n}")),
        scopes: vec![Scope::Read, Scope::Ingest],
        makers: vec![id(9), user],
        expires: None,
        created: at(0),
    }
}

async fn tokens(store: &dyn Store, owner: &User) {
    let forever = token(1, owner.id);
    let brief = ApiToken {
        id: id(2),
        hash: Sha256::of("brief"),
        expires: Some(at(10)),
        created: at(1),
        ..forever.clone()
    };
    let before = audited(store).await;
    store.add_token(&forever, &entry("token.add")).await.expect("add");
    store.add_token(&brief, &entry("token.add")).await.expect("add");
    assert_eq!(store.token(Sha256::of("guess"), at(5)).await.expect("lookup"), None);
    assert_eq!(
        store.token(forever.hash, at(5)).await.expect("lookup"),
        Some((owner.clone(), forever.clone()))
    );
    assert!(store.token(brief.hash, at(9)).await.expect("lookup").is_some());
    assert_eq!(store.token(brief.hash, at(10)).await.expect("lookup"), None, "expired");
    assert_eq!(store.tokens(owner.id).await.expect("list"), [forever.clone(), brief]);
    let revoke = entry("token.revoke");
    assert!(store.revoke_token(forever.id, &revoke).await.expect("revoke"));
    assert!(!store.revoke_token(forever.id, &revoke).await.expect("revoke"), "it is gone");
    assert_eq!(audited(store).await, before + 3, "what was not there is not audited");
    assert_eq!(store.token(forever.hash, at(5)).await.expect("lookup"), None);
}

async fn links(store: &dyn Store, owner: UserId) {
    let link = |text: &str, until| LoginLink {
        hash: Sha256::of(text),
        user: owner,
        makers: vec![id(9)],
        expires: at(until),
    };
    for link in [link("good", 100), link("old", 10)] {
        store.add_login_link(&link, &entry("user.login_link")).await.expect("add");
    }
    let good = Sha256::of("good");
    assert_eq!(store.peek_login_link(good, at(50)).await.expect("peek").map(|user| user.id), Some(owner));
    assert_eq!(store.peek_login_link(Sha256::of("old"), at(50)).await.expect("peek"), None, "expired");
    let (one, two) = tokio::join!(store.take_login_link(good, at(50)), store.take_login_link(good, at(50)));
    let taken = [one.expect("take"), two.expect("take")];
    let taken: Vec<_> = taken.into_iter().flatten().collect();
    assert_eq!(taken.len(), 1, "of two at once, one gets the account");
    assert_eq!((taken[0].0.id, &taken[0].1), (owner, &link("good", 100)));
    assert_eq!(store.peek_login_link(good, at(50)).await.expect("peek"), None, "used up");
    assert_eq!(store.take_login_link(Sha256::of("old"), at(50)).await.expect("take"), None);
}

async fn sessions(store: &dyn Store, owner: UserId) {
    let session = Session {
        kind: SessionKind::Browser,
        hash: Sha256::of("cookie"),
        user: owner,
        csrf: "token".to_owned(),
        makers: vec![id(9)],
        expires: at(100),
    };
    store.add_session(&session).await.expect("add");
    let found = store.session(session.hash, at(99)).await.expect("lookup").expect("is there");
    assert_eq!((found.0.id, found.1), (owner, session.clone()));
    assert_eq!(store.session(session.hash, at(100)).await.expect("lookup"), None, "expired");
    store.end_session(session.hash).await.expect("end");
    assert_eq!(store.session(session.hash, at(50)).await.expect("lookup"), None);
}
