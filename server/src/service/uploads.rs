//! Checkpoints that arrive in pieces: what is on the disk stays there, whoever is killed, and what the project holds already is not
//! sent again.
//!
//! The row of a file says how many of its bytes count. A piece is on the disk before the row moves, so what lies behind them was never
//! accepted, and is written over.

mod disk;
mod files;

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use sekisho_domain::checkpoint::CheckpointState;
use sekisho_domain::wire::{BeginUpload, UploadFileView, UploadView};
use sekisho_domain::{Sha256, UploadId};
use sekisho_store::{Checkpoint, Run, StoreError, Upload, UploadFile};
use sekisho_weights::is_checkpoint_file;

use super::{checkpoints, copies};
use crate::{Actor, App, Noun, WebError};

pub use disk::disk_error;
pub use files::plain_name;

/// Most files of an upload; the largest models come in a few hundred.
const MOST_FILES: usize = 2_000;

/// One writer for each upload at a time.
#[derive(Debug, Default)]
pub struct UploadLocks(std::sync::Mutex<HashMap<UploadId, Arc<tokio::sync::Mutex<()>>>>);

impl UploadLocks {
    fn of(&self, id: UploadId) -> Arc<tokio::sync::Mutex<()>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that nobody holds are made anew when they are asked for.
        all.retain(|_, lock| Arc::strong_count(lock) > 1);
        all.entry(id).or_default().clone()
    }
}

/// Begins an upload, or finds the one that is under way. What the project holds is in its place already.
///
/// # Errors
/// 400 for a list of files that cannot be taken, 409 for other files under the same step.
pub async fn begin(app: &App, actor: &Actor, run: &Run, asked: &BeginUpload) -> Result<UploadView, WebError> {
    let files = files::of(asked)?;
    let (step, tokens) = (asked.step, asked.tokens);
    let now = app.now();
    let upload = Upload {
        id: UploadId::new(&*app.clock, &*app.entropy),
        run: run.id,
        step,
        tokens,
        key: key(asked, &files),
        who: actor.user.name.clone(),
        files,
        created: now,
        updated: now,
    };
    if let Some(checkpoint) = of_same_step(app, &upload).await? {
        let view = view(app, &upload);
        return Ok(UploadView {
            id: None,
            checkpoint: Some(checkpoints::view(&checkpoint)),
            expires: None,
            ..view
        });
    }
    let asked = upload.id;
    let upload = app.store.add_upload(&upload).await?;
    let lock = app.uploads.of(upload.id);
    let _held = lock.lock().await;
    // Once: what is taken and turns out to be something else by now has to be sent.
    if upload.id == asked {
        files::take_known(app, &run.project, &upload).await?;
    }
    Ok(view(app, &find(app, run, &upload.id.to_string()).await?))
}

/// Identity of what is uploaded.
fn key(asked: &BeginUpload, files: &[UploadFile]) -> Sha256 {
    let lines = files.iter().map(|file| format!("{}\0{}\0{}\n", file.path, file.size, file.sha256.hex()));
    Sha256::of(format!("{}\n{}\n{}", asked.step.0, asked.tokens.0, lines.collect::<String>()))
}

/// The checkpoint of the same step, if it has these files.
///
/// # Errors
/// 409 when it has others.
async fn of_same_step(app: &App, upload: &Upload) -> Result<Option<Checkpoint>, WebError> {
    let all = app.store.checkpoints_of_run(upload.run).await?;
    let first = all.into_iter().find(|c| c.step == upload.step && c.state != CheckpointState::Refused);
    let Some(first) = first else { return Ok(None) };
    let is_here = folder(app, upload.id).display().to_string() == first.path;
    let Some(found) = &first.verification else { return Ok(is_here.then_some(first)) };
    let sent: BTreeSet<(&str, Sha256)> = upload
        .files
        .iter()
        .filter(|file| is_checkpoint_file(&file.path))
        .map(|file| (file.path.as_str(), file.sha256))
        .collect();
    let known: BTreeSet<(&str, Sha256)> =
        found.files.iter().map(|file| (file.path.as_str(), file.sha256)).collect();
    // An upload may hold weights that no index lists; they are left out when it is examined.
    if !known.is_subset(&sent) {
        return Err(checkpoints::exists(&first));
    }
    // What is gone or changed may be handed over again.
    let is_lost = matches!(first.state, CheckpointState::Changed | CheckpointState::Gone);
    Ok((!is_lost).then_some(first))
}

