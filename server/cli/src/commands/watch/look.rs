//! The checkpoints in a trainer's folder, and which of them are complete.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sekisho_convert::{Format, detect, is_complete, step_of};
use sekisho_weights::read_manifest;

/// Where trainers put them: the folder itself, and our own and torchtitan's subfolder.
const PLACES: [&str; 3] = ["", "checkpoints", "checkpoint"];

/// Names, sizes and times of the files of a folder and of the folders in it.
pub(super) type Snapshot = Vec<(PathBuf, u64, Option<SystemTime>)>;

/// A complete checkpoint.
#[derive(Debug, PartialEq)]
pub(super) struct Found {
    pub(super) path: PathBuf,
    pub(super) step: u64,
    pub(super) kind: Kind,
    pub(super) snapshot: Snapshot,
}

/// Who wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `sekisho train`: `manifest.json` was written last.
    Ours { tokens: u64 },
    /// A Hugging Face folder, whose files have stopped growing.
    HuggingFace,
    /// To be converted.
    Foreign,
}

/// Looks, and remembers what was there the last time.
pub(super) struct Look {
    dir: PathBuf,
    before: BTreeMap<PathBuf, Snapshot>,
}

impl Look {
    pub(super) fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), before: BTreeMap::new() }
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// What is complete now, by step.
    pub(super) fn again(&mut self) -> Vec<Found> {
        let mut found = Vec::new();
        let mut now = BTreeMap::new();
        for path in PLACES.iter().flat_map(|place| folders(&self.dir.join(place))) {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let Some(step) = step_of(&name) else { continue };
            let snapshot = snapshot(&path);
            now.insert(path.clone(), snapshot.clone());
            if let Some(kind) = kind(&path, self.before.get(&path) == Some(&snapshot)) {
                found.push(Found { path, step, kind, snapshot });
            }
        }
        self.before = now;
        found.sort_by_key(|found| found.step);
        found
    }
}

/// The kind of a complete checkpoint; nothing while it is none, or not yet.
fn kind(path: &Path, is_still: bool) -> Option<Kind> {
    if let Ok(manifest) = read_manifest(path) {
        return Some(Kind::Ours { tokens: manifest.tokens.0 });
    }
    if !is_complete(path) {
        return None;
    }
    match detect(path)? {
        Format::HuggingFace => is_still.then_some(Kind::HuggingFace),
        Format::MegatronLegacy | Format::MegatronDist | Format::Dcp => Some(Kind::Foreign),
    }
}

fn folders(dir: &Path) -> Vec<PathBuf> {
    let entries = fs_err::read_dir(dir).into_iter().flatten().filter_map(Result::ok);
    let is_folder = |entry: &fs_err::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    let mut folders: Vec<PathBuf> = entries.filter(is_folder).map(|entry| entry.path()).collect();
    folders.sort();
    folders
}

fn snapshot(dir: &Path) -> Snapshot {
    let mut files = Vec::new();
    for folder in std::iter::once(dir.to_owned()).chain(folders(dir)) {
        for entry in fs_err::read_dir(&folder).into_iter().flatten().filter_map(Result::ok) {
            if let Ok(metadata) = fs_err::metadata(entry.path()) {
                files.push((entry.path(), metadata.len(), metadata.modified().ok()));
            }
        }
    }
    files.sort();
    files
}

#[cfg(test)]
mod tests {
    use super::{Kind, Look};

    #[test]
    fn a_folder_is_found_when_it_is_complete_and_no_longer_grows() {
        let root = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| {
            let path = root.path().join(name);
            fs_err::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs_err::write(path, text).expect("written");
        };
        let mut look = Look::new(root.path());
        let kinds = |look: &mut Look| look.again().into_iter().map(|f| (f.step, f.kind)).collect::<Vec<_>>();
        write("checkpoint-10/config.json", "{}");
        write("checkpoint-10/model.safetensors", "a");
        write("notes/config.json", "{}");
        assert!(kinds(&mut look).is_empty(), "a first look does not know whether it grows");
        write("checkpoint-10/model.safetensors", "ab");
        assert!(kinds(&mut look).is_empty(), "it grew");
        assert_eq!(kinds(&mut look), [(10, Kind::HuggingFace)]);

        write("step-5/__0_0.distcp", "a");
        assert_eq!(kinds(&mut look), [(10, Kind::HuggingFace)], "it has no .metadata");
        write("step-5/.metadata", "a");
        write("iter_0000020/mp_rank_00/model_optim_rng.pt", "a");
        assert_eq!(kinds(&mut look), [(5, Kind::Foreign), (10, Kind::HuggingFace)]);
        write("latest_checkpointed_iteration.txt", "20");
        let manifest = r#"{"run": "r", "step": 30, "tokens": 99, "files": []}"#;
        write("checkpoints/step-000030/manifest.json", manifest);
        assert_eq!(
            kinds(&mut look),
            [
                (5, Kind::Foreign),
                (10, Kind::HuggingFace),
                (20, Kind::Foreign),
                (30, Kind::Ours { tokens: 99 })
            ]
        );
    }
}
