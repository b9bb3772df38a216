use sekisho_domain::audit::AuditHead;

use super::{at, entry};
use crate::{AuditFilter, Store};

pub(crate) async fn the_audit_log_is_a_chain(store: &dyn Store) {
    assert_eq!(store.verify_audit(&[]).await.expect("verify"), Ok(0));
    assert_eq!(store.audit_end().await.expect("end"), None);
    for action in ["user.add", "release.propose", "release.approve"] {
        store.append_audit(&entry(action)).await.expect("append");
    }
    assert_eq!(store.verify_audit(&[]).await.expect("verify"), Ok(3));
    let list = async |filter: AuditFilter, below| {
        let found = store.audit(&filter, below, 2).await.expect("list").into_iter();
        found
            .map(|line| (line.seq, line.entry["action"].as_str().expect("text").to_owned()))
            .collect::<Vec<_>>()
    };
    let line = |seq, action: &str| (seq, action.to_owned());
    let newest = [line(3, "release.approve"), line(2, "release.propose")];
    assert_eq!(list(AuditFilter::default(), None).await, newest);
    assert_eq!(
        list(AuditFilter::default(), Some(3)).await,
        [line(2, "release.propose"), line(1, "user.add")]
    );
    let made = entry("x").at;
    let then = AuditFilter {
        by: Some(entry("x").by.chars().take(3).collect()),
        from: Some(made),
        until: Some(made.plus_seconds(1)),
        ..AuditFilter::default()
    };
    assert_eq!(list(then, None).await, newest);
    let releases = AuditFilter { action: Some("release.".to_owned()), ..AuditFilter::default() };
    assert_eq!(list(releases, None).await, newest);
    for filter in [
        AuditFilter { actor: Some("森".to_owned()), ..AuditFilter::default() },
        AuditFilter { object: Some("x".to_owned()), ..AuditFilter::default() },
        AuditFilter { result: Some("refused".to_owned()), ..AuditFilter::default() },
        AuditFilter { by: Some("nobody".to_owned()), ..AuditFilter::default() },
        AuditFilter { from: Some(made.plus_seconds(1)), ..AuditFilter::default() },
        AuditFilter { until: Some(made), ..AuditFilter::default() },
    ] {
        assert_eq!(list(filter, None).await, []);
    }
    let all = store.audit_after(1, 10).await.expect("list");
    assert_eq!(all.iter().map(|line| line.seq).collect::<Vec<_>>(), [2, 3]);
    let (seq, hash) = store.audit_end().await.expect("end").expect("an entry");
    assert_eq!((seq, hash), (3, all[1].hash));
    let head = |seq| AuditHead { seq, hash, at: at(2) };
    assert_eq!(store.verify_audit(&[head(3)]).await.expect("verify"), Ok(3));
    assert!(store.verify_audit(&[head(4)]).await.expect("verify").is_err(), "it was longer");
    assert!(store.verify_audit(&[head(2)]).await.expect("verify").is_err(), "it was another");
}
