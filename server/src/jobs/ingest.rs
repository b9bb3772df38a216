use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sekisho_domain::checkpoint::CheckpointState;
use sekisho_domain::manifest::FileStamp;
use sekisho_domain::{RunId, Step, Text, is_disk_full};
use sekisho_store::{Checkpoint, Run, StoreError, Verification};
use sekisho_weights::{Inspected, Refusal};

use crate::fault::panic_words;
use crate::service::{checkpoints, copies, evaluations, runs, standing};
use crate::{App, WebError};

/// How a folder is examined: [`sekisho_weights::inspect`], apart from tests.
type Examine = fn(&Path) -> Result<Inspected, Refusal>;

/// Verifies announced checkpoints, one after the other: the disk is the bottleneck, and two at once would only share it.
///
/// A checkpoint found in `verifying` was interrupted by a crash and is examined again from the start.
pub async fn run(app: App) {
    loop {
        if let Err(error) = pass(&app, sekisho_weights::inspect).await {
            tracing::error!(error = %error, "the ingest job could not go on; it tries again in a few seconds");
            tokio::time::sleep(Duration::from_secs(5)).await;
            continue;
        }
        // The timeout covers a wake-up that was lost between the pass and this line.
        let _ = tokio::time::timeout(Duration::from_secs(30), app.ingest.notified()).await;
    }
}

/// Examines everything that waits, and queues the evaluations that are due: also those of checkpoints that an earlier pass
/// verified before it was cut off, and the last one of a run that has finished since. A checkpoint that cannot be dealt with
/// does not keep the others waiting.
///
/// # Errors
/// When the store fails; a refused checkpoint is no error.
async fn pass(app: &App, examine: Examine) -> Result<(), WebError> {
    let mut result = evaluate_due(app).await;
    for state in [CheckpointState::Verifying, CheckpointState::Received] {
        for checkpoint in app.store.checkpoints_in(state).await? {
            let done = match verify(app, &checkpoint, examine).await {
                Ok(()) => evaluate_verified(app, &checkpoint).await,
                failed => failed,
            };
            result = result.and(done);
        }
    }
    result
}

async fn verify(app: &App, checkpoint: &Checkpoint, examine: Examine) -> Result<(), WebError> {
    app.store.start_verifying(checkpoint.id, app.now()).await?;
    changed(app, checkpoint);
    let path = copies::present(app, checkpoint);
    let examined = {
        let path = path.clone();
        tokio::task::spawn_blocking(move || {
            // Before the bytes are read: a stamp may be too old, never too young.
            let stamps = sekisho_weights::stamps(&path).unwrap_or_default();
            examine(&path).map(|found| (found, stamps))
        })
        .await
    };
    match examined {
        Ok(Ok((found, stamps))) => accept(app, checkpoint, &path, &found, &stamps).await?,
        Ok(Err(refusal)) => {
            let reason = reason(app, checkpoint, &refusal).await?;
            refuse(app, checkpoint, &path, refusal.code(), &reason).await?;
        }
        Err(failed) if failed.is_panic() => {
            let panic = failed.into_panic();
            let reason = our_fault(panic_words(&*panic));
            refuse(app, checkpoint, &path, "checkpoint-panic", &reason).await?;
        }
        // The service is stopping; the next start examines it.
        Err(_) => {}
    }
    changed(app, checkpoint);
    Ok(())
}

async fn accept(
    app: &App,
    checkpoint: &Checkpoint,
    path: &Path,
    found: &Inspected,
    stamps: &[FileStamp],
) -> Result<(), WebError> {
    let verification = verification(found)?;
    let _keeping = app.keeping.lock().await;
    let was_there = app.checkpoints_dir().join(found.manifest.hex()).is_dir();
    let place = if checkpoint.owned {
        match copies::keep(app, checkpoint, path, found).await {
            Ok(place) => place,
            Err(StoreError::Io(error)) => {
                return refuse(app, checkpoint, path, "checkpoint-not-kept", &not_kept(&error)).await;
            }
            Err(error) => return Err(error.into()),
        }
    } else {
        path.to_owned()
    };
    let place = place.display().to_string();
    app.store.set_verified(checkpoint.id, &place, checkpoint.owned, &verification, app.now()).await?;
    // Of what lay in its place before, the first look reads the bytes.
    let stamps = match (checkpoint.owned, was_there) {
        (true, false) => sekisho_weights::stamps(Path::new(&place)).unwrap_or_default(),
        (true, true) if path != Path::new(&place) => Vec::new(),
        _ => stamps.to_vec(),
    };
    standing::remember(app, checkpoint.id, &verification, &stamps).await?;
    // After a kill between the move and this line, the upload may still lie beside its copy.
    copies::discard(app, &PathBuf::from(&checkpoint.path)).await.map_err(WebError::internal)?;
    tracing::info!(run = checkpoint.run_name, step = checkpoint.step.0, digest = %verification.digest, "checkpoint verified");
    Ok(())
}

