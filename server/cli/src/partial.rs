//! A folder that is there whole or not at all.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::exit::{ExitStatus, Failed};
use crate::files;

/// Refuses a folder that is there.
pub(crate) fn must_be_new(dir: &Path) -> anyhow::Result<()> {
    if fs_err::symlink_metadata(dir).is_err() {
        return Ok(());
    }
    let text = format!(
        "{} is there already; an export only makes new folders. Name another one with --out.",
        dir.display()
    );
    Err(Failed::with(ExitStatus::Conflict, text))
}

fn failed(error: &io::Error) -> anyhow::Error {
    Failed::user(sekisho_domain::disk_sentence(error))
}

/// The folder while it is not whole. It is removed unless it becomes the one that was asked for.
pub(crate) struct Partial {
    at: PathBuf,
    whole: bool,
}

impl Partial {
    pub(crate) fn path(&self) -> &Path {
        &self.at
    }

    /// Beside the one that it becomes.
    pub(crate) fn make(dir: &Path) -> anyhow::Result<Self> {
        let at = files::with_suffix(dir, ".partial");
        let parent = at.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs_err::create_dir_all(parent).map_err(|error| failed(&error))?;
        match fs_err::create_dir(&at) {
            Ok(()) => Ok(Self { at, whole: false }),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                let text = format!(
                    "{} is there: another export is at work, or one was killed. Remove it when none is, and try again.",
                    at.display()
                );
                Err(Failed::with(ExitStatus::Conflict, text))
            }
            Err(error) => Err(failed(&error)),
        }
    }

    /// Takes the name, and makes that survive a power cut.
    pub(crate) fn become_whole(mut self, dir: &Path) -> io::Result<()> {
        fs_err::File::open(&self.at)?.sync_all()?;
        fs_err::rename(&self.at, dir)?;
        self.whole = true;
        let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs_err::File::open(parent)?.sync_all()
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.whole {
            // Why it is not whole is the error to report.
            let _ = fs_err::remove_dir_all(&self.at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Partial;

    #[test]
    fn a_folder_that_is_not_whole_is_not_kept() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let dir = root.path().join("below/out");
        let partial = Partial::make(&dir).expect("made");
        fs_err::write(partial.at.join("x"), "x").expect("written");
        assert!(Partial::make(&dir).is_err(), "one at a time");
        assert!(partial.at.exists(), "the second one leaves it alone");
        drop(partial);
        let left = || fs_err::read_dir(root.path().join("below")).expect("a folder").count();
        assert_eq!(left(), 0);
        let partial = Partial::make(&dir).expect("made again");
        fs_err::write(partial.at.join("x"), "x").expect("written");
        partial.become_whole(&dir).expect("renamed");
        assert!(left() == 1 && dir.join("x").exists());
    }
}
