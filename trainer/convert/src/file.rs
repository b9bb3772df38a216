//! A file of a checkpoint, opened once and read from that handle only.

use std::io::ErrorKind;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use fs_err::File;
use sekisho_weights::open_file;

use crate::ConvertError;

/// The file, and its name below the checkpoint.
#[derive(Debug)]
pub(crate) struct DataFile {
    name: String,
    file: File,
    size: u64,
}

impl DataFile {
    /// Opens a file of a folder, which is a path without links; a link is followed inside of it only.
    pub(crate) fn open(folder: &Path, name: &str) -> Result<Self, ConvertError> {
        let file = open_file(folder, name)?;
        let size = file.metadata().map_err(|error| ConvertError::read(file.path(), error))?.len();
        Ok(Self { name: name.to_owned(), file, size })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    pub(crate) fn read_at(&self, at: u64, buffer: &mut [u8]) -> Result<(), ConvertError> {
        self.file.file().read_exact_at(buffer, at).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => {
                ConvertError::content(&self.name, "it was shortened while it was read, or is cut off")
            }
            _ => ConvertError::read(self.file.path(), error),
        })
    }

    /// A part of the file, if it is no longer than `most` bytes.
    pub(crate) fn part(&self, at: u64, size: u64, most: u64) -> Result<Vec<u8>, ConvertError> {
        let inside = at.checked_add(size).is_some_and(|end| end <= self.size);
        let length = usize::try_from(size).ok().filter(|_| inside && size <= most);
        let Some(length) = length else {
            let rule = format!("a part of {size} bytes, more than are there or than {most}");
            return Err(ConvertError::content(&self.name, rule));
        };
        let mut bytes = vec![0; length];
        self.read_at(at, &mut bytes)?;
        Ok(bytes)
    }
}
