//! `data.sha256`: 32 bytes an update, the digest over the tokens of all updates up to it. Replay is held against it, and learns from it how
//! far a run has come.

use std::io::{self, Write};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use fs_err::{File, OpenOptions};
use sekisho_domain::{Sha256, Step};

const SIZE: u64 = 32;

/// The file while the run goes on.
pub(crate) struct Digests(File);

impl Digests {
    /// Opens it as it was after update `step` of a run whose first is the one after `before`. What a power cut has lost of it stays unknown.
    pub(crate) fn open_at(path: &Path, before: Step, step: Step) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        file.set_len((step.0 - before.0) * SIZE)?;
        Ok(Self(file))
    }

    pub(crate) fn append(&mut self, digest: Sha256) -> io::Result<()> {
        let before = self.0.metadata()?.len();
        self.0.write_all(digest.as_bytes()).inspect_err(|_| {
            // The first error is the one to report; the next start cuts it off.
            let _ = self.0.set_len(before);
        })
    }

    /// The file, to make what was written survive a power cut.
    pub(crate) fn handle(&self) -> io::Result<std::fs::File> {
        self.0.file().try_clone()
    }
}

/// The same, read.
pub(crate) struct Recorded {
    file: File,
    before: Step,
    count: u64,
}

impl Recorded {
    /// None of a run of a version that kept none.
    pub(crate) fn open(path: &Path, before: Step) -> io::Result<Option<Self>> {
        if !path.is_file() {
            return Ok(None);
        }
        let file = File::open(path)?;
        let count = file.metadata()?.len() / SIZE;
        Ok(Some(Self { file, before, count }))
    }

    /// The last update that was made.
    pub(crate) fn last(&self) -> Step {
        Step(self.before.0 + self.count)
    }

    /// The digest after an update; none where it is not known.
    pub(crate) fn at(&self, step: Step) -> io::Result<Option<Sha256>> {
        let Some(number) = step.0.checked_sub(self.before.0 + 1).filter(|number| *number < self.count) else {
            return Ok(None);
        };
        let mut bytes = [0; SIZE as usize];
        self.file.file().read_exact_at(&mut bytes, number * SIZE)?;
        Ok((bytes != [0; SIZE as usize]).then(|| Sha256::from_bytes(bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_beyond_a_step_is_cut_off_and_what_is_missing_is_unknown() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("data.sha256");
        assert!(Recorded::open(&path, Step(0)).expect("no file").is_none());
        let mut digests = Digests::open_at(&path, Step(8), Step(8)).expect("a file");
        for text in ["9", "10", "11"] {
            digests.append(Sha256::of(text)).expect("written");
        }
        let recorded = Recorded::open(&path, Step(8)).expect("a file").expect("there");
        assert_eq!(recorded.last(), Step(11));
        assert_eq!(recorded.at(Step(10)).expect("read"), Some(Sha256::of("10")));
        assert_eq!((recorded.at(Step(8)).expect("read"), recorded.at(Step(12)).expect("read")), (None, None));
        let mut digests = Digests::open_at(&path, Step(8), Step(10)).expect("cut");
        digests.append(Sha256::of("other")).expect("written");
        assert_eq!(recorded.at(Step(11)).expect("read"), Some(Sha256::of("other")));
        let _ = Digests::open_at(&path, Step(8), Step(14)).expect("longer");
        let recorded = Recorded::open(&path, Step(8)).expect("a file").expect("there");
        assert_eq!((recorded.last(), recorded.at(Step(13)).expect("read")), (Step(14), None));
    }
}
