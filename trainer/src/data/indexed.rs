//! Megatron-LM's indexed dataset: `.idx` with lengths and places, `.bin` with tokens
//! (`megatron/core/datasets/indexed_dataset.py`). Tokens are taken as they are, and read where they are asked for: nothing here grows with
//! the corpus.

use std::path::{Path, PathBuf};

use super::places::Places;
use super::store::Store;
use super::{DataError, Span};

pub(super) const MAGIC: &[u8] = b"MMIDIDX\0\0";
/// Magic, version, element type, number of sequences, number of documents.
pub(super) const HEADER: u64 = 9 + 8 + 1 + 8 + 8;
/// Lengths or places that a scan holds at a time.
const CHUNK: usize = 1 << 16;

/// Type of a stored token id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Element {
    U8,
    U16,
    I32,
    I64,
}

impl Element {
    fn of_code(code: u8) -> Option<Self> {
        [Self::U8, Self::U16, Self::I32, Self::I64].into_iter().find(|element| element.code() == code)
    }

    /// Its number in the header.
    pub(super) const fn code(self) -> u8 {
        match self {
            Self::U8 => 1,
            Self::I32 => 4,
            Self::I64 => 5,
            Self::U16 => 8,
        }
    }

    pub(super) const fn size(self) -> u64 {
        match self {
            Self::U8 => 1,
            Self::U16 => 2,
            Self::I32 => 4,
            Self::I64 => 8,
        }
    }

    /// Appends the ids in these bytes; tells the first of them that is negative or above 32 bits.
    fn decode(self, bytes: &[u8], out: &mut Vec<u32>) -> Result<(), usize> {
        match self {
            Self::U8 => out.extend(bytes.iter().map(|id| u32::from(*id))),
            Self::U16 => {
                out.extend(bytes.as_chunks().0.iter().map(|b| u32::from(u16::from_le_bytes(*b))));
            }
            Self::I32 => {
                let before = out.len();
                out.extend(bytes.as_chunks().0.iter().map(|b| u32::from_le_bytes(*b)));
                let is_negative = |id: &u32| *id > i32::MAX as u32;
                return out[before..].iter().position(is_negative).map_or(Ok(()), Err);
            }
            Self::I64 => {
                for (number, bytes) in bytes.as_chunks().0.iter().enumerate() {
                    out.push(u32::try_from(i64::from_le_bytes(*bytes)).map_err(|_| number)?);
                }
            }
        }
        Ok(())
    }
}

/// An open `.bin` with its index, of which the header was read.
pub(super) struct Pair {
    bin: Store,
    idx: Store,
    bin_path: PathBuf,
    idx_path: PathBuf,
    element: Element,
    sequences: u64,
}

impl Pair {
    /// Opens both; the paths are for messages.
    pub(super) fn open(
        (bin, bin_path): (Store, &Path),
        (idx, idx_path): (Store, &Path),
    ) -> Result<Self, DataError> {
        let wrong = |reason: String| DataError::Index { file: idx_path.to_owned(), reason };
        let mut header = [0; HEADER as usize];
        if idx.len()? < HEADER {
            return Err(wrong("it does not begin with MMIDIDX".to_owned()));
        }
        idx.read_exact_at(&mut header, 0)?;
        if &header[..9] != MAGIC {
            return Err(wrong("it does not begin with MMIDIDX".to_owned()));
        }
        let number = |at: usize| u64::from_le_bytes(header[at..at + 8].try_into().expect("eight bytes"));
        if number(9) != 1 {
            return Err(wrong(format!("its version is {}, not 1", number(9))));
        }
        let element = Element::of_code(header[17]).ok_or_else(|| {
            wrong(format!("its element type {} is not one of token ids (u8, u16, i32, i64)", header[17]))
        })?;
        let (sequences, size) = (number(18), idx.len()?);
        if sequences.checked_mul(12).and_then(|n| n.checked_add(HEADER)).is_none_or(|end| end > size) {
            return Err(wrong(format!("it is too short for {sequences} sequences")));
        }
        let (bin_path, idx_path) = (bin_path.to_owned(), idx_path.to_owned());
        Ok(Self { bin, idx, bin_path, idx_path, element, sequences })
    }

    /// Documents.
    pub(super) fn sequences(&self) -> u64 {
        self.sequences
    }

    /// Bytes of the `.bin`.
    pub(super) fn bin_size(&self) -> std::io::Result<u64> {
        self.bin.len()
    }

