use std::collections::BTreeMap;

use sekisho_domain::Sha256;
use sekisho_domain::evaluation::WorkState;
use sekisho_domain::score::{ResultEntry, TokenCounts};
use sekisho_domain::wire::HeldItem;

use super::{a_checkpoint, an_evaluation, at, evaluation, id, work};
use crate::{Evaluation, Store, StoreError};

pub(super) fn entry(task: &str, metric: &str, value: f64) -> ResultEntry {
    ResultEntry {
        profile: "lm-eval@0.4".to_owned(),
        task: task.to_owned(),
        split: "dev".to_owned(),
        metric: metric.to_owned(),
        value,
        stderr: None,
        low: value,
        high: value,
        n: 100,
        shots: 4,
        truncated: 1,
        fingerprint: Sha256::of(task),
        seconds: 1.5,
        tokens: TokenCounts { prompt: 1000, prefilled: 300, generated: 20 },
    }
}

pub(crate) async fn an_evaluation_gathers_scores(store: &dyn Store) {
    let (a, b) = (Sha256::of("a"), Sha256::of("b"));
    let first = an_evaluation(store, 1, a, 2).await;
    let again = evaluation(7, id(1));
    let kept = store.add_evaluation(&again, &[work(700, 0, a)]).await.expect("again");
    assert_eq!(kept.id, first, "the same checkpoint and suite is one evaluation");
    assert_eq!(store.work_of(first).await.expect("items").len(), 2);
    let other = Evaluation { suite: "other".to_owned(), ..evaluation(2, id(1)) };
    store.add_evaluation(&other, &[]).await.expect("another suite");
    let of: Vec<_> = store.evaluations_of(id(1)).await.expect("list").into_iter().map(|e| e.id).collect();
    assert_eq!(of, [other.id, first], "newest first");
    let newest: Vec<_> = store.evaluations(1).await.expect("list").into_iter().map(|e| e.id).collect();
    assert_eq!(newest, [other.id]);
    a_checkpoint(store, 3, b).await;
    assert_eq!(store.evaluations_of(id(3)).await.expect("list"), []);

    environment(store).await;
    scores(store).await;
}

async fn environment(store: &dyn Store) {
    let told = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    for environment in [&[("device", "cpu"), ("bos", "off")][..], &[("bos", "on")], &[("bos", "off")]] {
        store.merge_environment(id(1), &told(environment), at(30)).await.expect("merge");
    }
    let now = store.evaluation(id(1)).await.expect("lookup").expect("is there");
    assert_eq!(now.environment, told(&[("device", "cpu"), ("bos", "off | on")]));
    let missing = store.merge_environment(id(9), &told(&[]), at(30)).await.expect_err("no such evaluation");
    assert!(matches!(missing, StoreError::Missing { kind: "evaluation", .. }), "{missing}");
}

async fn scores(store: &dyn Store) {
    let claimed = store.claim("worker", "", None, 2, 60, at(40)).await.expect("claim");
    let held = |n: usize| HeldItem { id: claimed[n].work.id, fence: claimed[n].fence };
    // The second task of the suite is finished first.
    store.finish(held(1), &[(entry("task-1", "acc", 0.25), true)], at(50)).await.expect("finish");
    assert_eq!(store.evaluation(id(1)).await.expect("lookup").expect("is there").state, WorkState::Running);
    let undefined = ResultEntry { stderr: Some(0.5), ..entry("task-0", "pearson", f64::NAN) };
    let both = [(entry("task-0", "spearman", -0.1 - 0.2), true), (undefined, false)];
    store.finish(held(0), &both, at(51)).await.expect("finish");
    assert_eq!(store.evaluation(id(1)).await.expect("lookup").expect("is there").state, WorkState::Finished);

    let scores = store.scores(id(1)).await.expect("scores");
    let metrics: Vec<_> = scores.iter().map(|row| (row.entry.metric.as_str(), row.primary)).collect();
    assert_eq!(metrics, [("spearman", true), ("pearson", false), ("acc", true)], "in suite order");
    assert_eq!(scores[0].entry, both[0].0);
    assert!(scores[1].entry.value.is_nan() && scores[1].entry.low.is_nan(), "what is not a number stays so");
    assert_eq!((scores[2].checkpoint, scores[2].work), (id(1), held(1).id));
    let of = store.scores_of_checkpoints(&[id(3), id(1)]).await.expect("scores");
    assert_eq!(of.len(), 3);
    let primary: Vec<_> = of.into_iter().filter(|row| row.primary).collect();
    assert_eq!(store.primary_scores_of(&[id(3), id(1)]).await.expect("scores"), primary);
    assert_eq!(store.primary_scores_of(&[id(3)]).await.expect("scores"), []);
    assert_eq!(store.scores_of_checkpoints(&[id(3)]).await.expect("scores"), []);
    assert_eq!(store.scores_of_checkpoints(&[]).await.expect("scores"), []);
}
