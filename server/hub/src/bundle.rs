use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sekisho_domain::Sha256;
use sekisho_domain::lineage::{Gating, Visibility};
use sekisho_domain::manifest::FileEntry;

use crate::PublishError;

/// Exactly what is published, and where to.
#[derive(Clone, Debug)]
pub struct Bundle {
    /// `owner/name` on the Hub.
    pub repo: String,
    /// Branch. One that does not exist yet is made from `main`.
    pub revision: String,
    /// Every file of the published tree.
    pub files: Vec<BundleFile>,
    /// Who may see the repository in the end.
    pub visibility: Visibility,
    /// Whether the Hub asks before a download.
    pub gating: Gating,
    /// Tag on the commit, for example `v1.0`.
    pub tag: Option<String>,
    /// First line of the commit.
    pub message: String,
    /// What to do about a repository that already holds something.
    pub existing: Existing,
}

/// What to do about a repository that already holds something else.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Existing {
    /// Stop. The first release of a repository.
    Refuse,
    /// The repository is ours and may already be public, the branch is not: it must be new, which is to say empty or as `main` is.
    /// For another branch of a repository that an earlier release of ours went to.
    Beside,
    /// Replace: the commit also deletes the files that are not in the bundle, and the repository may already be public. For a
    /// branch that an earlier release of ours went to.
    Update,
}

/// One file of a bundle.
#[derive(Clone, Debug)]
pub struct BundleFile {
    /// Path in the repository, `/`-separated.
    pub path: String,
    /// Where the bytes are.
    pub source: Source,
    /// How many they are.
    pub size: u64,
    /// Their digest, as approved.
    pub sha256: Sha256,
}

/// Where a file's bytes are.
#[derive(Clone)]
pub enum Source {
    /// In a local file. A link is followed only to a file in the same folder: who owns the folder may write to it until the end.
    File(PathBuf),
    /// In memory: cards, licences.
    Bytes(Arc<[u8]>),
}

impl BundleFile {
    /// A local file with the size and digest of its manifest.
    #[must_use]
    pub fn local(entry: &FileEntry, file: PathBuf) -> Self {
        Self { path: entry.path.clone(), source: Source::File(file), size: entry.size, sha256: entry.sha256 }
    }

    /// A file made in memory.
    #[must_use]
    pub fn memory(path: &str, bytes: impl Into<Arc<[u8]>>) -> Self {
        let bytes = bytes.into();
        Self {
            path: path.to_owned(),
            size: bytes.len() as u64,
            sha256: Sha256::of(&bytes),
            source: Source::Bytes(bytes),
        }
    }
}

/// Opens a local file of a bundle.
///
/// # Errors
/// Where the file is a link that leads out of its folder, or cannot be read.
pub(crate) fn open_local(path: &Path) -> std::io::Result<fs_err::File> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return fs_err::File::open(path);
    };
    let folder = fs_err::canonicalize(folder)?;
    sekisho_weights::open_file(&folder, &name.to_string_lossy()).map_err(std::io::Error::other)
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "File({})", path.display()),
            Self::Bytes(bytes) => write!(f, "Bytes({})", bytes.len()),
        }
    }
}

impl Bundle {
    /// Names that the Hub or git would refuse, found before anything is sent.
    ///
    /// # Errors
    /// [`PublishError::BundleInvalid`].
    pub fn check(&self) -> Result<(), PublishError> {
        let invalid =
            |what: &str, rule: &'static str| Err(PublishError::BundleInvalid { what: what.to_owned(), rule });
        if !is_repo(&self.repo) {
            return invalid(
                &self.repo,
                "a repository is \"owner/name\" of letters, digits, \"-\", \"_\" and \".\"",
            );
        }
        for reference in self.tag.iter().chain([&self.revision]) {
            if !is_reference(reference) {
                return invalid(
                    reference,
                    "a branch or tag is made of letters, digits, \"-\", \"_\", \".\" and \"/\"",
                );
            }
        }
        if self.files.is_empty() {
            return invalid(&self.repo, "a release holds at least one file");
        }
        let mut seen = BTreeSet::new();
        for file in &self.files {
            if !is_path(&file.path) {
                return invalid(
                    &file.path,
                    "a path is relative, without \"..\", \".git\", \"\\\" and control characters",
                );
            }
            if !seen.insert(&file.path) {
                return invalid(&file.path, "a path occurs once");
            }
        }
        Ok(())
    }

    /// The owner: a user or an organisation.
    pub(crate) fn owner(&self) -> &str {
        self.repo.split_once('/').map_or(self.repo.as_str(), |(owner, _)| owner)
    }
}

/// `owner/name`.
pub(crate) fn is_repo(id: &str) -> bool {
    id.split_once('/').is_some_and(|(owner, name)| is_repo_part(owner) && is_repo_part(name))
}

/// The rule of `huggingface_hub`'s `validate_repo_id`.
fn is_repo_part(part: &str) -> bool {
    !part.is_empty()
        && part.len() <= 96
        && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        && !part.starts_with(['-', '.'])
        && !part.ends_with(['-', '.'])
        && !part.contains("--")
        && !part.contains("..")
}

/// A safe part of what `git check-ref-format` takes.
fn is_reference(name: &str) -> bool {
    let part = |part: &str| !part.is_empty() && !part.starts_with(['.', '-']) && !part.ends_with('.');
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte))
        && name.split('/').all(part)
        && !name.contains("..")
        && !name.ends_with(".lock")
}

fn is_path(path: &str) -> bool {
    !path.contains(['\\', '\0'])
        && !path.chars().any(char::is_control)
        && path.split('/').all(|part| !part.is_empty() && part != "." && part != ".." && part != ".git")
}

#[cfg(test)]
mod tests {
    use super::{is_path, is_reference, is_repo_part};

    #[test]
    fn names_that_would_be_refused_or_misread_are_found_here() {
        for good in ["lab", "Llama-3.1-Lab-8B", "a_b"] {
            assert!(is_repo_part(good), "{good}");
        }
        for bad in ["", "-x", "x.", "a--b", "a..b", "a b", "モデル", "a/b"] {
            assert!(!is_repo_part(bad), "{bad}");
        }
        for good in ["main", "v1.0", "release/next", "step-000200"] {
            assert!(is_reference(good), "{good}");
        }
        for bad in ["", "/x", "x/", "a//b", "a..b", "-x", "x.lock", "a b", "x\n"] {
            assert!(!is_reference(bad), "{bad}");
        }
        for good in ["README.md", "evals/ja/課題.json", ".gitattributes"] {
            assert!(is_path(good), "{good}");
        }
        for bad in ["", "/etc/x", "../x", "a/./b", "a//b", "a\\b", ".git/config", "a\nb"] {
            assert!(!is_path(bad), "{bad}");
        }
    }
}
