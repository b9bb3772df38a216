use sekisho_domain::evaluation::{TaskRun, WorkState};
use sekisho_domain::reported::{ReportedModel, ReportedScore};
use sekisho_domain::wire::HeldItem;
use sekisho_domain::{CheckpointId, RunId, Sha256, Tokens};

use super::evaluations::entry;
use super::{an_evaluation, at, checkpoint, evaluation, id, run, verification, work};
use crate::{Candidates, Evaluation, Reported, Store};

fn asked(tasks: &[&str]) -> Vec<(String, String)> {
    tasks.iter().map(|task| ("lm-eval@0.4".to_owned(), (*task).to_owned())).collect()
}

async fn shown(
    store: &dyn Store,
    tasks: &[&str],
    suite: Option<&str>,
    which: Candidates<'_>,
) -> Vec<(CheckpointId, usize)> {
    let standings = store.standings(&asked(tasks), suite, which).await.expect("standings");
    let scores = |standing: &crate::Standing| standing.work.iter().filter(|w| w.score.is_some()).count();
    standings.iter().map(|standing| (standing.checkpoint, scores(standing))).collect()
}

/// Finishes the item that is next.
async fn finish(store: &dyn Store, task: &str, seconds: i64) {
    let leased = store.claim("w", "", None, 1, 60, at(seconds)).await.expect("claim");
    let held = HeldItem { id: leased[0].work.id, fence: leased[0].fence };
    let scores = [(entry(task, "acc", 0.5), true), (entry(task, "acc_norm", 0.6), false)];
    store.finish(held, &scores, at(seconds)).await.expect("finish");
}

pub(crate) async fn a_board_takes_one_checkpoint_a_run(store: &dyn Store) {
    // Run 1: checkpoint 1 (step 100) has both tasks; run 2: nothing is finished.
    an_evaluation(store, 1, Sha256::of("a"), 2).await;
    let both = ["task-0", "task-1"];
    assert_eq!(shown(store, &both, None, Candidates::Latest).await, [(id(1), 0)], "waiting, and shown");
    finish(store, "task-0", 10).await;
    finish(store, "task-1", 11).await;
    an_evaluation(store, 2, Sha256::of("b"), 1).await;
    let latest = shown(store, &both, None, Candidates::Latest).await;
    assert_eq!(latest, [(id(1), 2), (id(2), 0)], "one primary score a task");
    assert_eq!(shown(store, &["task-1"], None, Candidates::Latest).await, [(id(1), 1)]);
    assert_eq!(shown(store, &["task-9"], None, Candidates::Latest).await, []);
    assert_eq!(shown(store, &both, Some("other"), Candidates::Latest).await, []);

    // A newer checkpoint takes the place when nothing of it is outstanding.
    let added = store.add_checkpoint(&checkpoint(3, &run(1), 200)).await.expect("checkpoint");
    store
        .set_verified(added.id, &added.path, false, &verification(Sha256::of("c")), at(12))
        .await
        .expect("verified");
    store.add_evaluation(&evaluation(3, id(3)), &[work(300, 0, Sha256::of("c"))]).await.expect("evaluation");
    assert_eq!(shown(store, &both, None, Candidates::Latest).await[0], (id(1), 2));
    let mut all = shown(store, &both, None, Candidates::All(10)).await;
    all.sort();
    assert_eq!(all, [(id(1), 2), (id(2), 0), (id(3), 0)]);
    assert_eq!(shown(store, &both, None, Candidates::All(1)).await.len(), 1);
    assert_eq!(shown(store, &both, None, Candidates::These(&[id(3), id(9)])).await, [(id(3), 0)]);
    // What waits the longest is claimed first: that of checkpoint 2.
    finish(store, "task-0", 13).await;
    finish(store, "task-0", 14).await;
    let latest = shown(store, &both, None, Candidates::Latest).await;
    assert_eq!(latest, [(id(2), 1), (id(3), 1)]);
    let scored = store.scored_checkpoints(run(1).id).await.expect("checkpoints");
    assert_eq!(scored.iter().map(|scored| scored.id).collect::<Vec<_>>(), [id(1), id(3)]);
    assert_eq!(store.scored_checkpoints(id(9)).await.expect("checkpoints"), []);

    let standings = store.standings(&asked(&both), None, Candidates::Latest).await.expect("standings");
    let newest = &standings[1];
    assert_eq!((newest.run, newest.run_name.as_str()), (id::<RunId>(1), "run-1"));
    assert_eq!(
        (newest.parameters, newest.is_continued, &newest.released),
        (Some(7_000_000), Some(false), &None)
    );
    assert_eq!(newest.config.as_ref().map(|config| config["rope_theta"].as_f64()), Some(Some(10000.0)));
    let TaskRun { limit, split, .. } = &newest.work[0].run;
    assert_eq!((*limit, split.as_str(), newest.work[0].state), (Some(100), "dev", WorkState::Finished));

    suites(store).await;
    reported(store).await;
}

