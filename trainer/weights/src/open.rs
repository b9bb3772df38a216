//! One file of a folder that somebody else may write to.

use std::path::{Component, Path};

use fs_err::File;
use rustix::fs::{Mode, OFlags, openat};

use crate::Refusal;

/// How a folder on the way is opened: only to go on from it, which needs no right to list it.
#[cfg(target_os = "linux")]
const STEP: OFlags = OFlags::PATH.union(OFlags::DIRECTORY);
#[cfg(not(target_os = "linux"))]
const STEP: OFlags = OFlags::DIRECTORY;

/// Opens a file of a folder for reading. A link is followed only to a regular file inside the folder, as when a checkpoint is examined,
/// and none that takes the place of anything on the way meanwhile. `folder` is a path without links: if it has become one itself, every
/// file in it leads elsewhere.
///
/// # Errors
/// [`Refusal::Link`], [`Refusal::FileMissing`], [`Refusal::Unreadable`].
pub fn open_file(folder: &Path, name: &str) -> Result<File, Refusal> {
    let path = folder.join(name);
    let unreadable = |error: &std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => Refusal::FileMissing { file: name.to_owned() },
        _ => Refusal::unreadable(&path, error),
    };
    let target = fs_err::canonicalize(&path).map_err(|error| unreadable(&error))?;
    if !target.starts_with(folder) {
        return Err(Refusal::Link { file: name.to_owned() });
    }
    let file = walk(&target).map_err(|error| unreadable(&error))?;
    if file.metadata().map_err(|error| unreadable(&error))?.is_file() {
        return Ok(file);
    }
    Err(Refusal::Unreadable { path: name.to_owned(), reason: "it is not a regular file".to_owned() })
}

/// Opens an absolute path of plain names from the root on, following nothing and waiting for no pipe.
fn walk(path: &Path) -> std::io::Result<File> {
    let names: Vec<_> = path
        .components()
        .filter_map(|part| match part {
            Component::Normal(name) => Some(name),
            _ => None,
        })
        .collect();
    let mut at = rustix::fs::open("/", STEP | OFlags::CLOEXEC, Mode::empty())?;
    for (i, name) in names.iter().enumerate() {
        let flags = if i + 1 < names.len() { STEP } else { OFlags::RDONLY | OFlags::NONBLOCK };
        at = openat(&at, *name, flags | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    }
    Ok(File::from_parts(at.into(), path))
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::unix::fs::symlink;

    use super::{open_file, walk};
    use crate::Refusal;

    #[test]
    fn only_a_file_inside_the_folder_is_opened() {
        let temp = tempfile::tempdir().expect("a folder");
        let root = fs_err::canonicalize(temp.path()).expect("a path");
        let folder = root.join("model");
        fs_err::create_dir_all(folder.join("blobs")).expect("a folder");
        fs_err::write(folder.join("blobs/a"), "inside").expect("written");
        fs_err::write(root.join("secret"), "outside").expect("written");
        for (name, target) in [
            ("good", "blobs/a"),
            ("outside", "../secret"),
            ("folder", "blobs"),
            ("nothing", "blobs/b"),
            ("circle", "circle"),
        ] {
            symlink(target, folder.join(name)).expect("a link");
        }
        for name in ["good", "blobs/a"] {
            let mut text = String::new();
            let mut file = open_file(&folder, name).expect(name);
            file.read_to_string(&mut text).expect("read");
            assert_eq!(text, "inside");
        }
        let refused = |name: &str| open_file(&folder, name).expect_err(name);
        assert!(matches!(refused("outside"), Refusal::Link { .. }));
        assert!(matches!(refused("../secret"), Refusal::Link { .. }));
        assert!(matches!(refused("nothing"), Refusal::FileMissing { .. }));
        assert!(matches!(refused("folder"), Refusal::Unreadable { .. }));
        assert!(matches!(refused("circle"), Refusal::Unreadable { .. }));

        // A folder that has become a link, and a path that became one after it was looked at.
        let other = root.join("other");
        symlink(&folder, &other).expect("a link");
        assert!(matches!(open_file(&other, "good"), Err(Refusal::Link { .. })));
        assert!(walk(&folder.join("good")).is_err() && walk(&other.join("blobs/a")).is_err());
        assert!(walk(&folder.join("blobs/a")).is_ok());
    }
}
