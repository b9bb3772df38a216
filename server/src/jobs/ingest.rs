use std::path::{Path, PathBuf};
use std::time::Duration;

use sekisho_domain::checkpoint::CheckpointState;
use sekisho_domain::run::RunState;
use sekisho_domain::{Step, Text};
use sekisho_store::{Checkpoint, Verification};
use sekisho_weights::{Inspected, Refusal};

use crate::service::{evaluations, runs};
use crate::{App, WebError};

/// Verifies announced checkpoints, one after the other: the disk is the bottleneck, and two at once would only share it.
///
/// A checkpoint found in `verifying` was interrupted by a crash and is examined again from the start.
pub async fn run(app: App) {
    loop {
        if let Err(error) = pass(&app).await {
            tracing::error!(error = %error, "the ingest job could not go on; it tries again in a few seconds");
            tokio::time::sleep(Duration::from_secs(5)).await;
            continue;
        }
        // The timeout covers a wake-up that was lost between the pass and this line.
        let _ = tokio::time::timeout(Duration::from_secs(30), app.ingest.notified()).await;
    }
}

/// Examines everything that waits.
///
/// # Errors
/// When the store fails; a refused checkpoint is no error.
pub async fn pass(app: &App) -> Result<(), WebError> {
    for state in [CheckpointState::Verifying, CheckpointState::Received] {
        for checkpoint in app.store.checkpoints_in(state).await? {
            verify(app, &checkpoint).await?;
        }
    }
    Ok(())
}

async fn verify(app: &App, checkpoint: &Checkpoint) -> Result<(), WebError> {
    app.store.start_verifying(checkpoint.id, app.now()).await?;
    changed(app, checkpoint);
    let path = PathBuf::from(&checkpoint.path);
    let examined = {
        let path = path.clone();
        tokio::task::spawn_blocking(move || sekisho_weights::inspect(&path))
            .await
            .map_err(WebError::internal)?
    };
    match examined {
        Ok(found) => accept(app, checkpoint, &path, &found).await?,
        Err(refusal) => refuse(app, checkpoint, &path, &refusal).await?,
    }
    changed(app, checkpoint);
    Ok(())
}

async fn accept(app: &App, checkpoint: &Checkpoint, path: &Path, found: &Inspected) -> Result<(), WebError> {
    let verification = verification(found)?;
    let place =
        if checkpoint.owned { keep_once(app, path, &verification).await } else { Ok(path.to_owned()) };
    let place = match place {
        Ok(place) => place,
        Err(error) => {
            let reason = Text {
                en: format!(
                    "The checkpoint is sound but could not be kept: {error}. Free some space and hand it over again."
                ),
                ja: format!(
                    "チェックポイントは正常ですが、保存できませんでした（{error}）。空きを確保して、もう一度登録してください。"
                ),
            };
            app.store.set_refused(checkpoint.id, &reason, app.now()).await?;
            return Ok(());
        }
    };
    let place = place.display().to_string();
    app.store.set_verified(checkpoint.id, &place, checkpoint.owned, &verification, app.now()).await?;
    tracing::info!(run = checkpoint.run_name, step = checkpoint.step.0, digest = %verification.digest, "checkpoint verified");
    queue_evaluation(app, checkpoint).await
}

async fn refuse(app: &App, checkpoint: &Checkpoint, path: &Path, refusal: &Refusal) -> Result<(), WebError> {
    tracing::warn!(
        run = checkpoint.run_name,
        step = checkpoint.step.0,
        code = refusal.code(),
        "checkpoint refused"
    );
    let mut reason = Text { en: refusal.to_string(), ja: refusal.ja() };
    if matches!(refusal, Refusal::Nan { .. })
        && let Some(step) = last_good(app, checkpoint).await?
    {
        reason.en += &format!(" The last good checkpoint is step {step}.");
        reason.ja += &format!("直前の正常なチェックポイントはステップ{step}です。");
    }
    app.store.set_refused(checkpoint.id, &reason, app.now()).await?;
    if checkpoint.owned && path.starts_with(app.staging_dir()) {
        fs_err::tokio::remove_dir_all(path).await.map_err(WebError::internal)?;
    }
    Ok(())
}

