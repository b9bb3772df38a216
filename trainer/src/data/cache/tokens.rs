//! Text as tokens: a Megatron pair in a folder that is named by everything the tokens depend on.

use std::fs::TryLockError;
use std::io;
use std::path::{Path, PathBuf};

use fs_err::{File, OpenOptions};
use sekisho_domain::{Sha256, canonical_json};
use sekisho_weights::{NewFolder, write_atomic};
use serde::{Deserialize, Serialize};

use super::{Cache, Opening, Told};
use crate::data::indexed::{Element, Indexed};
use crate::data::jsonl::{Stop, Text, tokenise};
use crate::data::store::Growing;
use crate::data::writer::{PairWriter, Refused, Written};
use crate::data::{DataError, corpus};

/// Raised whenever the same text would become other tokens.
const FORMAT: u32 = 1;
/// The library that makes tokens of text; a test holds it against the build.
pub(super) const LIBRARY: &str = "tokenizers 0.23.2";

const BIN: &str = "tokens.bin";
const IDX: &str = "tokens.idx";
const META: &str = "meta.json";

/// What tokens depend on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Key {
    format: u32,
    library: String,
    /// SHA-256 of the file as it is stored.
    text: Sha256,
    tokenizer: Sha256,
    bos: Option<u32>,
    eos: u32,
}

impl Key {
    fn new(sha256: Sha256, text: &Text<'_>) -> Self {
        Self {
            format: FORMAT,
            library: LIBRARY.to_owned(),
            text: sha256,
            tokenizer: text.digest(),
            bos: text.bos,
            eos: text.eos,
        }
    }

    fn name(&self) -> String {
        Sha256::of(canonical_json(&serde_json::json!(self))).hex()
    }
}

/// `meta.json`, written last.
#[derive(Serialize, Deserialize)]
struct Meta {
    key: Key,
    documents: u64,
    tokens: u64,
    bin: Sha256,
    idx: Sha256,
}

enum Failed {
    /// The text cannot be used.
    Input(DataError),
    /// The cache cannot.
    Cache(io::Error),
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::Cache(error)
    }
}

/// What a folder of the cache is.
enum Look {
    Good(Box<Indexed>),
    Absent,
    Rotten,
    /// It cannot be read now and may be whole: it is not thrown away.
    Unreadable(io::Error),
}

impl Cache {
    /// The tokens of a text, if they are there.
    pub(in crate::data) fn find(
        &self,
        sha256: Sha256,
        text: &Text<'_>,
    ) -> Result<Option<Indexed>, DataError> {
        let key = Key::new(sha256, text);
        Ok(match self.root.as_deref().map(|root| self.look(&folder(root, &key), &key)).transpose()? {
            Some(Look::Good(stored)) => Some(*stored),
            _ => None,
        })
    }

    /// The tokens of a text whose SHA-256 is known: those that are there, or made now. When the cache cannot keep them they stay in memory,
    /// and a note says so.
    pub(in crate::data) fn tokens(
        &self,
        file: &Path,
        sha256: Sha256,
        text: &Text<'_>,
        told: Told<'_>,
    ) -> Result<Indexed, DataError> {
        if let Some(stored) = self.find(sha256, text)? {
            return Ok(stored);
        }
        let Some(root) = &self.root else { return self.in_memory(file, sha256, text, told) };
        match self.build(root, file, &Key::new(sha256, text), text, told) {
            Ok(stored) => Ok(stored),
            Err(Failed::Input(error)) => Err(error),
            Err(Failed::Cache(error)) => {
                let note = format!(
                    "the tokens of {} are kept in memory: the cache {} cannot hold them ({error}); free some space or name another folder with --cache or SEKISHO_CACHE",
                    file.display(),
                    root.display()
                );
                told(Opening::Note(&note));
                self.in_memory(file, sha256, text, told)
            }
        }
    }

