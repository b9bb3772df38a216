//! A checkpoint written again with other shards or another type of weights: what a Hub release looks like need not be what a
//! trainer writes. Tensors are streamed in pieces, so memory does not grow with them.

mod config_dtype;
mod convert;
mod error;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use serde_json::json;

pub use error::ReshardError;

use crate::folder::{CHUNK, CONFIG, Folder, INDEX, Opened, SINGLE};
use crate::header::TensorEntry;
use crate::write::{header, in_file};
use crate::{Dtype, NewFolder, Refusal, write_atomic};

/// The pattern of shard names has five digits.
const MOST_SHARDS: usize = 99_999;

/// How the new folder is to look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reshard {
    /// Most bytes of tensors in one file; a tensor that is larger has a file of its own.
    pub shard_bytes: u64,
    /// Type of the floating-point weights; none leaves each as it is. Integers and 8-bit floats always stay.
    pub dtype: Option<WeightDtype>,
}

/// A type that weights are published in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WeightDtype {
    /// Rounded to the nearest, ties to even; NaN stays NaN.
    Bf16,
    /// Exact, except from F64.
    F32,
}

/// What was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Resharded {
    /// The weight files, in order.
    pub shards: Vec<String>,
    /// Tensors in all of them.
    pub tensors: usize,
    /// Those whose type was changed.
    pub converted: usize,
    /// Bytes of all tensors.
    pub bytes: u64,
    /// What the old folder holds besides; not copied.
    pub left_out: Vec<String>,
}

impl WeightDtype {
    /// The name in a safetensors header.
    #[must_use]
    pub const fn dtype(self) -> Dtype {
        match self {
            Self::Bf16 => Dtype::BF16,
            Self::F32 => Dtype::F32,
        }
    }

    /// The name in `config.json`, which is PyTorch's.
    #[must_use]
    pub const fn config_name(self) -> &'static str {
        match self {
            Self::Bf16 => "bfloat16",
            Self::F32 => "float32",
        }
    }
}

impl std::str::FromStr for WeightDtype {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        match name {
            "bf16" => Ok(Self::Bf16),
            "f32" => Ok(Self::F32),
            _ => Err(()),
        }
    }
}

/// Writes the checkpoint `from` into the new folder `to`. The same checkpoint and wishes give the same bytes; without another
/// dtype the identity of the weights stays what it is.
///
/// # Errors
/// A checkpoint that is refused, a value that does not fit the new type, a folder that is there already, a full disk. Nothing
/// is left of `to` then.
pub fn reshard(from: &Path, to: &Path, wish: Reshard) -> Result<Resharded, ReshardError> {
    if wish.shard_bytes == 0 {
        return Err(ReshardError::ShardSize);
    }
    if fs_err::symlink_metadata(to).is_ok() {
        return Err(ReshardError::Exists { path: to.display().to_string() });
    }
    let folder = Folder::open(from)?;
    let parts = parts(&folder, wish)?;
    let failed = |error| ReshardError::Write { path: to.display().to_string(), error };
    let building = NewFolder::begin(to).map_err(failed)?;
    let work = Work { folder: &folder, dir: building.path(), wish };
    let done = work.run(&parts)?;
    building.finish(to).map_err(failed)?;
    Ok(Resharded { left_out: folder.left_out.clone(), ..done })
}

/// A tensor on its way from its old file.
struct Moved<'a> {
    file: &'a Opened,
    entry: &'a TensorEntry,
    dtype: Dtype,
}

impl Moved<'_> {
    fn bytes(&self) -> u64 {
        self.entry.size / self.entry.dtype.bytes() * self.dtype.bytes()
    }
}

/// Which tensors share a file: by name, as many as fit.
fn parts(folder: &Folder, wish: Reshard) -> Result<Vec<Vec<Moved<'_>>>, ReshardError> {
    let mut tensors: Vec<Moved<'_>> = Vec::new();
    for shard in &folder.shards {
        tensors.extend(shard.header.tensors.iter().map(|entry| {
            let converts = wish.dtype.filter(|_| convert::is_weight(entry.dtype));
            let dtype = converts.map_or(entry.dtype, WeightDtype::dtype);
            Moved { file: &shard.opened, entry, dtype }
        }));
    }
    tensors.sort_by(|a, b| a.entry.name.cmp(&b.entry.name));
    let mut parts: Vec<Vec<Moved<'_>>> = Vec::new();
    let mut room = 0;
    for tensor in tensors {
        let bytes = tensor.bytes();
        match parts.last_mut() {
            Some(part) if bytes <= room => {
                room -= bytes;
                part.push(tensor);
            }
            _ => {
                room = wish.shard_bytes.saturating_sub(bytes);
                parts.push(vec![tensor]);
            }
        }
    }
    match parts.len() {
        0 => Ok(vec![Vec::new()]),
        count if count > MOST_SHARDS => Err(ReshardError::TooManyShards { count }),
        _ => Ok(parts),
    }
}

struct Work<'a> {
    folder: &'a Folder,
    dir: &'a Path,
    wish: Reshard,
}

