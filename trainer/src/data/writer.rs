//! A Megatron pair, written one document after another: the form that tokenised text is kept in.

use std::io;
use std::path::Path;

use sekisho_domain::Sha256;
use sha2::Digest as _;

use super::DataError;
use super::indexed::{Element, HEADER, Indexed, MAGIC, Pair};
use super::store::{Growing, Store};

/// Lengths that are turned into places at a time.
const CHUNK: u64 = 1 << 16;

/// A `.bin` and an `.idx` while they grow. Lengths go where the `.idx` has them in the end, so that memory does not grow with the corpus.
pub(super) struct PairWriter {
    bin: Growing,
    idx: Growing,
    element: Element,
    documents: u64,
    tokens: u64,
    hasher: sha2::Sha256,
    bytes: Vec<u8>,
}

/// A finished pair.
pub(super) struct Written {
    pub(super) bin: Store,
    pub(super) idx: Store,
    pub(super) bin_sha256: Sha256,
    pub(super) idx_sha256: Sha256,
    pub(super) documents: u64,
    pub(super) tokens: u64,
}

impl Written {
    /// The pair, opened; `name` is for messages.
    pub(super) fn open(self, name: &Path) -> Result<Indexed, DataError> {
        let pair = Pair::open((self.bin, name), (self.idx, name))?;
        let places = pair.scan()?;
        Ok(Indexed::new(pair, places))
    }
}

/// Why a document could not be added.
#[derive(Debug)]
pub(super) enum Refused {
    /// The system's.
    Io(io::Error),
    /// A token id that the element type cannot hold.
    Wide,
}

impl PairWriter {
    /// `element` is u16 or i32.
    pub(super) fn new(bin: Growing, mut idx: Growing, element: Element) -> io::Result<Self> {
        idx.append(&header(element, 0))?;
        let hasher = sha2::Sha256::new();
        Ok(Self { bin, idx, element, documents: 0, tokens: 0, hasher, bytes: Vec::new() })
    }

    /// Adds a document of at most 2³¹ tokens.
    pub(super) fn document(&mut self, tokens: &[u32]) -> Result<(), Refused> {
        self.bytes.clear();
        match self.element {
            Element::U16 => {
                if tokens.iter().any(|id| *id > u32::from(u16::MAX)) {
                    return Err(Refused::Wide);
                }
                self.bytes.extend(tokens.iter().flat_map(|id| (*id as u16).to_le_bytes()));
            }
            _ => self.bytes.extend(tokens.iter().flat_map(|id| id.to_le_bytes())),
        }
        self.hasher.update(&self.bytes);
        self.bin.append(&self.bytes).map_err(Refused::Io)?;
        self.idx.append(&(tokens.len() as u32).to_le_bytes()).map_err(Refused::Io)?;
        self.documents += 1;
        self.tokens += tokens.len() as u64;
        Ok(())
    }

    /// Writes where the documents begin, and the numbers in the header.
    pub(super) fn finish(mut self) -> io::Result<Written> {
        let mut place = 0_u64;
        for first in (0..self.documents).step_by(CHUNK as usize) {
            let mut lengths = vec![0; 4 * CHUNK.min(self.documents - first) as usize];
            self.idx.read_exact_at(&mut lengths, HEADER + 4 * first)?;
            for length in lengths.as_chunks().0 {
                self.idx.append(&place.to_le_bytes())?;
                place += u64::from(u32::from_le_bytes(*length)) * self.element.size();
            }
        }
        for document in 0..=self.documents {
            self.idx.append(&document.to_le_bytes())?;
        }
        self.idx.overwrite(&header(self.element, self.documents), 0)?;
        let (bin, idx) = (self.bin.finish()?, self.idx.finish()?);
        Ok(Written {
            bin_sha256: Sha256::from_bytes(self.hasher.finalize().into()),
            idx_sha256: digest(&idx)?,
            bin,
            idx,
            documents: self.documents,
            tokens: self.tokens,
        })
    }
}

fn header(element: Element, documents: u64) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(1_u64.to_le_bytes());
    bytes.push(element.code());
    bytes.extend(documents.to_le_bytes());
    bytes.extend((documents + 1).to_le_bytes());
    bytes
}

/// SHA-256 of all of it.
pub(super) fn digest(store: &Store) -> io::Result<Sha256> {
    let (mut hasher, size, mut at) = (sha2::Sha256::new(), store.len()?, 0);
    let mut buffer = vec![0; 1 << 20];
    while at < size {
        let part = buffer.len().min(usize::try_from(size - at).unwrap_or(usize::MAX));
        store.read_exact_at(&mut buffer[..part], at)?;
        hasher.update(&buffer[..part]);
        at += part as u64;
    }
    Ok(Sha256::from_bytes(hasher.finalize().into()))
}

/// A corpus in memory.
#[cfg(test)]
pub(super) fn in_memory(documents: &[Vec<u32>]) -> Indexed {
    let memory = || Growing::Memory(Vec::new());
    let mut pair = PairWriter::new(memory(), memory(), Element::I32).expect("a pair");
    documents.iter().for_each(|document| pair.document(document).expect("a document"));
    pair.finish().expect("a pair").open(Path::new("made-up")).expect("within its tokens")
}
