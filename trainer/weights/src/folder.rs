//! Which files of a folder make up a checkpoint. An allow-list: everything else is left out, and named.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use fs_err::File;
use fs_err::os::unix::fs::OpenOptionsExt as _;
use rustix::fs::OFlags;
use sekisho_domain::Sha256;
use sekisho_domain::manifest::FileEntry;
use serde_json::Value;
use sha2::Digest as _;

use crate::header::{self, Header};
use crate::strict_json::{self, StrictError};
use crate::{Refusal, content};

pub(crate) const CONFIG: &str = "config.json";
pub(crate) const TOKENIZER: &str = "tokenizer.json";
pub(crate) const MANIFEST: &str = "manifest.json";
pub(crate) const SINGLE: &str = "model.safetensors";
pub(crate) const INDEX: &str = "model.safetensors.index.json";
/// The longest text file that is read whole; the largest tokenizers in use have about 35 MB.
const LONGEST_TEXT: u64 = 256 << 20;
/// Bytes read at a time.
pub(crate) const CHUNK: usize = 1 << 20;

const NAMES: [&str; 14] = [
    CONFIG,
    TOKENIZER,
    INDEX,
    "generation_config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "tokenizer.model",
    "chat_template.jinja",
    "chat_template.json",
    SINGLE,
];
const STEMS: [&str; 5] = ["license", "licence", "notice", "copying", "use_policy"];

/// Whether a file of this name may be part of a checkpoint and of a release; all others are left out.
#[must_use]
pub fn is_allowed(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    NAMES.contains(&name)
        || lower.ends_with(".safetensors")
        || lower.ends_with(".md")
        || STEMS.iter().any(|stem| lower.starts_with(stem))
}

/// A file that was opened once and is read through that handle only.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) name: String,
    pub(crate) file: File,
    path: PathBuf,
    stamp: Stamp,
}

/// What betrays that somebody wrote while we read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    size: u64,
    modified: Option<SystemTime>,
    inode: u64,
}

impl Stamp {
    fn of(metadata: &std::fs::Metadata) -> Self {
        use std::os::unix::fs::MetadataExt as _;
        Self { size: metadata.len(), modified: metadata.modified().ok(), inode: metadata.ino() }
    }
}

impl Opened {
    /// Opens without following a link that took the place of the file meanwhile, and without waiting for a pipe.
    pub(crate) fn open(name: String, path: PathBuf) -> Result<Self, Refusal> {
        let unreadable = |error: &std::io::Error| Refusal::unreadable(&path, error);
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
        let opened = fs_err::OpenOptions::new().read(true).custom_flags(flags).open(&path);
        let file = opened.map_err(|error| unreadable(&error))?;
        let stamp = Stamp::of(&file.metadata().map_err(|error| unreadable(&error))?);
        Ok(Self { name, file, path, stamp })
    }

    pub(crate) fn size(&self) -> u64 {
        self.stamp.size
    }

    /// Refuses a file whose size, time or identity is not what it was when it was opened.
    pub(crate) fn unchanged(&self) -> Result<(), Refusal> {
        let now = self.file.metadata().map(|m| Stamp::of(&m));
        let at_path = fs_err::metadata(&self.path).map(|m| Stamp::of(&m));
        if now.is_ok_and(|s| s == self.stamp) && at_path.is_ok_and(|s| s == self.stamp) {
            return Ok(());
        }
        Err(Refusal::Changed { file: self.name.clone() })
    }

    pub(crate) fn read_at(&self, at: u64, buffer: &mut [u8]) -> Result<(), Refusal> {
        use std::os::unix::fs::FileExt as _;
        self.file.file().read_exact_at(buffer, at).map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => Refusal::Changed { file: self.name.clone() },
            _ => Refusal::unreadable(&self.path, &error),
        })
    }

    /// The file's entry in a list, once all its bytes went through `hasher` and nobody wrote meanwhile.
    pub(crate) fn entry(&self, hasher: sha2::Sha256) -> Result<FileEntry, Refusal> {
        self.unchanged()?;
        let sha256 = Sha256::from_bytes(hasher.finalize().into());
        Ok(FileEntry { path: self.name.clone(), size: self.size(), sha256 })
    }

    /// Reads and hashes the whole file.
    pub(crate) fn hash(&self) -> Result<FileEntry, Refusal> {
        let mut hasher = sha2::Sha256::new();
        let mut buffer = vec![0; CHUNK];
        let mut at = 0;
        while at < self.size() {
            let length = usize::try_from(self.size() - at).map_or(CHUNK, |rest| rest.min(CHUNK));
            self.read_at(at, &mut buffer[..length])?;
            hasher.update(&buffer[..length]);
            at += length as u64;
        }
        self.entry(hasher)
    }

    /// The whole file as text.
    pub(crate) fn text(&self) -> Result<String, Refusal> {
        let wrong = |reason: &str| Refusal::Unreadable { path: self.name.clone(), reason: reason.to_owned() };
        if self.size() > LONGEST_TEXT {
            return Err(wrong("it is longer than 256 MiB"));
        }
        let mut bytes = vec![0; usize::try_from(self.size()).map_err(|_| wrong("it is too long"))?];
        self.read_at(0, &mut bytes)?;
        String::from_utf8(bytes).map_err(|_| wrong("it is not UTF-8"))
    }
}

