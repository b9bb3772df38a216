//! What every implementation of the repositories does, told through the traits alone, one story for each noun.

mod audit;
mod board;
mod channels;
mod checkpoints;
mod contamination;
mod corpora;
mod evaluations;
mod keyed;
mod launches;
mod lists;
mod parts;
mod people;
mod policies;
mod projects;
mod queue;
mod releases;
mod runs;
mod sign_in;
mod standing;
mod uploads;
mod webhooks;

use std::collections::BTreeMap;
use std::str::FromStr;

use sekisho_domain::checkpoint::CheckpointState;
use sekisho_domain::evaluation::{TaskRun, WorkState};
use sekisho_domain::run::RunState;
use sekisho_domain::user::Role;
use sekisho_domain::{CheckpointId, EvaluationId, RunId, Sha256, Step, Timestamp, Tokens};
use serde_json::json;

pub(crate) use audit::the_audit_log_is_a_chain;
pub(crate) use board::{a_board_takes_one_checkpoint_a_run, a_board_tells_when_it_has_changed};
pub(crate) use channels::a_channel_takes_each_checkpoint_once;
pub(crate) use checkpoints::a_checkpoint_is_received_and_examined;
pub(crate) use contamination::training_text_is_looked_through;
pub(crate) use corpora::subsets_are_registered_and_change;
pub(crate) use evaluations::an_evaluation_gathers_scores;
pub(crate) use keyed::a_keyed_request_is_carried_out_once;
pub(crate) use launches::launches_are_followed;
pub(crate) use lists::lists_are_read_at_once;
pub(crate) use parts::long_lists_are_read_in_parts;
pub(crate) use people::{people_sign_in, token};
pub(crate) use policies::policies_come_into_force;
pub(crate) use projects::roles_hold_in_a_project;
pub(crate) use queue::{
    a_dead_worker_loses_its_lease, claimants_never_share_an_item, failed_tries_end, what_is_claimed_first,
    work_is_done,
};
pub(crate) use releases::{a_release_is_reviewed, a_release_takes_the_place_of_another};
pub(crate) use runs::{a_run_falls_behind_each_plan_once, a_run_reports, append, try_append};
pub(crate) use sign_in::passwords_and_command_lines;
pub(crate) use standing::files_of_a_checkpoint_change_go_and_come_back;
pub(crate) use uploads::an_upload_grows_piece_by_piece;
pub(crate) use webhooks::{messages_are_sent, what_happens_is_noted};

use crate::{AuditEntry, Checkpoint, Evaluation, NewWork, Run, Store, User, Verification};

/// The n-th id of any kind.
pub(crate) fn id<T: FromStr<Err: std::fmt::Debug>>(n: u32) -> T {
    format!("{n:026}").parse().expect("26 digits")
}

/// So many seconds into the story.
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_ms(1_795_000_000_000).plus_seconds(seconds)
}

fn run(n: u32) -> Run {
    Run {
        id: id(n),
        project: "default".to_owned(),
        name: format!("run-{n}"),
        state: RunState::Registered,
        spec: Some(json!({"optimizer": {"lr": 3e-4}, "name": "関所"})),
        spec_digest: Some(Sha256::of("spec")),
        planned_tokens: Some(Tokens(1_000_000_000_000)),
        suite: Some("suite".to_owned()),
        step: Step(0),
        tokens: Tokens(0),
        loss: None,
        owner: Some(format!("owner-{n}")),
        issue: (n % 2 == 1).then(|| format!("https://example.org/{n}")),
        created: at(0),
        updated: at(0),
    }
}

fn checkpoint(n: u32, run: &Run, step: u64) -> Checkpoint {
    Checkpoint {
        id: id(n),
        run: run.id,
        run_name: run.name.clone(),
        step: Step(step),
        tokens: Tokens(step * 512),
        state: CheckpointState::Received,
        refusal: None,
        path: format!("/runs/{}/step-{step:06}", run.name),
        owned: false,
        place: None,
        verification: None,
        stamps: Vec::new(),
        created: at(i64::from(n) - 100),
        updated: at(i64::from(n) - 100),
    }
}

fn verification(digest: Sha256) -> Verification {
    Verification {
        digest,
        weights: Sha256::of("weights"),
        tokenizer: None,
        parameters: 7_000_000,
        embedding_parameters: 2_048_000,
        tensors: 57,
        dtype: "bf16".to_owned(),
        vocab_size: 8000,
        files: Vec::new(),
        largest: Some(("model.norm.weight".to_owned(), 0.1 + 0.2)),
        config: json!({"rope_theta": 10000.0}),
    }
}

fn evaluation(n: u32, checkpoint: CheckpointId) -> Evaluation {
    Evaluation {
        id: id(n),
        checkpoint,
        suite: "suite".to_owned(),
        state: WorkState::Waiting,
        environment: BTreeMap::new(),
        created: at(i64::from(n) - 100),
        updated: at(i64::from(n) - 100),
    }
}

fn work(n: u32, position: u32, digest: Sha256) -> NewWork {
    let run = TaskRun {
        profile: "lm-eval@0.4".to_owned(),
        task: format!("task-{position}"),
        split: "dev".to_owned(),
        limit: Some(100),
        shots: None,
    };
    NewWork { id: id(n), run, digest, position, priority: 0, pool: String::new() }
}

pub(crate) fn user(n: u32, name: &str, roles: &[Role]) -> User {
    User {
        id: id(n),
        name: name.to_owned(),
        roles: roles.to_vec(),
        projects: BTreeMap::new(),
        created: at(0),
    }
}

pub(crate) fn entry(action: &str) -> AuditEntry {
    AuditEntry {
        at: at(1),
        actor: "林".to_owned(),
        by: "session".to_owned(),
        action: action.to_owned(),
        object: "release".to_owned(),
        result: "done".to_owned(),
        detail: json!({"z": 0.1, "a": [1, null]}),
    }
}

/// A run with a verified checkpoint.
async fn a_checkpoint(store: &dyn Store, n: u32, digest: Sha256) -> CheckpointId {
    let owner = run(n);
    store.add_run(&owner).await.expect("run");
    let added = store.add_checkpoint(&checkpoint(n, &owner, 100)).await.expect("checkpoint");
    store.set_verified(added.id, &added.path, false, &verification(digest), at(1)).await.expect("verified");
    added.id
}

/// Checkpoint n with evaluation n and so many work items, numbered from 100 n.
async fn an_evaluation(store: &dyn Store, n: u32, digest: Sha256, items: u32) -> EvaluationId {
    let checkpoint = a_checkpoint(store, n, digest).await;
    let items: Vec<_> = (0..items).map(|i| work(100 * n + i, i, digest)).collect();
    store.add_evaluation(&evaluation(n, checkpoint), &items).await.expect("evaluation").id
}

/// The names of the runs, for lists.
fn ids(runs: &[Run]) -> Vec<RunId> {
    runs.iter().map(|run| run.id).collect()
}
