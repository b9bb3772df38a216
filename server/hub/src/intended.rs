use std::collections::BTreeMap;
use std::io::Read;

use sekisho_domain::Sha256;
use sha1::Sha1;
use sha2::Digest as _;

use crate::bundle::open_local;
use crate::remote::{TreeDigest, TreeFile};
use crate::{Bundle, BundleFile, PublishError, Source};

/// Files above this never travel inside a commit, so they need no git digest, and no request of ours is longer, streamed
/// uploads apart.
pub(crate) const INLINE_LIMIT: u64 = 16_000_000;

/// The Hub keeps this file by itself.
const HUB_OWN: &str = ".gitattributes";

/// The tree that the Hub shall hold, computed from the local bytes.
pub(crate) struct Intended<'a> {
    pub(crate) files: Vec<IntendedFile<'a>>,
    /// Only these files are meant; what else is there stays.
    part: bool,
}

pub(crate) struct IntendedFile<'a> {
    pub(crate) file: &'a BundleFile,
    /// SHA-1 of the git blob, for files small enough to be in git itself.
    git_blob: Option<String>,
}

/// What stands between a remote tree and the intended one.
pub(crate) struct Difference<'a> {
    /// Absent there, or other bytes.
    pub(crate) changed: Vec<&'a BundleFile>,
    /// There, but not in the bundle.
    pub(crate) extra: Vec<String>,
}

impl<'a> Intended<'a> {
    /// Hashes every local file again and holds it against the bundle: what was approved is what leaves.
    pub(crate) async fn read(bundle: &'a Bundle) -> Result<Self, PublishError> {
        let mut files = Vec::with_capacity(bundle.files.len());
        for file in &bundle.files {
            let source = file.source.clone();
            let with_git = file.size <= INLINE_LIMIT;
            let hashed = tokio::task::spawn_blocking(move || hash(&source, with_git)).await;
            let hashed = hashed.map_err(std::io::Error::other)?;
            let (size, sha256, git_blob) = hashed.map_err(|error| unread(&file.path, error))?;
            if size != file.size {
                let how = format!("it holds {size} bytes, approved were {}", file.size);
                return Err(PublishError::FileChanged { path: file.path.clone(), how });
            }
            if sha256 != file.sha256 {
                let how = format!("its SHA-256 is {}, approved was {}", sha256.hex(), file.sha256.hex());
                return Err(PublishError::FileChanged { path: file.path.clone(), how });
            }
            files.push(IntendedFile { file, git_blob });
        }
        Ok(Self { files, part: false })
    }

    /// The same, as a part of a tree whose other files are left alone.
    pub(crate) async fn read_part(bundle: &'a Bundle) -> Result<Self, PublishError> {
        Ok(Self { part: true, ..Self::read(bundle).await? })
    }

    /// Total bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.file.size).sum()
    }

    /// Compares with a remote tree. The Hub's own `.gitattributes` counts only when the bundle holds one.
    pub(crate) fn difference(&self, tree: &[TreeFile]) -> Difference<'a> {
        let remote: BTreeMap<&str, &TreeFile> = tree.iter().map(|file| (file.path.as_str(), file)).collect();
        let equal =
            |wanted: &IntendedFile| remote.get(wanted.file.path.as_str()).is_some_and(|file| wanted.is(file));
        let changed = self.files.iter().filter(|wanted| !equal(wanted)).map(|wanted| wanted.file).collect();
        let known = |path: &str| {
            self.part || path == HUB_OWN || self.files.iter().any(|wanted| wanted.file.path == path)
        };
        let extra = remote.keys().filter(|path| !known(path)).map(|&path| path.to_owned()).collect();
        Difference { changed, extra }
    }
}

impl IntendedFile<'_> {
    fn is(&self, remote: &TreeFile) -> bool {
        let digest = match &remote.digest {
            TreeDigest::Sha256(oid) => *oid == self.file.sha256.hex(),
            TreeDigest::GitBlob(oid) => self.git_blob.as_ref() == Some(oid),
        };
        digest && remote.size == self.file.size
    }
}

impl Difference<'_> {
    pub(crate) fn is_none(&self) -> bool {
        self.changed.is_empty() && self.extra.is_empty()
    }

    /// For a sentence: the first few names.
    pub(crate) fn summary(&self) -> String {
        let changed = self.changed.iter().map(|file| format!("{} is missing or has other bytes", file.path));
        let extra = self.extra.iter().map(|path| format!("{path} is not part of it"));
        first_few(changed.chain(extra))
    }
}

/// The first five, and how many more.
pub(crate) fn first_few(names: impl Iterator<Item = String>) -> String {
    let names: Vec<_> = names.collect();
    let more = names.len().saturating_sub(5);
    let mut text = names.iter().take(5).map(String::as_str).collect::<Vec<_>>().join(", ");
    if more > 0 {
        text = format!("{text} and {more} more");
    }
    text
}

