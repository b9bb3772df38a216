use std::ops::Range;

use sekisho_weights::config::ModelConfig;

/// Which part of the flat arrays each tensor takes, in the order of `ModelConfig::expected_tensors`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    tensors: Vec<Tensor>,
    /// Values in all.
    pub length: usize,
}

/// One tensor of a [`Layout`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// Hugging Face's name.
    pub name: String,
    /// Rows and columns as stored; a single entry for a vector.
    pub shape: Vec<usize>,
    /// Where its values lie.
    pub range: Range<usize>,
}

impl Layout {
    /// The tensors of this configuration, one after another.
    #[must_use]
    pub fn new(config: &ModelConfig) -> Self {
        Self::of(config.expected_tensors())
    }

    /// Tensors of these names and shapes, one after another.
    pub(crate) fn of(tensors: Vec<(String, Vec<usize>)>) -> Self {
        let mut length = 0;
        let tensors = tensors
            .into_iter()
            .map(|(name, shape)| {
                let start = length;
                length += shape.iter().product::<usize>();
                Tensor { name, shape, range: start..length }
            })
            .collect();
        Self { tensors, length }
    }

    /// All tensors, in order.
    #[must_use]
    pub fn tensors(&self) -> &[Tensor] {
        &self.tensors
    }

    /// The tensor of this name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Tensor> {
        self.tensors.iter().find(|tensor| tensor.name == name)
    }
}
