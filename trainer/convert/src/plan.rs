//! Which rows of the trainer's tensors make up each tensor of the new folder.

mod hugging_face;
mod megatron;
mod titan;

use std::cell::RefCell;
use std::collections::BTreeSet;

use sekisho_weights::{Dtype, ModelConfig};

use crate::ConvertError;
use crate::names::Scheme;
use crate::source::{Source, Tensor};

/// A tensor of the new folder: rows of others, one after the other.
#[derive(Debug)]
pub(crate) struct Output<'a> {
    pub(crate) name: String,
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<u64>,
    pub(crate) rows: Vec<Rows<'a>>,
    /// Its name in the trainer's checkpoint.
    pub(crate) from: String,
    /// What was done, in words; nothing for a copy.
    pub(crate) done: Vec<String>,
}

/// Rows of a tensor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows<'a> {
    pub(crate) tensor: &'a Tensor,
    /// The layer, where one tensor holds all layers.
    pub(crate) layer: Option<u64>,
    pub(crate) begin: u64,
    pub(crate) count: u64,
}

/// Everything that is to be written, and what is left.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    pub(crate) outputs: Vec<Output<'a>>,
    /// Rows of the embedding that only pad it.
    pub(crate) padding: u64,
    /// A second copy of the embedding, to be held against it.
    pub(crate) copy: Option<(&'a Tensor, &'a Tensor)>,
}

/// Plans the tensors of a Hugging Face folder.
pub(crate) fn plan<'a>(
    source: &'a Source,
    scheme: Scheme,
    config: &ModelConfig,
) -> Result<Plan<'a>, ConvertError> {
    let planner = Planner { source, config, used: RefCell::default() };
    let mut outputs = Vec::new();
    for (name, shape) in config.expected_tensors() {
        let shape: Vec<u64> = shape.into_iter().map(|size| size as u64).collect();
        let output = match scheme {
            Scheme::Megatron => planner.megatron(&name, &shape)?,
            Scheme::HuggingFace => planner.hugging_face(&name, &shape)?,
            Scheme::Titan => planner.titan(&name, &shape)?,
        };
        outputs.push(output);
    }
    let copy = planner.tied_copy(scheme);
    planner.nothing_left()?;
    let embedding = outputs.iter().find(|output| output.name == EMBEDDING);
    let rows = embedding.and_then(|output| output.rows.first()).map_or(0, |rows| rows.tensor.shape[0]);
    let padding = rows.saturating_sub(config.vocab_size as u64);
    Ok(Plan { outputs, padding, copy })
}

pub(super) const EMBEDDING: &str = "model.embed_tokens.weight";
pub(super) const OUTPUT: &str = "lm_head.weight";

/// A tensor of the source, under the name that was found.
struct Found<'a> {
    name: String,
    tensor: &'a Tensor,
    layer: Option<u64>,
}

struct Planner<'a, 'b> {
    source: &'a Source,
    config: &'b ModelConfig,
    used: RefCell<BTreeSet<String>>,
}

impl<'a> Found<'a> {
    /// The shape, without the dimension of the layers.
    fn shape(&self) -> &'a [u64] {
        self.tensor.shape.get(usize::from(self.layer.is_some())..).unwrap_or_default()
    }

    fn rows(&self, begin: u64, count: u64) -> Rows<'a> {
        Rows { tensor: self.tensor, layer: self.layer, begin, count }
    }
}

