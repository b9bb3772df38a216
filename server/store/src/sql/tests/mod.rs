//! Each story is told on a SQLite file, in memory and on PostgreSQL; what only one of them has stands beside it.

mod postgres;
mod sqlite;

use std::sync::Arc;

use crate::{SqlStore, Store, story};

/// Tells a story in a file, in memory, and in a schema of its own.
async fn tell(story: impl AsyncFn(&dyn Store)) {
    let (_folder, store) = sqlite::new().await;
    story(&store).await;
    story(&SqlStore::open("sqlite::memory:").await.expect("open")).await;
    let Some(schema) = postgres::Schema::new().await else { return };
    story(&schema.open().await.expect("open")).await;
}

macro_rules! stories {
    ($($name:ident),+ $(,)?) => {
        $(
            #[tokio::test]
            async fn $name() {
                tell(story::$name).await;
            }
        )+
    };
}

stories![
    a_run_reports,
    a_run_falls_behind_each_plan_once,
    a_checkpoint_is_received_and_examined,
    files_of_a_checkpoint_change_go_and_come_back,
    an_upload_grows_piece_by_piece,
    an_evaluation_gathers_scores,
    a_channel_takes_each_checkpoint_once,
    what_happens_is_noted,
    messages_are_sent,
    a_board_takes_one_checkpoint_a_run,
    a_board_tells_when_it_has_changed,
    lists_are_read_at_once,
    work_is_done,
    a_dead_worker_loses_its_lease,
    failed_tries_end,
    what_is_claimed_first,
    a_release_is_reviewed,
    a_release_takes_the_place_of_another,
    subsets_are_registered_and_change,
    training_text_is_looked_through,
    policies_come_into_force,
    a_keyed_request_is_carried_out_once,
    launches_are_followed,
    long_lists_are_read_in_parts,
    roles_hold_in_a_project,
    passwords_and_command_lines,
    people_sign_in,
    the_audit_log_is_a_chain,
];

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn claimants_never_share_an_item() {
    // Two stores on one database stand for two processes.
    let (folder, one) = sqlite::new().await;
    let two = sqlite::open(&folder).await.expect("open again");
    story::claimants_never_share_an_item(&[Arc::new(one), Arc::new(two)]).await;
    let alone = SqlStore::open_in_memory().await.expect("open");
    story::claimants_never_share_an_item(&[Arc::new(alone)]).await;
    let Some(schema) = postgres::Schema::new().await else { return };
    let (one, two) = (schema.open().await.expect("open"), schema.open().await.expect("open again"));
    story::claimants_never_share_an_item(&[Arc::new(one), Arc::new(two)]).await;
}
