//! Lines of a `.jsonl` or `.jsonl.zst`, without the whole file in memory.

use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use fs_err::File;
use sekisho_domain::Sha256;
use sha2::Digest as _;

use super::DataError;

/// A file of documents, opened.
pub(super) struct Lines {
    path: PathBuf,
    reader: Form,
    /// Lines read.
    number: usize,
    size: u64,
}

/// Some whole lines.
pub(super) struct Block {
    /// Number of the first, from 1.
    pub(super) first: usize,
    pub(super) bytes: Vec<u8>,
}

enum Form {
    Plain(BufReader<Stored>),
    Zstandard(BufReader<zstd::Decoder<'static, BufReader<Stored>>>),
}

impl Form {
    fn stored(&self) -> &Stored {
        match self {
            Self::Plain(reader) => reader.get_ref(),
            Self::Zstandard(reader) => reader.get_ref().get_ref().get_ref(),
        }
    }
}

impl Lines {
    /// Opens a file; one that is neither form is refused.
    pub(super) fn open(path: &Path) -> Result<Self, DataError> {
        const BUFFER: usize = 1 << 20;
        if !is_text(path) {
            return Err(DataError::NotText { path: path.to_owned() });
        }
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        let stored = Stored { file, consumed: 0, hasher: sha2::Sha256::new() };
        let reader = if path.extension().is_some_and(|e| e == "zst") {
            let decoder = zstd::Decoder::new(stored).map_err(|error| compressed(path, &error))?;
            Form::Zstandard(BufReader::with_capacity(BUFFER, decoder))
        } else {
            Form::Plain(BufReader::with_capacity(BUFFER, stored))
        };
        Ok(Self { path: path.to_owned(), reader, number: 0, size })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes of the stored file.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Those of them that were read so far.
    pub(super) fn consumed(&self) -> u64 {
        self.reader.stored().consumed
    }

    /// SHA-256 of what was read of the stored file: of all of it, at the end.
    pub(super) fn sha256(&self) -> Sha256 {
        Sha256::from_bytes(self.reader.stored().hasher.clone().finalize().into())
    }

    /// The next line that is not blank, with its number from 1; none at the end.
    pub(super) fn line(&mut self) -> Result<Option<(usize, Vec<u8>)>, DataError> {
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = self.read(|reader| reader.read_until(b'\n', &mut line))?;
            self.number += 1;
            if read == 0 {
                return Ok(None);
            }
            if !line.trim_ascii().is_empty() {
                return Ok(Some((self.number, line)));
            }
        }
    }

    /// The next lines of at least `size` bytes in all, fewer only at the end; none there.
    pub(super) fn block(&mut self, size: u64) -> Result<Option<Block>, DataError> {
        let mut bytes = Vec::new();
        self.read(|reader| {
            (&mut *reader).take(size).read_to_end(&mut bytes)?;
            if bytes.last().is_some_and(|byte| *byte != b'\n') {
                reader.read_until(b'\n', &mut bytes)?;
            }
            Ok(())
        })?;
        let first = self.number + 1;
        self.number += bytes.iter().filter(|byte| **byte == b'\n').count();
        Ok((!bytes.is_empty()).then_some(Block { first, bytes }))
    }

    fn read<T>(&mut self, read: impl FnOnce(&mut dyn BufRead) -> io::Result<T>) -> Result<T, DataError> {
        match &mut self.reader {
            Form::Plain(reader) => Ok(read(reader)?),
            // What the decoder cannot read is no fault of the disk.
            Form::Zstandard(reader) => read(reader).map_err(|error| compressed(&self.path, &error)),
        }
    }
}

impl Block {
    /// Its lines that are not blank, with their numbers.
    pub(super) fn lines(&self) -> Vec<(usize, &[u8])> {
        let numbered = (self.first..).zip(self.bytes.split(|byte| *byte == b'\n'));
        numbered.filter(|(_, line)| !line.trim_ascii().is_empty()).collect()
    }
}

/// Whether a path is one of documents, by its name.
pub(super) fn is_text(path: &Path) -> bool {
    let name = path.to_string_lossy();
    name.ends_with(".jsonl") || name.ends_with(".jsonl.zst")
}

fn compressed(path: &Path, error: &io::Error) -> DataError {
    DataError::Compressed { file: path.to_owned(), reason: error.to_string() }
}

/// Counts and hashes what is read.
struct Stored {
    file: File,
    consumed: u64,
    hasher: sha2::Sha256,
}

impl Read for Stored {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.consumed += read as u64;
        self.hasher.update(&buffer[..read]);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use sekisho_domain::Sha256;

    use super::Lines;

    #[test]
    fn blocks_are_whole_lines_with_their_numbers() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let text: String = (1..=300)
            .map(|n| if n % 7 == 0 { " \n".to_owned() } else { format!("{n}{}\n", "x".repeat(n % 50)) })
            .collect();
        let text = text.trim_end();
        let (plain, packed) = (folder.path().join("a.jsonl"), folder.path().join("a.jsonl.zst"));
        fs_err::write(&plain, text).expect("written");
        // Two frames, as a tool that appends writes them.
        let (a, b) = text.split_at(1000);
        let frames = [a, b].map(|part| zstd::encode_all(part.as_bytes(), 3).expect("compressed")).concat();
        fs_err::write(&packed, &frames).expect("written");
        for path in [&plain, &packed] {
            for size in [1, 100, 1 << 20] {
                let (mut lines, mut seen) = (Lines::open(path).expect("opens"), Vec::new());
                while let Some(block) = lines.block(size).expect("lines") {
                    seen.extend(block.lines().iter().map(|(n, line)| (*n, line.to_vec())));
                }
                let mut one_by_one = Lines::open(path).expect("opens");
                for (number, line) in seen {
                    assert!(line.starts_with(number.to_string().as_bytes()), "line {number}");
                    let (same, other) = one_by_one.line().expect("lines").expect("as many");
                    assert_eq!((same, other.trim_ascii_end()), (number, &*line));
                }
                assert!(one_by_one.line().expect("the end").is_none());
                assert_eq!(lines.sha256(), Sha256::of(fs_err::read(path).expect("bytes")));
                assert_eq!(lines.consumed(), lines.size());
            }
        }
    }
}
