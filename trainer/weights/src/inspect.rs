//! The full examination of a checkpoint: every byte is read once, hashed twice (file and tensor) and looked at.

use std::path::Path;

use rayon::prelude::*;
use sekisho_domain::manifest::{CheckpointManifest, FileEntry};
use sekisho_domain::{Sha256, canonical_json};
use serde_json::Value;
use sha2::Digest as _;

use crate::checkpoint::examine;
use crate::fit::{EMBEDDING, OUTPUT};
use crate::folder::{CHUNK, Folder, MANIFEST, Opened, Shard, TOKENIZER};
use crate::header::TensorEntry;
use crate::{Dtype, ModelConfig, Moments, Refusal, read_manifest, shards};

/// What is known of one tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorInfo {
    /// Its name.
    pub name: String,
    /// Element type.
    pub dtype: Dtype,
    /// Dimensions, outermost first.
    pub shape: Vec<usize>,
    /// SHA-256 of its bytes.
    pub sha256: Sha256,
    /// Range and moments; all finite, or the checkpoint would have been refused.
    pub moments: Moments,
}

/// A checkpoint that passed.
#[derive(Clone, Debug, PartialEq)]
pub struct Inspected {
    /// The configuration.
    pub config: ModelConfig,
    /// All tensors, sorted by name.
    pub tensors: Vec<TensorInfo>,
    /// The files that make up the checkpoint, sorted by path.
    pub files: Vec<FileEntry>,
    /// Identity of the weights, independent of sharding.
    pub weights: Sha256,
    /// Identity of the checkpoint: weights and resolved configuration.
    pub digest: Sha256,
    /// SHA-256 of `tokenizer.json`, where there is one.
    pub tokenizer: Option<Sha256>,
    /// Identity of the list of files.
    pub manifest: Sha256,
    /// Parameters; tied ones once.
    pub parameters: u64,
    /// Oddities that are told but not refused.
    pub notes: Vec<String>,
    /// What the folder holds besides; not read and not part of the checkpoint.
    pub left_out: Vec<String>,
}

/// Examines a Hugging Face folder completely. Nothing is changed.
///
/// # Errors
/// The first rule that is broken, see [`Refusal`].
pub fn inspect(dir: &Path) -> Result<Inspected, Refusal> {
    inspect_by(dir, shards::read)
}

/// The same on one thread for each shard, byte after byte: what [`inspect`] is held against.
///
/// # Errors
/// As [`inspect`].
pub fn inspect_plainly(dir: &Path) -> Result<Inspected, Refusal> {
    inspect_by(dir, shards::read_plainly)
}

fn inspect_by(dir: &Path, read_shard: shards::Read) -> Result<Inspected, Refusal> {
    let (folder, config, mut notes) = examine(dir)?;
    check_tokenizer(&folder, &config)?;
    let read: Vec<(FileEntry, Vec<TensorInfo>)> =
        folder.shards.par_iter().map(read_shard).collect::<Result<_, _>>()?;
    check_finite(&read)?;
    let texts: Vec<FileEntry> = folder.texts.par_iter().map(Opened::hash).collect::<Result<_, _>>()?;
    let (mut files, tensors): (Vec<_>, Vec<_>) = read.into_iter().unzip();
    let mut tensors: Vec<TensorInfo> = tensors.into_iter().flatten().collect();
    tensors.sort_by(|a, b| a.name.cmp(&b.name));
    files.extend(texts);
    files.sort_by(|a, b| a.path.cmp(&b.path));
    check_tied(&config, &tensors)?;
    check_manifest(dir, &folder, &files)?;
    notes.extend(constant_matrices(&tensors));
    let weights = digest_of(&tensors);
    Ok(Inspected {
        weights,
        digest: Sha256::of(format!("{weights}\n{}", canonical_json(&config.canonical()))),
        tokenizer: files.iter().find(|file| file.path == TOKENIZER).map(|file| file.sha256),
        manifest: manifest_digest(&files),
        parameters: config.parameters(),
        config,
        tensors,
        files,
        notes,
        left_out: folder.left_out,
    })
}

