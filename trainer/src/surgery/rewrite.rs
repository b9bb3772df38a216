//! A checkpoint written again, tensor by tensor.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use sekisho_weights::{
    Checkpoint, Dtype, NewFolder, inspect, is_checkpoint_file, order_in_file, safetensors_header,
    to_bf16_bytes, to_f32_bytes, write_atomic,
};
use serde_json::Value;

use super::SurgeryError;
use crate::lineage;

const CONFIG: &str = "config.json";
const WEIGHTS: &str = "model.safetensors";
/// Files that belong to the old weights alone.
const OF_WEIGHTS: [&str; 2] = ["model.safetensors.index.json", "manifest.json"];
/// Files of a tokenizer.
const TOKENIZER: [&str; 7] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "tokenizer.model",
    "vocab.json",
    "merges.txt",
];

/// A tensor of the new checkpoint.
#[derive(Clone, Debug)]
pub(super) struct Planned {
    pub(super) name: String,
    pub(super) dtype: Dtype,
    pub(super) shape: Vec<usize>,
}

/// Opens a checkpoint after every value of it was looked at.
pub(super) fn open(folder: &Path) -> Result<Checkpoint, SurgeryError> {
    inspect(folder).map_err(SurgeryError::weights(folder))?;
    Checkpoint::open(folder).map_err(SurgeryError::weights(folder))
}

/// `config.json` as it is.
pub(super) fn config_of(folder: &Path) -> Result<Value, SurgeryError> {
    let text = fs_err::read(folder.join(CONFIG))?;
    serde_json::from_slice(&text).map_err(|error| SurgeryError::Io(error.into()))
}

/// Its tensors as they are.
pub(super) fn tensors(checkpoint: &Checkpoint) -> Result<Vec<Planned>, SurgeryError> {
    let planned = |name: &str| {
        let dtype = checkpoint.dtype(name).unwrap_or(Dtype::F32);
        if !matches!(dtype, Dtype::BF16 | Dtype::F32) {
            return Err(SurgeryError::Dtype { tensor: name.to_owned(), dtype: dtype.to_string() });
        }
        Ok(Planned {
            name: name.to_owned(),
            dtype,
            shape: checkpoint.shape(name).unwrap_or_default().to_vec(),
        })
    };
    checkpoint.names().map(planned).collect()
}

/// What a rewritten checkpoint takes over.
pub(super) struct Sources<'a> {
    /// Where its texts come from.
    pub(super) folder: &'a Path,
    /// The models that it is made of.
    pub(super) models: &'a [&'a Path],
    /// Where its tokenizer comes from, where that is another place.
    pub(super) tokenizer: Option<&'a Path>,
    /// `config.json`, where it is another one.
    pub(super) config: Option<&'a Value>,
}

/// Writes the folder `to`; `values` answers the values of a tensor, in f32, which are rounded to its type once.
pub(super) fn write(
    to: &Path,
    sources: &Sources<'_>,
    mut tensors: Vec<Planned>,
    values: &mut dyn FnMut(&Planned) -> Result<Vec<f32>, SurgeryError>,
) -> Result<(), SurgeryError> {
    if fs_err::symlink_metadata(to).is_ok() {
        return Err(SurgeryError::Exists(to.to_owned()));
    }
    let building = NewFolder::begin(to)?;
    copy_texts(building.path(), sources)?;
    lineage::write_made_of(building.path(), to, sources.models)?;
    if let Some(config) = sources.config {
        write_atomic(&building.path().join(CONFIG), |file| {
            serde_json::to_writer_pretty(&mut *file, config)?;
            file.write_all(b"\n")
        })?;
    }
    tensors.sort_by(|a, b| order_in_file((a.dtype, &a.name), (b.dtype, &b.name)));
    let metadata = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
    let layout = tensors.iter().map(|tensor| (tensor.name.as_str(), tensor.dtype, tensor.shape.as_slice()));
    let header = safetensors_header(&metadata, layout)?;
    // What goes wrong with a tensor cannot travel inside the writer's error.
    let mut refused = None;
    let written = write_atomic(&building.path().join(WEIGHTS), |file| {
        file.write_all(&(header.len() as u64).to_le_bytes())?;
        file.write_all(header.as_bytes())?;
        for tensor in &tensors {
            let found = values(tensor).map_err(|error| {
                refused = Some(error);
                io::Error::from(io::ErrorKind::InvalidData)
            })?;
            file.write_all(&bytes(tensor.dtype, &found))?;
        }
        Ok(())
    });
    if let Some(error) = refused {
        return Err(error);
    }
    written?;
    Ok(building.finish(to)?)
}

fn bytes(dtype: Dtype, values: &[f32]) -> Vec<u8> {
    if dtype == Dtype::BF16 { to_bf16_bytes(values) } else { to_f32_bytes(values) }
}

/// Everything beside the weights; the tokenizer from where it is named.
fn copy_texts(to: &Path, sources: &Sources<'_>) -> io::Result<()> {
    for entry in fs_err::read_dir(sources.folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_replaced = sources.tokenizer.is_some() && TOKENIZER.contains(&name.as_str())
            || sources.config.is_some() && name == CONFIG;
        let is_text = entry.file_type()?.is_file()
            && is_checkpoint_file(&name)
            && Path::new(&name).extension().is_none_or(|end| end != "safetensors")
            && !OF_WEIGHTS.contains(&name.as_str());
        if is_text && !is_replaced {
            fs_err::copy(entry.path(), to.join(&name))?;
        }
    }
    let Some(tokenizer) = sources.tokenizer else { return Ok(()) };
    if tokenizer.is_file() {
        fs_err::copy(tokenizer, to.join(TOKENIZER[0]))?;
        return Ok(());
    }
    for name in TOKENIZER.iter().filter(|name| tokenizer.join(name).is_file()) {
        fs_err::copy(tokenizer.join(name), to.join(name))?;
    }
    Ok(())
}