async fn suites(store: &dyn Store) {
    let other = Evaluation { suite: "other".to_owned(), created: at(100), ..evaluation(8, id(1)) };
    store.add_evaluation(&other, &[]).await.expect("evaluation");
    let suites = store.evaluated_suites().await.expect("suites");
    assert_eq!(suites, [("other".to_owned(), id(8)), ("suite".to_owned(), id(3))]);
}

async fn reported(store: &dyn Store) {
    let row = |share: f64| Reported {
        row: ReportedModel {
            model: "GPT-4 (gpt-4-0613)".to_owned(),
            source: "a leaderboard, commit 2728fee".to_owned(),
            day: "2025-04-14".parse().expect("a day"),
            license: "CC-BY-4.0".to_owned(),
            family: None,
            parameters: None,
            active: Some(3),
            tokens: Some(Tokens(5)),
            model_license: None,
            remark: Some("備考".to_owned()),
            scores: vec![ReportedScore {
                profile: "lm-eval@0.4".to_owned(),
                task: "task-0".to_owned(),
                split: "test".to_owned(),
                shots: 4,
                share,
            }],
        },
        by: "林".to_owned(),
        at: at(5),
    };
    assert_eq!(store.reported().await.expect("none"), []);
    let before = store.board_version().await.expect("version");
    store.put_reported(&[row(0.5)], &super::entry("reported.import")).await.expect("put");
    assert!(store.board_version().await.expect("version") > before, "boards show them");
    store.put_reported(&[row(0.966)], &super::entry("reported.import")).await.expect("put again");
    assert_eq!(store.reported().await.expect("one"), [row(0.966)], "the newer takes the older one's place");
}

/// The version, and everything that a board could show.
async fn whole(store: &dyn Store) -> (u64, Vec<crate::Standing>) {
    let version = store.board_version().await.expect("version");
    let all = store.standings(&asked(&["task-0", "task-1"]), None, Candidates::All(100)).await;
    (version, all.expect("standings"))
}

pub(crate) async fn a_board_tells_when_it_has_changed(store: &dyn Store) {
    let mut before = whole(store).await;
    let mut grown = async |what: &str, expected: bool| {
        let now = whole(store).await;
        assert!(now.0 >= before.0, "{what}");
        assert_eq!(now.1 != before.1, expected, "{what}");
        assert!(now.0 > before.0 || now.1 == before.1, "{what} is seen and not told");
        assert!(expected || now.0 == before.0, "{what} has the rows read again for nothing");
        before = now;
    };
    an_evaluation(store, 1, Sha256::of("a"), 2).await;
    grown("an evaluation", true).await;
    let leased = store.claim("w", "", None, 1, 60, at(5)).await.expect("claim");
    grown("a claim", true).await;
    let held = HeldItem { id: leased[0].work.id, fence: leased[0].fence };
    store.heartbeat("w", &[held], 60, at(6)).await.expect("heartbeat");
    grown("a heartbeat", false).await;
    let rows = super::runs::append(store, id(1), &sekisho_domain::wire::MetricsBatch::default(), 7).await;
    assert_eq!(rows, crate::Appended::Accepted { proposed: 0 });
    grown("a report of metrics", false).await;
    store.finish(held, &[(entry("task-0", "acc", 0.5), true)], at(8)).await.expect("finish");
    grown("a score", true).await;
}
