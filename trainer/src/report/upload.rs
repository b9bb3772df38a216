//! A checkpoint sent in pieces. What the server has is not sent again: after a lost connection, after a kill of either side, and of what
//! the project had before.

use std::io::Read as _;
use std::io::Seek as _;
use std::io::SeekFrom;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rayon::prelude::*;
use sekisho_domain::manifest::FileEntry;
use sekisho_domain::wire::{BeginUpload, CheckpointView, UploadFileView, UploadView};
use sekisho_domain::{RunId, Sha256, Step, Tokens};
use sekisho_weights::is_checkpoint_file;
use sha2::Digest as _;

use super::client::{ReportError, RunClient};

/// Bytes of a piece: each is on the server's disk before the next goes out, and a kill costs no more than one.
const PIECE: u64 = 8 << 20;
/// The first pause after a failure; each next one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A piece, even on a slow line.
const PIECE_TIMEOUT: Duration = Duration::from_secs(600);
/// The server hashes what it has before it answers.
const LONG_TIMEOUT: Duration = Duration::from_secs(24 * 3600);

/// How long a lost connection is waited for.
#[derive(Clone, Copy, Debug, Default)]
pub struct UploadOptions {
    /// Pauses without any progress add up to at most this; zero: the first failure is the last.
    pub patience: Duration,
}

/// What goes on, for who watches.
#[derive(Clone, Copy, Debug)]
pub enum UploadEvent<'a> {
    /// So many bytes will be read.
    Reading(u64),
    /// So many of all bytes are there, at the beginning and after each piece.
    There(u64, u64),
    /// The connection is lost; it is tried again after the pause.
    Lost(&'a ReportError, Duration),
    /// All bytes are there; the server looks whether they are what was announced.
    Complete,
}

