use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use fs_err::{File, OpenOptions};
use sekisho_domain::Sha256;
use sha2::Digest as _;

use crate::WebError;

/// Bytes read at a time.
const CHUNK: usize = 1 << 20;

/// What a disk that does not take an upload means to who sends it.
#[must_use]
pub fn disk_error(error: &io::Error) -> WebError {
    if sekisho_domain::is_disk_full(error) {
        return WebError::disk_full(format!(
            "Not enough space for the upload ({error}). What had arrived before stays. Free some space and send it again: it goes on where it stopped."
        ));
    }
    WebError::internal(error)
}

/// Writes a piece; it is on the disk when this returns. Of one that does not fit nothing is left.
pub(super) async fn write(
    folder: PathBuf,
    path: String,
    offset: u64,
    bytes: axum::body::Bytes,
) -> Result<(), WebError> {
    let write = move || {
        let file = open(&folder, &path, offset)?;
        let written = file.file().write_all_at(&bytes, offset).and_then(|()| file.file().sync_data());
        if written.is_err() {
            // The first error is the one to report.
            let _ = file.set_len(offset);
        }
        written
    };
    let written = tokio::task::spawn_blocking(write).await.map_err(WebError::internal)?;
    written.map_err(|error| disk_error(&error))
}

/// The file to write to. What lies under its name at the beginning is replaced and never written to: it may be a link to a file of
/// the store.
fn open(folder: &Path, path: &str, offset: u64) -> io::Result<File> {
    fs_err::create_dir_all(folder)?;
    let path = folder.join(path);
    if offset == 0 {
        remove(&path)?;
        let file = OpenOptions::new().write(true).create_new(true).open(&path)?;
        File::open(folder)?.sync_all()?;
        return Ok(file);
    }
    let file = OpenOptions::new().write(true).open(&path)?;
    if file.metadata()?.nlink() > 1 {
        return Err(io::Error::other(format!("{} is shared and is not written to", path.display())));
    }
    Ok(file)
}

/// Removes a file if it is there.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs_err::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// A name for bytes that are there: a link where the file system knows it, else a copy (a cheap one where it knows that).
pub(super) fn link(from: &Path, to: &Path) -> io::Result<()> {
    remove(to)?;
    if fs_err::hard_link(from, to).is_err() {
        fs_err::copy(from, to)?;
        File::open(to)?.sync_all()?;
    }
    Ok(())
}

/// What a whole file turned out to be.
pub(super) struct Whole {
    pub(super) sha256: Sha256,
    /// Whether the store has it under another name too.
    pub(super) is_shared: bool,
}

/// Hashes a file of that size; an empty one is made.
pub(super) fn hash(path: &Path, size: u64) -> io::Result<Whole> {
    if size == 0 {
        remove(path)?;
        File::create_new(path)?.sync_all()?;
    }
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let metadata = file.metadata()?;
    let is_shared = metadata.nlink() > 1;
    if metadata.len() > size && !is_shared {
        // A piece that a kill cut off before it was accepted.
        file.set_len(size)?;
    }
    let mut hasher = sha2::Sha256::new();
    let mut buffer = vec![0; CHUNK];
    let mut at = 0;
    loop {
        let read = file.file().read_at(&mut buffer, at)?;
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
        at += read as u64;
    }
    Ok(Whole { sha256: Sha256::from_bytes(hasher.finalize().into()), is_shared })
}

/// The names in a folder survive a power cut.
pub(super) async fn sync(folder: PathBuf) -> Result<(), WebError> {
    let sync = move || File::open(folder)?.sync_all();
    let synced = tokio::task::spawn_blocking(sync).await.map_err(WebError::internal)?;
    synced.map_err(|error| disk_error(&error))
}
