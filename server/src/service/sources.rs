use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::SystemTime;

use sekisho_bench::{SourceRef, TaskDefinition, TaskError};
use sekisho_domain::Sha256;
use sekisho_domain::evaluation::TaskRun;
use sekisho_domain::wire::SourceFile;

use crate::Config;

/// Benchmark data files: found by source id and file name, handed out by digest.
///
/// Tasks name sources by id; files are looked for under `[sources] id`, `DATA/bench/<id>/` and `DATA/<id>/`, in this order.
#[derive(Debug)]
pub struct Sources {
    data_dir: PathBuf,
    folders: BTreeMap<String, PathBuf>,
    hashed: Mutex<HashMap<PathBuf, Hashed>>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Hashed {
    size: u64,
    modified: SystemTime,
    sha256: Sha256,
}

impl Sources {
    /// From the configuration.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self { data_dir: config.data_dir.clone(), folders: config.sources.clone(), hashed: Mutex::default() }
    }

    /// The file with the digest that a task's definition names, and that digest. Where it names none (the complete file is not
    /// public), the first file in place is the user's choice, and its digest becomes part of the score's fingerprint.
    ///
    /// # Errors
    /// A sentence that names the places looked at, or both digests when what lies there is another file.
    pub fn locate(&self, task: &str, wanted: &SourceRef) -> Result<(PathBuf, Sha256), String> {
        let SourceRef { source, file, sha256, .. } = wanted;
        let places = self.places(source, file);
        let mut other = None;
        for path in places.iter().filter(|path| path.is_file()) {
            let have = self.digest(path).map_err(|e| e.to_string())?;
            if sha256.is_none_or(|sha256| have == sha256) {
                return Ok((path.clone(), have));
            }
            other.get_or_insert(have);
        }
        if let (Some(have), Some(want)) = (other, *sha256) {
            let (task, file) = (task.to_owned(), wanted.name());
            return Err(TaskError::DataHash { task, file, want, have }.to_string());
        }
        let looked: Vec<_> = places.iter().map(|p| p.display().to_string()).collect();
        Err(format!(
            "The data file {file} of source \"{source}\" is missing; looked for {}. Put it there, or name its folder in sekisho.toml: [sources] {source} = \"…\".",
            looked.join(", ")
        ))
    }

    /// The data files of a run with their digests: those that its definition names, and where it names none those of the files in
    /// place. They are what a worker is handed, what a score's fingerprint is of, and what is read again to show the questions.
    ///
    /// # Errors
    /// As [`Self::locate`]; a split that the task has not got.
    pub fn of_run(&self, definition: &TaskDefinition, run: &TaskRun) -> Result<Vec<SourceFile>, String> {
        let found = |source: &SourceRef| {
            let (_, sha256) = self.locate(&definition.name(), source)?;
            Ok(SourceFile { source: source.source.clone(), file: source.file.clone(), sha256 })
        };
        definition.sources_for(run).map_err(|error| error.to_string())?.into_iter().map(found).collect()
    }

    /// A file that [`Self::locate`] has found before, by its digest, if its bytes are still the same.
    #[must_use]
    pub fn by_digest(&self, sha256: Sha256) -> Option<PathBuf> {
        let path = {
            let hashed = self.hashed.lock().ok()?;
            hashed.iter().find(|(_, h)| h.sha256 == sha256).map(|(path, _)| path.clone())?
        };
        (self.digest(&path).ok()? == sha256).then_some(path)
    }

    fn places(&self, source: &str, file: &str) -> Vec<PathBuf> {
        let named = self.folders.get(source).map(|folder| folder.join(file));
        let usual = [self.data_dir.join("bench").join(source), self.data_dir.join(source)];
        named.into_iter().chain(usual.map(|folder| folder.join(file))).collect()
    }

    /// The digest, computed again only when size or time have changed.
    fn digest(&self, path: &Path) -> std::io::Result<Sha256> {
        let meta = fs_err::metadata(path)?;
        let (size, modified) = (meta.len(), meta.modified()?);
        let known = self.hashed.lock().ok().and_then(|h| h.get(path).copied());
        if let Some(known) = known.filter(|k| k.size == size && k.modified == modified) {
            return Ok(known.sha256);
        }
        let sha256 = Sha256::of(fs_err::read(path)?);
        if let Ok(mut hashed) = self.hashed.lock() {
            hashed.insert(path.to_owned(), Hashed { size, modified, sha256 });
        }
        Ok(sha256)
    }
}