impl Work<'_> {
    fn run(&self, parts: &[Vec<Moved<'_>>]) -> Result<Resharded, ReshardError> {
        let count = parts.len();
        let name = |at: usize| match count {
            1 => SINGLE.to_owned(),
            _ => format!("model-{:05}-of-{count:05}.safetensors", at + 1),
        };
        let mut done = Resharded {
            shards: (0..count).map(name).collect(),
            tensors: 0,
            converted: 0,
            bytes: 0,
            left_out: Vec::new(),
        };
        let mut map = BTreeMap::new();
        for (part, name) in parts.iter().zip(&done.shards) {
            self.write_shard(part, name)?;
            done.tensors += part.len();
            done.converted += part.iter().filter(|tensor| tensor.dtype != tensor.entry.dtype).count();
            done.bytes += part.iter().map(Moved::bytes).sum::<u64>();
            map.extend(part.iter().map(|tensor| (tensor.entry.name.as_str(), name.as_str())));
        }
        if count > 1 {
            let index = json!({ "metadata": { "total_size": done.bytes }, "weight_map": map });
            self.write(INDEX, |file| {
                serde_json::to_writer_pretty(&mut *file, &index)?;
                file.write_all(b"\n")
            })?;
        }
        self.copy_texts()?;
        for shard in &self.folder.shards {
            shard.opened.unchanged()?;
        }
        Ok(done)
    }

    /// Header and tensors in the order of the official library, a piece at a time.
    fn write_shard(&self, part: &[Moved<'_>], name: &str) -> Result<(), ReshardError> {
        let mut tensors: Vec<&Moved<'_>> = part.iter().collect();
        tensors.sort_by(|a, b| in_file((a.dtype, &a.entry.name), (b.dtype, &b.entry.name)));
        let layout = tensors.iter().map(|t| (t.entry.name.as_str(), t.dtype, t.entry.shape.as_slice()));
        let header = header(&self.metadata(), layout).map_err(|error| self.failed(name, error))?;
        // A refusal cannot travel inside the writer's error.
        let mut refused = None;
        let written = write_atomic(&self.dir.join(name), |file| {
            file.write_all(&(header.len() as u64).to_le_bytes())?;
            file.write_all(header.as_bytes())?;
            for tensor in &tensors {
                stream(tensor, file, &mut refused)?;
            }
            Ok(())
        });
        match (written, refused) {
            (_, Some(refused)) => Err(refused),
            (Err(error), None) => Err(self.failed(name, error)),
            (Ok(()), None) => Ok(()),
        }
    }

    /// The old header's, and the mark that `transformers` asks for.
    fn metadata(&self) -> BTreeMap<String, String> {
        let mut metadata = BTreeMap::new();
        for shard in &self.folder.shards {
            metadata.extend(shard.header.metadata.clone());
        }
        metadata.entry("format".to_owned()).or_insert_with(|| "pt".to_owned());
        metadata
    }

    /// Everything that is neither weights nor their index; the configuration names the new type.
    fn copy_texts(&self) -> Result<(), ReshardError> {
        for text in self.folder.texts.iter().filter(|text| text.name != INDEX) {
            match self.wish.dtype {
                Some(dtype) if text.name == CONFIG => {
                    let config = config_dtype::with_dtype(&text.text()?, dtype.config_name());
                    self.write(CONFIG, |file| file.write_all(config.as_bytes()))?;
                }
                _ => self.copy(text)?,
            }
            text.unchanged()?;
        }
        Ok(())
    }

    fn copy(&self, text: &Opened) -> Result<(), ReshardError> {
        let mut refused = None;
        let written = self.write(&text.name, |file| {
            let mut buffer = vec![0; CHUNK];
            let mut at = 0;
            while at < text.size() {
                let length = usize::try_from(text.size() - at).map_or(CHUNK, |rest| rest.min(CHUNK));
                read(text, at, &mut buffer[..length], &mut refused)?;
                file.write_all(&buffer[..length])?;
                at += length as u64;
            }
            Ok(())
        });
        refused.map_or(written, Err)
    }

    fn write(
        &self,
        name: &str,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), ReshardError> {
        write_atomic(&self.dir.join(name), write).map_err(|error| self.failed(name, error))
    }

    fn failed(&self, name: &str, error: io::Error) -> ReshardError {
        ReshardError::Write { path: self.dir.join(name).display().to_string(), error }
    }
}

/// One tensor, converted where it must be.
fn stream(tensor: &Moved<'_>, out: &mut dyn Write, refused: &mut Option<ReshardError>) -> io::Result<()> {
    let (entry, mut buffer, mut converted) = (tensor.entry, vec![0; CHUNK], Vec::new());
    let mut at = 0;
    while at < entry.size {
        // A piece is a multiple of every element's size.
        let length = usize::try_from(entry.size - at).map_or(CHUNK, |rest| rest.min(CHUNK));
        let piece = &mut buffer[..length];
        read(tensor.file, entry.begin + at, piece, refused)?;
        if tensor.dtype == entry.dtype {
            out.write_all(piece)?;
        } else {
            let count = convert::convert(entry.dtype, tensor.dtype, piece, &mut converted);
            if count > 0 {
                let (file, name) = (tensor.file.name.clone(), entry.name.clone());
                *refused = Some(ReshardError::Overflow { file, tensor: name, dtype: tensor.dtype, count });
                return Err(io::ErrorKind::InvalidData.into());
            }
            out.write_all(&converted)?;
        }
        at += length as u64;
    }
    Ok(())
}

fn read(file: &Opened, at: u64, piece: &mut [u8], refused: &mut Option<ReshardError>) -> io::Result<()> {
    file.read_at(at, piece).map_err(|refusal: Refusal| {
        *refused = Some(refusal.into());
        io::ErrorKind::InvalidData.into()
    })
}