/// A shard with its header.
#[derive(Debug)]
pub(crate) struct Shard {
    pub(crate) opened: Opened,
    pub(crate) header: Header,
}

/// A folder whose files follow the rules, with the headers of its weights.
#[derive(Debug)]
pub(crate) struct Folder {
    pub(crate) shards: Vec<Shard>,
    /// All other accepted files.
    pub(crate) texts: Vec<Opened>,
    /// Names of what is not part of the checkpoint.
    pub(crate) left_out: Vec<String>,
}

impl Folder {
    /// Looks at names, kinds, links, the shard index and the headers; no tensor is read.
    pub(crate) fn open(dir: &Path) -> Result<Self, Refusal> {
        let root = fs_err::canonicalize(dir).map_err(|error| Refusal::unreadable(dir, &error))?;
        let (mut accepted, mut left_out) = list(&root)?;
        let (names, index) = weights(dir, &accepted)?;
        let mut shards = Vec::with_capacity(names.len());
        for name in names {
            let opened = accepted.remove(&name).ok_or_else(|| Refusal::FileMissing { file: name.clone() })?;
            let header = header::read(&opened.file, &name, opened.size())?;
            shards.push(Shard { opened, header });
        }
        if let Some(index) = index {
            index.agrees_with(&shards)?;
        }
        for name in accepted.extract_if(.., |name, _| name.ends_with(".safetensors")).map(|(name, _)| name) {
            if numbered(&name).is_some() {
                return Err(Refusal::Index {
                    file: name,
                    rule: "it looks like a shard, but no index lists it".into(),
                });
            }
            left_out.push(name);
        }
        for (name, opened) in &accepted {
            if let Some(refusal) = content::kind(&opened.file, opened.size())?.refuse_text(name) {
                return Err(refusal);
            }
        }
        left_out.sort();
        Ok(Self { shards, texts: accepted.into_values().collect(), left_out })
    }

    pub(crate) fn text(&self, name: &str) -> Option<&Opened> {
        self.texts.iter().find(|opened| opened.name == name)
    }

    /// Reads and parses a JSON file of the folder, refusing keys that are there twice.
    pub(crate) fn json(&self, name: &str) -> Result<Option<Value>, Refusal> {
        self.text(name).map(json).transpose()
    }
}

fn json(opened: &Opened) -> Result<Value, Refusal> {
    let text = opened.text()?;
    strict_json::parse(&text).map_err(|error| match error {
        StrictError::Duplicate { .. } => {
            Refusal::DuplicateKey { file: opened.name.clone(), what: error.to_string() }
        }
        StrictError::Syntax(reason) => Refusal::Unreadable { path: opened.name.clone(), reason },
    })
}

type Accepted = BTreeMap<String, Opened>;

/// Opens what the allow-list names and refuses links that leave the folder, whatever their name.
fn list(root: &Path) -> Result<(Accepted, Vec<String>), Refusal> {
    let unreadable = |error: std::io::Error| Refusal::unreadable(root, &error);
    let (mut accepted, mut left_out) = (BTreeMap::new(), Vec::new());
    for entry in fs_err::read_dir(root).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = entry.path();
        let target = if entry.file_type().map_err(unreadable)?.is_symlink() {
            let inside = fs_err::canonicalize(&path).ok().filter(|target| target.starts_with(root));
            inside.ok_or_else(|| Refusal::Link { file: name.clone() })?
        } else {
            path
        };
        let metadata = fs_err::metadata(&target).map_err(unreadable)?;
        if metadata.is_file() && is_allowed(&name) {
            let opened = Opened::open(name.clone(), target)?;
            accepted.insert(name, opened);
        } else {
            left_out.push(if metadata.is_dir() { format!("{name}/") } else { name });
        }
    }
    Ok((accepted, left_out))
}

/// Names of the weight files, and the index where there is one.
fn weights(dir: &Path, accepted: &Accepted) -> Result<(Vec<String>, Option<Index>), Refusal> {
    match (accepted.contains_key(SINGLE), accepted.get(INDEX)) {
        (true, None) => Ok((vec![SINGLE.to_owned()], None)),
        (true, Some(_)) => {
            let rule = format!("{SINGLE} is beside it, and readers disagree about which one counts");
            Err(Refusal::Index { file: INDEX.to_owned(), rule })
        }
        (false, Some(file)) => {
            let index = Index::read(file, accepted)?;
            let mut names: Vec<String> = index.map.values().cloned().collect();
            names.sort();
            names.dedup();
            Ok((names, Some(index)))
        }
        (false, None) => Err(no_weights(dir, accepted)),
    }
}

