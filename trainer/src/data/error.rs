//! What keeps data from being trained on.

use std::path::PathBuf;

/// Data that cannot be trained on.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The system's, naming the file.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// Neither text nor an indexed dataset.
    #[error(
        "{path} is not a corpus; give a .jsonl or .jsonl.zst file, or the prefix of a Megatron .bin and .idx",
        path = path.display()
    )]
    Form {
        /// The path in the specification.
        path: PathBuf,
    },
    /// Not text, where text is needed.
    #[error("{path} is not a file of documents; give a .jsonl or .jsonl.zst file, one JSON object a line with a \"text\"", path = path.display())]
    NotText {
        /// The path.
        path: PathBuf,
    },
    /// A line of text that cannot be used.
    #[error("{file}:{line}: {reason}; every line must be a JSON object with a \"text\"", file = file.display())]
    Line {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// Not Zstandard.
    #[error("{file} cannot be decompressed: {reason}; compress it with zstd again", file = file.display())]
    Compressed {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A Megatron file that breaks the format.
    #[error("{file} is not a Megatron indexed dataset: {reason}; make it again with preprocess_data.py", file = file.display())]
    Index {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Text without a tokenizer.
    #[error("{file} is text, but the specification has no [tokenizer]; add tokenizer.path", file = file.display())]
    NoTokenizer {
        /// The file.
        file: PathBuf,
    },
    /// A tokenizer that cannot end documents.
    #[error(
        "the tokenizer names no EOS token, which ends every document; name eos_token in tokenizer_config.json"
    )]
    NoEos,
    /// More tokens than rows in the embedding.
    #[error("The tokenizer has {have} entries, the model only {need}. Give the tokenizer used in training.")]
    Vocabulary {
        /// Entries of the tokenizer.
        have: usize,
        /// Rows of the embedding.
        need: usize,
    },
    /// A token the model has no row for.
    #[error(
        "corpus {corpus}, document {document}: token {id} is outside the model's vocabulary of {vocabulary}"
    )]
    Token {
        /// The corpus.
        corpus: String,
        /// The document, from 0.
        document: usize,
        /// The id.
        id: u32,
        /// Rows of the embedding.
        vocabulary: usize,
    },
    /// Not even one sample.
    #[error(
        "corpus {corpus} has {tokens} tokens, fewer than one sequence needs ({need}); leave it out or shorten data.sequence_length"
    )]
    TooShort {
        /// The corpus.
        corpus: String,
        /// Its tokens.
        tokens: u64,
        /// Tokens of a sample.
        need: usize,
    },
    /// A file that was written to while it was read.
    #[error("{file} changed while it was read; start again when nobody writes to it", file = file.display())]
    Changing {
        /// The file.
        file: PathBuf,
    },
    /// More than Megatron-LM's order has numbers for.
    #[error(
        "corpus {corpus}: Megatron-LM's order would number {count} documents or samples over all epochs and has numbers for {limit}; set data.order = \"permutation\"",
        limit = u32::MAX
    )]
    TooMany {
        /// The corpus.
        corpus: String,
        /// What there would be to number.
        count: u64,
    },
}
