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
        if let Some(order) = members.get(&format!("{folder}/byteorder")) {
            if file.part(order.begin, order.size, 16)? != b"little" {
                return Err(wrong("its numbers are not little-endian"));
            }
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
        let last = last_element(tensor);
        let end = last.and_then(|last| last.checked_add(1)?.checked_mul(dtype.bytes()));
        if end.is_none_or(|end| end > member.size) {
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
