use sekisho_bench::TaskError;
use sekisho_model::{ModelError, TokenizerError};

use crate::remote::RemoteError;

/// Why an evaluation ended early. The text is the sentence shown to people.
#[derive(Debug, thiserror::Error)]
pub enum EvalError {
    /// The task, its data or an answer.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// The model.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The tokenizer.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// A tokenizer that knows tokens the model does not.
    #[error("The tokenizer has {have} entries, the model only {need}. Give the tokenizer used in training.")]
    TokenizerTooLarge {
        /// Entries of the tokenizer.
        have: usize,
        /// Rows of the embedding.
        need: usize,
    },
    /// BOS was asked for, or an empty context needs a first token, and the tokenizer names none.
    #[error(
        "{task} needs a first token and the tokenizer names neither a BOS nor an EOS token; name one in tokenizer_config.json"
    )]
    NoPrefixToken {
        /// `profile/task`.
        task: String,
    },
    /// A task without items.
    #[error("{task} has no items to ask; check --limit and its data file")]
    Empty {
        /// `profile/task`.
        task: String,
    },
    /// The model answered with something that is no number.
    #[error(
        "item {item} of {task}: the logits hold NaN or Inf. The weights are broken there; nothing was averaged over it."
    )]
    NotFinite {
        /// `profile/task`.
        task: String,
        /// Line in the split.
        item: u64,
    },
    /// A budget that the longest sequence does not fit.
    #[error(
        "the longest sequence needs {need} bytes for keys and values, the budget is {have}; give --kv-budget at least that much"
    )]
    KvBudget {
        /// Bytes allowed.
        have: usize,
        /// Bytes needed.
        need: usize,
    },
    /// Two tasks whose records could not be told apart.
    #[error(
        "{task} is asked twice on the same split, and records do not say with how many shots; keep them in two --out files"
    )]
    SameRecords {
        /// `profile/task`.
        task: String,
    },
    /// A server that was to answer for the model.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// The same, at an item.
    #[error("item {item} of {task}: {error}")]
    RemoteItem {
        /// `profile/task`.
        task: String,
        /// Line in the split.
        item: u64,
        /// What happened.
        error: RemoteError,
    },
    /// Somebody asked to stop.
    #[error("stopped; the answers so far are kept")]
    Stopped,
    /// The receiver of records could not keep one.
    #[error("{0}")]
    Sink(String),
    /// The thread pool could not be made.
    #[error("{0}")]
    Threads(#[from] rayon::ThreadPoolBuildError),
    /// A file could not be read or written.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}
