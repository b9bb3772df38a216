use std::path::Path;

use super::lines::Lines;
use super::{DataError, jsonl};

/// Documents of a `.jsonl` or `.jsonl.zst` file, one after the other, as text: what training would tokenise, without a tokenizer and
/// without the whole file in memory.
pub struct Texts(Lines);

impl Texts {
    /// Opens a file.
    ///
    /// # Errors
    /// [`DataError`] for a path that is neither, and for a file that cannot be read.
    pub fn open(path: &Path) -> Result<Self, DataError> {
        Lines::open(path).map(Self)
    }

    /// Bytes of the stored file that were read so far.
    #[must_use]
    pub fn consumed(&self) -> u64 {
        self.0.consumed()
    }
}

impl Iterator for Texts {
    type Item = Result<String, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        let line = self.0.line().transpose()?;
        Some(line.and_then(|(number, line)| Ok(jsonl::text_of(self.0.path(), number, &line)?.into_owned())))
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
