//! A checkpoint's tensors, whole, wherever their parts lie.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sekisho_weights::Dtype;

use crate::ConvertError;
use crate::file::DataFile;

/// Most parts of one tensor: every one is held against every other.
const MOST_CHUNKS: usize = 16_384;

/// Where the elements of a part lie.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) file: Arc<DataFile>,
    /// Byte of the first element.
    pub(crate) begin: u64,
    pub(crate) dtype: Dtype,
    /// Elements from one index to the next.
    pub(crate) strides: Vec<u64>,
}

/// A part of a tensor: a box of its indices.
#[derive(Clone, Debug)]
pub(crate) struct Chunk {
    pub(crate) begin: Vec<u64>,
    pub(crate) size: Vec<u64>,
    pub(crate) place: Place,
}

/// A whole tensor.
#[derive(Clone, Debug)]
pub(crate) struct Tensor {
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<u64>,
    chunks: Vec<Chunk>,
}

/// A checkpoint as it is read.
#[derive(Debug, Default)]
pub(crate) struct Source {
    /// How messages call it.
    pub(crate) name: String,
    /// By the names of the trainer, without what all of them begin with.
    pub(crate) tensors: BTreeMap<String, Tensor>,
    /// Tensors that are no weights of the model.
    pub(crate) left_out: BTreeSet<String>,
    /// Ranks whose gate and up projections lie one behind the other in each; 1 where they are whole already.
    pub(crate) gated_ranks: u64,
}

impl Tensor {
    /// A tensor of these parts, which must make up all of it, each element once.
    pub(crate) fn of(
        source: &str,
        name: &str,
        shape: Vec<u64>,
        chunks: Vec<Chunk>,
    ) -> Result<Self, ConvertError> {
        let wrong = |rule: String| Err(ConvertError::content(source, format!("tensor {name} {rule}")));
        let Some(first) = chunks.first() else { return wrong("has no parts".to_owned()) };
        let dtype = first.place.dtype;
        if chunks.len() > MOST_CHUNKS {
            return wrong(format!("has {} parts, more than {MOST_CHUNKS}", chunks.len()));
        }
        let mut covered = 0_u64;
        for chunk in &chunks {
            if chunk.place.dtype != dtype {
                return wrong(format!("is {dtype} in one part and {} in another", chunk.place.dtype));
            }
            let Some(elements) = chunk.elements_within(&shape) else {
                return wrong(format!("is {shape:?}, and a part of it lies outside: {chunk}"));
            };
            covered = covered.saturating_add(elements);
        }
        let whole = shape.iter().try_fold(1_u64, |product, size| product.checked_mul(*size));
        if whole != Some(covered)
            || chunks.iter().enumerate().any(|(i, a)| chunks[..i].iter().any(|b| a.meets(b)))
        {
            return wrong(format!(
                "is {shape:?}, and its {} parts do not make up all of it, each element once. A file of it may be missing",
                chunks.len()
            ));
        }
        Ok(Self { dtype, shape, chunks })
    }

    /// One tensor of one rank's after the other, along a dimension.
    pub(crate) fn joined(
        source: &str,
        name: &str,
        dimension: usize,
        parts: Vec<(Vec<u64>, Place)>,
    ) -> Result<Self, ConvertError> {
        let mut shape = parts.first().map(|(shape, _)| shape.clone()).unwrap_or_default();
        let mut at = 0;
        let mut chunks = Vec::new();
        for (size, place) in parts {
            let mut begin = vec![0; size.len()];
            if let (Some(begin), Some(size)) = (begin.get_mut(dimension), size.get(dimension)) {
                *begin = at;
                at = size.saturating_add(at);
            }
            chunks.push(Chunk { begin, size, place });
        }
        if let Some(whole) = shape.get_mut(dimension) {
            *whole = at;
        }
        Self::of(source, name, shape, chunks)
    }

    /// Names of the files that it lies in.
    pub(crate) fn files(&self) -> Vec<String> {
        let names: BTreeSet<&str> = self.chunks.iter().map(|chunk| chunk.place.file.name()).collect();
        names.into_iter().map(ToOwned::to_owned).collect()
    }

