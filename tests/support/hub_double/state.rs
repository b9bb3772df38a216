use std::collections::BTreeMap;

use bytes::Bytes;
use sha1::Digest as _;

/// What the Hub puts into every new repository.
const GITATTRIBUTES: &[u8] =
    b"*.bin filter=lfs diff=lfs merge=lfs -text\n*.safetensors filter=lfs diff=lfs merge=lfs -text\n";

/// Everything the double remembers.
#[derive(Default)]
pub(super) struct State {
    pub(super) repos: BTreeMap<String, Repo>,
    /// Large objects by the SHA-256 they were announced with.
    pub(super) objects: BTreeMap<String, Object>,
    /// Parts of multipart uploads by (object, number).
    pub(super) parts: BTreeMap<(String, u32), Bytes>,
    serial: u64,
}

/// A stored large object.
#[derive(Clone)]
pub(super) struct Object {
    /// Empty where the double was asked to keep none.
    pub(super) bytes: Bytes,
    /// Digest and length of what was sent.
    pub(super) sha256: String,
    pub(super) size: u64,
    pub(super) xet_hash: Option<String>,
}

impl Object {
    pub(super) fn of(bytes: Bytes, xet_hash: Option<String>) -> Self {
        let (sha256, size) = (hex::encode(sha2::Sha256::digest(&bytes)), bytes.len() as u64);
        Self { bytes, sha256, size, xet_hash }
    }
}

pub(super) struct Repo {
    pub(super) id: String,
    pub(super) private: bool,
    /// What it says of itself, where that is something else.
    pub(super) claims_private: Option<bool>,
    /// `auto` or `manual`.
    pub(super) gated: Option<String>,
    pub(super) branches: BTreeMap<String, String>,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) commits: BTreeMap<String, Commit>,
}

#[derive(Clone)]
pub(super) struct Commit {
    pub(super) oid: String,
    pub(super) parent: Option<String>,
    pub(super) title: String,
    pub(super) message: String,
    pub(super) author: String,
    pub(super) date: String,
    pub(super) tree: Tree,
}

/// What a commit says about itself.
#[derive(Clone, Copy)]
pub(super) struct Note<'a> {
    pub(super) title: &'a str,
    pub(super) message: &'a str,
    pub(super) author: &'a str,
}

pub(super) type Tree = BTreeMap<String, Entry>;

/// A file of a commit.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Entry {
    /// In git.
    Git(Bytes),
    /// A pointer to an object.
    Stored { sha256: String, size: u64 },
}

impl Entry {
    /// SHA-1 of the git blob; of the pointer file for a stored one.
    pub(super) fn git_oid(&self) -> String {
        match self {
            Self::Git(bytes) => git_blob(bytes),
            Self::Stored { .. } => git_blob(self.pointer().as_bytes()),
        }
    }

    /// The Git LFS pointer file.
    pub(super) fn pointer(&self) -> String {
        match self {
            Self::Git(_) => String::new(),
            Self::Stored { sha256, size } => {
                format!("version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n")
            }
        }
    }

    pub(super) fn size(&self) -> u64 {
        match self {
            Self::Git(bytes) => bytes.len() as u64,
            Self::Stored { size, .. } => *size,
        }
    }
}

impl Repo {
    pub(super) fn owner(&self) -> &str {
        self.id.split('/').next().unwrap_or_default()
    }

    /// By branch, tag or commit id.
    pub(super) fn find(&self, revision: &str) -> Option<&Commit> {
        let oid = self.branches.get(revision).or_else(|| self.tags.get(revision));
        self.commits.get(oid.map_or(revision, String::as_str))
    }

    /// A commit and its ancestors.
    pub(super) fn history(&self, oid: &str) -> Vec<&Commit> {
        std::iter::successors(self.commits.get(oid), |commit| self.commits.get(commit.parent.as_ref()?))
            .collect()
    }
}

