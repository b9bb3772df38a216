use std::collections::BTreeMap;

use sekisho_domain::channel::{ChannelState, ChannelTakes};
use sekisho_domain::checkpoint::CheckpointState;
use sekisho_domain::evaluation::WorkState;
use sekisho_domain::fits_glob;
use sekisho_domain::release::ReleaseState;
use sekisho_domain::run::RunState;
use sekisho_store::{Channel, Checkpoint, Release, Run, StoreError};
use serde_json::json;

use crate::service::{evaluations, people, releases};
use crate::{App, WebError};

/// Why a checkpoint that a channel will take is not taken yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waits {
    /// Nothing stands in the way: the next look takes it.
    Ready,
    /// Its evaluation is not finished; gates look at scores.
    Evaluation,
    /// Its evaluation has failed; somebody tries it again.
    FailedEvaluation,
}

/// Makes releases of the checkpoints whose turn has come, each once. They are judged like any other; what goes on with them is
/// decided by [`super::admit`].
///
/// # Errors
/// When the store fails.
pub async fn take(app: &App, channel: &Channel) -> Result<(), WebError> {
    let reference = releases::find(app, &channel.reference.to_string()).await?;
    for (checkpoint, waits) in waiting(app, channel).await? {
        if waits != Waits::Ready {
            continue;
        }
        // One that fails keeps none of the others waiting.
        if let Err(error) = make(app, channel, &reference, &checkpoint).await {
            tracing::error!(channel = %channel.id, checkpoint = %checkpoint.id, %error, "no release was made");
        }
    }
    Ok(())
}

/// The checkpoints that a channel takes from now on and has not taken yet.
///
/// # Errors
/// When the store fails.
pub async fn waiting(app: &App, channel: &Channel) -> Result<Vec<(Checkpoint, Waits)>, WebError> {
    let Some(since) = channel.active_since.filter(|_| channel.state == ChannelState::Active) else {
        return Ok(Vec::new());
    };
    let taken = app.store.channel_releases(channel.id).await?;
    let mut found = Vec::new();
    for run in app.store.runs(u32::MAX).await? {
        if run.project != channel.project || !fits_glob(&channel.runs, &run.name) {
            continue;
        }
        let mut of_run = app.store.checkpoints_of_run(run.id).await?;
        of_run.sort_by_key(|checkpoint| checkpoint.step);
        if channel.takes != ChannelTakes::Every {
            of_run = of_run.pop().filter(|_| is_end(channel.takes, &run)).into_iter().collect();
        }
        for checkpoint in of_run {
            let known = taken.iter().any(|(id, _)| *id == checkpoint.id);
            if checkpoint.state == CheckpointState::Verified && checkpoint.created >= since && !known {
                let waits = waits(app, &run, &checkpoint).await?;
                found.push((checkpoint, waits));
            }
        }
    }
    Ok(found)
}

/// Whether the last checkpoint of a run is one that the channel means.
fn is_end(takes: ChannelTakes, run: &Run) -> bool {
    let is_branch = run.spec.as_ref().is_some_and(|spec| spec["parent"].is_object());
    run.state == RunState::Finished && (takes == ChannelTakes::RunEnds || is_branch)
}

async fn waits(app: &App, run: &Run, checkpoint: &Checkpoint) -> Result<Waits, WebError> {
    let all = app.store.evaluations_of(checkpoint.id).await?;
    let is_queued = !all.is_empty() || !evaluations::is_due(app, run, checkpoint);
    Ok(if all.iter().any(|evaluation| evaluation.state == WorkState::Failed) {
        Waits::FailedEvaluation
    } else if is_queued && all.iter().all(|evaluation| evaluation.state == WorkState::Finished) {
        Waits::Ready
    } else {
        Waits::Evaluation
    })
}

/// A release of the checkpoint like the channel's reference, on a branch of its own; not judged and not kept yet.
///
/// # Errors
/// 422 for a branch that no Hub would take.
pub(super) async fn draft(
    app: &App,
    channel: &Channel,
    reference: &Release,
    checkpoint: &Checkpoint,
) -> Result<Release, WebError> {
    let values =
        BTreeMap::from([("{run}", checkpoint.run_name.clone()), ("{step}", checkpoint.step.0.to_string())]);
    let revision = values
        .iter()
        .fold(channel.revision.clone(), |text, (placeholder, value)| text.replace(placeholder, value));
    let mut release = releases::alike(app, reference, checkpoint, &revision).await?;
    release.author = channel.author;
    release.channel = Some(channel.id);
    Ok(release)
}

/// One write: a checkpoint is taken when its release is there. One whose content cannot be fixed stays a draft, with the reason.
async fn make(
    app: &App,
    channel: &Channel,
    reference: &Release,
    checkpoint: &Checkpoint,
) -> Result<(), WebError> {
    let mut release = draft(app, channel, reference, checkpoint).await?;
    let refused = match releases::begin(app, &mut release, checkpoint).await {
        Err(error) if error.status.is_client_error() => Some(error.text()),
        other => other.map(|()| None)?,
    };
    if refused.is_some() {
        (release.state, release.channel) = (ReleaseState::Draft, None);
    }
    let (id, reason) = (release.id, refused.as_ref().map(|text| &text.en));
    let detail = json!({
        "channel": channel.id, "checkpoint": checkpoint.id, "name": release.name, "state": release.state, "reason": reason,
    });
    let audit = people::system_entry(app, "release.propose", &id.to_string(), "done", detail);
    match app.store.add_channel_release(channel.id, &release, &audit).await {
        Err(StoreError::Conflict(_)) => return Ok(()),
        other => other?,
    }
    if let Some(text) = &refused {
        let audit = people::system_entry(app, "release.comment", &id.to_string(), "done", json!({}));
        app.store.add_comment(id, &super::blanket::said(app, &release, text), &audit).await?;
    }
    if release.state == ReleaseState::Frozen {
        app.prepare.send(id);
    }
    app.events.publish(format!("release:{id}"), "state");
    Ok(())
}
