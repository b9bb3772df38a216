//! One pass over a shard: its bytes are read once, hashed twice (the file and each tensor) and looked at.
//!
//! The two hashes run one behind the other by their nature, so they are what a second core is for; the values are looked at in parts by
//! whoever has nothing else to do.

use rayon::prelude::*;
use sekisho_domain::Sha256;
use sekisho_domain::manifest::FileEntry;
use sha2::Digest as _;

use crate::Refusal;
use crate::folder::{Opened, Shard};
use crate::header::TensorEntry;
use crate::inspect::TensorInfo;
use crate::moments::{Accumulator, PART};

/// How a shard is read.
pub(crate) type Read = fn(&Shard) -> Result<(FileEntry, Vec<TensorInfo>), Refusal>;

/// Bytes that are worked on at a time: parts enough for several threads.
const WINDOW: usize = 8 * PART;

/// What is known of a tensor so far.
struct Seen {
    hasher: sha2::Sha256,
    values: Accumulator,
}

impl Seen {
    fn of(entry: &TensorEntry) -> Self {
        Self { hasher: sha2::Sha256::new(), values: Accumulator::new(entry.dtype) }
    }

    fn finish(self, entry: &TensorEntry) -> TensorInfo {
        TensorInfo {
            name: entry.name.clone(),
            dtype: entry.dtype,
            shape: entry.shape.clone(),
            sha256: Sha256::from_bytes(self.hasher.finalize().into()),
            moments: self.values.finish(),
        }
    }
}

/// A part of a tensor, in a file.
struct Piece {
    tensor: usize,
    at: u64,
    length: usize,
}

/// The parts of all tensors in the order of their bytes. The header's rules guarantee that they follow each other without a gap and
/// are, with the header, the whole file.
fn pieces(tensors: &[TensorEntry]) -> Vec<Piece> {
    let parts = |(tensor, entry): (usize, &TensorEntry)| {
        let (begin, end) = (entry.begin, entry.begin + entry.size);
        (begin..end).step_by(PART).map(move |at| Piece {
            tensor,
            at,
            length: usize::try_from(end - at).map_or(PART, |rest| rest.min(PART)),
        })
    };
    tensors.iter().enumerate().flat_map(parts).collect()
}

/// Neighbouring parts that are worked on together.
fn windows(mut pieces: &[Piece]) -> Vec<&[Piece]> {
    let mut windows = Vec::new();
    while !pieces.is_empty() {
        let mut bytes = 0;
        let fits = |piece: &&Piece| {
            bytes += piece.length;
            bytes <= WINDOW
        };
        let (window, rest) = pieces.split_at(pieces.iter().take_while(fits).count());
        windows.push(window);
        pieces = rest;
    }
    windows
}

/// Reads a shard with as many threads as there are.
pub(crate) fn read(shard: &Shard) -> Result<(FileEntry, Vec<TensorInfo>), Refusal> {
    let (opened, tensors) = (&shard.opened, &shard.header.tensors);
    let mut whole = hash_header(shard)?;
    let mut seen: Vec<Seen> = tensors.iter().map(Seen::of).collect();
    let pieces = pieces(tensors);
    let windows = windows(&pieces);
    let (mut bytes, mut ahead) = (Vec::new(), Vec::new());
    if let Some(first) = windows.first() {
        fill(opened, first, &mut bytes)?;
    }
    for (i, window) in windows.iter().enumerate() {
        let (there, next, seen) = (&bytes[..], &mut ahead, &mut seen);
        let read_ahead = || windows.get(i + 1).map_or(Ok(()), |following| fill(opened, following, next));
        let look = || {
            let part =
                |piece: &Piece| Accumulator::of(tensors[piece.tensor].dtype, within(window, piece, there));
            window.par_iter().map(part).collect::<Vec<_>>()
        };
        let hash = || {
            for piece in *window {
                seen[piece.tensor].hasher.update(within(window, piece, there));
            }
        };
        let ((), ((), (read, parts))) =
            rayon::join(|| whole.update(there), || rayon::join(hash, || rayon::join(read_ahead, look)));
        for (piece, part) in window.iter().zip(&parts) {
            seen[piece.tensor].values.absorb(part);
        }
        read?;
        std::mem::swap(&mut bytes, &mut ahead);
    }
    let tensors = seen.into_iter().zip(tensors).map(|(seen, entry)| seen.finish(entry)).collect();
    Ok((opened.entry(whole)?, tensors))
}

fn fill(opened: &Opened, window: &[Piece], bytes: &mut Vec<u8>) -> Result<(), Refusal> {
    bytes.resize(window.iter().map(|piece| piece.length).sum(), 0);
    opened.read_at(window[0].at, bytes)
}

/// The bytes of a piece, of those of its window.
fn within<'a>(window: &[Piece], piece: &Piece, bytes: &'a [u8]) -> &'a [u8] {
    let from = usize::try_from(piece.at - window[0].at).expect("a window fits into memory");
    &bytes[from..from + piece.length]
}

/// Reads a shard one part after the other.
pub(crate) fn read_plainly(shard: &Shard) -> Result<(FileEntry, Vec<TensorInfo>), Refusal> {
    let (opened, tensors) = (&shard.opened, &shard.header.tensors);
    let mut whole = hash_header(shard)?;
    let mut seen: Vec<Seen> = tensors.iter().map(Seen::of).collect();
    let mut bytes = Vec::new();
    for piece in pieces(tensors) {
        fill(opened, std::slice::from_ref(&piece), &mut bytes)?;
        whole.update(&bytes);
        let tensor = &mut seen[piece.tensor];
        tensor.hasher.update(&bytes);
        tensor.values.absorb(&Accumulator::of(tensors[piece.tensor].dtype, &bytes));
    }
    let tensors = seen.into_iter().zip(tensors).map(|(seen, entry)| seen.finish(entry)).collect();
    Ok((opened.entry(whole)?, tensors))
}

/// The file's hash as it begins, with the header.
fn hash_header(shard: &Shard) -> Result<sha2::Sha256, Refusal> {
    let mut header = vec![0; usize::try_from(shard.header.data_start).expect("headers are short")];
    shard.opened.read_at(0, &mut header)?;
    Ok(sha2::Sha256::new_with_prefix(header))
}
