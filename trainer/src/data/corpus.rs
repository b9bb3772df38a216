//! A corpus as documents of token ids, whatever it is stored as.

use std::path::{Path, PathBuf};

use sekisho_domain::Sha256;

use super::DataError;
use super::cache::{Cache, Told};
use super::indexed::{Indexed, Pair};
use super::jsonl::Text;
use super::lines;
use super::store::Store;
use crate::spec::Mix;

/// A file that training reads, and what it held when it was first read.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct DataFile {
    /// The corpus it belongs to.
    pub(crate) mix: String,
    /// Where it is.
    pub(crate) path: PathBuf,
    /// Its content.
    pub(crate) sha256: Sha256,
}

/// Documents of token ids.
pub(super) struct Corpus {
    pub(super) name: String,
    pub(super) files: Vec<DataFile>,
    pub(super) documents: Indexed,
}

/// The files of a corpus: a text, or `.bin` and `.idx`.
pub(crate) fn paths(mix: &Mix) -> Result<Vec<PathBuf>, DataError> {
    if lines::is_text(&mix.path) {
        return Ok(vec![mix.path.clone()]);
    }
    let (bin, idx) = (with_suffix(&mix.path, ".bin"), with_suffix(&mix.path, ".idx"));
    if !bin.is_file() || !idx.is_file() {
        return Err(DataError::Form { path: mix.path.clone() });
    }
    Ok(vec![bin, idx])
}

/// The same with what they hold.
pub(super) fn files(mix: &Mix, cache: &Cache) -> Result<Vec<DataFile>, DataError> {
    let file = |path: PathBuf| Ok(DataFile { mix: mix.name.clone(), sha256: cache.sha256(&path)?, path });
    paths(mix)?.into_iter().map(file).collect()
}

/// Opens a `.bin` with its `.idx`.
pub(super) fn pair(bin: &Path, idx: &Path) -> Result<Pair, DataError> {
    let store = |path: &Path| -> Result<Store, DataError> { Ok(Store::File(fs_err::File::open(path)?)) };
    Pair::open((store(bin)?, bin), (store(idx)?, idx))
}

impl Corpus {
    /// Opens a corpus, whose files are known; text becomes tokens here, unless it did before. Token ids are checked against the vocabulary
    /// when they are read.
    pub(super) fn open(
        mix: &Mix,
        files: Vec<DataFile>,
        text: Option<&Text<'_>>,
        cache: &Cache,
        told: Told<'_>,
    ) -> Result<Self, DataError> {
        let documents = match files.as_slice() {
            [bin, idx] => {
                let pair = pair(&bin.path, &idx.path)?;
                let places = cache.places(&pair, idx.sha256)?;
                Indexed::new(pair, places)
            }
            _ => {
                let text = text.ok_or_else(|| DataError::NoTokenizer { file: mix.path.clone() })?;
                cache.tokens(&mix.path, files[0].sha256, text, told)?
            }
        };
        Ok(Self { name: mix.name.clone(), files, documents })
    }
}

/// `prefix` and `.bin`, where `Path::with_extension` would cut a prefix at its last dot.
fn with_suffix(prefix: &Path, suffix: &str) -> PathBuf {
    let mut path = prefix.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}
