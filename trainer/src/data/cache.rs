//! What was learned of data before, so that it is not learned again: the SHA-256 of files, where tokens lie in an index, and text as
//! tokens. All of it may be removed at any time, and nothing depends on it but time: without a folder, or with one that cannot be written
//! to, everything is computed anew.
//!
//! ```text
//! files/<SHA-256 of a path>.json    what a file looked like when it was hashed, and its SHA-256
//! places/<SHA-256 of an .idx>-<size of its .bin>
//! tokens/<key>/{tokens.bin, tokens.idx, meta.json}
//! ```

mod tokens;

use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use sekisho_domain::Sha256;
use sekisho_domain::manifest::FileStamp;
use sekisho_weights::stamp;
use serde::{Deserialize, Serialize};

use super::DataError;
use super::indexed::Pair;
use super::places::Places;
use super::store::Store;
use super::writer::digest;

/// What opening data tells whoever waits for it.
pub(crate) enum Opening<'a> {
    /// Something worth a sentence.
    Note(&'a str),
    /// So many bytes of so many of a text are tokens now.
    Reading {
        /// The text.
        file: &'a Path,
        /// Bytes done.
        done: u64,
        /// Bytes of the file.
        total: u64,
    },
}

/// Hears of it.
pub(crate) type Told<'a> = &'a mut dyn FnMut(Opening<'_>);

/// A folder that remembers.
pub(crate) struct Cache {
    root: Option<PathBuf>,
    /// Why it does not.
    note: Mutex<Option<String>>,
}

/// What is remembered of a file.
#[derive(Serialize, Deserialize)]
struct Known {
    path: PathBuf,
    stamp: FileStamp,
    /// Time of the file system before the stamp was taken [ns since 1970].
    looked: i64,
    sha256: Sha256,
}

impl Known {
    /// File systems count time in ticks. What was written in the tick of the stamp could have been written after it.
    fn tick(changed: i64) -> i64 {
        // Some count whole seconds, or two.
        if changed % 1_000_000_000 == 0 { 2_000_000_000 } else { 20_000_000 }
    }

    fn holds(&self, stamp: &FileStamp) -> bool {
        self.stamp == *stamp && self.looked >= stamp.changed.saturating_add(Self::tick(stamp.changed))
    }
}

impl Cache {
    /// A cache in this folder, which need not be there; none remembers nothing.
    pub(crate) fn at(root: Option<&Path>) -> Self {
        // No name, as in an empty variable, is no folder.
        let root = root.filter(|root| !root.as_os_str().is_empty());
        Self { root: root.map(Path::to_path_buf), note: Mutex::default() }
    }

    /// SHA-256 of a file, if it is remembered and the file looks as it did.
    pub(super) fn known(&self, path: &Path) -> Option<Sha256> {
        let path = fs_err::canonicalize(path).ok()?;
        let known: Known = serde_json::from_slice(&fs_err::read(self.place_of(&path)?).ok()?).ok()?;
        (known.path == path && known.holds(&stamp(&path).ok()?)).then_some(known.sha256)
    }

    /// SHA-256 of a file: the remembered one, or that of its bytes.
    pub(super) fn sha256(&self, path: &Path) -> io::Result<Sha256> {
        if let Some(sha256) = self.known(path) {
            return Ok(sha256);
        }
        let path = fs_err::canonicalize(path)?;
        let Some(place) = self.place_of(&path) else { return hash(&path) };
        let partial = Partial::begin(&place).and_then(|partial| Ok((partial.time()?, partial)));
        // Before the file is read: a stamp can then only be too old, which costs another reading.
        let stamp = stamp(&path)?;
        let sha256 = hash(&path)?;
        let written = partial.and_then(|(looked, partial)| {
            let known = Known { path, stamp, looked, sha256 };
            partial.finish(&place, serde_json::to_string_pretty(&known)?.as_bytes())
        });
        written.unwrap_or_else(|error| self.cannot_write(&error));
        Ok(sha256)
    }

    /// Remembers the SHA-256 of a file that this process has just written and nobody else writes to.
    fn remember(&self, path: &Path, sha256: Sha256) -> io::Result<()> {
        let path = fs_err::canonicalize(path)?;
        let Some(place) = self.place_of(&path) else { return Ok(()) };
        let stamp = stamp(&path)?;
        let looked = stamp.changed.saturating_add(Known::tick(stamp.changed));
        let known = Known { path, stamp, looked, sha256 };
        Partial::begin(&place)?.finish(&place, serde_json::to_string_pretty(&known)?.as_bytes())
    }

    /// Where it is remembered what a file was, under its whole path.
    fn place_of(&self, path: &Path) -> Option<PathBuf> {
        let name = Sha256::of(path.as_os_str().as_bytes()).hex();
        self.root.as_ref().map(|root| root.join("files").join(format!("{name}.json")))
    }

    /// Where the tokens of a pair lie; `idx` is the SHA-256 of its index.
    pub(super) fn places(&self, pair: &Pair, idx: Sha256) -> Result<Places, DataError> {
        let Some(root) = &self.root else { return pair.scan() };
        let place = root.join("places").join(format!("{}-{}", idx.hex(), pair.bin_size()?));
        if let Some(places) = fs_err::read(&place)
            .ok()
            .and_then(|bytes| Places::decode(&bytes))
            .filter(|places| places.documents == pair.sequences())
        {
            return Ok(places);
        }
        let places = pair.scan()?;
        let written = Partial::begin(&place).and_then(|partial| partial.finish(&place, &places.encode()));
        written.unwrap_or_else(|error| self.cannot_write(&error));
        Ok(places)
    }

    fn cannot_write(&self, error: &io::Error) {
        let root = self.root.as_deref().unwrap_or(Path::new("")).display();
        let note = format!(
            "the cache {root} cannot be written to ({error}), so the next start learns everything again; name another folder with --cache or SEKISHO_CACHE"
        );
        // Of several reasons the first is enough.
        self.note.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(note);
    }

    /// Tells what has not been told.
    pub(super) fn tell(&self, told: Told<'_>) {
        if let Some(note) = self.note.lock().unwrap_or_else(PoisonError::into_inner).take() {
            told(Opening::Note(&note));
        }
    }
}

fn hash(path: &Path) -> io::Result<Sha256> {
    digest(&Store::File(fs_err::File::open(path)?))
}

/// A file that takes its name when it is whole. It need not survive a power cut: what is read back is checked.
struct Partial(Option<PathBuf>);

impl Partial {
    fn begin(place: &Path) -> io::Result<Self> {
        let folder = place.parent().ok_or(io::ErrorKind::InvalidInput)?;
        fs_err::create_dir_all(folder)?;
        // Nobody else's name, on any machine that shares the folder.
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        let path = folder.join(format!(".{:016x}.partial", u64::from_ne_bytes(random)));
        fs_err::File::create_new(&path)?;
        Ok(Self(Some(path)))
    }

    fn path(&self) -> &Path {
        self.0.as_deref().unwrap_or(Path::new(""))
    }

    /// The file system's time [ns since 1970].
    fn time(&self) -> io::Result<i64> {
        let metadata = fs_err::metadata(self.path())?;
        Ok(metadata.mtime().saturating_mul(1_000_000_000).saturating_add(metadata.mtime_nsec()))
    }

    fn finish(mut self, place: &Path, bytes: &[u8]) -> io::Result<()> {
        fs_err::write(self.path(), bytes)?;
        fs_err::rename(self.path(), place)?;
        self.0 = None;
        Ok(())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            // The error that stopped the work is the one to report.
            let _ = fs_err::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests;