/// The newest verified checkpoint of the run before this one: where to go on from after NaN.
async fn last_good(app: &App, checkpoint: &Checkpoint) -> Result<Option<Step>, WebError> {
    let all = app.store.checkpoints_of_run(checkpoint.run).await?;
    let good = |c: &&Checkpoint| c.state == CheckpointState::Verified && c.step < checkpoint.step;
    Ok(all.iter().filter(good).map(|c| c.step).max())
}

/// Moves an upload, or copies a folder, to its place under the store's own checkpoints; the same content is kept once.
async fn keep_once(app: &App, path: &Path, found: &Verification) -> std::io::Result<PathBuf> {
    let place = app.checkpoints_dir().join(found.digest.hex());
    let staged = path.starts_with(app.staging_dir());
    if place.is_dir() {
        if staged {
            fs_err::tokio::remove_dir_all(path).await?;
        }
        return Ok(place);
    }
    fs_err::tokio::create_dir_all(app.checkpoints_dir()).await?;
    if staged {
        fs_err::tokio::rename(path, &place).await?;
        return Ok(place);
    }
    let half = app.staging_dir().join(found.digest.hex());
    match copy_files(path, &half, found).await {
        Ok(()) => fs_err::tokio::rename(&half, &place).await.map(|()| place),
        Err(error) => {
            let _ = fs_err::tokio::remove_dir_all(&half).await;
            Err(error)
        }
    }
}

async fn copy_files(from: &Path, to: &Path, found: &Verification) -> std::io::Result<()> {
    for file in &found.files {
        let target = to.join(&file.path);
        if let Some(parent) = target.parent() {
            fs_err::tokio::create_dir_all(parent).await?;
        }
        fs_err::tokio::copy(from.join(&file.path), target).await?;
    }
    Ok(())
}

fn verification(found: &Inspected) -> Result<Verification, WebError> {
    let largest = found
        .tensors
        .iter()
        .map(|t| (t.name.clone(), f64::from(t.moments.min.abs().max(t.moments.max.abs()))))
        .max_by(|a, b| a.1.total_cmp(&b.1));
    let mut dtypes: Vec<String> = found.tensors.iter().map(|t| t.dtype.to_string()).collect();
    dtypes.sort();
    dtypes.dedup();
    Ok(Verification {
        digest: found.digest,
        weights: found.weights,
        tokenizer: found.tokenizer,
        parameters: found.parameters,
        embedding_parameters: found.config.embedding_parameters(),
        tensors: found.tensors.len() as u64,
        dtype: dtypes.join(", "),
        vocab_size: found.config.vocab_size as u64,
        files: found.files.clone(),
        largest,
        config: serde_json::to_value(&found.config).map_err(WebError::internal)?,
    })
}

/// Queues the run's suite, if its specification asks for this step.
async fn queue_evaluation(app: &App, checkpoint: &Checkpoint) -> Result<(), WebError> {
    let run = runs::find(app, &checkpoint.run.to_string()).await?;
    let every = run.spec.as_ref().and_then(|spec| spec.pointer("/evaluate/every")?.as_u64()).unwrap_or(1);
    let last = run.state == RunState::Finished && checkpoint.step >= run.step;
    if every > 1 && !checkpoint.step.0.is_multiple_of(every) && !last {
        return Ok(());
    }
    let suite = run.suite.as_deref().unwrap_or(&app.config.suite);
    let Some(verified) = app.store.checkpoint(checkpoint.id).await? else { return Ok(()) };
    evaluations::start(app, &verified, suite).await?;
    Ok(())
}

fn changed(app: &App, checkpoint: &Checkpoint) {
    app.events.publish(format!("run:{}", checkpoint.run), "checkpoint");
    app.events.publish(format!("checkpoint:{}", checkpoint.id), "state");
}
