//! How much a corpus holds, for who wants to know before there is a run.

use sekisho_model::Tokenizer;

use super::DataError;
use super::cache::Cache;
use super::corpus;
use super::jsonl::{Text, encode};
use super::lines::Lines;
use crate::spec::Mix;

/// Documents and tokens of a corpus.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Size {
    pub(crate) documents: f64,
    pub(crate) tokens: f64,
    /// Counted, and not reckoned from a part.
    pub(crate) is_exact: bool,
}

/// Looks at an index or at what the cache has; of a text that it does not know, at the first few megabytes. Nothing large is read.
pub(crate) fn size(mix: &Mix, tokenizer: Option<&Tokenizer>, cache: &Cache) -> Result<Size, DataError> {
    if let [bin, idx] = corpus::paths(mix)?.as_slice() {
        let pair = corpus::pair(bin, idx)?;
        let places = match cache.known(idx) {
            Some(sha256) => cache.places(&pair, sha256)?,
            None => pair.scan()?,
        };
        return Ok(exact(places.documents, places.tokens));
    }
    let tokenizer = tokenizer.ok_or_else(|| DataError::NoTokenizer { file: mix.path.clone() })?;
    let text = Text::new(tokenizer)?;
    let stored = match cache.known(&mix.path) {
        Some(sha256) => cache.find(sha256, &text)?,
        None => None,
    };
    match stored {
        Some(stored) => Ok(exact(stored.documents(), stored.tokens())),
        None => sampled(mix, &text),
    }
}

fn exact(documents: u64, tokens: u64) -> Size {
    Size { documents: documents as f64, tokens: tokens as f64, is_exact: true }
}

/// The beginning of a text, and the rest as if it were the same.
fn sampled(mix: &Mix, text: &Text<'_>) -> Result<Size, DataError> {
    const SAMPLE: u64 = 4 << 20;
    let mut lines = Lines::open(&mix.path)?;
    let Some(block) = lines.block(SAMPLE)? else { return Ok(exact(0, 0)) };
    let (mut documents, mut tokens) = (0, 0);
    for document in encode(&mix.path, text, &block) {
        documents += 1;
        tokens += document?.len() as u64;
    }
    let read = lines.consumed();
    if lines.block(1)?.is_none() {
        return Ok(exact(documents, tokens));
    }
    let all = lines.size() as f64 / read.max(1) as f64;
    Ok(Size { documents: documents as f64 * all, tokens: tokens as f64 * all, is_exact: false })
}
