//! A file that grows, as `tail -F` reads it: under the same name may come another file, or the same one shorter.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Bytes at once.
const CHUNK: u64 = 1 << 20;
/// A line without an end is cut here.
const LONGEST: usize = 1 << 20;

pub(super) struct Tail {
    path: PathBuf,
    file: fs_err::File,
    position: u64,
    /// The beginning of a line whose end has not been written yet.
    open: Vec<u8>,
}

impl Tail {
    pub(super) fn open(path: &Path) -> std::io::Result<Self> {
        let file = fs_err::File::open(path)?;
        Ok(Self { path: path.to_owned(), file, position: 0, open: Vec::new() })
    }

    /// Bytes of the file as it is now.
    pub(super) fn size(&self) -> u64 {
        self.file.metadata().map_or(0, |file| file.len())
    }

    /// Bytes that were read.
    pub(super) const fn position(&self) -> u64 {
        self.position
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.position >= self.size()
    }

    /// The whole lines that came since the last time, without their ends; a part of them where there are many.
    pub(super) fn lines(&mut self) -> std::io::Result<Vec<Vec<u8>>> {
        if self.position > self.size() {
            // Cut off and written anew, as logrotate's copytruncate does.
            self.position = self.file.seek(SeekFrom::Start(0))?;
            self.open.clear();
        }
        let mut bytes = Vec::new();
        let count = (&mut self.file).take(CHUNK).read_to_end(&mut bytes)?;
        self.position += count as u64;
        let mut lines = self.split(&bytes);
        if count == 0 && self.is_replaced() {
            let Ok(file) = fs_err::File::open(&self.path) else { return Ok(lines) };
            lines.extend(self.last_line());
            (self.file, self.position) = (file, 0);
        }
        Ok(lines)
    }

    /// The line whose end is missing, at the end of everything.
    pub(super) fn last_line(&mut self) -> Option<Vec<u8>> {
        Some(std::mem::take(&mut self.open)).filter(|line| !line.is_empty())
    }

    fn split(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut lines = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.open.extend_from_slice(piece);
            if self.open.last() == Some(&b'\n') || self.open.len() > LONGEST {
                let mut line = std::mem::take(&mut self.open);
                if line.last() == Some(&b'\n') {
                    line.pop();
                }
                lines.push(line);
            }
        }
        lines
    }

    /// Whether another file has this name now. None has it for a moment while it is rotated.
    fn is_replaced(&self) -> bool {
        let here = self.file.metadata().map(|file| (file.dev(), file.ino()));
        let there = fs_err::metadata(&self.path).map(|file| (file.dev(), file.ino()));
        here.ok().zip(there.ok()).is_some_and(|(here, there)| here != there)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::Tail;

    fn text(lines: Vec<Vec<u8>>) -> Vec<String> {
        lines.into_iter().map(|line| String::from_utf8(line).expect("UTF-8")).collect()
    }

    #[test]
    fn growth_truncation_and_rotation_are_followed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("train.log");
        fs_err::write(&path, "one\ntw").expect("written");
        let mut tail = Tail::open(&path).expect("open");
        let mut next = || text(tail.lines().expect("read"));
        assert_eq!(next(), ["one"]);
        let mut file = fs_err::OpenOptions::new().append(true).open(&path).expect("open");
        file.write_all(b"o\nthree\n").expect("written");
        assert_eq!(next(), ["two", "three"]);
        assert_eq!(next(), [""; 0]);
        fs_err::write(&path, "four\n").expect("truncated and written anew");
        assert_eq!(next(), ["four"]);
        fs_err::write(&path, "four\nfive without an end").expect("written");
        assert_eq!(next(), [""; 0]);
        fs_err::rename(&path, folder.path().join("train.log.1")).expect("moved");
        assert_eq!(next(), [""; 0], "nothing has the name for a moment");
        fs_err::write(&path, "six\n").expect("another file");
        assert_eq!(next(), ["five without an end"]);
        assert_eq!(next(), ["six"]);
    }
}