/// Where the files of an upload lie.
fn folder(app: &App, id: UploadId) -> PathBuf {
    app.uploads_dir().join(id.to_string())
}

/// An upload of a run.
///
/// # Errors
/// 404.
pub async fn find(app: &App, run: &Run, key: &str) -> Result<Upload, WebError> {
    let missing = || WebError::not_found(Noun::Upload, key);
    let id: UploadId = key.parse().map_err(|_| missing())?;
    let found = app.store.upload(id).await?.filter(|upload| upload.run == run.id);
    found.ok_or_else(missing)
}

/// A file of an upload.
///
/// # Errors
/// 404.
pub fn file<'a>(upload: &'a Upload, path: &str) -> Result<&'a UploadFile, WebError> {
    let found = upload.files.iter().find(|file| file.path == path);
    found.ok_or_else(|| WebError::not_found(Noun::UploadFile, path))
}

/// The API's view of an upload.
#[must_use]
pub fn view(app: &App, upload: &Upload) -> UploadView {
    let days = i64::from(app.config.uploads_expire_days);
    UploadView {
        id: Some(upload.id),
        run: upload.run,
        step: upload.step,
        tokens: upload.tokens,
        files: upload.files.iter().map(file_view).collect(),
        checkpoint: None,
        expires: Some(upload.updated.plus_seconds(days * 86_400)),
    }
}

/// The API's view of a file of it.
#[must_use]
pub fn file_view(file: &UploadFile) -> UploadFileView {
    UploadFileView {
        path: file.path.clone(),
        size: file.size,
        sha256: file.sha256,
        offset: file.received,
        done: file.done,
    }
}

/// Takes the next piece of a file; answers the file as it is then. With its last byte the file is hashed.
///
/// # Errors
/// 404; 409 `upload-offset` with the offset that is wanted; 422 for more bytes than were announced, or when the whole is not what was
/// announced: it begins again then; 507.
pub async fn append(
    app: &App,
    run: &Run,
    (id, path): (&str, &str),
    offset: u64,
    bytes: axum::body::Bytes,
) -> Result<UploadFileView, WebError> {
    let upload = find(app, run, id).await?;
    let lock = app.uploads.of(upload.id);
    let _held = lock.lock().await;
    let upload = find(app, run, id).await?;
    let known = file(&upload, path)?;
    if known.done || offset != known.received {
        return Err(out_of_turn(known, offset));
    }
    let end = offset.saturating_add(bytes.len() as u64);
    if end > known.size {
        let detail = format!(
            "{path} has {} bytes as it was announced; this piece would make {end}. Begin the upload again with the list of files as they are.",
            known.size
        );
        return Err(WebError::refused("upload-size", detail));
    }
    if !bytes.is_empty() {
        disk::write(folder(app, upload.id), path.to_owned(), offset, bytes).await?;
        if !app.store.set_received(upload.id, path, offset, end, app.now()).await? {
            return Err(out_of_turn(file(&find(app, run, id).await?, path)?, offset));
        }
    }
    let now = UploadFile { received: end, ..known.clone() };
    if end == now.size && files::settle(app, &upload, &now).await? == files::Settled::Other {
        return Err(files::other(&now));
    }
    let upload = find(app, run, id).await?;
    Ok(file_view(file(&upload, path)?))
}

fn out_of_turn(file: &UploadFile, offset: u64) -> WebError {
    let detail = format!(
        "{} goes on at byte {}; this piece begins at byte {offset}. Ask how far it is, and go on from there.",
        file.path, file.received
    );
    WebError { offset: Some(file.received), ..WebError::conflict("upload-offset", detail) }
}

