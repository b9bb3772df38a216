//! Text, one JSON object a line with a `text`, as `.jsonl` or `.jsonl.zst`.

use std::borrow::Cow;
use std::io::Read;
use std::path::Path;

use rayon::prelude::*;
use sekisho_domain::Sha256;
use sekisho_model::Tokenizer;
use serde::Deserialize;

use super::DataError;

/// How text becomes tokens.
pub(super) struct Text<'a> {
    tokenizer: &'a Tokenizer,
    bos: Option<u32>,
    eos: u32,
}

impl<'a> Text<'a> {
    /// Documents get BOS where the tokenizer puts it in front by itself, and always EOS.
    pub(super) fn new(tokenizer: &'a Tokenizer) -> Result<Self, DataError> {
        let bos = tokenizer.bos().filter(|_| tokenizer.adds_bos());
        Ok(Self { tokenizer, bos, eos: tokenizer.eos().ok_or(DataError::NoEos)? })
    }

    fn encode(&self, text: &str) -> Result<Vec<u32>, sekisho_model::TokenizerError> {
        let tokens = self.tokenizer.encode(text, false)?;
        Ok(self.bos.into_iter().chain(tokens).chain([self.eos]).collect())
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
    let line: Line<'_> = serde_json::from_slice(line).map_err(|error| wrong(error.to_string()))?;
    line.text.ok_or_else(|| wrong("there is no \"text\"".to_owned()))
}

/// The documents of a file as token ids, and the SHA-256 of the file as it is stored.
pub(super) fn read(path: &Path, text: &Text<'_>) -> Result<(Vec<Vec<u32>>, Sha256), DataError> {
    let stored = fs_err::read(path)?;
    let sha256 = Sha256::of(&stored);
    let bytes =
        if path.extension().is_some_and(|e| e == "zst") { decompress(path, &stored)? } else { stored };
    let lines: Vec<(usize, &[u8])> = bytes
        .split(|byte| *byte == b'\n')
        .enumerate()
        .filter(|(_, line)| !line.trim_ascii().is_empty())
        .collect();
    let documents = lines
        .into_par_iter()
        .map(|(number, line)| {
            let wrong = |reason: String| DataError::Line { file: path.to_owned(), line: number + 1, reason };
            let document = text_of(path, number + 1, line)?;
            if document.is_empty() {
                // It would teach that a text ends where it begins.
                return Err(wrong("its \"text\" is empty".to_owned()));
            }
            text.encode(&document).map_err(|error| wrong(error.to_string()))
        })
        .collect::<Result<_, _>>()?;
    Ok((documents, sha256))
}

fn decompress(path: &Path, stored: &[u8]) -> Result<Vec<u8>, DataError> {
    let mut bytes = Vec::new();
    zstd::Decoder::new(stored)
        .and_then(|mut decoder| decoder.read_to_end(&mut bytes))
        .map_err(|error| DataError::Compressed { file: path.to_owned(), reason: error.to_string() })?;
    Ok(bytes)
}
