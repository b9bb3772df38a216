use std::path::{Path, PathBuf};

use sekisho_domain::Sha256;
use sekisho_weights::{Checkpoint, weights_digest};
use serde::{Deserialize, Serialize};

use super::SurgeryError;
use super::rewrite::{self, Sources};

/// What a soup was made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Soup {
    /// The models with their shares.
    pub of: Vec<Ingredient>,
    /// Tensors that were averaged.
    pub tensors: usize,
    /// Digest of the new weights.
    pub weights: Sha256,
}

/// One model of a soup.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ingredient {
    /// Its folder.
    pub folder: PathBuf,
    /// Digest of its weights.
    pub weights: Sha256,
    /// Its share.
    pub share: f64,
}

/// The weighted mean of several checkpoints of one model (model soup, arXiv 2203.05482; LLM-jp-4 and OLMo 2 average the ends of several
/// seeds). Sums are made in f64 in the order given and rounded once; texts and tokenizer are the first one's.
///
/// # Errors
/// [`SurgeryError`]: a model that is refused or another one, shares that do not add up to one, a folder that is there.
pub fn soup(models: &[PathBuf], shares: &[f64], to: &Path) -> Result<Soup, SurgeryError> {
    let shares = checked(models, shares)?;
    let first = &models[0];
    let mut opened = Vec::with_capacity(models.len());
    for folder in models {
        opened.push(rewrite::open(folder)?);
        let newest = &opened[opened.len() - 1];
        alike((first, &opened[0]), (folder, newest))?;
    }
    let tensors = rewrite::tensors(&opened[0])?;
    let count = tensors.len();
    let models_of: Vec<&Path> = models.iter().map(PathBuf::as_path).collect();
    let sources = Sources { folder: first, models: &models_of, tokenizer: None, config: None };
    rewrite::write(to, &sources, tensors, &mut |tensor| {
        let mut sum = vec![0.0_f64; tensor.shape.iter().product()];
        for ((checkpoint, share), folder) in opened.iter().zip(&shares).zip(models) {
            let values = checkpoint.tensor_f32(&tensor.name).map_err(SurgeryError::weights(folder))?;
            sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += share * f64::from(value));
        }
        Ok(sum.into_iter().map(|value| value as f32).collect())
    })?;
    let digest = |folder: &Path| weights_digest(folder).map_err(SurgeryError::weights(folder));
    let ingredient = |(folder, share): (&PathBuf, &f64)| {
        Ok(Ingredient { folder: folder.clone(), weights: digest(folder)?, share: *share })
    };
    let of = models.iter().zip(&shares).map(ingredient).collect::<Result<_, SurgeryError>>()?;
    Ok(Soup { of, tensors: count, weights: digest(to)? })
}

/// The shares, equal ones where none are given.
fn checked(models: &[PathBuf], shares: &[f64]) -> Result<Vec<f64>, SurgeryError> {
    let refused = |text: String| Err(SurgeryError::Shares(text));
    if models.len() < 2 {
        return refused("are of one model; give two or more".to_owned());
    }
    if shares.is_empty() {
        return Ok(vec![1.0 / models.len() as f64; models.len()]);
    }
    if shares.len() != models.len() {
        return refused(format!("are {}, the models {}; give one for each", shares.len(), models.len()));
    }
    let sum: f64 = shares.iter().sum();
    if !shares.iter().all(|share| share.is_finite()) || (sum - 1.0).abs() > 1e-6 {
        return refused(format!("add up to {sum}; a mean needs 1"));
    }
    Ok(shares.to_vec())
}

/// Refuses a model of another shape, another way of reading it, or another tokenizer.
fn alike(first: (&Path, &Checkpoint), other: (&Path, &Checkpoint)) -> Result<(), SurgeryError> {
    let differs = |what: String| {
        Err(SurgeryError::Differs { first: first.0.to_owned(), other: other.0.to_owned(), what })
    };
    let (ours, theirs) = (first.1.config().canonical(), other.1.config().canonical());
    if let Some(key) =
        ours.as_object().into_iter().flatten().map(|(key, _)| key).find(|key| ours[*key] != theirs[*key])
    {
        return differs(format!("{key} of config.json"));
    }
    let dtype = |of: &Checkpoint| of.names().map(|name| of.dtype(name)).collect::<Vec<_>>();
    if dtype(first.1) != dtype(other.1) {
        return differs("the type of the weights".to_owned());
    }
    let tokenizer = |folder: &Path| fs_err::read(folder.join("tokenizer.json")).ok().map(Sha256::of);
    if tokenizer(first.0) != tokenizer(other.0) {
        return differs("tokenizer.json".to_owned());
    }
    Ok(())
}