impl State {
    pub(super) fn repo(&self, id: &str) -> &Repo {
        self.repos.get(id).unwrap_or_else(|| panic!("the double has no repository {id}"))
    }

    /// Makes a repository with the Hub's initial commit.
    pub(super) fn create(&mut self, id: &str, private: bool) {
        let repo = Repo {
            id: id.to_owned(),
            private,
            claims_private: None,
            gated: None,
            branches: BTreeMap::new(),
            tags: BTreeMap::new(),
            commits: BTreeMap::new(),
        };
        self.repos.insert(id.to_owned(), repo);
        let tree = Tree::from([(".gitattributes".to_owned(), Entry::Git(Bytes::from_static(GITATTRIBUTES)))]);
        let note = Note { title: "initial commit", message: "", author: "system" };
        self.commit(id, "main", note, tree);
    }

    /// A commit on a branch.
    pub(super) fn commit(&mut self, id: &str, branch: &str, note: Note, tree: Tree) -> String {
        let Note { title, message, author } = note;
        self.serial += 1;
        let seconds = self.serial % 60;
        let repo = self.repos.get_mut(id).unwrap_or_else(|| panic!("the double has no repository {id}"));
        let parent = repo.branches.get(branch).cloned();
        let oid =
            hex::encode(sha1::Sha1::digest(format!("{id} {branch} {title} {parent:?} {}", self.serial)));
        let commit = Commit {
            oid: oid.clone(),
            parent,
            title: title.to_owned(),
            message: message.to_owned(),
            author: author.to_owned(),
            date: format!("2025-01-01T00:00:{seconds:02}.000Z"),
            tree,
        };
        repo.commits.insert(oid.clone(), commit);
        repo.branches.insert(branch.to_owned(), oid.clone());
        oid
    }

    /// A commit of somebody else on `main` that adds one file.
    pub(super) fn put_file(&mut self, id: &str, path: &str, bytes: Bytes) {
        let repo = self.repo(id);
        let mut tree = repo.commits[&repo.branches["main"]].tree.clone();
        tree.insert(path.to_owned(), Entry::Git(bytes));
        let note = Note { title: &format!("Add {path}"), message: "", author: "somebody-else" };
        self.commit(id, "main", note, tree);
    }

    /// Changes one byte of a file of the newest commit, as a broken disk would.
    pub(super) fn corrupt(&mut self, id: &str, path: &str) {
        let flip = |bytes: &Bytes| {
            let mut bytes = bytes.to_vec();
            if let Some(last) = bytes.last_mut() {
                *last ^= 1;
            }
            Bytes::from(bytes)
        };
        let repo = self.repo(id);
        let entry = match repo.commits[&repo.branches["main"]].tree[path].clone() {
            Entry::Git(bytes) => Entry::Git(flip(&bytes)),
            Entry::Stored { sha256, size } => {
                let bytes = flip(&self.objects[&sha256].bytes);
                let object = Object::of(bytes, None);
                let sha256 = object.sha256.clone();
                self.objects.insert(sha256.clone(), object);
                Entry::Stored { sha256, size }
            }
        };
        let repo = self.repos.get_mut(id).expect("looked up above");
        let head = repo.branches["main"].clone();
        let commit = repo.commits.get_mut(&head).expect("a branch points at a commit");
        commit.tree.insert(path.to_owned(), entry);
    }

    /// The bytes of a file.
    pub(super) fn content(&self, entry: &Entry) -> Bytes {
        match entry {
            Entry::Git(bytes) => bytes.clone(),
            Entry::Stored { sha256, .. } => self.objects[sha256].bytes.clone(),
        }
    }
}

/// As `git hash-object` computes it.
fn git_blob(bytes: &[u8]) -> String {
    let mut hasher = sha1::Sha1::new_with_prefix(format!("blob {}\0", bytes.len()));
    hasher.update(bytes);
    hex::encode(hasher.finalize())
}