    /// Whether a folder holds what its `meta.json` says, and that is what is asked for.
    fn look(&self, folder: &Path, key: &Key) -> Result<Look, DataError> {
        if !folder.is_dir() {
            return Ok(Look::Absent);
        }
        let meta = fs_err::read(folder.join(META)).ok();
        let meta = meta.and_then(|bytes| serde_json::from_slice::<Meta>(&bytes).ok());
        let Some(meta) = meta.filter(|meta| meta.key == *key) else { return Ok(Look::Rotten) };
        let (bin, idx) = (folder.join(BIN), folder.join(IDX));
        for (path, sha256) in [(&bin, meta.bin), (&idx, meta.idx)] {
            match self.sha256(path) {
                Ok(found) if found == sha256 => {}
                Ok(_) => return Ok(Look::Rotten),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Look::Rotten),
                Err(error) => return Ok(Look::Unreadable(error)),
            }
        }
        let pair = corpus::pair(&bin, &idx)?;
        let places = self.places(&pair, meta.idx)?;
        if (places.documents, places.tokens) != (meta.documents, meta.tokens) {
            return Ok(Look::Rotten);
        }
        Ok(Look::Good(Box::new(Indexed::new(pair, places))))
    }

    /// Makes the folder, alone: who comes second waits and finds it.
    fn build(
        &self,
        root: &Path,
        file: &Path,
        key: &Key,
        text: &Text<'_>,
        told: Told<'_>,
    ) -> Result<Indexed, Failed> {
        let folder = folder(root, key);
        fs_err::create_dir_all(root.join("tokens"))?;
        remove_left_over(&root.join("tokens"))?;
        let _lock = lock(&folder, file, told)?;
        match self.look(&folder, key).map_err(Failed::Input)? {
            Look::Good(stored) => return Ok(*stored),
            Look::Absent => {}
            Look::Unreadable(error) => return Err(Failed::Cache(error)),
            Look::Rotten => {
                let note = format!("the tokens in {} are damaged and are made again", folder.display());
                told(Opening::Note(&note));
                fs_err::remove_dir_all(&folder)?;
            }
        }
        let new = NewFolder::begin(&folder)?;
        let make = |element: Element| -> io::Result<PairWriter> {
            let grow = |name: &str| {
                let path = new.path().join(name);
                // There from an attempt with narrower tokens.
                if path.exists() {
                    fs_err::remove_file(&path)?;
                }
                Growing::file(&path)
            };
            PairWriter::new(grow(BIN)?, grow(IDX)?, element)
        };
        let written = write(file, key.text, text, &make, told)?;
        let meta = Meta {
            key: key.clone(),
            documents: written.documents,
            tokens: written.tokens,
            bin: written.bin_sha256,
            idx: written.idx_sha256,
        };
        write_atomic(&new.path().join(META), |out| Ok(serde_json::to_writer_pretty(out, &meta)?))?;
        new.finish(&folder)?;
        for (name, sha256) in [(BIN, meta.bin), (IDX, meta.idx)] {
            let remembered = self.remember(&folder.join(name), sha256);
            remembered.unwrap_or_else(|error| self.cannot_write(&error));
        }
        match self.look(&folder, key).map_err(Failed::Input)? {
            Look::Good(stored) => Ok(*stored),
            _ => Err(Failed::Cache(io::Error::other("what was written is not what is read back"))),
        }
    }

    fn in_memory(
        &self,
        file: &Path,
        sha256: Sha256,
        text: &Text<'_>,
        told: Told<'_>,
    ) -> Result<Indexed, DataError> {
        let make = |element: Element| {
            PairWriter::new(Growing::Memory(Vec::new()), Growing::Memory(Vec::new()), element)
        };
        let written = write(file, sha256, text, &make, told).map_err(|failed| match failed {
            Failed::Input(error) => error,
            Failed::Cache(error) => error.into(),
        })?;
        written.open(file)
    }
}

fn folder(root: &Path, key: &Key) -> PathBuf {
    root.join("tokens").join(key.name())
}

/// Tokenises into what `make` makes, in 16 bits where they hold every id.
fn write(
    file: &Path,
    sha256: Sha256,
    text: &Text<'_>,
    make: &dyn Fn(Element) -> io::Result<PairWriter>,
    told: Told<'_>,
) -> Result<Written, Failed> {
    // Ids may have gaps; then the size of the vocabulary says too little, and the wide form is tried after the narrow one.
    let elements = if text.is_narrow() { &[Element::U16, Element::I32][..] } else { &[Element::I32] };
    for element in elements {
        let mut writer = make(*element)?;
        let mut reading = |done, total| told(Opening::Reading { file, done, total });
        match tokenise(file, text, &mut writer, &mut reading) {
            Ok(read) if read != sha256 => {
                return Err(Failed::Input(DataError::Changing { file: file.to_owned() }));
            }
            Ok(_) => return Ok(writer.finish()?),
            Err(Stop::Input(error)) => return Err(Failed::Input(error)),
            Err(Stop::Output(Refused::Io(error))) => return Err(Failed::Cache(error)),
            Err(Stop::Output(Refused::Wide)) => {}
        }
    }
    Err(Failed::Cache(io::Error::other("a token id above 31 bits")))
}

/// The right to make a folder, until it is dropped or the process ends, however it ends.
fn lock(folder: &Path, file: &Path, told: Told<'_>) -> io::Result<File> {
    let lock = open_lock(folder)?;
    match lock.file().try_lock() {
        Ok(()) => return Ok(lock),
        Err(TryLockError::Error(error)) => return Err(error),
        Err(TryLockError::WouldBlock) => {}
    }
    let note = format!("another process makes tokens of {}; waiting for it", file.display());
    told(Opening::Note(&note));
    lock.file().lock()?;
    Ok(lock)
}

fn open_lock(folder: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).truncate(false).write(true).open(folder.with_extension("lock"))
}

/// Removes what writers left that were killed: the lock of a living one is held.
fn remove_left_over(tokens: &Path) -> io::Result<()> {
    for entry in fs_err::read_dir(tokens)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let Some(key) = name.strip_prefix('.').and_then(|name| name.strip_suffix(".partial")) else {
            continue;
        };
        // Of somebody else, who looks after it.
        let Ok(lock) = open_lock(&tokens.join(key)) else { continue };
        if lock.file().try_lock().is_ok() {
            // Somebody may have been quicker.
            let _ = fs_err::remove_dir_all(tokens.join(&name));
        }
    }
    Ok(())
}
