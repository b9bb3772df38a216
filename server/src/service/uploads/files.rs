use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;

use sekisho_domain::Sha256;
use sekisho_domain::wire::BeginUpload;
use sekisho_store::{Upload, UploadFile};

use super::{MOST_FILES, disk, folder};
use crate::service::copies;
use crate::{App, WebError};

/// The files of a request, by path.
pub(super) fn of(asked: &BeginUpload) -> Result<Vec<UploadFile>, WebError> {
    let wrong = |detail: String| WebError::bad_request("upload", detail);
    if asked.files.is_empty() {
        return Err(wrong(
            "The upload names no file; list every file with path, size and sha256.".to_owned(),
        ));
    }
    if asked.files.len() > MOST_FILES {
        let detail = format!("The upload names {} files; at most {MOST_FILES} are taken.", asked.files.len());
        return Err(wrong(detail));
    }
    let mut names = BTreeSet::new();
    let mut files = Vec::with_capacity(asked.files.len());
    for file in &asked.files {
        let path = plain_name(&file.path)?.to_owned();
        if !names.insert(&file.path) {
            return Err(wrong(format!("The upload names {path} twice; each file once.")));
        }
        if i64::try_from(file.size).is_err() {
            return Err(wrong(format!("{path} cannot have {} bytes.", file.size)));
        }
        files.push(UploadFile { path, size: file.size, sha256: file.sha256, received: 0, done: false });
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

/// A file name that stays in its folder.
///
/// # Errors
/// 400.
pub fn plain_name(name: &str) -> Result<&str, WebError> {
    let plain = !name.is_empty()
        && name.len() <= 200
        && !name.starts_with('.')
        && !name.contains(['/', '\\'])
        && !name.chars().any(char::is_control);
    if plain {
        return Ok(name);
    }
    let detail = format!(
        "The upload's file name \"{}\" is not a plain name; send files by name, without folders.",
        name.escape_debug()
    );
    Err(WebError::bad_request("upload-name", detail))
}

/// Puts what the project holds into its place, so that it is not sent. Whether it still is what it was is seen when the upload is
/// completed. Other projects are not looked into: whoever names a digest must not come by bytes that are not theirs.
pub(super) async fn take_known(app: &App, project: &str, upload: &Upload) -> Result<(), WebError> {
    let wanted: Vec<&UploadFile> =
        upload.files.iter().filter(|file| file.received == 0 && file.size > 0).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let digests: Vec<Sha256> = wanted.iter().map(|file| file.sha256).collect();
    let known = known(app, project, upload, &digests).await?;
    let folder = folder(app, upload.id);
    for file in wanted {
        let Some(from) = known.get(&(file.sha256, file.size)).cloned() else { continue };
        let to = folder.join(&file.path);
        let place = folder.clone();
        let link = move || {
            fs_err::create_dir_all(&place)?;
            disk::link(&from, &to)
        };
        match tokio::task::spawn_blocking(link).await.map_err(WebError::internal)? {
            Ok(()) => {
                app.store.set_received(upload.id, &file.path, 0, file.size, app.now()).await?;
            }
            // It is sent like any other then.
            Err(error) => tracing::warn!(%error, file = file.path, "a file that is there could not be taken"),
        }
    }
    Ok(())
}

/// Where files with these digests lie.
async fn known(
    app: &App,
    project: &str,
    upload: &Upload,
    digests: &[Sha256],
) -> Result<HashMap<(Sha256, u64), PathBuf>, WebError> {
    let mut known = HashMap::new();
    for (id, file) in app.store.uploads_holding(project, digests).await? {
        if id != upload.id {
            known.insert((file.sha256, file.size), folder(app, id).join(file.path));
        }
    }
    for checkpoint in app.store.checkpoints_holding(project, digests).await? {
        let at = copies::present(app, &checkpoint);
        for file in checkpoint.verification.into_iter().flat_map(|found| found.files) {
            known.insert((file.sha256, file.size), at.join(file.path));
        }
    }
    Ok(known)
}

/// What came of a file whose bytes are all there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Settled {
    /// It is what was announced.
    Done,
    /// It was taken from the store and is something else by now; it is to be sent.
    Rotten,
    /// It is something else than was announced; it is to be sent again.
    Other,
}

/// Hashes a file. One that is not what was announced is removed.
pub(super) async fn settle(app: &App, upload: &Upload, file: &UploadFile) -> Result<Settled, WebError> {
    let (path, size) = (folder(app, upload.id).join(&file.path), file.size);
    let hashing = {
        let path = path.clone();
        move || {
            if let Some(folder) = path.parent() {
                fs_err::create_dir_all(folder)?;
            }
            disk::hash(&path, size)
        }
    };
    let hashed = tokio::task::spawn_blocking(hashing).await.map_err(WebError::internal)?;
    let settled = match hashed {
        Ok(whole) if whole.sha256 == file.sha256 => {
            app.store.set_file_done(upload.id, &file.path, app.now()).await?;
            return Ok(Settled::Done);
        }
        Ok(whole) if !whole.is_shared => Settled::Other,
        Ok(_) => Settled::Rotten,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Settled::Rotten,
        Err(error) => return Err(disk::disk_error(&error)),
    };
    disk::remove(&path).map_err(|error| disk::disk_error(&error))?;
    app.store.set_received(upload.id, &file.path, size, 0, app.now()).await?;
    Ok(settled)
}

/// Why a file is not taken.
pub(super) fn other(file: &UploadFile) -> WebError {
    let detail = format!(
        "The {} bytes of {} do not have the SHA-256 that was announced ({}). They were removed: send the file again, or begin anew with the list of files as they are.",
        file.size,
        file.path,
        file.sha256.hex()
    );
    WebError { offset: Some(0), ..WebError::refused("upload-hash", detail) }
}
