//! The files of a folder and their digests, streamed: memory does not grow with the files.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};

use sekisho_domain::Sha256;
use sha2::Digest as _;

use super::report::Problem;
use super::statement::{Signed, is_ignored};

/// More readers than this only make a disk seek.
const MOST_READERS: usize = 8;
const CHUNK: usize = 1 << 20;

/// What a folder holds.
#[derive(Default)]
pub(super) struct Found {
    /// Path relative to the folder, `/`-separated, and digest.
    pub(super) files: Vec<(String, Sha256)>,
    pub(super) problems: Vec<Problem>,
}

/// Reads every file that the signature does not leave out. Links are followed only where the signature allows them, and never
/// out of the folder.
pub(super) fn read(root: &Path, signed: &Signed) -> Found {
    let mut walk = Walk { root, signed, paths: Vec::new(), problems: Vec::new() };
    match fs_err::canonicalize(root) {
        Ok(real) => walk.folder(root, "", &real),
        Err(error) => walk.unreadable(".", &error),
    }
    let Walk { paths, problems, .. } = walk;
    let mut found = hash(&paths);
    found.problems.extend(problems);
    found
}

struct Walk<'a> {
    root: &'a Path,
    signed: &'a Signed,
    paths: Vec<(String, PathBuf)>,
    problems: Vec<Problem>,
}

impl Walk<'_> {
    fn folder(&mut self, folder: &Path, prefix: &str, real_root: &Path) {
        let entries = match fs_err::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>) {
            Ok(entries) => entries,
            Err(error) => return self.unreadable(prefix.trim_end_matches('/'), &error),
        };
        for entry in entries {
            let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if is_ignored(&path, &self.signed.ignored) {
                continue;
            }
            match entry.file_type() {
                Ok(kind) if kind.is_symlink() => self.link(&entry.path(), path, real_root),
                Ok(kind) if kind.is_dir() => self.folder(&entry.path(), &format!("{path}/"), real_root),
                Ok(kind) if kind.is_file() => self.paths.push((path, entry.path())),
                Ok(_) => self.problems.push(Problem::Special { path }),
                Err(error) => self.unreadable(&path, &error),
            }
        }
    }

    fn link(&mut self, at: &Path, path: String, real_root: &Path) {
        let target = fs_err::canonicalize(at).ok().filter(|target| target.starts_with(real_root));
        match target {
            None => self.problems.push(Problem::Link { path, leaves: true }),
            // Folders behind links could lead round in a circle.
            Some(target) if self.signed.links && target.is_file() => self.paths.push((path, target)),
            Some(_) => self.problems.push(Problem::Link { path, leaves: false }),
        }
    }

    fn unreadable(&mut self, path: &str, error: &std::io::Error) {
        let path = if path.is_empty() { self.root.display().to_string() } else { path.to_owned() };
        self.problems.push(Problem::Unreadable { path, reason: error.to_string() });
    }
}

/// Several files at a time, each in pieces.
fn hash(paths: &[(String, PathBuf)]) -> Found {
    let readers =
        std::thread::available_parallelism().map_or(1, usize::from).min(MOST_READERS).min(paths.len());
    let (next, found) = (AtomicUsize::new(0), Mutex::new(Found::default()));
    std::thread::scope(|scope| {
        for _ in 0..readers {
            scope.spawn(|| {
                let mut buffer = vec![0; CHUNK];
                while let Some((path, at)) = paths.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let digest = digest(at, &mut buffer);
                    let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                    match digest {
                        Ok(digest) => found.files.push((path.clone(), digest)),
                        Err(error) => found
                            .problems
                            .push(Problem::Unreadable { path: path.clone(), reason: error.to_string() }),
                    }
                }
            });
        }
    });
    found.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn digest(path: &Path, buffer: &mut [u8]) -> std::io::Result<Sha256> {
    let mut file = fs_err::File::open(path)?;
    let mut hasher = sha2::Sha256::new();
    loop {
        match file.read(buffer)? {
            0 => return Ok(Sha256::from_bytes(hasher.finalize().into())),
            n => hasher.update(&buffer[..n]),
        }
    }
}
