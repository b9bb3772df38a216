use sekisho_domain::Sha256;

use super::at;
use crate::{KeptPolicy, Store};

fn policy(version: &str) -> KeptPolicy {
    KeptPolicy {
        digest: Sha256::of(version),
        name: "base".to_owned(),
        version: version.to_owned(),
        text: format!("version = \"{version}\""),
    }
}

pub(crate) async fn policies_come_into_force(store: &dyn Store) {
    let (one, two) = (policy("1"), policy("2"));
    for (set, seconds) in [(&one, 1), (&one, 2), (&two, 3), (&two, 4), (&one, 5)] {
        store.put_in_force(set, at(seconds)).await.expect("put");
    }
    let all = store.policies_in_force().await.expect("list");
    assert_eq!(
        all,
        [(one.clone(), at(5)), (two.clone(), at(3)), (one.clone(), at(1))],
        "a start changes nothing"
    );
    assert_eq!(store.policy(two.digest).await.expect("lookup"), Some(two));
    assert_eq!(store.policy(Sha256::of("x")).await.expect("lookup"), None);
}
