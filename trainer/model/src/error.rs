use sekisho_weights::Refusal;

use crate::cuda::CudaError;

/// A model that cannot be loaded, or tokens it cannot take.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The checkpoint was refused.
    #[error(transparent)]
    Checkpoint(#[from] Refusal),
    /// An id without an embedding.
    #[error(
        "token id {id} is outside the model's vocabulary of {vocabulary}. Use the tokenizer that was trained with this checkpoint."
    )]
    TokenOutsideVocabulary {
        /// The id.
        id: u32,
        /// Rows of the embedding.
        vocabulary: usize,
    },
    /// A sequence that a model with a window, or candle's tables of positions, cannot take.
    #[error(
        "a sequence of {have} tokens: of {model_type}, at most {most} are computed here (its window or context). Give --max-length {most} or less, or score the model through `--engine URL`."
    )]
    TooLong {
        /// Tokens.
        have: usize,
        /// Tokens allowed.
        most: usize,
        /// The family.
        model_type: &'static str,
    },
    /// A program that was given another family's weights.
    #[error("{model_type} is computed by another program. Load it with `sekisho_model::load`.")]
    OtherEngine {
        /// The family.
        model_type: &'static str,
    },
    /// Candle refused or failed.
    #[error("candle cannot compute this {model_type}: {reason}. Score the model through `--engine URL`.")]
    Candle {
        /// The family.
        model_type: &'static str,
        /// Candle's words.
        reason: String,
    },
    /// A GPU was named for what only the CPU computes.
    #[error(
        "{model_type} is computed on the CPU alone (by candle). Use --device cpu, or score the model through `--engine URL`."
    )]
    CpuOnly {
        /// The family.
        model_type: &'static str,
    },
    /// A GPU refused or failed.
    #[error(transparent)]
    Cuda(#[from] CudaError),
}
