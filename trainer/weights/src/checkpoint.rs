use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use crate::folder::{CONFIG, Folder, Opened, Shard};
use crate::header::{self, Header, TensorEntry};
use crate::{Dtype, ModelConfig, Refusal, dtype, fit};

/// A checkpoint whose files, headers and shapes were checked; its values were not ([`crate::inspect`] does that).
#[derive(Debug)]
pub struct Checkpoint {
    config: ModelConfig,
    weights: Safetensors,
}

impl Checkpoint {
    /// Opens a Hugging Face folder. Tensors are read when they are asked for, from the handles opened here.
    ///
    /// # Errors
    /// Every rule that can be checked without reading the tensors.
    pub fn open(dir: &Path) -> Result<Self, Refusal> {
        let (folder, config, _) = examine(dir)?;
        let weights = Safetensors::of(folder.shards);
        Ok(Self { config, weights })
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Names of all tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.weights.names()
    }

    /// Shape of a tensor.
    #[must_use]
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.weights.shape(name)
    }

    /// Element type of a tensor.
    #[must_use]
    pub fn dtype(&self, name: &str) -> Option<Dtype> {
        self.weights.dtype(name)
    }

    /// The values of a tensor, widened exactly, in row-major order.
    ///
    /// # Errors
    /// [`Refusal::TensorMissing`], [`Refusal::Dtype`], or the file changed or cannot be read.
    pub fn tensor_f32(&self, name: &str) -> Result<Vec<f32>, Refusal> {
        self.weights.tensor_f32(name)
    }

    /// All tensors.
    #[must_use]
    pub fn tensors(&self) -> &Safetensors {
        &self.weights
    }
}

/// Everything that can be checked without reading a tensor.
pub(crate) fn examine(dir: &Path) -> Result<(Folder, ModelConfig, Vec<String>), Refusal> {
    let folder = Folder::open(dir)?;
    let config = folder.text(CONFIG).ok_or_else(|| Refusal::FileMissing { file: CONFIG.to_owned() })?;
    let config = ModelConfig::from_json(CONFIG, &config.text()?)?;
    let mut notes: Vec<String> = folder.shards.iter().flat_map(|shard| shard.header.notes.clone()).collect();
    notes.extend(fit::check(&config, &folder.shards)?);
    notes.extend(shortened(&config));
    Ok((folder, config, notes))
}

/// A window that is shorter than the context is told, since only sequences within it are computed.
fn shortened(config: &ModelConfig) -> Option<String> {
    let (window, context) = (config.window?, config.max_position_embeddings);
    (config.longest() < context).then(|| {
        format!(
            "{CONFIG}: \"sliding_window\" is {window}; sequences up to that length are computed, of {context}; longer ones need `--engine URL`"
        )
    })
}

/// Tensors of one or more safetensors files, strictly read.
#[derive(Debug)]
pub struct Safetensors {
    files: Vec<Opened>,
    metadata: BTreeMap<String, String>,
    tensors: BTreeMap<String, (usize, TensorEntry)>,
}

impl Safetensors {
    /// Opens a single file of any tensors, e.g. optimiser moments.
    ///
    /// # Errors
    /// The rules for headers.
    pub fn open(path: &Path) -> Result<Self, Refusal> {
        let target = fs_err::canonicalize(path).map_err(|error| Refusal::unreadable(path, &error))?;
        let opened = Opened::open(path.display().to_string(), target)?;
        let header = header::read(&opened.file, &opened.name, opened.size())?;
        Ok(Self::of(vec![Shard { opened, header }]))
    }

    fn of(shards: Vec<Shard>) -> Self {
        let (mut files, mut tensors, mut metadata) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        for (index, Shard { opened, header }) in shards.into_iter().enumerate() {
            let Header { tensors: entries, metadata: more, .. } = header;
            files.push(opened);
            metadata.extend(more);
            tensors.extend(entries.into_iter().map(|entry| (entry.name.clone(), (index, entry))));
        }
        Self { files, metadata, tensors }
    }

    /// `__metadata__` of the header.
    #[must_use]
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// Names of all tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Shape of a tensor.
    #[must_use]
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|(_, entry)| entry.shape.as_slice())
    }

    /// Element type of a tensor.
    #[must_use]
    pub fn dtype(&self, name: &str) -> Option<Dtype> {
        self.tensors.get(name).map(|(_, entry)| entry.dtype)
    }

    /// The bytes of a tensor, little-endian, row-major.
    ///
    /// # Errors
    /// [`Refusal::TensorMissing`], or the file changed or cannot be read.
    pub fn bytes(&self, name: &str) -> Result<Vec<u8>, Refusal> {
        self.bytes_of(name, 0..self.size(name)?)
    }

    /// The bytes of some of its values, which are counted in row-major order.
    ///
    /// # Errors
    /// As [`Self::bytes`].
    ///
    /// # Panics
    /// When the tensor has fewer values.
    pub fn bytes_of(&self, name: &str, values: Range<usize>) -> Result<Vec<u8>, Refusal> {
        let (file, entry) = self.entry(name)?;
        assert!(values.end <= self.size(name)?, "values {values:?} of {name}");
        let width = entry.dtype.bytes();
        let mut bytes = vec![0; values.len() * usize::try_from(width).unwrap_or(usize::MAX)];
        file.read_at(entry.begin + values.start as u64 * width, &mut bytes)?;
        Ok(bytes)
    }

    /// The values of a tensor, widened exactly (F64 is rounded), in row-major order.
    ///
    /// # Errors
    /// As [`Self::bytes`], and [`Refusal::Dtype`] for anything but F64, F32, F16 and BF16.
    pub fn tensor_f32(&self, name: &str) -> Result<Vec<f32>, Refusal> {
        self.values_f32(name, 0..self.size(name)?)
    }

    /// Some of its values, as [`Self::tensor_f32`] gives them.
    ///
    /// # Errors
    /// As [`Self::tensor_f32`].
    ///
    /// # Panics
    /// As [`Self::bytes_of`].
    pub fn values_f32(&self, name: &str, values: Range<usize>) -> Result<Vec<f32>, Refusal> {
        let (file, entry) = self.entry(name)?;
        let bytes = self.bytes_of(name, values)?;
        let mut values = Vec::new();
        dtype::widen(entry.dtype, &bytes, &mut values).ok_or_else(|| Refusal::Dtype {
            file: file.name.clone(),
            tensor: name.to_owned(),
            dtype: entry.dtype.to_string(),
        })?;
        Ok(values)
    }

    /// Values of a tensor.
    fn size(&self, name: &str) -> Result<usize, Refusal> {
        let (file, entry) = self.entry(name)?;
        let too_large =
            |_| Refusal::Unreadable { path: file.name.clone(), reason: format!("{name} is too large") };
        usize::try_from(entry.size / entry.dtype.bytes()).map_err(too_large)
    }

    fn entry(&self, name: &str) -> Result<(&Opened, &TensorEntry), Refusal> {
        let files = || self.files.iter().map(|file| file.name.as_str()).collect::<Vec<_>>().join(", ");
        let missing = || Refusal::TensorMissing { file: files(), tensor: name.to_owned(), key: "model_type" };
        let (file, entry) = self.tensors.get(name).ok_or_else(missing)?;
        Ok((&self.files[*file], entry))
    }
}