/// A link in place of a file is another file, whatever it leads to.
fn unread(path: &str, error: std::io::Error) -> PublishError {
    let refusal = error.get_ref().and_then(|inner| inner.downcast_ref::<sekisho_weights::Refusal>());
    match refusal {
        Some(sekisho_weights::Refusal::Link { .. }) => {
            let how = "it is a link that leads out of its folder".to_owned();
            PublishError::FileChanged { path: path.to_owned(), how }
        }
        _ => error.into(),
    }
}

/// Size and digests in one pass.
fn hash(source: &Source, with_git: bool) -> std::io::Result<(u64, Sha256, Option<String>)> {
    let (mut reader, size): (Box<dyn Read>, u64) = match source {
        Source::File(path) => {
            let file = open_local(path)?;
            let size = file.metadata()?.len();
            (Box::new(file), size)
        }
        Source::Bytes(bytes) => (Box::new(std::io::Cursor::new(bytes.clone())), bytes.len() as u64),
    };
    let mut sha256 = sha2::Sha256::new();
    let mut git = with_git.then(|| Sha1::new_with_prefix(format!("blob {size}\0")));
    let mut buffer = vec![0; 1 << 20];
    let mut read = 0;
    loop {
        let n = reader.read(&mut buffer)?;
        if n == 0 {
            break;
        }
        sha256.update(&buffer[..n]);
        if let Some(git) = &mut git {
            git.update(&buffer[..n]);
        }
        read += n as u64;
    }
    Ok((read, Sha256::from_bytes(sha256.finalize().into()), git.map(|git| hex::encode(git.finalize()))))
}

#[cfg(test)]
mod tests {
    use sekisho_domain::lineage::{Gating, Visibility};
    use sekisho_domain::manifest::FileEntry;

    use super::Intended;
    use crate::remote::{TreeDigest, TreeFile};
    use crate::{Bundle, BundleFile, Existing, PublishError};

    fn bundle(files: Vec<BundleFile>) -> Bundle {
        Bundle {
            repo: "lab/m".to_owned(),
            revision: "main".to_owned(),
            files,
            visibility: Visibility::Private,
            gating: Gating::None,
            tag: None,
            message: "m".to_owned(),
            existing: Existing::Refuse,
        }
    }

    fn in_git(path: &str, size: u64, oid: &str) -> TreeFile {
        TreeFile { path: path.to_owned(), size, digest: TreeDigest::GitBlob(oid.to_owned()) }
    }

    #[tokio::test]
    async fn a_tree_is_compared_by_git_digest_or_sha256_and_size() {
        let readme = BundleFile::memory("README.md", *b"hello\n");
        let sha256 = readme.sha256.hex();
        let bundle = bundle(vec![readme]);
        let intended = Intended::read(&bundle).await.expect("in memory");
        // `printf 'hello\n' | git hash-object --stdin`
        let blob = "ce013625030ba8dba906f756967f9e9ca394464a";
        let own = in_git(".gitattributes", 3, "00");
        let stored = |size, oid: &str| TreeFile {
            path: "README.md".to_owned(),
            size,
            digest: TreeDigest::Sha256(oid.to_owned()),
        };
        for (tree, equal) in [
            (vec![in_git("README.md", 6, blob)], true),
            (vec![in_git("README.md", 6, blob), own], true),
            (vec![stored(6, &sha256)], true),
            (vec![stored(7, &sha256)], false),
            (vec![stored(6, &"0".repeat(64))], false),
            (vec![in_git("README.md", 6, &sha256)], false),
            (vec![], false),
            (vec![in_git("README.md", 6, blob), in_git("x", 0, "00")], false),
        ] {
            assert_eq!(intended.difference(&tree).is_none(), equal, "{tree:?}");
        }
    }

    #[tokio::test]
    async fn a_file_that_changed_after_approval_is_named() {
        let folder = tempfile::tempdir().expect("temp dir");
        let path = folder.path().join("config.json");
        fs_err::write(&path, "{}").expect("written");
        let approved = BundleFile::memory("config.json", *b"{}");
        let entry = FileEntry { path: approved.path, size: 2, sha256: approved.sha256 };
        let bundle = bundle(vec![BundleFile::local(&entry, path.clone())]);
        assert!(Intended::read(&bundle).await.is_ok());
        // The approved bytes behind a link to another place are not that file: who owns the other place has not been examined.
        let outside = tempfile::tempdir().expect("temp dir");
        fs_err::rename(&path, outside.path().join("other")).expect("moved");
        std::os::unix::fs::symlink(outside.path().join("other"), &path).expect("a link");
        let error = Intended::read(&bundle).await.err().expect("refused");
        assert!(error.to_string().contains("it is a link"), "{error}");
        fs_err::remove_file(&path).expect("removed");
        for (other, how) in [("{ }", "3 bytes"), ("[]", "SHA-256")] {
            fs_err::write(&path, other).expect("written");
            let error = Intended::read(&bundle).await.err().expect("refused");
            assert!(matches!(error, PublishError::FileChanged { .. }));
            assert!(error.to_string().starts_with("config.json changed"), "{error}");
            assert!(error.to_string().contains(how), "{error}");
        }
    }
}
