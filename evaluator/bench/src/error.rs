use sekisho_domain::{Sha256, TomlError};

use crate::definition::Split;

/// Why a task could not be found, read, asked or scored. The text is the sentence shown to people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TaskError {
    /// A definition or suite that is not valid TOML of the format.
    #[error(transparent)]
    Toml(#[from] TomlError),
    /// A definition or suite whose parts contradict each other.
    #[error("{file}: {message}")]
    Definition {
        /// The file as the caller named it.
        file: String,
        /// The rule that was broken and the way on.
        message: String,
    },
    /// No such profile, task or suite.
    #[error("there is no {kind} \"{name}\"{place}{hint}; known: {known}")]
    Unknown {
        /// `profile`, `task` or `suite`.
        kind: &'static str,
        /// What was asked for.
        name: String,
        /// ` in llm-jp-eval@1.3`, or empty.
        place: String,
        /// `, did you mean "…"?`, or empty.
        hint: String,
        /// Every name there is, comma-separated.
        known: String,
    },
    /// The task has no such split.
    #[error("{task} has no split \"{split}\"; it has {available}")]
    Split {
        /// `profile/task`.
        task: String,
        /// What was asked for.
        split: String,
        /// The splits it has, comma-separated.
        available: String,
    },
    /// More shots were asked for than the task can give.
    #[error("{task} cannot be run with {asked} shots: {reason}")]
    Shots {
        /// `profile/task`.
        task: String,
        /// How many were asked for.
        asked: u32,
        /// Why not, and the way on.
        reason: String,
    },
    /// A data file that the caller could not deliver.
    #[error("{task} needs {file}{from}: {message}")]
    Source {
        /// `profile/task`.
        task: String,
        /// `source/path`.
        file: String,
        /// ` (address)` where the definition says where it is had, or empty.
        from: String,
        /// The caller's own sentence.
        message: String,
    },
    /// A data file that is not the one the definition names.
    #[error(
        "The data of {task} differs from the definition ({file}: expected {want}, found {have}). \
         Check the source, or record it as other settings (`--accept {have}`)."
    )]
    DataHash {
        /// `profile/task`.
        task: String,
        /// `source/path`.
        file: String,
        /// The digest in the definition.
        want: Sha256,
        /// The digest of what was delivered.
        have: Sha256,
    },
    /// A data file whose digest the definition does not know.
    #[error(
        "{task} reads {file}, and its definition does not know the digest of the complete file; if yours is that file, \
         accept it by name (`--accept {have}`)"
    )]
    DataUnknown {
        /// `profile/task`.
        task: String,
        /// `source/path`.
        file: String,
        /// The digest of what was delivered.
        have: Sha256,
    },
    /// A data file that cannot be read as its definition says.
    #[error("{file}, {place}: {message}")]
    Data {
        /// `source/path`.
        file: String,
        /// `line 12` or `record 12`.
        place: String,
        /// The rule that was broken.
        message: String,
    },
    /// The task has no data set file in llm-jp-eval's format.
    #[error("{task} has no {split} file in llm-jp-eval's format: {reason}")]
    Dataset {
        /// `profile/task`.
        task: String,
        /// The split.
        split: Split,
        /// Why not.
        reason: &'static str,
    },
    /// An answer that does not fit the question.
    #[error("item {item} of {task}: {message}")]
    Answer {
        /// `profile/task`.
        task: String,
        /// Line in the split.
        item: u64,
        /// What does not fit.
        message: String,
    },
}
