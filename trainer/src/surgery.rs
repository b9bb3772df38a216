//! Weights that are changed without training: the mean of several models, a larger vocabulary, a factor folded into a table. One tensor is in
//! memory at a time (of a soup one of each model), and a folder is there whole or not at all.
//!
//! Nothing is made of weights that the service would refuse: every value of what comes in is looked at first.

mod expand;
mod fold;
mod rewrite;
mod soup;

use std::path::{Path, PathBuf};

use sekisho_model::TokenizerError;
use sekisho_weights::{ConfigError, Refusal};

pub use expand::{Expanded, expand};
pub use fold::{Folded, fold};
pub use soup::{Soup, soup};

/// Why weights were left as they are.
#[derive(Debug, thiserror::Error)]
pub enum SurgeryError {
    /// A checkpoint that the service would refuse.
    #[error("{folder}: {refusal}", folder = folder.display())]
    Weights {
        /// The folder.
        folder: PathBuf,
        /// Why.
        refusal: Refusal,
    },
    /// A configuration that is none.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A tokenizer that cannot be used.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The system's, naming the file; a full disk with the way on.
    #[error("{}", sekisho_domain::disk_sentence(.0))]
    Io(#[from] std::io::Error),
    /// Something is where the new folder should be.
    #[error("{} is there already; give another place", .0.display())]
    Exists(PathBuf),
    /// Weights of a type that is not rewritten.
    #[error(
        "tensor {tensor} is {dtype}; only BF16 and F32 are rewritten. Write the checkpoint in one of them first."
    )]
    Dtype {
        /// The tensor.
        tensor: String,
        /// Its type.
        dtype: String,
    },
    /// Models that have no mean.
    #[error("{other} is another model than {first}: {what} differs; a soup is made of checkpoints of one model", first = first.display(), other = other.display())]
    Differs {
        /// The first model.
        first: PathBuf,
        /// The one that differs.
        other: PathBuf,
        /// In what.
        what: String,
    },
    /// Weights of a mean that are none.
    #[error("the weights {0}")]
    Shares(String),
    /// A tokenizer that does not extend the old one.
    #[error(
        "token {id} is {old:?} in the old tokenizer and {new:?} in the new one; a vocabulary is expanded by a tokenizer that keeps every old token at its place"
    )]
    NotExtended {
        /// The first id that differs.
        id: u32,
        /// The old piece.
        old: String,
        /// The new piece, empty for none.
        new: String,
    },
    /// More tokens than rows.
    #[error(
        "the old tokenizer has {tokens} tokens, the model rows for {rows}; give the tokenizer used in training"
    )]
    Rows {
        /// Tokens of the old tokenizer.
        tokens: usize,
        /// Rows of the model's table.
        rows: usize,
    },
    /// Nothing to do.
    #[error("the new tokenizer has {new} tokens and the old one {old}: there is nothing to add")]
    NothingNew {
        /// Tokens of the new tokenizer.
        new: usize,
        /// Tokens of the old tokenizer.
        old: usize,
    },
}

impl SurgeryError {
    fn weights(folder: &Path) -> impl Fn(Refusal) -> Self {
        move |refusal| Self::Weights { folder: folder.to_owned(), refusal }
    }
}

/// The table that tokens are looked up in.
const EMBEDDING: &str = "model.embed_tokens.weight";
/// The output layer, where it is not the table.
const HEAD: &str = "lm_head.weight";

#[cfg(test)]
mod tests;
