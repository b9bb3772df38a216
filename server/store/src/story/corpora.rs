use sekisho_domain::corpus::Subset;
use sekisho_domain::lineage::Level;
use sekisho_domain::{Sha256, Tokens};

use super::{at, entry};
use crate::{Store, StoreError, SubsetChange};

fn subset(id: &str, level: Level) -> Subset {
    Subset {
        id: id.to_owned(),
        corpus: "v3".to_owned(),
        language: Some("ja".to_owned()),
        tokens: Some(Tokens(90_000_000_000)),
        tokenizer: Some("llm-jp-v3".to_owned()),
        level: Some(level),
        license: Some("LicenseRef-crawl".to_owned()),
        evidence: Some("letter.pdf".to_owned()),
        evidence_sha256: Some(Sha256::of("letter")),
        generator: None,
        generator_license: None,
    }
}

fn change(reason: &str, seconds: i64) -> SubsetChange {
    SubsetChange {
        user_name: "池田".to_owned(),
        level: None,
        before: None,
        reason: reason.to_owned(),
        at: at(seconds),
    }
}

pub(crate) async fn subsets_are_registered_and_change(store: &dyn Store) {
    let audited = async || store.verify_audit(&[]).await.expect("verify").expect("unbroken");
    let both = [(subset("web-ja", Level::L3), 0), (subset("aozora", Level::L1), 0)];
    store.put_subsets(&both, &change("import", 1), &entry("corpus.import")).await.expect("put");
    let all = store.subsets().await.expect("list");
    assert_eq!(all.iter().map(|s| s.subset.id.as_str()).collect::<Vec<_>>(), ["aozora", "web-ja"]);
    let there = store.subset("web-ja").await.expect("lookup").expect("is there");
    assert_eq!((there.subset.clone(), there.version, there.created), (both[0].0.clone(), 1, at(1)));
    assert_eq!(store.subset("nothing").await.expect("lookup"), None);

    // One that has changed, or is there already, stops all of them.
    let before = audited().await;
    for stale in [(subset("web-ja", Level::LX), 0), (subset("web-ja", Level::LX), 2)] {
        let all = [(subset("new", Level::L1), 0), stale];
        let refused = store.put_subsets(&all, &change("x", 2), &entry("corpus.import")).await;
        assert!(matches!(refused, Err(StoreError::Stale)), "{refused:?}");
        assert_eq!(store.subset("new").await.expect("lookup"), None);
    }
    assert_eq!(audited().await, before);

    let asked = change("a rights holder asked", 3);
    let new = subset("web-ja", Level::LX);
    store.put_subsets(&[(new.clone(), 1)], &asked, &entry("corpus.level")).await.expect("put");
    let now = store.subset("web-ja").await.expect("lookup").expect("is there");
    assert_eq!((now.subset, now.version, now.created, now.updated), (new, 2, at(1), at(3)));
    let history = store.subset_changes("web-ja").await.expect("history");
    let told: Vec<_> = history
        .iter()
        .map(|c| (c.level, c.before.as_ref().and_then(|b| b.level), c.reason.as_str()))
        .collect();
    let (l3, lx) = (Some(Level::L3), Some(Level::LX));
    assert_eq!(told, [(l3, None, "import"), (lx, l3, "a rights holder asked")]);
}
