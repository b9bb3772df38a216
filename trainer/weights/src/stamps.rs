//! What betrays, without reading them, that files are no longer those that were examined.

use std::ffi::OsStr;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use sekisho_domain::manifest::FileStamp;

/// The regular files of a folder, sorted by name; links are followed. Taken before the files are read, they can only be too old, which
/// costs another reading.
///
/// # Errors
/// The system's, naming the folder.
pub fn stamps(folder: &Path) -> std::io::Result<Vec<FileStamp>> {
    let mut found = Vec::new();
    for entry in fs_err::read_dir(folder)? {
        let entry = entry?;
        // A link that leads nowhere, or a file that is removed at this moment.
        let Ok(metadata) = fs_err::metadata(entry.path()) else { continue };
        if metadata.is_file() {
            found.push(of(&entry.file_name(), &metadata));
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// The same of one file.
///
/// # Errors
/// The system's, naming the path.
pub fn stamp(path: &Path) -> std::io::Result<FileStamp> {
    Ok(of(path.file_name().unwrap_or_default(), &fs_err::metadata(path)?))
}

fn of(name: &OsStr, metadata: &Metadata) -> FileStamp {
    FileStamp {
        path: name.to_string_lossy().into_owned(),
        size: metadata.len(),
        modified: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
        changed: nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
        inode: metadata.ino(),
    }
}

fn nanoseconds(seconds: i64, rest: i64) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add(rest)
}
