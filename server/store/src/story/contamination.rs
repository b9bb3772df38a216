use sekisho_domain::Sha256;
use sekisho_domain::wire::{
    ContaminationMethod, KeptContamination, ScannedSubset, SourceFile, TaskContamination,
};

use super::{at, entry, id, run};
use crate::{Store, StoreError};

fn report(task: &str, split: &str, file: &str, found: &[u64], seconds: i64) -> KeptContamination {
    let sources =
        vec![SourceFile { source: "niilc".to_owned(), file: file.to_owned(), sha256: Sha256::of(file) }];
    let task = TaskContamination {
        profile: "llm-jp-eval@1.3".to_owned(),
        task: task.to_owned(),
        split: split.to_owned(),
        limit: None,
        sources,
        items: 198,
        looked_for: 196,
        too_short: [7, 11].into(),
        found: found.iter().copied().collect(),
        found_in: [("web-ja".to_owned(), found.len() as u64), ("青空".to_owned(), 0)].into(),
    };
    KeptContamination {
        data: task.data(),
        task,
        method: ContaminationMethod::default(),
        subsets: vec![ScannedSubset { name: "web-ja".to_owned(), documents: 90_000_000 }],
        by: "池田".to_owned(),
        at: at(seconds),
    }
}

pub(crate) async fn training_text_is_looked_through(store: &dyn Store) {
    let (first, second) = (run(1), run(2));
    for run in [&first, &second] {
        store.add_run(run).await.expect("run");
    }
    assert_eq!(store.contamination(first.id).await.expect("list"), []);
    let test = report("niilc", "test", "test.xml", &[3, 150], 1);
    let dev = report("niilc", "dev", "dev.xml", &[], 1);
    let both = [test.clone(), dev.clone()];
    store.put_contamination(first.id, &both, &entry("run.contamination")).await.expect("put");
    assert_eq!(store.contamination(first.id).await.expect("list"), [dev.clone(), test.clone()]);
    assert_eq!(store.contamination(second.id).await.expect("list"), [], "another run has none of them");
    let looked_through = store.runs_looked_through(&[first.id, second.id]).await.expect("runs");
    assert_eq!(looked_through, [first.id].into());
    assert_eq!(store.runs_looked_through(&[second.id]).await.expect("runs"), [].into());

    // The same task, split and data: the newer report. Other data: beside it.
    let again = report("niilc", "test", "test.xml", &[4], 2);
    let other = report("niilc", "test", "other.xml", &[5], 3);
    for newer in [&again, &other] {
        let newer = std::slice::from_ref(newer);
        store.put_contamination(first.id, newer, &entry("run.contamination")).await.expect("put");
    }
    assert_eq!(store.contamination(first.id).await.expect("list"), [dev.clone(), other, again]);
    let audited = store.verify_audit(&[]).await.expect("verify").expect("unbroken");
    assert_eq!(audited, 3);

    let nowhere = store.put_contamination(id(9), &[dev], &entry("run.contamination")).await;
    assert!(matches!(nowhere, Err(StoreError::Database(_))), "there is no such run: {nowhere:?}");
    assert_eq!(store.verify_audit(&[]).await.expect("verify"), Ok(audited), "and nothing is written of it");
}
