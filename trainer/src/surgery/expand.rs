use std::path::Path;

use sekisho_domain::Sha256;
use sekisho_model::Tokenizer;
use sekisho_weights::{Checkpoint, weights_digest};
use serde::Serialize;

use super::rewrite::{self, Sources};
use super::{EMBEDDING, HEAD, SurgeryError};

/// What expanding did.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Expanded {
    /// Tokens that keep their rows, bit for bit.
    pub kept: usize,
    /// Tokens that got a row.
    pub added: usize,
    /// Of these, tokens that the old tokenizer cannot write: they have the mean of all old rows.
    pub without_pieces: usize,
    /// Rows at the end that stand for no token.
    pub padding: usize,
    /// Digest of the new weights.
    pub weights: Sha256,
}

/// Gives a model the rows of a tokenizer that extends its own. The row of a new token, in the table and in the output layer, is the mean of the
/// rows of the pieces that the old tokenizer makes of its text (Swallow, arXiv 2404.17790 §3.2), made in f64 and rounded once. Rows of old
/// tokens stay as they are, so the model says the same of text without new ones.
///
/// `multiple` pads the number of rows; rows for no token have the mean of all.
///
/// # Errors
/// [`SurgeryError`]: a tokenizer that moves an old token, or adds none.
pub fn expand(from: &Path, tokenizer: &Path, multiple: usize, to: &Path) -> Result<Expanded, SurgeryError> {
    let checkpoint = rewrite::open(from)?;
    let (old, new) = (Tokenizer::load(from)?, Tokenizer::load(tokenizer)?);
    let kept = old.vocab_size();
    let had = checkpoint.config().vocab_size;
    if kept > had {
        return Err(SurgeryError::Rows { tokens: kept, rows: had });
    }
    let tokens = extended(&old, &new)?;
    let rows = tokens.next_multiple_of(multiple.max(1)).max(had);
    let pieces: Vec<Vec<u32>> =
        (kept..tokens).map(|id| pieces(&old, &new, id as u32)).collect::<Result<_, SurgeryError>>()?;
    let mut json = rewrite::config_of(from)?;
    json["vocab_size"] = rows.into();
    let mut tensors = rewrite::tensors(&checkpoint)?;
    for tensor in tensors.iter_mut().filter(|tensor| is_by_token(&tensor.name)) {
        tensor.shape[0] = rows;
    }
    let sources = Sources { folder: from, models: &[from], tokenizer: Some(tokenizer), config: Some(&json) };
    rewrite::write(to, &sources, tensors, &mut |tensor| {
        let values = checkpoint.tensor_f32(&tensor.name).map_err(SurgeryError::weights(from))?;
        Ok(if is_by_token(&tensor.name) {
            grown(&values, width(&checkpoint), kept, &pieces, rows)
        } else {
            values
        })
    })?;
    Ok(Expanded {
        kept,
        added: tokens - kept,
        without_pieces: pieces.iter().filter(|pieces| pieces.is_empty()).count(),
        padding: rows - tokens,
        weights: weights_digest(to).map_err(SurgeryError::weights(to))?,
    })
}

fn is_by_token(name: &str) -> bool {
    name == EMBEDDING || name == HEAD
}

fn width(checkpoint: &Checkpoint) -> usize {
    checkpoint.config().hidden_size
}

/// Tokens of the new tokenizer, which has every old one at its place.
fn extended(old: &Tokenizer, new: &Tokenizer) -> Result<usize, SurgeryError> {
    let (kept, tokens) = (old.vocab_size(), new.vocab_size());
    for id in 0..kept as u32 {
        let (before, now) = (old.piece(id), new.piece(id));
        if before != now {
            let text = |piece: Option<String>| piece.unwrap_or_default();
            return Err(SurgeryError::NotExtended { id, old: text(before), new: text(now) });
        }
    }
    if tokens <= kept {
        return Err(SurgeryError::NothingNew { new: tokens, old: kept });
    }
    Ok(tokens)
}

/// What the old tokenizer makes of a new token's text.
fn pieces(old: &Tokenizer, new: &Tokenizer, id: u32) -> Result<Vec<u32>, SurgeryError> {
    /// How SentencePiece writes a space.
    const SPACE: char = '\u{2581}';
    let Some(piece) = new.piece(id) else { return Ok(Vec::new()) };
    let begins =
        |ids: &[u32]| ids.first().and_then(|id| old.piece(*id)).is_some_and(|first| first.starts_with(SPACE));
    // A tokenizer that puts a space before every text: the piece has it already, or the lone space is not its own.
    if begins(&old.encode("a", false)?) {
        let (text, has_space) = match piece.strip_prefix(SPACE) {
            Some(rest) if !rest.is_empty() => (rest, true),
            _ => (piece.as_str(), false),
        };
        let mut ids = old.encode(&text.replace(SPACE, " "), false)?;
        let is_lone =
            ids.first().and_then(|id| old.piece(*id)).is_some_and(|first| first.chars().eq([SPACE]));
        if !has_space && is_lone && ids.len() > 1 {
            ids.remove(0);
        }
        return Ok(ids);
    }
    // What the decoder makes of it behind another token, which keeps the space that some decoders cut off a text's beginning.
    let anchor = old.encode("a", false)?;
    let whole = new.decode(&[anchor.as_slice(), &[id]].concat(), false)?;
    let before = new.decode(&anchor, false)?;
    let text = whole.strip_prefix(before.as_str()).unwrap_or(&whole);
    if text.is_empty() || text.contains(char::REPLACEMENT_CHARACTER) {
        return Ok(Vec::new());
    }
    Ok(old.encode(text, false)?)
}

/// A table of `rows` rows: the old ones, the means of pieces, and the mean of all for the rest.
fn grown(values: &[f32], width: usize, kept: usize, pieces: &[Vec<u32>], rows: usize) -> Vec<f32> {
    let row = |id: usize| &values[id * width..(id + 1) * width];
    let mean = |ids: &mut dyn Iterator<Item = usize>| {
        let (mut sum, mut n) = (vec![0.0_f64; width], 0_u64);
        for id in ids {
            sum.iter_mut().zip(row(id)).for_each(|(sum, value)| *sum += f64::from(*value));
            n += 1;
        }
        sum.into_iter().map(|sum| (sum / n.max(1) as f64) as f32).collect::<Vec<f32>>()
    };
    let all = mean(&mut (0..kept));
    let mut table = values[..kept * width].to_vec();
    for ids in pieces {
        table.extend(if ids.is_empty() { all.clone() } else { mean(&mut ids.iter().map(|id| *id as usize)) });
    }
    while table.len() < rows * width {
        table.extend_from_slice(&all);
    }
    table
}
