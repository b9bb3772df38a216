use std::path::{Path, PathBuf};

use sekisho_weights::{FolderLock, LockError};

/// A run's folder: `spec.toml`, `log.jsonl`, `data.sha256`, `step-NNNNNN/`, and beside them what was said to the server
/// (`events.jsonl`, `report.json`), where it went back (`rollbacks.json`), and of a child what it began with (`parent.json`).
#[derive(Clone, Debug)]
pub(crate) struct RunFolder(PathBuf);

impl RunFolder {
    /// The folder at a path, created where it is missing and taken for this process alone, and what takes back what is made
    /// there from now on.
    ///
    /// # Errors
    /// [`LockError::Held`]: then nothing there is this process's to take back.
    pub(crate) fn begin(path: &Path) -> Result<(Self, FolderLock, Beginning), LockError> {
        let path = std::path::absolute(path)?;
        let made = path.ancestors().take_while(|folder| !folder.exists()).last().map(Path::to_path_buf);
        let mut beginning = Beginning { made, files: Vec::new() };
        fs_err::create_dir_all(&path)?;
        let folder = Self(fs_err::canonicalize(path)?);
        let lock_file = FolderLock::file_of(&folder.0);
        let new_lock = !lock_file.exists();
        let lock = match FolderLock::take(&folder.0) {
            Err(held @ LockError::Held { .. }) => {
                beginning.keep();
                return Err(held);
            }
            taken => taken?,
        };
        let own = [
            folder.spec(),
            folder.log(),
            folder.digests(),
            folder.events(),
            folder.report(),
            folder.origin(),
            folder.rollbacks(),
            folder.lineage(),
        ];
        beginning.files.extend(own.into_iter().filter(|file| !file.exists()));
        beginning.files.extend(Some(lock_file).filter(|_| new_lock));
        Ok((folder, lock, beginning))
    }

    /// A folder that is there.
    pub(crate) fn existing(path: &Path) -> std::io::Result<Self> {
        Ok(Self(fs_err::canonicalize(path)?))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn spec(&self) -> PathBuf {
        self.0.join("spec.toml")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.0.join("log.jsonl")
    }

    pub(crate) fn events(&self) -> PathBuf {
        self.0.join("events.jsonl")
    }

    pub(crate) fn report(&self) -> PathBuf {
        self.0.join("report.json")
    }

    /// Digests over what was trained on.
    pub(crate) fn digests(&self) -> PathBuf {
        self.0.join("data.sha256")
    }

    /// What a child began with.
    pub(crate) fn origin(&self) -> PathBuf {
        self.0.join("parent.json")
    }

    /// Where the run went back.
    pub(crate) fn rollbacks(&self) -> PathBuf {
        self.0.join("rollbacks.json")
    }

    /// What the weights are made from.
    pub(crate) fn lineage(&self) -> PathBuf {
        self.0.join(crate::lineage::FILE)
    }

    pub(crate) fn checkpoint(&self, step: u64) -> PathBuf {
        self.0.join(format!("step-{step:06}"))
    }

    /// The updates whose checkpoints are complete, in order.
    pub(crate) fn checkpoints(&self) -> std::io::Result<Vec<u64>> {
        let mut steps = Vec::new();
        for entry in fs_err::read_dir(&self.0)? {
            let entry = entry?;
            let name = entry.file_name();
            let step = name
                .to_str()
                .and_then(|name| name.strip_prefix("step-"))
                .and_then(|digits| digits.parse::<u64>().ok());
            steps.extend(step.filter(|_| entry.path().join("manifest.json").is_file()));
        }
        steps.sort_unstable();
        Ok(steps)
    }

    /// The newest checkpoint, in a sentence.
    pub(crate) fn last_good(&self) -> std::io::Result<String> {
        Ok(match self.checkpoints()?.last() {
            Some(step) => {
                format!("The last good checkpoint is step {step}: {}.", self.checkpoint(*step).display())
            }
            None => "There is no checkpoint yet.".to_owned(),
        })
    }

    /// Removes a checkpoint. It loses its name first, so that no half of it is ever taken for one.
    pub(crate) fn remove_checkpoint(&self, step: u64) -> std::io::Result<()> {
        let unnamed = self.0.join(format!(".step-{step:06}.partial"));
        fs_err::rename(self.checkpoint(step), &unnamed)?;
        fs_err::remove_dir_all(&unnamed)
    }

    /// Takes a checkpoint out of the run without losing it: what it was written for is not known here.
    pub(crate) fn set_aside_checkpoint(&self, step: u64) -> std::io::Result<PathBuf> {
        let named = |number: u32| match number {
            1 => self.0.join(format!("left-{step:06}")),
            _ => self.0.join(format!("left-{step:06}-{number}")),
        };
        let free = (1..).map(named).find(|place| fs_err::symlink_metadata(place).is_err());
        let free = free.expect("numbers do not end");
        fs_err::rename(self.checkpoint(step), &free)?;
        Ok(free)
    }

    /// Removes what a killed save or removal left behind.
    pub(crate) fn remove_partial(&self) -> std::io::Result<()> {
        for entry in fs_err::read_dir(&self.0)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            // Only names that a save makes: whatever else lies here is somebody's.
            let is_step = |digits: &str| digits.len() >= 6 && digits.bytes().all(|b| b.is_ascii_digit());
            let partial = name.strip_prefix(".step-").and_then(|rest| rest.strip_suffix(".partial"));
            let incomplete = name.strip_prefix("step-").is_some_and(is_step)
                && entry.path().is_dir()
                && !entry.path().join("manifest.json").is_file();
            if incomplete || partial.is_some_and(is_step) {
                fs_err::remove_dir_all(entry.path())?;
            }
        }
        Ok(())
    }
}

/// What a start has made. A start that fails takes it back, so that the same command can be given again.
#[must_use = "what was made is removed when this is dropped"]
pub(crate) struct Beginning {
    /// The outermost folder that was not there.
    made: Option<PathBuf>,
    /// The run's own files that were not there.
    files: Vec<PathBuf>,
}

impl Beginning {
    /// The start went through.
    pub(crate) fn keep(mut self) {
        self.made = None;
        self.files.clear();
    }
}

impl Drop for Beginning {
    fn drop(&mut self) {
        // The error of the start is the one to report.
        if let Some(folder) = self.made.take() {
            let _ = fs_err::remove_dir_all(folder);
        }
        for file in self.files.drain(..) {
            let _ = fs_err::remove_file(file);
        }
    }
}
