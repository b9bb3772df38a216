use std::path::Path;

use sekisho_domain::Sha256;
use sekisho_weights::{Dtype, weights_digest};
use serde::Serialize;

use super::rewrite::{self, Planned, Sources};
use super::{EMBEDDING, HEAD, SurgeryError};

/// What folding did.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Folded {
    /// The factor on the table.
    pub factor: f64,
    /// Whether every value is exactly the product.
    pub exact: bool,
    /// The largest relative error of a value.
    pub largest_error: f64,
    /// Whether the output layer has become a tensor of its own.
    pub untied: bool,
    /// Digest of the new weights.
    pub weights: Sha256,
}

/// Multiplies the factor of a model with scaled embeddings, the root of the hidden size unless another one is given, into its table, so that it is
/// read as a `LlamaForCausalLM`. A tied model becomes an untied one: the output layer has no factor. Exact for a power of two, and
/// otherwise rounded once to the type of the weights.
///
/// # Errors
/// [`SurgeryError`].
pub fn fold(from: &Path, factor: Option<f64>, to: &Path) -> Result<Folded, SurgeryError> {
    let checkpoint = rewrite::open(from)?;
    let config = checkpoint.config();
    let factor = factor.unwrap_or_else(|| (config.hidden_size as f64).sqrt());
    let untied = config.tie_word_embeddings;
    let mut tensors = rewrite::tensors(&checkpoint)?;
    if untied && let Some(table) = tensors.iter().find(|tensor| tensor.name == EMBEDDING) {
        tensors.push(Planned { name: HEAD.to_owned(), ..table.clone() });
    }
    let mut json = rewrite::config_of(from)?;
    json["tie_word_embeddings"] = false.into();
    let sources = Sources { folder: from, models: &[from], tokenizer: None, config: Some(&json) };
    let mut largest_error = 0.0_f64;
    rewrite::write(to, &sources, tensors, &mut |tensor| {
        let name = if untied && tensor.name == HEAD { EMBEDDING } else { &tensor.name };
        let values = checkpoint.tensor_f32(name).map_err(SurgeryError::weights(from))?;
        if tensor.name != EMBEDDING {
            return Ok(values);
        }
        let product = |value: f32| f64::from(value) * factor;
        largest_error = values.iter().map(|value| error(tensor.dtype, product(*value))).fold(0.0, f64::max);
        Ok(values.into_iter().map(|value| product(value) as f32).collect())
    })?;
    let weights = weights_digest(to).map_err(SurgeryError::weights(to))?;
    Ok(Folded { factor, exact: largest_error == 0.0, largest_error, untied, weights })
}

/// What rounding to the type costs a value, relatively.
fn error(dtype: Dtype, value: f64) -> f64 {
    let single = value as f32;
    let kept = if dtype == Dtype::BF16 {
        f64::from(half::bf16::from_f32(single).to_f32())
    } else {
        f64::from(single)
    };
    if value == 0.0 { 0.0 } else { ((kept - value) / value).abs() }
}
