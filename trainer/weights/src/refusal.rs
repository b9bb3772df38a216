mod ja;

use crate::ConfigError;

/// Why a checkpoint was not accepted. Each sentence names the thing, the rule and the way on; nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The operating system would not let us read.
    #[error(
        "{path} cannot be read: {reason}. Check that the file is there and that this account may read it."
    )]
    Unreadable {
        /// The path.
        path: String,
        /// The system's words.
        reason: String,
    },
    /// Code in place of weights.
    #[error(
        "{file} is a pickle, not safetensors. Formats that can run code are refused. Write it as safetensors (`sekisho convert` for Megatron), then announce it again."
    )]
    Pickle {
        /// The file.
        file: String,
    },
    /// An archive in place of a file.
    #[error("{file} is a {kind} archive. Archives are not opened. Unpack it and announce the folder.")]
    Archive {
        /// The file.
        file: String,
        /// ZIP, tar …
        kind: &'static str,
    },
    /// Some other content.
    #[error(
        "{file} is not safetensors: it does not begin with a header length and \"{{\". Write it as safetensors, then announce it again."
    )]
    NotSafetensors {
        /// The file.
        file: String,
    },
    /// A header that would fill the memory.
    #[error(
        "{file} announces a header of {length} bytes; at most {limit} are read. Write it again with a safetensors library."
    )]
    HeaderTooLong {
        /// The file.
        file: String,
        /// Announced length.
        length: u64,
        /// Our limit.
        limit: u64,
    },
    /// A header that is not what the format says.
    #[error("{file}: {reason}. Write it again with a safetensors library.")]
    Header {
        /// The file.
        file: String,
        /// The broken rule.
        reason: String,
    },
    /// A key of a JSON object that is there twice.
    #[error("{file}: {what}. Readers disagree about which one counts. Write the file again.")]
    DuplicateKey {
        /// The file.
        file: String,
        /// Which key, and in what.
        what: String,
    },
    /// A tensor name that could be taken for a path or that cannot be shown.
    #[error(
        "{file}: tensor name {name:?} is refused: names are at most 512 bytes, without control characters, \"..\", or \"/\" at the start. Rename the tensor."
    )]
    TensorName {
        /// The file.
        file: String,
        /// The name.
        name: String,
    },
    /// An element type that weights do not have.
    #[error(
        "{file}: tensor {tensor} is {dtype}; weights are F32, F16 or BF16. Export the model in one of these."
    )]
    Dtype {
        /// The file.
        file: String,
        /// The tensor.
        tensor: String,
        /// Its type.
        dtype: String,
    },
    /// Bytes that do not match shape and type.
    #[error(
        "{file}: tensor {tensor} occupies {have} bytes; its shape and type need {need}. Write the file again."
    )]
    TensorSize {
        /// The file.
        file: String,
        /// The tensor.
        tensor: String,
        /// Bytes announced.
        have: String,
        /// Bytes needed.
        need: String,
    },
    /// Two tensors share bytes.
    #[error(
        "{file}: tensors {first} and {second} share bytes. Every tensor has its own; write the file again."
    )]
    Overlap {
        /// The file.
        file: String,
        /// The one before.
        first: String,
        /// The one that begins too early.
        second: String,
    },
    /// Bytes that belong to no tensor.
    #[error(
        "{file}: {bytes} bytes before tensor {tensor} belong to no tensor. Hidden data is refused; write the file again."
    )]
    Hole {
        /// The file.
        file: String,
        /// How many.
        bytes: u64,
        /// The tensor behind them.
        tensor: String,
    },
    /// Bytes after the last tensor.
    #[error("{file}: {bytes} bytes follow the last tensor. Hidden data is refused; write the file again.")]
    Trailing {
        /// The file.
        file: String,
        /// How many.
        bytes: u64,
    },
    /// Shorter than the header says.
    #[error(
        "{file} is cut short ({have} of {need} bytes). Announce it again when it is complete. Nothing was changed."
    )]
    Truncated {
        /// The file.
        file: String,
        /// Its size.
        have: u64,
        /// The size it should have.
        need: u64,
    },
    /// A link to a place outside the folder, or to nothing.
    #[error(
        "{file} is a link that does not lead to a file inside the folder. Put the file itself there (`cp -L`)."
    )]
    Link {
        /// The file.
        file: String,
    },
    /// No weights.
    #[error(
        "{dir} holds no model.safetensors and no model.safetensors.index.json. Announce the folder that the exporter wrote."
    )]
    NoWeights {
        /// The folder.
        dir: String,
    },
    /// A file that must be there.
    #[error("{file} is missing. Announce the checkpoint again when every file is written.")]
    FileMissing {
        /// The file.
        file: String,
    },
    /// The shard index breaks a rule.
    #[error("{file}: {rule}. Write the index and the shards again with one exporter.")]
    Index {
        /// The index.
        file: String,
        /// The broken rule.
        rule: String,
    },
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A tensor has another shape than the configuration says.
    #[error("{file}: {tensor} has shape {have}; config.json says {need}. Check {key}.")]
    ShapeMismatch {
        /// The file.
        file: String,
        /// The tensor.
        tensor: String,
        /// Its shape.
        have: String,
        /// The shape asked for.
        need: String,
        /// The configuration key behind the first difference.
        key: &'static str,
    },
    /// A tensor that the configuration asks for is not there.
    #[error("Tensor {tensor} is missing from {file}; config.json asks for it. Check {key}.")]
    TensorMissing {
        /// The file; the index where there are several.
        file: String,
        /// The tensor.
        tensor: String,
        /// The configuration key that asks for it.
        key: &'static str,
    },
    /// A tensor that the configuration does not know.
    #[error("{file}: config.json has no place for tensor {tensor}. Check {key}.")]
    TensorUnknown {
        /// The file.
        file: String,
        /// The tensor.
        tensor: String,
        /// The configuration key that would ask for it.
        key: &'static str,
    },
    /// A tied model with an output layer of its own.
    #[error(
        "lm_head.weight differs from model.embed_tokens.weight, but config.json says tie_word_embeddings. Check tie_word_embeddings."
    )]
    TiedDiffers,
    /// Values that are not numbers.
    #[error(
        "{file}: tensor {tensor} holds {count} NaN or Inf values. It will be neither evaluated nor released. Write it again without NaN, or take an earlier checkpoint."
    )]
    Nan {
        /// The file.
        file: String,
        /// The first such tensor by name.
        tensor: String,
        /// How many in it.
        count: u64,
    },
    /// The tokenizer file is not one.
    #[error("{file}: {reason}. Give the tokenizer used in training.")]
    Tokenizer {
        /// The file.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// Token ids beyond the embedding.
    #[error("The tokenizer has {have} entries, the model only {need}. Give the tokenizer used in training.")]
    TokenizerMismatch {
        /// Entries (highest id + 1).
        have: u64,
        /// `vocab_size`.
        need: u64,
    },
    /// Somebody wrote while we read.
    #[error(
        "{file} changed while it was being read. Announce the checkpoint again when it is complete. Nothing was changed."
    )]
    Changed {
        /// The file.
        file: String,
    },
    /// The bytes are not those the manifest lists.
    #[error(
        "{file} is not the file that manifest.json lists ({want}, found {have}). Copy the checkpoint again."
    )]
    Manifest {
        /// The file.
        file: String,
        /// SHA-256 in the manifest.
        want: String,
        /// SHA-256 found.
        have: String,
    },
}