/// The files that make up a checkpoint, hashed and sorted by path; their tensors are not looked at.
///
/// # Errors
/// The rules for names, links, the index and the headers.
pub fn list_files(dir: &Path) -> Result<Vec<FileEntry>, Refusal> {
    let folder = Folder::open(dir)?;
    let opened: Vec<&Opened> = folder.shards.iter().map(|shard| &shard.opened).chain(&folder.texts).collect();
    let mut files: Vec<FileEntry> = opened.into_par_iter().map(Opened::hash).collect::<Result<_, _>>()?;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

/// Reads and hashes one file of a folder; a link is followed inside the folder only.
///
/// # Errors
/// [`Refusal::Unreadable`], [`Refusal::Link`], [`Refusal::Changed`].
pub fn hash_file(dir: &Path, name: &str) -> Result<FileEntry, Refusal> {
    let unreadable = |error: std::io::Error| Refusal::unreadable(&dir.join(name), &error);
    let root = fs_err::canonicalize(dir).map_err(unreadable)?;
    let path = fs_err::canonicalize(root.join(name)).map_err(unreadable)?;
    if !path.starts_with(&root) {
        return Err(Refusal::Link { file: name.to_owned() });
    }
    Opened::open(name.to_owned(), path)?.hash()
}

/// Every value is a number.
fn check_finite(read: &[(FileEntry, Vec<TensorInfo>)]) -> Result<(), Refusal> {
    let tensors = read.iter().flat_map(|(file, tensors)| tensors.iter().map(move |tensor| (file, tensor)));
    let broken = tensors.filter(|(_, tensor)| tensor.moments.not_finite > 0);
    let Some((file, bad)) = broken.min_by(|a, b| a.1.name.cmp(&b.1.name)) else { return Ok(()) };
    let (file, tensor) = (file.path.clone(), bad.name.clone());
    Err(Refusal::Nan { file, tensor, count: bad.moments.not_finite })
}

/// A tied model's second copy of the embedding is a copy.
fn check_tied(config: &ModelConfig, tensors: &[TensorInfo]) -> Result<(), Refusal> {
    let of = |name| tensors.iter().find(|tensor| tensor.name == name).map(|tensor| tensor.sha256);
    match of(OUTPUT) {
        Some(output) if config.tie_word_embeddings && Some(output) != of(EMBEDDING) => {
            Err(Refusal::TiedDiffers)
        }
        _ => Ok(()),
    }
}

/// The digest of all weights of a Hugging Face folder, of any model and however it is sharded: what a card and a release name.
/// No value is looked at.
///
/// # Errors
/// The rules for names, links, the index and the headers.
pub fn weights_digest(dir: &Path) -> Result<Sha256, Refusal> {
    let folder = Folder::open(dir)?;
    let tensors: Vec<(&Shard, &TensorEntry)> = folder
        .shards
        .iter()
        .flat_map(|shard| shard.header.tensors.iter().map(move |entry| (shard, entry)))
        .collect();
    let hashed = tensors.into_par_iter().map(|(shard, entry)| {
        let digest = hash_tensor(&shard.opened, entry)?;
        Ok((entry.name.clone(), line(&entry.name, entry.dtype, &entry.shape, digest)))
    });
    let mut lines: Vec<(String, String)> = hashed.collect::<Result<_, Refusal>>()?;
    folder.shards.iter().try_for_each(|shard| shard.opened.unchanged())?;
    lines.sort();
    Ok(Sha256::of(lines.into_iter().map(|(_, line)| line).collect::<String>()))
}

fn hash_tensor(file: &Opened, entry: &TensorEntry) -> Result<Sha256, Refusal> {
    let mut hasher = sha2::Sha256::new();
    let mut buffer = vec![0; CHUNK];
    let mut at = 0;
    while at < entry.size {
        let length = usize::try_from(entry.size - at).map_or(CHUNK, |rest| rest.min(CHUNK));
        file.read_at(entry.begin + at, &mut buffer[..length])?;
        hasher.update(&buffer[..length]);
        at += length as u64;
    }
    Ok(Sha256::from_bytes(hasher.finalize().into()))
}

fn digest_of(tensors: &[TensorInfo]) -> Sha256 {
    Sha256::of(tensors.iter().map(|t| line(&t.name, t.dtype, &t.shape, t.sha256)).collect::<String>())
}

/// One tensor's line of the weights' identity.
fn line(name: &str, dtype: Dtype, shape: &[usize], digest: Sha256) -> String {
    let shape: Vec<String> = shape.iter().map(usize::to_string).collect();
    let mut line = [name, dtype.as_str(), &shape.join(","), &digest.hex()].join("\0");
    line.push('\n');
    line
}

/// Identity of a list of files, sorted by path: two folders with the same one hold the same checkpoint, byte for byte.
#[must_use]
pub fn manifest_digest(files: &[FileEntry]) -> Sha256 {
    let lines = files.iter().map(|f| format!("{}\0{}\0{}\n", f.path, f.size, f.sha256.hex()));
    Sha256::of(lines.collect::<String>())
}

/// A matrix of one value was never trained, or was overwritten.
fn constant_matrices(tensors: &[TensorInfo]) -> impl Iterator<Item = String> {
    let constant = |t: &&TensorInfo| t.shape.len() > 1 && t.moments.min.to_bits() == t.moments.max.to_bits();
    let filled = |t: &&TensorInfo| t.shape.iter().product::<usize>() > 1;
    tensors
        .iter()
        .filter(filled)
        .filter(constant)
        .map(|t| format!("tensor {} holds the value {} everywhere", t.name, t.moments.min))
}

/// A tokenizer may be smaller than the model (rows are padded), never larger.
fn check_tokenizer(folder: &Folder, config: &ModelConfig) -> Result<(), Refusal> {
    let Some(tokenizer) = folder.json(TOKENIZER)? else {
        return Ok(());
    };
    let wrong = |reason: &str| Refusal::Tokenizer { file: TOKENIZER.to_owned(), reason: reason.to_owned() };
    let model = match &tokenizer["model"]["vocab"] {
        Value::Object(vocab) => {
            vocab.values().map(Value::as_u64).max().flatten().map_or(0, |id| id.saturating_add(1))
        }
        Value::Array(pieces) => pieces.len() as u64,
        _ => return Err(wrong("it has no \"model\".\"vocab\"")),
    };
    let added = tokenizer["added_tokens"].as_array().into_iter().flatten();
    let added = added.filter_map(|token| token["id"].as_u64()).max().map_or(0, |id| id.saturating_add(1));
    let (have, need) = (model.max(added), config.vocab_size as u64);
    if have > need {
        return Err(Refusal::TokenizerMismatch { have, need });
    }
    Ok(())
}

/// Our trainer's checkpoints carry a list of their files: a copy must hold the same bytes.
fn check_manifest(dir: &Path, folder: &Folder, files: &[FileEntry]) -> Result<(), Refusal> {
    if !folder.left_out.iter().any(|name| name == MANIFEST) {
        return Ok(());
    }
    let Ok(CheckpointManifest { files: listed, .. }) = read_manifest(dir) else {
        // Other tools write files of this name too.
        return Ok(());
    };
    for want in listed {
        match files.iter().find(|file| file.path == want.path) {
            Some(have) if have.sha256 != want.sha256 => {
                return Err(Refusal::Manifest {
                    file: want.path,
                    want: want.sha256.to_string(),
                    have: have.sha256.to_string(),
                });
            }
            Some(_) => {}
            None if dir.join(&want.path).exists() => {}
            None => return Err(Refusal::FileMissing { file: want.path }),
        }
    }
    Ok(())
}