    /// Reads the whole index once: adds up the lengths and checks that every sequence lies within the `.bin`.
    pub(super) fn scan(&self) -> Result<Places, DataError> {
        let size = self.bin.len()?;
        let mut places = Places::new(self.sequences);
        for first in (0..self.sequences).step_by(CHUNK) {
            let count = CHUNK.min((self.sequences - first) as usize);
            let (lengths, begins) = (self.lengths(first, count)?, self.begins(first, count)?);
            for (number, (length, begin)) in (first..).zip(lengths.iter().zip(begins)) {
                if begin.saturating_add(u64::from(*length) * self.element.size()) > size {
                    let bin = self.bin_path.display();
                    let reason = format!("sequence {number} ends beyond {bin} ({size} bytes)");
                    return Err(DataError::Index { file: self.idx_path.clone(), reason });
                }
                places.add(number, *length);
            }
        }
        Ok(places)
    }

    /// Tokens of `count` sequences from `first` on.
    fn lengths(&self, first: u64, count: usize) -> std::io::Result<Vec<u32>> {
        let mut bytes = vec![0; 4 * count];
        self.idx.read_exact_at(&mut bytes, HEADER + 4 * first)?;
        Ok(bytes.as_chunks().0.iter().map(|b| u32::from_le_bytes(*b)).collect())
    }

    /// Where they begin in the `.bin`.
    fn begins(&self, first: u64, count: usize) -> std::io::Result<Vec<u64>> {
        let mut bytes = vec![0; 8 * count];
        self.idx.read_exact_at(&mut bytes, HEADER + 4 * self.sequences + 8 * first)?;
        Ok(bytes.as_chunks().0.iter().map(|b| u64::from_le_bytes(*b)).collect())
    }
}

/// Documents of token ids in a file, read by position.
pub(super) struct Indexed {
    pair: Pair,
    places: Places,
}

impl Indexed {
    /// `places` are those that [`Pair::scan`] makes of the pair.
    pub(super) fn new(pair: Pair, places: Places) -> Self {
        Self { pair, places }
    }

    pub(super) fn documents(&self) -> u64 {
        self.places.documents
    }

    pub(super) fn tokens(&self) -> u64 {
        self.places.tokens
    }

    /// Tokens of one document.
    pub(super) fn length(&self, document: u64) -> Result<usize, DataError> {
        Ok(self.pair.lengths(document, 1)?[0] as usize)
    }

    /// Tokens of every document: only for an order that shuffles them.
    pub(super) fn lengths(&self) -> Result<Vec<u32>, DataError> {
        let count = usize::try_from(self.documents()).expect("a table that fits into memory");
        let mut all = Vec::with_capacity(count);
        for first in (0..count).step_by(CHUNK) {
            all.extend(self.pair.lengths(first as u64, CHUNK.min(count - first))?);
        }
        Ok(all)
    }

    /// The pieces under tokens `start..start + count` of all documents one after another.
    pub(super) fn cut(&self, start: u64, count: usize) -> Result<Vec<Span>, DataError> {
        const AT_ONCE: u64 = 64;
        let end = start + count as u64;
        let (mut document, mut begin) = self.places.near(start);
        let mut spans = Vec::new();
        while begin < end && document < self.documents() {
            let ahead = AT_ONCE.min(self.documents() - document);
            for length in self.pair.lengths(document, ahead as usize)? {
                let next = begin + u64::from(length);
                if start.max(begin) < end.min(next) {
                    spans.push(Span {
                        document: document as usize,
                        from: (start.max(begin) - begin) as usize,
                        to: (end.min(next) - begin) as usize,
                    });
                }
                (document, begin) = (document + 1, next);
            }
        }
        Ok(spans)
    }

    /// Appends the tokens of pieces of documents. What lies together in the file is read at once.
    pub(super) fn read(&self, spans: &[Span], out: &mut Vec<u32>) -> Result<(), DataError> {
        let size = self.pair.element.size();
        let mut bytes = Vec::new();
        for spans in spans.chunk_by(|a, b| b.document == a.document + 1) {
            let begins = self.pair.begins(spans[0].document as u64, spans.len())?;
            let places: Vec<(u64, u64)> = spans
                .iter()
                .zip(begins)
                .map(|(span, begin)| (begin + span.from as u64 * size, begin + span.to as u64 * size))
                .collect();
            let mut done = 0;
            for together in places.chunk_by(|a, b| a.1 == b.0) {
                let (from, to) = (together[0].0, together[together.len() - 1].1);
                let part = &spans[done..done + together.len()];
                done += together.len();
                bytes.resize((to - from) as usize, 0);
                self.pair
                    .bin
                    .read_exact_at(&mut bytes, from)
                    .map_err(|error| self.wrong(error.to_string()))?;
                self.pair.element.decode(&bytes, out).map_err(|token| {
                    let document = Span::holding(part, token).document;
                    self.wrong(format!(
                        "sequence {document} holds a token id that is negative or above 32 bits"
                    ))
                })?;
            }
        }
        Ok(())
    }

    fn wrong(&self, reason: String) -> DataError {
        DataError::Index { file: self.pair.bin_path.clone(), reason }
    }
}