impl Refusal {
    /// Stable kebab-case code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "checkpoint-unreadable",
            Self::Pickle { .. } => "checkpoint-pickle",
            Self::Archive { .. } => "checkpoint-archive",
            Self::NotSafetensors { .. } => "checkpoint-not-safetensors",
            Self::HeaderTooLong { .. } => "checkpoint-header-too-long",
            Self::Header { .. } => "checkpoint-header",
            Self::DuplicateKey { .. } => "checkpoint-duplicate-key",
            Self::TensorName { .. } => "checkpoint-tensor-name",
            Self::Dtype { .. } => "checkpoint-dtype",
            Self::TensorSize { .. } => "checkpoint-tensor-size",
            Self::Overlap { .. } => "checkpoint-overlap",
            Self::Hole { .. } => "checkpoint-hole",
            Self::Trailing { .. } => "checkpoint-trailing",
            Self::Truncated { .. } => "checkpoint-truncated",
            Self::Link { .. } => "checkpoint-link",
            Self::NoWeights { .. } => "checkpoint-no-weights",
            Self::FileMissing { .. } => "checkpoint-file-missing",
            Self::Index { .. } => "checkpoint-index",
            Self::Config(_) => "config-invalid",
            Self::ShapeMismatch { .. } => "shape-mismatch",
            Self::TensorMissing { .. } => "tensor-missing",
            Self::TensorUnknown { .. } => "tensor-unknown",
            Self::TiedDiffers => "tied-differs",
            Self::Nan { .. } => "checkpoint-nan",
            Self::Tokenizer { .. } => "tokenizer-invalid",
            Self::TokenizerMismatch { .. } => "tokenizer-mismatch",
            Self::Changed { .. } => "checkpoint-changed",
            Self::Manifest { .. } => "checkpoint-manifest",
        }
    }

    pub(crate) fn unreadable(path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::Unreadable { path: path.display().to_string(), reason: error.to_string() }
    }
}
