//! `torch.distributed.checkpoint`: `.metadata` says which part of which tensor lies where, and each part is an archive of its own.
//! `torch/distributed/checkpoint/metadata.py` and `filesystem.py`; Megatron-Core's `torch_dist` is the same with `common.pt` beside it.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use crate::ConvertError;
use crate::arguments::Arguments;
use crate::detect::{COMMON, METADATA};
use crate::file::DataFile;
use crate::names::{self, Scheme};
use crate::pickle::{self, Document, View};
use crate::source::{Chunk, Source, Tensor};
use crate::torch::Saved;

/// Opens a checkpoint, with the names that its tensors follow.
pub(crate) fn open(dir: &Path) -> Result<(Source, Scheme), ConvertError> {
    let file = DataFile::open(dir, METADATA)?;
    let document = pickle::read(METADATA, &file.part(0, file.size(), pickle::LONGEST)?)?;
    let name = dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let reader = Reader { dir, name, places: places(&document)?, files: HashMap::new() };
    reader.read(&document)
}

/// The arguments in `common.pt`.
pub(crate) fn arguments(dir: &Path) -> Result<Arguments, ConvertError> {
    Arguments::read(COMMON, Saved::whole(DataFile::open(dir, COMMON)?)?.document.root())
}

fn wrong(rule: impl Into<String>) -> ConvertError {
    ConvertError::content(METADATA, rule)
}

/// Where a part is stored.
struct Stored<'a> {
    file: &'a str,
    offset: u64,
    length: u64,
}

type Places<'a> = HashMap<(&'a str, Vec<u64>), Stored<'a>>;

fn places(document: &Document) -> Result<Places<'_>, ConvertError> {
    let entries = document.root().attribute("storage_data").and_then(View::entries);
    let entries = entries.ok_or_else(|| wrong("it does not say where its tensors are stored"))?;
    let mut places = HashMap::new();
    for (index, info) in entries {
        let Some(name) = index.attribute("fqn").and_then(View::text) else {
            return Err(wrong("a place is for no tensor"));
        };
        // What is no tensor has no offset.
        let Some(offset) = index.attribute("offset").and_then(View::sizes) else { continue };
        places.insert((name, offset), stored(name, info)?);
    }
    Ok(places)
}

fn stored<'a>(name: &str, info: View<'a>) -> Result<Stored<'a>, ConvertError> {
    let number = |key| info.attribute(key).and_then(View::whole);
    let file = info.attribute("relative_path").and_then(View::text);
    let (Some(file), Some(offset), Some(length)) = (file, number("offset"), number("length")) else {
        return Err(wrong(format!("the place of {name} has no file, offset and length")));
    };
    if file.is_empty() || file.starts_with('.') || file.contains(['/', '\\', '\0']) {
        return Err(wrong(format!("the file of {name} is {file:?}, which is no plain name in this folder")));
    }
    let transforms = info.attribute("transform_descriptors").and_then(View::list);
    if transforms.is_some_and(|list| list.len() > 0) {
        return Err(wrong(format!(
            "{name} is stored compressed or otherwise changed, which is not read here"
        )));
    }
    Ok(Stored { file, offset, length })
}

struct Reader<'a> {
    dir: &'a Path,
    name: String,
    places: Places<'a>,
    files: HashMap<String, Arc<DataFile>>,
}

impl Reader<'_> {
    fn read(mut self, document: &Document) -> Result<(Source, Scheme), ConvertError> {
        let entries = document.root().attribute("state_dict_metadata").and_then(View::entries);
        let entries = entries.ok_or_else(|| wrong("it does not list its tensors"))?;
        let mut all = BTreeMap::new();
        for (name, tensor) in entries {
            let name = name.text().ok_or_else(|| wrong("a tensor's name is no text"))?;
            all.insert(name, tensor);
        }
        let (scheme, prefix) = names::scheme(&self.name, all.keys().copied())?;
        let mut source = Source { name: self.name.clone(), gated_ranks: 1, ..Source::default() };
        for (full, view) in all {
            let plain = names::plain(full);
            let Some(name) = plain.strip_prefix(&prefix).filter(|name| scheme.holds(name)) else { continue };
            if names::is_no_weight(name) || view.class() != Some("TensorStorageMetadata") {
                source.left_out.insert(name.to_owned());
                continue;
            }
            let tensor = self.tensor(full, view)?;
            if source.tensors.insert(name.to_owned(), tensor).is_some() {
                return Err(wrong(format!("{name} is there under two names")));
            }
        }
        Ok((source, scheme))
    }

    fn tensor(&mut self, name: &str, view: View<'_>) -> Result<Tensor, ConvertError> {
        let shape = view.attribute("size").and_then(View::sizes);
        let chunks = view.attribute("chunks").and_then(View::list);
        let (Some(shape), Some(chunks)) = (shape, chunks) else {
            return Err(wrong(format!("tensor {name} has no shape or no parts")));
        };
        let chunks = chunks.map(|chunk| self.chunk(name, chunk)).collect::<Result<Vec<_>, _>>()?;
        let tensor = Tensor::of(&self.name, name, shape, chunks)?;
        let properties = view.attribute("properties").and_then(View::state);
        let dtype = properties.and_then(View::list).and_then(|mut list| list.next()?.dtype());
        if dtype != Some(Some(tensor.dtype)) {
            return Err(wrong(format!(
                "tensor {name} is {} in its file and something else here",
                tensor.dtype
            )));
        }
        Ok(tensor)
    }

    fn chunk(&mut self, name: &str, chunk: View<'_>) -> Result<Chunk, ConvertError> {
        let sizes = |key| chunk.attribute(key).and_then(View::sizes);
        let (Some(begin), Some(size)) = (sizes("offsets"), sizes("sizes")) else {
            return Err(wrong(format!("a part of {name} has no place or no shape")));
        };
        let Some(Stored { file, offset, length }) = self.places.get(&(name, begin.clone())) else {
            return Err(wrong(format!("the part of {name} from {begin:?} on is stored nowhere")));
        };
        let data = match self.files.get(*file) {
            Some(data) => data.clone(),
            None => Arc::new(DataFile::open(self.dir, file)?),
        };
        self.files.insert((*file).to_owned(), data.clone());
        let saved = Saved::open(&data, *offset, *length)?;
        let Some(tensor) = saved.document.root().tensor() else {
            return Err(ConvertError::content(file, format!("what it holds of {name} is no tensor")));
        };
        if tensor.shape != size {
            let rule = format!("what it holds of {name} is {:?}, not {size:?}", tensor.shape);
            return Err(ConvertError::content(file, rule));
        }
        let place = saved.place(name, tensor)?;
        Ok(Chunk { begin, size, place })
    }
}