/// The most helpful refusal of a folder without weights: what it holds in their place.
fn no_weights(dir: &Path, accepted: &Accepted) -> Refusal {
    let weights = accepted.values().filter(|opened| opened.name.ends_with(".safetensors"));
    for opened in weights {
        if let Err(refusal) = header::read(&opened.file, &opened.name, opened.size()) {
            return refusal;
        }
        if numbered(&opened.name).is_some() {
            return Refusal::FileMissing { file: INDEX.to_owned() };
        }
    }
    pickle_beside(dir).unwrap_or_else(|| Refusal::NoWeights { dir: dir.display().to_string() })
}

/// `pytorch_model.bin` and its like.
fn pickle_beside(dir: &Path) -> Option<Refusal> {
    let mut names: Vec<_> = fs_err::read_dir(dir).ok()?.filter_map(Result::ok).collect();
    names.sort_by_key(fs_err::DirEntry::file_name);
    names.into_iter().find_map(|entry| {
        if !entry.file_type().ok()?.is_file() {
            return None;
        }
        let name = entry.file_name().to_string_lossy().into_owned();
        let opened = Opened::open(name.clone(), entry.path()).ok()?;
        content::kind(&opened.file, opened.size()).ok()?.refuse_text(&name)
    })
}

/// `model.safetensors.index.json`.
#[derive(Debug)]
struct Index {
    map: BTreeMap<String, String>,
    total_size: Option<u64>,
}

fn index_refusal(rule: String) -> Refusal {
    Refusal::Index { file: INDEX.to_owned(), rule }
}

impl Index {
    fn read(file: &Opened, accepted: &Accepted) -> Result<Self, Refusal> {
        let value = json(file)?;
        let Some(entries) = value.get("weight_map").and_then(Value::as_object).filter(|map| !map.is_empty())
        else {
            return Err(index_refusal("\"weight_map\" must map tensors to files".to_owned()));
        };
        let mut map = BTreeMap::new();
        for (tensor, shard) in entries {
            let name = shard.as_str().filter(|name| is_plain_shard(name)).ok_or_else(|| {
                index_refusal(format!(
                    "tensor {tensor:?} is sent to {shard}, which is not the plain name of a .safetensors file in this folder"
                ))
            })?;
            map.insert(tensor.clone(), name.to_owned());
        }
        let total_size = value.get("metadata").and_then(|m| m.get("total_size")).and_then(Value::as_u64);
        let index = Self { map, total_size };
        index.is_complete(accepted)?;
        Ok(index)
    }

    /// Every shard is there, and none of `00001-of-0000N` is left out.
    fn is_complete(&self, accepted: &Accepted) -> Result<(), Refusal> {
        for shard in self.map.values() {
            let missing = |file: String| {
                if accepted.contains_key(&file) { Ok(()) } else { Err(Refusal::FileMissing { file }) }
            };
            missing(shard.clone())?;
            if let Some(Numbered { stem, width, count }) = numbered(shard) {
                for i in 1..=count {
                    missing(format!("{stem}-{i:0width$}-of-{count:0width$}.safetensors"))?;
                }
            }
        }
        Ok(())
    }

    fn agrees_with(&self, shards: &[Shard]) -> Result<(), Refusal> {
        let mut found = 0;
        for shard in shards {
            let file = &shard.opened.name;
            for tensor in &shard.header.tensors {
                let name = &tensor.name;
                match self.map.get(name) {
                    Some(listed) if listed == file => found += 1,
                    Some(listed) => {
                        return Err(index_refusal(format!(
                            "tensor {name} is in {file}, but the index sends it to {listed}"
                        )));
                    }
                    None => return Err(index_refusal(format!("tensor {name} of {file} is not listed"))),
                }
            }
        }
        if found < self.map.len() {
            let holds =
                |name: &String| shards.iter().any(|s| s.header.tensors.iter().any(|t| t.name == *name));
            let (tensor, shard) =
                self.map.iter().find(|(name, _)| !holds(name)).expect("fewer were found than listed");
            return Err(index_refusal(format!(
                "tensor {tensor} is listed in {shard}, which does not hold it"
            )));
        }
        let total: u64 = shards.iter().flat_map(|s| &s.header.tensors).map(|t| t.size).sum();
        match self.total_size {
            Some(size) if size != total => {
                Err(index_refusal(format!("\"total_size\" is {size}, the tensors have {total} bytes")))
            }
            _ => Ok(()),
        }
    }
}

fn is_plain_shard(name: &str) -> bool {
    name.ends_with(".safetensors")
        && !name.starts_with('.')
        && !name.contains(['/', '\\'])
        && !name.chars().any(char::is_control)
}

/// The parts of `model-00001-of-00004.safetensors`.
struct Numbered<'a> {
    stem: &'a str,
    width: usize,
    count: u32,
}

fn numbered(name: &str) -> Option<Numbered<'_>> {
    let (rest, count) = name.strip_suffix(".safetensors")?.rsplit_once("-of-")?;
    let (stem, number) = rest.rsplit_once('-')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(number) || !digits(count) || count.len() > 6 {
        return None;
    }
    Some(Numbered { stem, width: count.len(), count: count.parse().ok()? })
}
