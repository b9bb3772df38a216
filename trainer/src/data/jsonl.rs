//! Text, one JSON object a line with a `text`, as `.jsonl` or `.jsonl.zst`: how it becomes tokens.

use std::borrow::Cow;
use std::path::Path;

use rayon::prelude::*;
use sekisho_domain::Sha256;
use sekisho_model::Tokenizer;
use serde::Deserialize;

use super::DataError;
use super::lines::{Block, Lines};
use super::writer::{PairWriter, Refused};

/// How text becomes tokens.
pub(super) struct Text<'a> {
    tokenizer: &'a Tokenizer,
    pub(super) bos: Option<u32>,
    pub(super) eos: u32,
}

impl<'a> Text<'a> {
    /// Documents get BOS where the tokenizer puts it in front by itself, and always EOS.
    pub(super) fn new(tokenizer: &'a Tokenizer) -> Result<Self, DataError> {
        let bos = tokenizer.bos().filter(|_| tokenizer.adds_bos());
        Ok(Self { tokenizer, bos, eos: tokenizer.eos().ok_or(DataError::NoEos)? })
    }

    /// SHA-256 of the tokenizer.
    pub(super) fn digest(&self) -> Sha256 {
        self.tokenizer.digest()
    }

    /// Whether 16 bits hold every id of a vocabulary without gaps.
    pub(super) fn is_narrow(&self) -> bool {
        self.tokenizer.vocab_size() <= 1 << 16
    }

    fn encode(&self, text: &str) -> Result<Vec<u32>, sekisho_model::TokenizerError> {
        let mut tokens = self.tokenizer.encode(text, false)?;
        if let Some(bos) = self.bos {
            tokens.insert(0, bos);
        }
        tokens.push(self.eos);
        Ok(tokens)
    }

    /// The tokens of a line.
    pub(super) fn document(&self, file: &Path, number: usize, line: &[u8]) -> Result<Vec<u32>, DataError> {
        let wrong = |reason: String| DataError::Line { file: file.to_owned(), line: number, reason };
        let text = text_of(file, number, line)?;
        if text.is_empty() {
            // It would teach that a text ends where it begins.
            return Err(wrong("its \"text\" is empty".to_owned()));
        }
        self.encode(&text).map_err(|error| wrong(error.to_string()))
    }
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    text: Option<Cow<'a, str>>,
}

/// The text in a line of a file; lines are numbered from 1 in errors.
pub(super) fn text_of<'l>(file: &Path, number: usize, line: &'l [u8]) -> Result<Cow<'l, str>, DataError> {
    let wrong = |reason: String| DataError::Line { file: file.to_owned(), line: number, reason };
    // The whole line, and not only what is read of it: what follows a broken text is often broken too.
    let line = std::str::from_utf8(line)
        .map_err(|error| wrong(format!("it is not UTF-8 from its byte {} on", error.valid_up_to() + 1)))?;
    let line: Line<'_> = serde_json::from_str(line).map_err(|error| wrong(error.to_string()))?;
    line.text.ok_or_else(|| wrong("there is no \"text\"".to_owned()))
}

/// Why a file was not tokenised.
pub(super) enum Stop {
    /// The text cannot be used.
    Input(DataError),
    /// The tokens cannot be written, or not in so few bits.
    Output(Refused),
}

impl From<DataError> for Stop {
    fn from(error: DataError) -> Self {
        Self::Input(error)
    }
}

/// Tokenises a file: a block of lines on all threads while the next is read. `told` hears how many bytes of how many are done. Gives the
/// SHA-256 of the file as it is stored.
pub(super) fn tokenise(
    path: &Path,
    text: &Text<'_>,
    to: &mut PairWriter,
    told: &mut dyn FnMut(u64, u64),
) -> Result<Sha256, Stop> {
    let size = (rayon::current_num_threads() as u64 * (1 << 20)).clamp(4 << 20, 64 << 20);
    let mut lines = Lines::open(path)?;
    let mut block = lines.block(size)?;
    while let Some(present) = block {
        let (documents, next) = rayon::join(|| encode(path, text, &present), || lines.block(size));
        for document in documents {
            // The first wrong line is the one to name, whichever thread was quicker.
            to.document(&document?).map_err(Stop::Output)?;
        }
        told(lines.consumed(), lines.size());
        block = next?;
    }
    Ok(lines.sha256())
}

/// The documents of a block on all threads, in order.
pub(super) fn encode(path: &Path, text: &Text<'_>, block: &Block) -> Vec<Result<Vec<u32>, DataError>> {
    let lines = block.lines();
    lines.into_par_iter().map(|(number, line)| text.document(path, number, line)).collect()
}
