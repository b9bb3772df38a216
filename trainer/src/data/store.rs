//! Bytes on the disk, or in memory where no disk may be written to.

use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt as _;

use fs_err::File;

/// Bytes that are read by position.
pub(super) enum Store {
    File(File),
    Memory(Vec<u8>),
}

impl Store {
    pub(super) fn len(&self) -> io::Result<u64> {
        match self {
            Self::File(file) => Ok(file.metadata()?.len()),
            Self::Memory(bytes) => Ok(bytes.len() as u64),
        }
    }

    /// Fills `buffer` from byte `at` on.
    pub(super) fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        match self {
            Self::File(file) => file
                .file()
                .read_exact_at(buffer, at)
                .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", file.path().display()))),
            Self::Memory(bytes) => {
                let from = usize::try_from(at).map_err(io::Error::other)?;
                let found = bytes.get(from..).and_then(|rest| rest.get(..buffer.len()));
                buffer.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
                Ok(())
            }
        }
    }
}

/// The same while it grows.
pub(super) enum Growing {
    File(BufWriter<File>),
    Memory(Vec<u8>),
}

impl Growing {
    /// A new file, which is also read.
    pub(super) fn file(path: &std::path::Path) -> io::Result<Self> {
        let file = fs_err::OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
        Ok(Self::File(BufWriter::with_capacity(1 << 20, file)))
    }

    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::File(file) => file.write_all(bytes),
            Self::Memory(all) => {
                all.extend_from_slice(bytes);
                Ok(())
            }
        }
    }

    /// What was appended, from byte `at` on.
    pub(super) fn read_exact_at(&mut self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        match self {
            Self::File(file) => {
                file.flush()?;
                file.get_ref().file().read_exact_at(buffer, at)
            }
            Self::Memory(bytes) => {
                let from = usize::try_from(at).map_err(io::Error::other)?;
                buffer.copy_from_slice(&bytes[from..from + buffer.len()]);
                Ok(())
            }
        }
    }

    /// Takes the place of what was appended before.
    pub(super) fn overwrite(&mut self, bytes: &[u8], at: u64) -> io::Result<()> {
        match self {
            Self::File(file) => {
                file.flush()?;
                file.get_ref().file().write_all_at(bytes, at)
            }
            Self::Memory(all) => {
                let from = usize::try_from(at).map_err(io::Error::other)?;
                all[from..from + bytes.len()].copy_from_slice(bytes);
                Ok(())
            }
        }
    }

    /// All of it, on the disk by then.
    pub(super) fn finish(self) -> io::Result<Store> {
        match self {
            Self::File(file) => {
                let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
                file.sync_all()?;
                Ok(Store::File(file))
            }
            Self::Memory(bytes) => Ok(Store::Memory(bytes)),
        }
    }
}
