use std::cell::Cell;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::{DataError, jsonl};

/// Documents of a `.jsonl` or `.jsonl.zst` file, one after the other, as text: what training would tokenise, without a tokenizer and
/// without the whole file in memory.
pub struct Texts {
    path: PathBuf,
    lines: Box<dyn BufRead>,
    /// Lines read.
    number: usize,
    consumed: Rc<Cell<u64>>,
}

impl Texts {
    /// Opens a file.
    ///
    /// # Errors
    /// [`DataError`] for a path that is neither, and for a file that cannot be read.
    pub fn open(path: &Path) -> Result<Self, DataError> {
        let name = path.to_string_lossy();
        let is_compressed = name.ends_with(".jsonl.zst");
        if !is_compressed && !name.ends_with(".jsonl") {
            return Err(DataError::NotText { path: path.to_owned() });
        }
        let consumed = Rc::new(Cell::new(0));
        let stored = Counted { file: fs_err::File::open(path)?, consumed: Rc::clone(&consumed) };
        let lines: Box<dyn BufRead> = if is_compressed {
            let decoder = zstd::Decoder::new(stored).map_err(|error| compressed(path, &error))?;
            Box::new(BufReader::with_capacity(1 << 20, decoder))
        } else {
            Box::new(BufReader::with_capacity(1 << 20, stored))
        };
        Ok(Self { path: path.to_owned(), lines, number: 0, consumed })
    }

    /// Bytes of the stored file that were read so far.
    #[must_use]
    pub fn consumed(&self) -> u64 {
        self.consumed.get()
    }

    /// The next line that is not blank; none at the end.
    fn line(&mut self) -> Result<Option<Vec<u8>>, DataError> {
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = self.lines.read_until(b'\n', &mut line).map_err(|error| {
                // What the decoder cannot read is no fault of the disk.
                if self.path.extension().is_some_and(|e| e == "zst") {
                    compressed(&self.path, &error)
                } else {
                    error.into()
                }
            })?;
            self.number += 1;
            if read == 0 {
                return Ok(None);
            }
            if !line.trim_ascii().is_empty() {
                return Ok(Some(line));
            }
        }
    }
}

impl Iterator for Texts {
    type Item = Result<String, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        let line = self.line().transpose()?;
        Some(line.and_then(|line| Ok(jsonl::text_of(&self.path, self.number, &line)?.into_owned())))
    }
}

fn compressed(path: &Path, error: &std::io::Error) -> DataError {
    DataError::Compressed { file: path.to_owned(), reason: error.to_string() }
}

/// Counts what is read.
struct Counted {
    file: fs_err::File,
    consumed: Rc<Cell<u64>>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.consumed.set(self.consumed.get() + read as u64);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::Texts;

    #[test]
    fn documents_come_one_after_the_other_from_both_forms() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let text = "{\"text\": \"一\\n二\"}\n\n  \n{\"id\": 7, \"text\": \"three\"}";
        let (plain, packed) = (folder.path().join("a.v1.jsonl"), folder.path().join("a.jsonl.zst"));
        fs_err::write(&plain, text).expect("written");
        fs_err::write(&packed, zstd::encode_all(text.as_bytes(), 3).expect("compressed")).expect("written");
        for path in [&plain, &packed] {
            let mut texts = Texts::open(path).expect("opens");
            let all: Vec<String> = texts.by_ref().collect::<Result<_, _>>().expect("documents");
            assert_eq!(all, ["一\n二", "three"], "{}", path.display());
            assert_eq!(texts.consumed(), fs_err::metadata(path).expect("there").len());
        }
    }

    #[test]
    fn what_is_no_text_says_so() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let said = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            fs_err::write(&path, bytes).expect("written");
            let read = Texts::open(&path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
            read.expect_err("refused").to_string()
        };
        assert!(
            said("a.jsonl", b"{\"text\": \"a\"}\n\n{\"txt\": 1}\n")
                .contains("a.jsonl:3: there is no \"text\"")
        );
        assert!(said("b.jsonl", b"text\n").contains("b.jsonl:1"));
        assert!(said("c.jsonl.zst", b"{\"text\": \"a\"}\n").contains("cannot be decompressed"));
        assert!(said("d.txt", b"a").contains("not a file of documents"));
    }
}
