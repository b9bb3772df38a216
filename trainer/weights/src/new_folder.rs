//! A folder that is there whole or not at all.

use std::io;
use std::path::{Path, PathBuf};

use crate::write::sync_folder;

/// The folder while it grows, beside its place and under a name of its own (`.NAME.partial`); what was not finished is removed.
#[derive(Debug)]
pub struct NewFolder(Option<PathBuf>);

impl NewFolder {
    /// Begins the folder `to`, whose place must be free; nobody else may be writing it.
    ///
    /// # Errors
    /// The system's, naming the path; `AlreadyExists`.
    pub fn begin(to: &Path) -> io::Result<Self> {
        let name = to.file_name().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        if fs_err::symlink_metadata(to).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let path = to.with_file_name(format!(".{}.partial", name.to_string_lossy()));
        // What a power cut left of an earlier attempt.
        if path.exists() {
            fs_err::remove_dir_all(&path)?;
        }
        fs_err::create_dir_all(&path)?;
        Ok(Self(Some(path)))
    }

    /// Where its files go until then.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.as_deref().unwrap_or(Path::new(""))
    }

    /// Gives it its name. Files written with [`crate::write_atomic`] are on the disk by then.
    ///
    /// # Errors
    /// The system's, naming the path.
    pub fn finish(mut self, to: &Path) -> io::Result<()> {
        if let Some(path) = &self.0 {
            fs_err::rename(path, to)?;
        }
        self.0 = None;
        sync_folder(to)
    }
}

impl Drop for NewFolder {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            // The error that stopped the work is the one to report.
            let _ = fs_err::remove_dir_all(path);
        }
    }
}
