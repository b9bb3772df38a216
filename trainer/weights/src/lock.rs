//! One process to a folder.

use std::fs::TryLockError;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use fs_err::{File, OpenOptions};

const NAME: &str = ".lock";

/// A folder cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error("{folder} is in use by {holder}; stop that one, or name another folder with --dir", folder = folder.display())]
    Held {
        /// The folder.
        folder: PathBuf,
        /// `process 4711 on host`.
        holder: String,
    },
    /// The system's, naming the file; a full disk with the way on.
    #[error("{}", sekisho_domain::disk_sentence(.0))]
    Io(#[from] io::Error),
}

/// The right to write into a folder, kept until this is dropped or the process ends, however it ends. It is a lock of the
/// operating system on `FOLDER/.lock`; the file's text only says who holds it.
#[derive(Debug)]
pub struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// Takes a folder that is there.
    ///
    /// # Errors
    /// [`LockError::Held`] names process and machine.
    pub fn take(folder: &Path) -> Result<Self, LockError> {
        let path = Self::file_of(folder);
        let mut file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path)?;
        match file.file().try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // It may be gone by now; that it was held is what counts.
                let _ = file.read_to_string(&mut holder);
                let holder = Some(holder.trim()).filter(|text| !text.is_empty()).unwrap_or("another process");
                return Err(LockError::Held { folder: folder.to_owned(), holder: holder.to_owned() });
            }
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "process {} on {host}", std::process::id())?;
        Ok(Self { _file: file })
    }

    /// The file that is locked.
    #[must_use]
    pub fn file_of(folder: &Path) -> PathBuf {
        folder.join(NAME)
    }
}

#[cfg(test)]
mod tests {
    use super::FolderLock;

    #[test]
    fn a_folder_is_taken_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let lock = FolderLock::take(folder.path()).expect("free");
        let error = FolderLock::take(folder.path()).expect_err("taken").to_string();
        let who = format!("is in use by process {} on ", std::process::id());
        assert!(error.contains(&who) && error.contains("--dir"), "{error}");
        drop(lock);
        FolderLock::take(folder.path()).expect("free again");
    }
}