impl RunClient {
    /// Hands a checkpoint over by its bytes: the files that a checkpoint may have, by their names in the folder. Links inside the folder
    /// are followed. The same upload is found again by step, tokens and files.
    ///
    /// # Errors
    /// [`ReportError`]; [`ReportError::File`] names a link that leads out of the folder.
    pub fn upload(
        &self,
        run: RunId,
        (step, tokens): (Step, Tokens),
        folder: &Path,
        options: UploadOptions,
        tell: &mut dyn FnMut(UploadEvent<'_>),
    ) -> Result<CheckpointView, ReportError> {
        let files = files(folder)?;
        tell(UploadEvent::Reading(files.iter().map(|(_, size, _)| size).sum()));
        let files: Vec<(FileEntry, PathBuf)> =
            files.into_par_iter().map(hashed).collect::<std::io::Result<_>>()?;
        let request =
            BeginUpload { step, tokens, files: files.iter().map(|(entry, _)| entry.clone()).collect() };
        let (mut pause, mut waited, mut best) = (FIRST_PAUSE, Duration::ZERO, 0);
        loop {
            let mut there = 0;
            let mut watch = |event: UploadEvent<'_>| {
                if let UploadEvent::There(now, _) = event {
                    there = now;
                }
                tell(event);
            };
            let error = match self.go_on(run, &request, &files, &mut watch) {
                Ok(checkpoint) => return Ok(checkpoint),
                Err(error) => error,
            };
            if there > best {
                (best, pause, waited) = (there, FIRST_PAUSE, Duration::ZERO);
            }
            if !may_go_on(&error) || waited + pause > options.patience {
                return Err(error);
            }
            tell(UploadEvent::Lost(&error, pause));
            std::thread::sleep(pause);
            waited += pause;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// One attempt, from where the server is.
    fn go_on(
        &self,
        run: RunId,
        request: &BeginUpload,
        files: &[(FileEntry, PathBuf)],
        tell: &mut dyn FnMut(UploadEvent<'_>),
    ) -> Result<CheckpointView, ReportError> {
        let uploads = format!("runs/{run}/uploads");
        let upload: UploadView =
            self.answer(self.http.post(self.url(&uploads)).json(request).timeout(LONG_TIMEOUT))?;
        let Some(id) = upload.id else {
            return upload.checkpoint.ok_or_else(|| {
                ReportError::File(std::io::Error::other(
                    "the server names neither an upload nor a checkpoint",
                ))
            });
        };
        let total = upload.files.iter().map(|file| file.size).sum();
        let mut there: u64 = upload.files.iter().map(|file| file.offset).sum();
        tell(UploadEvent::There(there, total));
        for file in &upload.files {
            let Some((_, path)) = files.iter().find(|(entry, _)| entry.path == file.path) else { continue };
            let name = escaped(&file.path);
            let address = self.url(&format!("{uploads}/{id}/files/{name}"));
            let mut at = file.offset;
            while at < file.size {
                let piece = piece(path, at, file.size)?;
                let request = self.http.patch(&address).header("Upload-Offset", at).timeout(PIECE_TIMEOUT);
                let now: UploadFileView = self.answer(request.body(piece))?;
                there = there.saturating_add(now.offset.saturating_sub(at));
                at = now.offset;
                tell(UploadEvent::There(there, total));
            }
        }
        tell(UploadEvent::Complete);
        let complete = self.http.post(self.url(&format!("{uploads}/{id}/complete")));
        self.answer(complete.timeout(LONG_TIMEOUT))
    }
}

/// Whether asking again, from where the server is by then, may help.
fn may_go_on(error: &ReportError) -> bool {
    let ReportError::Refused { problem } = error else { return error.is_temporary() };
    // Somebody else sends the same upload, or a file that was taken from the store must be sent.
    let is_out_of_step = ["upload-offset", "upload-incomplete"].contains(&problem.code.as_str());
    is_out_of_step || (error.is_temporary() && problem.code != "disk-full")
}

/// The files of a checkpoint: `training_state/` stays behind, and with it `manifest.json`, which lists it; so do hidden files and those
/// that no checkpoint has.
fn files(folder: &Path) -> std::io::Result<Vec<(String, u64, PathBuf)>> {
    let mut entries = fs_err::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(fs_err::DirEntry::file_name);
    let root = fs_err::canonicalize(folder)?;
    let mut files = Vec::new();
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') || !is_checkpoint_file(&name) {
            continue;
        }
        let path = inside(&root, &entry)?;
        if path.is_file() {
            files.push((name, fs_err::metadata(&path)?.len(), path));
        }
    }
    Ok(files)
}

/// The file behind an entry of a folder.
fn inside(root: &Path, entry: &fs_err::DirEntry) -> std::io::Result<PathBuf> {
    if !entry.file_type()?.is_symlink() {
        return Ok(entry.path());
    }
    let target = fs_err::canonicalize(entry.path()).ok().filter(|target| target.starts_with(root));
    target.ok_or_else(|| {
        let name = entry.path();
        std::io::Error::other(format!(
            "{} is a link that does not lead to a file inside the folder. Put the file itself there (`cp -L`).",
            name.display()
        ))
    })
}

fn hashed((name, _, path): (String, u64, PathBuf)) -> std::io::Result<(FileEntry, PathBuf)> {
    let mut file = fs_err::File::open(&path)?;
    let (mut hasher, mut buffer, mut size) = (sha2::Sha256::new(), vec![0; 1 << 20], 0);
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
        size += read as u64;
    }
    let sha256 = Sha256::from_bytes(hasher.finalize().into());
    Ok((FileEntry { path: name, size, sha256 }, path))
}

/// The bytes of a file from `at` on, as many as a piece has.
fn piece(path: &Path, at: u64, size: u64) -> std::io::Result<Vec<u8>> {
    let length = usize::try_from((size - at).min(PIECE)).map_err(std::io::Error::other)?;
    let mut file = fs_err::File::open(path)?;
    file.seek(SeekFrom::Start(at))?;
    let mut bytes = vec![0; length];
    file.read_exact(&mut bytes).map_err(|error| {
        let what = "it was written to while it was sent; send it again when it is complete";
        std::io::Error::new(error.kind(), format!("{}: {error} ({what})", path.display()))
    })?;
    Ok(bytes)
}

/// A file's name as one segment of a path.
fn escaped(name: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    name.bytes().map(byte).collect()
}
