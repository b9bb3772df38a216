use sekisho_domain::{Sha256, UserId};

use super::{at, entry, id, user};
use crate::{LoginRequest, Password, Session, SessionKind, Store};

fn session(secret: &str, kind: SessionKind) -> Session {
    Session {
        hash: Sha256::of(secret),
        user: id(1),
        csrf: String::new(),
        makers: vec![id(9)],
        kind,
        expires: at(500),
    }
}

pub(crate) async fn passwords_and_command_lines(store: &dyn Store) {
    store.add_user(&user(1, "上田", &[]), &entry("user.add")).await.expect("user");
    let owner: UserId = id(1);
    assert_eq!(store.password(owner).await.expect("lookup"), None);
    for secret in ["this one", "another"] {
        store.add_session(&session(secret, SessionKind::Browser)).await.expect("session");
    }
    let password = Password { hash: "$argon2id$x".to_owned(), makers: vec![id(9)] };
    let keep = Some(Sha256::of("this one"));
    store.set_password(owner, Some(&password), keep, &entry("user.password")).await.expect("set");
    assert_eq!(store.password(owner).await.expect("lookup"), Some(password));
    let lives =
        async |secret: &str| store.session(Sha256::of(secret), at(9)).await.expect("lookup").is_some();
    assert!(lives("this one").await && !lives("another").await, "a new password ends the other sessions");
    store.set_password(owner, None, None, &entry("user.password")).await.expect("set");
    assert_eq!(store.password(owner).await.expect("lookup"), None);
    assert!(!lives("this one").await);

    let request = |secret: &str, code: &str, until| LoginRequest {
        hash: Sha256::of(secret),
        code: code.to_owned(),
        origin: "ueda@login01".to_owned(),
        expires: at(until),
    };
    store.add_login_request(&request("old", "OLD", 10), 2, at(1)).await.expect("add");
    store.add_login_request(&request("new", "NEW", 100), 2, at(20)).await.expect("add");
    assert!(
        store.add_login_request(&request("third", "NEW", 100), 2, at(20)).await.is_err(),
        "a code is one's own"
    );
    assert_eq!(store.login_request("OLD", at(5)).await.expect("lookup"), None, "cleared away");
    assert_eq!(store.login_request("NEW", at(99)).await.expect("lookup"), Some(request("new", "NEW", 100)));
    assert_eq!(store.login_request("NEW", at(100)).await.expect("lookup"), None, "too old");
    assert!(store.login_request_waits(Sha256::of("new"), at(50)).await.expect("lookup"));
    let command = session("new", SessionKind::Command);
    let confirm =
        async || store.confirm_login_request("NEW", &command, &entry("user.login")).await.expect("confirm");
    assert!(confirm().await && !confirm().await, "once");
    let found = store.session(Sha256::of("new"), at(50)).await.expect("lookup").expect("is there");
    assert_eq!(found.1, command);
    assert!(!store.login_request_waits(Sha256::of("new"), at(50)).await.expect("lookup"));
    let denied = request("denied", "NO", 100);
    assert!(store.add_login_request(&denied, 1, at(20)).await.expect("add"), "the other one was confirmed");
    let full = store.add_login_request(&request("many", "MANY", 100), 1, at(20)).await.expect("asked");
    assert!(!full, "one waits, and no more may");
    assert_eq!(store.login_request("MANY", at(50)).await.expect("lookup"), None);
    assert!(
        store.drop_login_request("NO").await.expect("drop")
            && !store.drop_login_request("NO").await.expect("drop")
    );
}
