//! `manifest.json`: the list of a checkpoint's files, written last. A folder without it is not complete.

use serde::{Deserialize, Serialize};

use crate::{Sha256, Step, Tokens};

/// One file of a checkpoint or a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FileEntry {
    /// Path relative to the folder, `/`-separated.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// SHA-256 of the bytes.
    pub sha256: Sha256,
}

/// A file as the file system knows it: what betrays, without reading it, that it is no longer the one that was examined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileStamp {
    /// Its name in the folder.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// Last write [ns since 1970].
    pub modified: i64,
    /// Last change of file or metadata [ns since 1970]: a program may set the time of the last write back, but not this one.
    pub changed: i64,
    /// Its number in the file system. The file system's own number is left out: it is another one after the next mount.
    pub inode: u64,
}

/// `manifest.json` of a checkpoint written by the trainer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointManifest {
    /// The run's name.
    pub run: String,
    /// Update number.
    pub step: Step,
    /// Training targets seen in this stage.
    pub tokens: Tokens,
    /// Every file of the folder but this one, sorted by path.
    pub files: Vec<FileEntry>,
}