impl<'a> Planner<'a, '_> {
    /// The first of these names that is there; it counts as used.
    fn find(&self, names: &[String], layer: Option<u64>) -> Option<Found<'a>> {
        let (name, tensor) =
            names.iter().find_map(|name| self.source.tensors.get_key_value(name.as_str()))?;
        self.used.borrow_mut().insert(name.clone());
        Some(Found { name: name.clone(), tensor, layer })
    }

    fn missing(&self, tensor: &str, wanted: &str) -> ConvertError {
        let (file, tensor, wanted) = (self.source.name.clone(), tensor.to_owned(), wanted.to_owned());
        ConvertError::TensorMissing { file, tensor, wanted }
    }

    /// Refuses a tensor of another shape.
    fn fits(&self, found: &Found<'_>, need: &[u64]) -> Result<(), ConvertError> {
        let layers = found.layer.is_none_or(|_| {
            found.tensor.shape.first().copied() == Some(self.config.num_hidden_layers as u64)
        });
        if layers && found.shape() == need {
            return Ok(());
        }
        let mut need = need.to_vec();
        need.splice(0..0, found.layer.map(|_| self.config.num_hidden_layers as u64));
        Err(ConvertError::Shape {
            file: self.source.name.clone(),
            tensor: found.name.clone(),
            have: format!("{:?}", found.tensor.shape),
            need: format!("{need:?}"),
        })
    }

    fn output(
        &self,
        name: &str,
        shape: &[u64],
        found: &Found<'a>,
        rows: Vec<Rows<'a>>,
        done: &[&str],
    ) -> Output<'a> {
        let mut done: Vec<String> = done.iter().map(|text| (*text).to_owned()).collect();
        let parts = found.tensor.parts();
        if parts > 1 && found.layer.is_none() {
            done.insert(0, format!("joined from {parts} parts"));
        }
        if found.layer.is_some() {
            done.insert(0, "taken out of the tensor of all layers".to_owned());
        }
        let (name, from) = (name.to_owned(), found.name.clone());
        Output { name, dtype: found.tensor.dtype, shape: shape.to_vec(), rows, from, done }
    }

    /// A tensor as it is.
    fn copied(&self, name: &str, shape: &[u64], found: &Found<'a>) -> Result<Output<'a>, ConvertError> {
        self.fits(found, shape)?;
        Ok(self.output(name, shape, found, vec![found.rows(0, shape[0])], &[]))
    }

    /// The embedding or the output layer, without the rows that only pad it.
    fn vocabulary(&self, name: &str, shape: &[u64], found: &Found<'a>) -> Result<Output<'a>, ConvertError> {
        let padded = found.shape().first().copied().unwrap_or(0).max(shape[0]);
        self.fits(found, &[padded, shape[1]])?;
        let note = format!("{} rows of padding stripped", padded - shape[0]);
        let notes: &[&str] = if padded == shape[0] { &[] } else { &[&note] };
        Ok(self.output(name, shape, found, vec![found.rows(0, shape[0])], notes))
    }

    /// A tied model may bring its output layer all the same: the embedding once more.
    fn tied_copy(&self, scheme: Scheme) -> Option<(&'a Tensor, &'a Tensor)> {
        let (embedding, output) = match scheme {
            Scheme::Megatron => ("embedding.word_embeddings.weight", "output_layer.weight"),
            Scheme::HuggingFace => (EMBEDDING, OUTPUT),
            Scheme::Titan => ("tok_embeddings.weight", "output.weight"),
        };
        if !self.config.tie_word_embeddings {
            return None;
        }
        let output = self.find(&[output.to_owned()], None)?;
        Some((self.source.tensors.get(embedding)?, output.tensor))
    }

    /// Every tensor has its place: one that is not known may be what makes this another model.
    fn nothing_left(&self) -> Result<(), ConvertError> {
        let used = self.used.borrow();
        let left = self.source.tensors.keys().find(|name| !used.contains(name.as_str()));
        match left {
            None => Ok(()),
            Some(name) => {
                let rule = format!(
                    "tensor {name} has no place in the model of this configuration. See whether it is a Llama, and whether the configuration is its own"
                );
                Err(ConvertError::content(&self.source.name, rule))
            }
        }
    }
}

/// Layer and rest of a name of transformers.
fn layer_of(name: &str) -> Option<(u64, &str)> {
    let (layer, rest) = name.strip_prefix("model.layers.")?.split_once('.')?;
    Some((layer.parse().ok()?, rest))
}