    /// How many parts it lies in.
    pub(crate) fn parts(&self) -> usize {
        self.chunks.len()
    }

    /// All its bytes, of a small tensor.
    pub(crate) fn all(&self) -> Result<Vec<u8>, ConvertError> {
        let size = self.shape.iter().product::<u64>() * self.dtype.bytes();
        let mut bytes = vec![0; usize::try_from(size).unwrap_or(usize::MAX)];
        self.read(&vec![0; self.shape.len()], &self.shape, &mut bytes)?;
        Ok(bytes)
    }

    /// The bytes of a box of its indices, row-major.
    pub(crate) fn read(&self, begin: &[u64], size: &[u64], out: &mut [u8]) -> Result<(), ConvertError> {
        self.chunks.iter().try_for_each(|chunk| chunk.copy(self.dtype, begin, size, out))
    }
}

impl std::fmt::Display for Chunk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} from {:?} on", self.size, self.begin)
    }
}

impl Chunk {
    /// Its elements, where all of them are within a tensor of this shape.
    fn elements_within(&self, shape: &[u64]) -> Option<u64> {
        let dimensions = [self.begin.len(), self.size.len(), self.place.strides.len()];
        if dimensions != [shape.len(); 3] {
            return None;
        }
        let inside = |i: usize| self.begin[i].checked_add(self.size[i]).is_some_and(|end| end <= shape[i]);
        if !(0..shape.len()).all(inside) {
            return None;
        }
        self.size.iter().try_fold(1_u64, |product, size| product.checked_mul(*size))
    }

    fn meets(&self, other: &Self) -> bool {
        (0..self.begin.len()).all(|i| {
            self.begin[i] < other.begin[i] + other.size[i] && other.begin[i] < self.begin[i] + self.size[i]
        })
    }

    /// Copies what it holds of a box of the tensor to its place in the box.
    fn copy(&self, dtype: Dtype, begin: &[u64], size: &[u64], out: &mut [u8]) -> Result<(), ConvertError> {
        let dimensions = begin.len();
        let low: Vec<u64> = (0..dimensions).map(|i| begin[i].max(self.begin[i])).collect();
        let high = (0..dimensions).map(|i| (begin[i] + size[i]).min(self.begin[i] + self.size[i]));
        let mut extent = Vec::with_capacity(dimensions);
        for (low, high) in low.iter().zip(high) {
            match high.checked_sub(*low) {
                None | Some(0) => return Ok(()),
                Some(count) => extent.push(count),
            }
        }
        let mut targets = vec![1; dimensions];
        for i in (1..dimensions).rev() {
            targets[i - 1] = targets[i] * size[i];
        }
        // As many of the last dimensions as lie in one row on both sides.
        let (mut inner, mut run) = (dimensions, 1);
        while let Some(i) = inner.checked_sub(1) {
            if extent[i] != 1 && (self.place.strides[i] != run || targets[i] != run) {
                break;
            }
            run *= extent[i];
            inner = i;
        }
        let bytes = dtype.bytes();
        let mut index = vec![0_u64; inner];
        loop {
            let place = |i: usize| index.get(i).copied().unwrap_or(0);
            let from: u64 =
                (0..dimensions).map(|i| (low[i] - self.begin[i] + place(i)) * self.place.strides[i]).sum();
            let to: u64 = (0..dimensions).map(|i| (low[i] - begin[i] + place(i)) * targets[i]).sum();
            let [to, length] = [to, run].map(|count| usize::try_from(count * bytes).unwrap_or(usize::MAX));
            let target = out.get_mut(to..).and_then(|out| out.get_mut(..length));
            let target = target.expect("a box's bytes have room for the box");
            self.place.file.read_at(self.place.begin + from * bytes, target)?;
            if !advance(&mut index, &extent) {
                return Ok(());
            }
        }
    }
}

/// The next index, last dimension first; whether there is one.
fn advance(index: &mut [u64], extent: &[u64]) -> bool {
    for (at, size) in index.iter_mut().zip(extent).rev() {
        *at += 1;
        if *at < *size {
            return true;
        }
        *at = 0;
    }
    false
}
