//! The models of a worker: the one that is loaded, and the one that is likely to be next.

use std::path::Path;
use std::thread::JoinHandle;

use sekisho_domain::Sha256;
use sekisho_domain::wire::NextCheckpoint;
use sekisho_model::Compute;

use crate::{EvalError, Model};

/// Memory that must be free for a second model, in sizes of its files: 16-bit weights take twice their size, and something
/// must be left for what is running.
const ROOM: u64 = 3;

/// One loaded model, and one being loaded beside it.
pub(crate) struct Models {
    compute: Compute,
    loaded: Option<Loaded>,
    next: Option<Next>,
}

/// A model, and the folder that it and its tokenizer are from: the same weights may stand beside another tokenizer elsewhere.
struct Loaded {
    path: String,
    model: Model,
}

struct Next {
    checkpoint: NextCheckpoint,
    loading: JoinHandle<Result<Model, EvalError>>,
}

impl Models {
    /// None yet; computed so.
    pub(crate) fn new(compute: Compute) -> Self {
        Self { compute, loaded: None, next: None }
    }

    /// Identity of the loaded model.
    pub(crate) fn digest(&self) -> Option<Sha256> {
        self.loaded.as_ref().map(|loaded| loaded.model.digest)
    }

    /// Begins to load the checkpoint that is likely to come next, if there is memory for two.
    pub(crate) fn prepare(&mut self, next: Option<NextCheckpoint>) {
        let Some(checkpoint) = next else { return };
        let here = self.loaded.as_ref().is_some_and(|loaded| loaded.path == checkpoint.path);
        let begun = self.next.as_ref().is_some_and(|next| next.checkpoint == checkpoint);
        if here || begun || !has_room(Path::new(&checkpoint.path)) {
            return;
        }
        let (path, compute) = (checkpoint.path.clone(), self.compute.clone());
        let loading = std::thread::spawn(move || Model::load(Path::new(&path), &compute));
        self.next = Some(Next { checkpoint, loading });
    }

    /// The model of a folder, which may turn out to be another one than the digest says: the caller looks.
    ///
    /// # Errors
    /// What [`Model::load`] refuses.
    pub(crate) fn of(&mut self, path: &str, digest: Sha256) -> Result<&Model, EvalError> {
        let same = |loaded: &Loaded| loaded.model.digest == digest && loaded.path == path;
        let loaded = match self.loaded.take().filter(same) {
            Some(loaded) => loaded,
            None => Loaded { path: path.to_owned(), model: self.load(path, digest)? },
        };
        Ok(&self.loaded.insert(loaded).model)
    }

    /// Forgets the loaded model, which may be broken.
    pub(crate) fn forget(&mut self) {
        self.loaded = None;
    }

    /// The model that was being loaded if it is the one, else a fresh one; the old one is gone by now, two may not fit into memory.
    fn load(&mut self, path: &str, digest: Sha256) -> Result<Model, EvalError> {
        let next = self.next.take();
        let wanted = next.filter(|next| next.checkpoint.path == path && next.checkpoint.digest == digest);
        match wanted.map(|next| next.loading.join()) {
            // The folder may have changed since, or a GPU have had no room for two; then it is read again.
            Some(Ok(Ok(model))) if model.digest == digest => Ok(model),
            _ => Model::load(Path::new(path), &self.compute),
        }
    }
}

/// Whether there is memory for one more model.
fn has_room(folder: &Path) -> bool {
    let files = fs_err::read_dir(folder).into_iter().flatten().flatten();
    let weights = files.filter(|file| file.path().extension().is_some_and(|end| end == "safetensors"));
    let size: u64 = weights.filter_map(|file| Some(file.metadata().ok()?.len())).sum();
    available_memory().is_some_and(|available| available > size.saturating_mul(ROOM))
}

/// Bytes that could be taken without swapping, where the kernel says so.
fn available_memory() -> Option<u64> {
    let text = fs_err::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    /// A copy of the tiny model of the data pack, or none.
    fn copy(folder: &Path) -> Option<PathBuf> {
        let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        let data = root.join(std::env::var_os("SEKISHO_TEST_DATA").unwrap_or("../shared/data".into()));
        let from = data.join("models/stories260K/hf");
        let to = folder.join("model");
        fs_err::create_dir_all(&to).expect("created");
        for file in std::fs::read_dir(from).ok()?.flatten() {
            fs_err::copy(file.path(), to.join(file.file_name())).expect("copied");
        }
        Some(to)
    }

    #[test]
    fn the_next_model_is_there_before_it_is_asked_for() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let Some(dir) = copy(folder.path()) else { return };
        let digest = Model::load(&dir, &Compute::cpu()).expect("a model").digest;
        let next = NextCheckpoint { digest, path: dir.display().to_string() };
        let mut models = Models::new(Compute::cpu());
        models.prepare(Some(next.clone()));
        let loading = &models.next.as_ref().expect("there is memory for a tiny model").loading;
        while !loading.is_finished() {
            std::thread::yield_now();
        }
        fs_err::remove_dir_all(&dir).expect("removed");
        assert_eq!(models.of(&next.path, digest).expect("loaded before").digest, digest);
        assert!(models.next.is_none() && models.digest() == Some(digest));
        models.prepare(Some(next.clone()));
        assert!(models.next.is_none(), "what is loaded is not loaded again");
        models.forget();
        models.of(&next.path, digest).err().expect("nothing is there any more");
    }

    #[test]
    fn a_guess_that_was_wrong_costs_nothing_but_time() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let Some(dir) = copy(folder.path()) else { return };
        let digest = Model::load(&dir, &Compute::cpu()).expect("a model").digest;
        let path = dir.display().to_string();
        let mut models = Models::new(Compute::cpu());
        for (wrong, path_of_it) in [(Sha256::of("another"), path.clone()), (digest, "nowhere".to_owned())] {
            models.prepare(Some(NextCheckpoint { digest: wrong, path: path_of_it }));
            assert_eq!(models.of(&path, digest).expect("there").digest, digest);
            models.forget();
        }
    }
}