async fn refuse(
    app: &App,
    checkpoint: &Checkpoint,
    path: &Path,
    code: &str,
    reason: &Text,
) -> Result<(), WebError> {
    tracing::warn!(run = checkpoint.run_name, step = checkpoint.step.0, code, "checkpoint refused");
    app.store.set_refused(checkpoint.id, reason, app.now()).await?;
    copies::discard(app, path).await.map_err(WebError::internal)
}

async fn reason(app: &App, checkpoint: &Checkpoint, refusal: &Refusal) -> Result<Text, WebError> {
    let mut reason = Text { en: refusal.to_string(), ja: refusal.ja() };
    if matches!(refusal, Refusal::Nan { .. })
        && let Some(step) = last_good(app, checkpoint).await?
    {
        reason.en += &format!(" The last good checkpoint is step {step}.");
        reason.ja += &format!("直前の正常なチェックポイントはステップ{step}です。");
    }
    Ok(reason)
}

fn not_kept(error: &std::io::Error) -> Text {
    if copies::is_changed(error) {
        return Text {
            en: format!("{error}. Hand the checkpoint over again when nobody writes to it any more."),
            ja: format!(
                "検査後にファイルが変更されたため、保存していません（{error}）。書き込みが終わってから、もう一度登録してください。"
            ),
        };
    }
    let (en, ja) = if is_disk_full(error) {
        ("Free some space and hand it over again", "空きを確保して、もう一度登録してください。")
    } else {
        ("Mend that and hand it over again", "原因を取り除いて、もう一度登録してください。")
    };
    Text {
        en: format!("The checkpoint is sound but could not be kept: {error}. {en}."),
        ja: format!("チェックポイントは正常ですが、保存できませんでした（{error}）。{ja}"),
    }
}

/// A panic of the examination: this checkpoint is refused, and the others go on.
fn our_fault(words: &str) -> Text {
    Text {
        en: format!(
            "Examining the checkpoint failed through a fault of Sekisho ({words}). Report it, and hand the checkpoint over again after an update."
        ),
        ja: format!(
            "Sekishoの不具合により検査できませんでした（{words}）。不具合を報告し、更新後にもう一度登録してください。"
        ),
    }
}

/// The newest verified checkpoint of the run before this one: where to go on from after NaN.
async fn last_good(app: &App, checkpoint: &Checkpoint) -> Result<Option<Step>, WebError> {
    let all = app.store.checkpoints_of_run(checkpoint.run).await?;
    let good = |c: &&Checkpoint| c.state == CheckpointState::Verified && c.step < checkpoint.step;
    Ok(all.iter().filter(good).map(|c| c.step).max())
}

/// The types of all tensors, each once: `bf16`, as a rule.
pub(crate) fn dtypes(found: &Inspected) -> String {
    let mut dtypes: Vec<String> = found.tensors.iter().map(|t| t.dtype.to_string()).collect();
    dtypes.sort();
    dtypes.dedup();
    dtypes.join(", ")
}

fn verification(found: &Inspected) -> Result<Verification, WebError> {
    let largest = found
        .tensors
        .iter()
        .map(|t| (t.name.clone(), f64::from(t.moments.min.abs().max(t.moments.max.abs()))))
        .max_by(|a, b| a.1.total_cmp(&b.1));
    Ok(Verification {
        digest: found.digest,
        weights: found.weights,
        tokenizer: found.tokenizer,
        parameters: found.parameters,
        embedding_parameters: found.config.embedding_parameters(),
        tensors: found.tensors.len() as u64,
        dtype: dtypes(found),
        vocab_size: found.config.vocab_size as u64,
        files: found.files.clone(),
        largest,
        config: serde_json::to_value(&found.config).map_err(WebError::internal)?,
    })
}

/// Queues the suites of verified checkpoints that have none yet, where their runs' specifications ask for it.
async fn evaluate_due(app: &App) -> Result<(), WebError> {
    let mut runs: HashMap<RunId, Run> = HashMap::new();
    for checkpoint in app.store.checkpoints_unevaluated().await? {
        let run = match runs.entry(checkpoint.run) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(runs::find(app, &checkpoint.run.to_string()).await?),
        };
        evaluate(app, run, &checkpoint).await?;
    }
    Ok(())
}

/// The same of one checkpoint, if its examination has found it sound.
async fn evaluate_verified(app: &App, examined: &Checkpoint) -> Result<(), WebError> {
    let checkpoint = checkpoints::find(app, &examined.id.to_string()).await?;
    if checkpoint.state != CheckpointState::Verified {
        return Ok(());
    }
    let run = runs::find(app, &checkpoint.run.to_string()).await?;
    evaluate(app, &run, &checkpoint).await
}

async fn evaluate(app: &App, run: &Run, checkpoint: &Checkpoint) -> Result<(), WebError> {
    if !evaluations::is_due(app, run, checkpoint) {
        return Ok(());
    }
    evaluations::start(app, checkpoint, evaluations::suite_of(app, run)).await.map(drop)
}

fn changed(app: &App, checkpoint: &Checkpoint) {
    app.events.publish(format!("run:{}", checkpoint.run), "checkpoint");
    app.events.publish(format!("checkpoint:{}", checkpoint.id), "state");
}

#[cfg(test)]
mod tests;
