use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use sekisho_domain::checkpoint::CheckpointState;
use sekisho_domain::manifest::FileEntry;
use sekisho_domain::wire::{AnnounceCheckpoint, CheckpointView};
use sekisho_domain::{CheckpointId, Step, Timestamp, Tokens};
use sekisho_store::{Checkpoint, Run};
use sekisho_weights::list_files;

use super::copies;
use crate::{App, Noun, WebError};

/// Until a checkpoint that is being moved is looked at again.
const AGAIN: Duration = Duration::from_millis(200);

/// A checkpoint by id.
///
/// # Errors
/// 404.
pub async fn find(app: &App, key: &str) -> Result<Checkpoint, WebError> {
    let id: CheckpointId = key.parse().map_err(|_| WebError::not_found(Noun::Checkpoint, key))?;
    let found = app.store.checkpoint(id).await?;
    found.ok_or_else(|| WebError::not_found(Noun::Checkpoint, key))
}

/// Takes the announcement of a folder on a disk that the server sees too. The bytes are examined by the ingest job.
///
/// # Errors
/// 404 for the run; 400 for a path that is no folder, 403 for one outside the allowed roots.
pub async fn announce(app: &App, run: &Run, request: &AnnounceCheckpoint) -> Result<Checkpoint, WebError> {
    let path = allowed_path(app, &request.path)?;
    add(app, run, request.step, request.tokens, &path, request.copy).await
}

/// Records a checkpoint whose folder is in place and wakes the ingest job. `copy` says that the store keeps its own copy. The
/// same step of a run again is answered with the first if the files are the same.
///
/// # Errors
/// 409 for other files under the same step of the run.
pub async fn add(
    app: &App,
    run: &Run,
    step: Step,
    tokens: Tokens,
    path: &Path,
    copy: bool,
) -> Result<Checkpoint, WebError> {
    let now = app.now();
    let checkpoint = Checkpoint {
        id: CheckpointId::new(&*app.clock, &*app.entropy),
        run: run.id,
        run_name: run.name.clone(),
        step,
        tokens,
        state: CheckpointState::Received,
        refusal: None,
        path: path.display().to_string(),
        owned: copy,
        place: None,
        verification: None,
        stamps: Vec::new(),
        created: now,
        updated: now,
    };
    loop {
        let first = app.store.add_checkpoint(&checkpoint).await?;
        if first.id == checkpoint.id {
            app.ingest.notify_one();
            app.events.publish(format!("run:{}", run.id), "checkpoint");
            return Ok(first);
        }
        if matches!(first.state, CheckpointState::Changed | CheckpointState::Gone) {
            return again(app, &first, path, copy).await;
        }
        match holds_same(app, &first, path).await? {
            Some(true) => return Ok(first),
            Some(false) => return Err(exists(&first)),
            // It is on the move, or just refused, which makes room.
            None => tokio::time::sleep(AGAIN).await,
        }
    }
}

/// Takes the files of a checkpoint again whose own have changed or are gone; its scores are theirs.
async fn again(app: &App, first: &Checkpoint, path: &Path, copy: bool) -> Result<Checkpoint, WebError> {
    let known = first.verification.as_ref().map(|found| found.files.clone()).unwrap_or_default();
    let folder = path.to_owned();
    let compare = move || list_files(&folder).is_ok_and(|files| files == known);
    if !tokio::task::spawn_blocking(compare).await.map_err(WebError::internal)? {
        return Err(exists(first));
    }
    app.store.hand_over_again(first.id, &path.display().to_string(), copy, app.now()).await?;
    app.ingest.notify_one();
    app.events.publish(format!("run:{}", first.run), "checkpoint");
    find(app, &first.id.to_string()).await
}

/// Whether a folder holds the files of a checkpoint; `None` when that cannot be seen at this moment.
async fn holds_same(app: &App, first: &Checkpoint, path: &Path) -> Result<Option<bool>, WebError> {
    let there = copies::present(app, first);
    let (known, path) = (first.verification.as_ref().map(|found| found.files.clone()), path.to_owned());
    let since = first.created;
    let compare = move || match known {
        Some(known) if there == path && is_untouched(&path, &known, since) => Some(true),
        Some(known) => Some(list_files(&path).is_ok_and(|files| files == known)),
        // It is examined as it is by then.
        None if there == path => Some(true),
        None => list_files(&there).ok().map(|known| list_files(&path).is_ok_and(|files| files == known)),
    };
    tokio::task::spawn_blocking(compare).await.map_err(WebError::internal)
}

/// Whether nobody has written to a folder since its files were announced; spares reading a large checkpoint again.
fn is_untouched(folder: &Path, known: &[FileEntry], since: Timestamp) -> bool {
    let since = UNIX_EPOCH + Duration::from_millis(since.unix_ms().unsigned_abs());
    let older = |path: &Path| fs_err::metadata(path).ok().filter(|m| m.modified().is_ok_and(|at| at < since));
    older(folder).is_some()
        && known
            .iter()
            .all(|file| older(&folder.join(&file.path)).is_some_and(|meta| meta.len() == file.size))
}

pub(super) fn exists(first: &Checkpoint) -> WebError {
    let detail = format!(
        "Step {} of run \"{}\" is there already with other files (checkpoint {}). Hand these over under another step or another run.",
        first.step, first.run_name, first.id
    );
    WebError::conflict("checkpoint-exists", detail)
}

fn allowed_path(app: &App, text: &str) -> Result<PathBuf, WebError> {
    let path = fs_err::canonicalize(text).map_err(|error| {
        WebError::bad_request("checkpoint-path", format!("The server cannot open the folder: {error}. Announce a path that the server sees too, or upload with `sekisho ingest --copy`."))
    })?;
    if !path.is_dir() {
        let detail = format!(
            "{} is not a folder. Announce the folder that holds config.json and the safetensors files.",
            path.display()
        );
        return Err(WebError::bad_request("checkpoint-path", detail));
    }
    let roots = &app.config.ingest_roots;
    if roots.is_empty() || roots.iter().any(|root| path.starts_with(root)) {
        return Ok(path);
    }
    let names: Vec<_> = roots.iter().map(|r| r.display().to_string()).collect();
    let detail = format!(
        "{} lies outside the folders checkpoints may come from ({}). Move it there, or have [ingest] roots extended.",
        path.display(),
        names.join(", ")
    );
    Err(WebError::forbidden("checkpoint-root", detail))
}

/// The API's view of a checkpoint.
#[must_use]
pub fn view(checkpoint: &Checkpoint) -> CheckpointView {
    let found = checkpoint.verification.as_ref();
    CheckpointView {
        id: checkpoint.id,
        run: checkpoint.run,
        run_name: checkpoint.run_name.clone(),
        step: checkpoint.step,
        tokens: checkpoint.tokens,
        state: checkpoint.state,
        refusal: checkpoint.refusal.as_ref().map(|refusal| refusal.en.clone()),
        refusal_ja: checkpoint.refusal.as_ref().map(|refusal| refusal.ja.clone()),
        digest: found.map(|v| v.digest),
        weights: found.map(|v| v.weights),
        parameters: found.map(|v| v.parameters),
        created: checkpoint.created,
    }
}