/// Makes a checkpoint of an upload whose files are all there.
///
/// # Errors
/// 409 `upload-incomplete` naming the first file that lacks bytes, or for other files under the same step; 422 `upload-hash` for a file
/// that is not what was announced.
pub async fn complete(app: &App, run: &Run, id: &str) -> Result<Checkpoint, WebError> {
    let upload = find(app, run, id).await?;
    let lock = app.uploads.of(upload.id);
    let _held = lock.lock().await;
    let upload = find(app, run, id).await?;
    // An answer that was lost.
    if let Some(checkpoint) = of_same_step(app, &upload).await? {
        leave(app, &upload, &checkpoint).await?;
        return Ok(checkpoint);
    }
    for file in &upload.files {
        if file.received < file.size {
            return Err(incomplete(file, file.received));
        }
        if file.done {
            continue;
        }
        match files::settle(app, &upload, file).await? {
            files::Settled::Done => {}
            // Nobody sent it: it was taken from the store, where it has changed.
            files::Settled::Rotten => return Err(incomplete(file, 0)),
            files::Settled::Other => return Err(files::other(file)),
        }
    }
    let folder = folder(app, upload.id);
    disk::sync(folder.clone()).await?;
    let checkpoint = checkpoints::add(app, run, upload.step, upload.tokens, &folder, true).await?;
    leave(app, &upload, &checkpoint).await?;
    Ok(checkpoint)
}

fn incomplete(file: &UploadFile, offset: u64) -> WebError {
    let detail = format!(
        "{} is not complete: {offset} of {} bytes are there. Send the rest, then complete the upload.",
        file.path, file.size
    );
    WebError { offset: Some(offset), ..WebError::conflict("upload-incomplete", detail) }
}

/// Forgets an upload; its files stay where the checkpoint that was made of it needs them.
async fn leave(app: &App, upload: &Upload, checkpoint: &Checkpoint) -> Result<(), WebError> {
    let folder = folder(app, upload.id);
    if copies::present(app, checkpoint) != folder {
        copies::discard(app, &folder).await.map_err(WebError::internal)?;
    }
    Ok(app.store.remove_upload(upload.id).await?)
}

/// Ends an upload that nobody wants any more.
///
/// # Errors
/// 404.
pub async fn abandon(app: &App, run: &Run, id: &str) -> Result<(), WebError> {
    let upload = find(app, run, id).await?;
    let lock = app.uploads.of(upload.id);
    let _held = lock.lock().await;
    remove(app, &upload).await
}

async fn remove(app: &App, upload: &Upload) -> Result<(), WebError> {
    app.store.remove_upload(upload.id).await?;
    let name = upload.id.to_string();
    if !copies::waiting(app).await?.contains(std::ffi::OsStr::new(&name)) {
        copies::discard(app, &folder(app, upload.id)).await.map_err(WebError::internal)?;
    }
    Ok(())
}

/// Removes the uploads that nobody has gone on with for as long as the configuration says.
///
/// # Errors
/// When store or disk fail.
pub async fn expire(app: &App) -> Result<(), WebError> {
    let then = app.now().plus_seconds(-i64::from(app.config.uploads_expire_days) * 86_400);
    for upload in app.store.uploads_silent_since(then).await? {
        let lock = app.uploads.of(upload.id);
        let _held = lock.lock().await;
        // A piece may have come meanwhile.
        if app.store.upload(upload.id).await?.is_some_and(|now| now.updated < then) {
            tracing::info!(upload = %upload.id, step = upload.step.0, "an upload that nobody went on with is removed");
            remove(app, &upload).await?;
        }
    }
    Ok(())
}

/// Removes folders that no upload, and no checkpoint that waits, knows: what a kill left between two writes.
///
/// # Errors
/// When store or disk fail.
pub async fn clear(app: &App) -> Result<(), StoreError> {
    let waiting = copies::waiting(app).await?;
    let dir = app.uploads_dir();
    fs_err::create_dir_all(&dir)?;
    for entry in fs_err::read_dir(&dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let id = name.to_str().and_then(|name| name.parse::<UploadId>().ok());
        let known = match id {
            Some(id) => app.store.upload(id).await?.is_some(),
            None => false,
        };
        if !known && !waiting.contains(&name) && entry.path().is_dir() {
            fs_err::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}
