use sekisho_domain::wire::{LaunchState, LaunchTask, TaskState};
use sekisho_domain::{LaunchId, Sha256};

use super::{at, checkpoint, evaluation, id, run, work};
use crate::{Launch, LauncherStanding, Store};

fn launch(n: u32) -> Launch {
    Launch {
        id: id(n),
        launcher: "gpu".to_owned(),
        pool: String::new(),
        job: String::new(),
        state: LaunchState::Starting,
        tasks: vec![LaunchTask::waiting(); 2],
        message: String::new(),
        folder: "/data/launches".to_owned(),
        asked: String::new(),
        created: at(1),
        updated: at(1),
    }
}

pub(crate) async fn launches_are_followed(store: &dyn Store) {
    store.add_launch(&launch(1)).await.expect("added");
    store.add_launch(&launch(2)).await.expect("added");
    let ids = |launches: Vec<Launch>| launches.into_iter().map(|launch| launch.id).collect::<Vec<LaunchId>>();
    assert_eq!(ids(store.open_launches().await.expect("open")), [id(1), id(2)]);
    store.ask_launch(id(1), "cancel", &super::entry("launch.ask")).await.expect("asked");
    let mut first = Launch { job: "17".to_owned(), state: LaunchState::Active, ..launch(1) };
    first.tasks[1] = LaunchTask { state: TaskState::Running, note: "RUNNING on n1".to_owned() };
    store.set_launch(&first).await.expect("set");
    first.asked = "cancel".to_owned();
    assert_eq!(store.launch(id(1)).await.expect("read"), Some(first.clone()), "what is asked stays");
    store.set_launch(&Launch { state: LaunchState::Ended, ..first }).await.expect("set");
    assert_eq!(
        ids(store.open_launches().await.expect("open")),
        [id(1), id(2)],
        "something is asked of the first"
    );
    store.launch_answered(id(1), "requeue 1").await.expect("nothing of the kind");
    assert_eq!(store.open_launches().await.expect("open").len(), 2);
    store.launch_answered(id(1), "cancel").await.expect("answered");
    assert_eq!(ids(store.open_launches().await.expect("open")), [id(2)]);
    assert_eq!(ids(store.launches(None, 9).await.expect("all")), [id(2), id(1)]);
    assert_eq!(ids(store.launches(Some(id(2)), 9).await.expect("older")), [id(1)]);
    assert!(store.set_launch(&launch(9)).await.is_err(), "there is none");
    launchers_are_paused(store).await;
    work_of_pools_is_counted(store).await;
}

async fn launchers_are_paused(store: &dyn Store) {
    assert!(store.launchers().await.expect("none").is_empty());
    let refused = LauncherStanding {
        paused: false,
        refusals: 2,
        not_before: Some(at(60)),
        message: "invalid account".to_owned(),
    };
    store.set_launcher("gpu", &refused).await.expect("set");
    assert_eq!(store.launchers().await.expect("one")["gpu"], refused);
    store.pause_launcher("gpu", true, &super::entry("launcher.pause")).await.expect("paused");
    let paused = LauncherStanding { paused: true, ..LauncherStanding::default() };
    assert_eq!(store.launchers().await.expect("one")["gpu"], paused);
    store.set_launcher("gpu", &refused).await.expect("set");
    let both = LauncherStanding { paused: true, ..refused };
    assert_eq!(store.launchers().await.expect("one")["gpu"], both, "a refusal does not let it go on");
}

async fn work_of_pools_is_counted(store: &dyn Store) {
    store.add_run(&run(1)).await.expect("run");
    store.add_checkpoint(&checkpoint(1, &run(1), 100)).await.expect("checkpoint");
    let items: Vec<_> = (0..3).map(|n| work(100 + n, n, Sha256::of("a"))).collect();
    store.add_evaluation(&evaluation(1, id(1)), &items).await.expect("evaluation");
    let waiting = async |most, seconds| store.waiting_in("", most, at(seconds)).await.expect("counted");
    assert_eq!((waiting(9, 1).await, waiting(2, 1).await), (3, 2));
    assert_eq!(store.waiting_in("gpu", 9, at(1)).await.expect("counted"), 0);
    store.claim("w", "", None, 1, 60, at(2)).await.expect("claim");
    assert_eq!(waiting(9, 3).await, 2);
    assert_eq!(store.held_by(at(3)).await.expect("held").get("w"), Some(&1));
    assert_eq!(waiting(9, 63).await, 3, "its lease has run out");
    store.expire("w", at(4)).await.expect("expired");
    assert_eq!(waiting(9, 4).await, 3, "it is known to have died");
    assert_eq!(store.claim("v", "", None, 3, 60, at(5)).await.expect("claim").len(), 3);
    assert!(store.held_by(at(66)).await.expect("held").is_empty());
}
