//! What `torch.save` wrote: a pickle, and beside it the storages that it refers to.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::ConvertError;
use crate::file::DataFile;
use crate::pickle::{self, Document, Strided};
use crate::source::Place;
use crate::zip::{self, Member};

const PICKLE: &str = "/data.pkl";

/// One archive.
pub(crate) struct Saved {
    file: Arc<DataFile>,
    /// Name of the archive's folder: most call it after the file.
    folder: String,
    members: BTreeMap<String, Member>,
    pub(crate) document: Document,
}

impl Saved {
    /// Opens the archive in `length` bytes of a file from `start` on.
    pub(crate) fn open(file: &Arc<DataFile>, start: u64, length: u64) -> Result<Self, ConvertError> {
        let wrong =
            |rule: &str| ConvertError::Container { file: file.name().to_owned(), rule: rule.to_owned() };
        if start.checked_add(length).is_none_or(|end| end > file.size()) {
            return Err(wrong("it is shorter than the checkpoint's metadata says"));
        }
        let members = zip::members(file, start, length)?;
        let mut pickles = members.iter().filter(|(name, _)| name.ends_with(PICKLE));
        let (Some((name, member)), None) = (pickles.next(), pickles.next()) else {
            return Err(wrong("the archive does not hold one data.pkl"));
        };
        let folder = name.trim_end_matches(PICKLE).to_owned();
        if let Some(order) = members.get(&format!("{folder}/byteorder"))
            && file.part(order.begin, order.size, 16)? != b"little"
        {
            return Err(wrong("its numbers are not little-endian"));
        }
        let bytes = file.part(member.begin, member.size, pickle::LONGEST)?;
        let document = pickle::read(file.name(), &bytes)?;
        Ok(Self { file: file.clone(), folder, members, document })
    }

    /// Opens a whole file.
    pub(crate) fn whole(file: DataFile) -> Result<Self, ConvertError> {
        let size = file.size();
        Self::open(&Arc::new(file), 0, size)
    }

    /// Where a tensor's elements lie, once it is sure that they all do.
    pub(crate) fn place(&self, name: &str, tensor: &Strided) -> Result<Place, ConvertError> {
        let wrong = |rule: String| ConvertError::content(self.file.name(), format!("tensor {name} {rule}"));
        let Some(dtype) = tensor.dtype else {
            return Err(wrong("has an element type that safetensors does not know".to_owned()));
        };
        let key = format!("{}/data/{}", self.folder, tensor.storage.key);
        let Some(member) = self.members.get(&key) else {
            return Err(wrong(format!("lies in {key}, which the archive does not hold")));
        };
        let bytes = |elements: u64| elements.checked_mul(dtype.bytes());
        let end = last_element(tensor).and_then(|last| bytes(last.checked_add(1)?));
        // A tensor that shows one element many times would be larger than what it lies in.
        let all = tensor.shape.iter().try_fold(1_u64, |all, size| all.checked_mul(*size)).and_then(bytes);
        if [end, all].iter().any(|size| size.is_none_or(|size| size > member.size)) {
            return Err(wrong(format!("reaches beyond the {} bytes of its storage", member.size)));
        }
        Ok(Place {
            file: self.file.clone(),
            begin: member.begin + tensor.offset * dtype.bytes(),
            dtype,
            strides: tensor.strides.clone(),
        })
    }
}

/// The last element that a tensor without holes in its indices touches; none where that is beyond all numbers.
fn last_element(tensor: &Strided) -> Option<u64> {
    tensor.shape.iter().zip(&tensor.strides).try_fold(tensor.offset, |last, (size, stride)| {
        last.checked_add(size.checked_sub(1)?.checked_mul(*stride)?)
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use sekisho_weights::Dtype;

    use super::Saved;
    use crate::file::DataFile;
    use crate::pickle::{Storage, Strided};

    #[test]
    fn a_tensor_never_reaches_beyond_its_storage() {
        let rank =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/legacy-1-1/iter_0012000/mp_rank_00");
        let rank = fs_err::canonicalize(rank).expect("a folder");
        let file = DataFile::open(&rank, "model_optim_rng.pt").expect("a file");
        let saved = Saved::whole(file).expect("an archive");
        let fits = |offset: u64, shape: &[u64], strides: &[u64]| {
            let storage = Storage { key: "0".to_owned(), dtype: Some(Dtype::BF16), elements: 4096 };
            let (shape, strides) = (shape.to_vec(), strides.to_vec());
            saved.place("t", &Strided { storage, dtype: Some(Dtype::BF16), offset, shape, strides }).is_ok()
        };
        // The embedding: 128 rows of 32.
        assert!(
            fits(0, &[128, 32], &[32, 1]) && fits(32, &[127, 32], &[32, 1]) && fits(0, &[32, 128], &[1, 32])
        );
        assert!(!fits(0, &[129, 32], &[32, 1]) && !fits(1, &[128, 32], &[32, 1]));
        assert!(!fits(0, &[1 << 40], &[0]), "one element shown a trillion times");
        for huge in [u64::MAX, u64::MAX / 2, 1 << 63] {
            assert!(!fits(huge, &[1], &[1]) && !fits(0, &[huge], &[1]) && !fits(0, &[2, 2], &[huge, 1]));
        }
    }
}
