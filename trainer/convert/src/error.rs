use sekisho_domain::is_disk_full;
use sekisho_weights::Refusal;

/// Why a checkpoint was not converted. Nothing is left of the new folder.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    /// A Hugging Face folder, before or after, breaks a rule.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The folder is no checkpoint that is known here.
    #[error(
        "{path} is no checkpoint that can be converted: {found}. Name the folder of one iteration: with mp_rank_00/model_optim_rng.pt (Megatron legacy), .metadata (torch_dist and torch DCP) or config.json (Hugging Face)."
    )]
    Unknown {
        /// The folder.
        path: String,
        /// What is there instead.
        found: String,
    },
    /// The trainer has not finished writing.
    #[error("{path} is not complete: {missing}. Wait until the trainer has written it.")]
    Incomplete {
        /// The folder.
        path: String,
        /// What is not there yet.
        missing: String,
    },
    /// A pickle that names what is not on the list.
    #[error(
        "{file} asks Python for {global}, which no checkpoint of a Llama needs. Nothing of it was executed and nothing was written. Where it is harmless, save the checkpoint again without it."
    )]
    Global {
        /// The file.
        file: String,
        /// Module and name.
        global: String,
    },
    /// A pickle that breaks a rule of the format, or a bound.
    #[error(
        "{file} is not a pickle that can be read: {rule}. Nothing of it was executed and nothing was written."
    )]
    Pickle {
        /// The file.
        file: String,
        /// What is wrong, and where.
        rule: String,
    },
    /// A container that breaks a rule.
    #[error("{file}: {rule}. Save the checkpoint again with `torch.save` of PyTorch 1.6 or later.")]
    Container {
        /// The file.
        file: String,
        /// What is wrong.
        rule: String,
    },
    /// A checkpoint whose parts do not fit each other.
    #[error("{file}: {rule}. Nothing was written.")]
    Content {
        /// The file.
        file: String,
        /// What is wrong and, where there is one, the way on.
        rule: String,
    },
    /// A tensor that the configuration asks for.
    #[error(
        "No tensor {tensor} is in {file}, from which {wanted} is made. Nothing was written. See whether the configuration is this model's."
    )]
    TensorMissing {
        /// The checkpoint.
        file: String,
        /// Its name there.
        tensor: String,
        /// Its name afterwards.
        wanted: String,
    },
    /// A tensor of another shape than the configuration says.
    #[error(
        "{tensor} of {file} is {have}, and the configuration asks for {need}. Nothing was written. See whether the configuration is this model's."
    )]
    Shape {
        /// The checkpoint.
        file: String,
        /// The tensor's name there.
        tensor: String,
        /// Its shape.
        have: String,
        /// The shape asked for.
        need: String,
    },
    /// A setting of the model that Hugging Face's Llama does not have, or that is not given.
    #[error("{file}: {setting} is {value}; {rule}. Nothing was written.")]
    Setting {
        /// The file.
        file: String,
        /// Name of the argument.
        setting: String,
        /// Its value.
        value: String,
        /// What is possible, and the way on.
        rule: String,
    },
    /// The new folder is there.
    #[error("{path} exists already. Nothing was written. Name a folder that does not exist.")]
    Exists {
        /// The folder.
        path: String,
    },
    /// The system would not read.
    #[error(
        "{path} cannot be read: {error}. Nothing was written. Check that it is there and its permissions."
    )]
    Read {
        /// The file.
        path: String,
        /// The system's words.
        error: std::io::Error,
    },
    /// The system would not write.
    #[error("{}", not_written(path, error))]
    Write {
        /// The file.
        path: String,
        /// The system's words.
        error: std::io::Error,
    },
    /// Somebody asked to stop.
    #[error("The conversion was stopped. Nothing was kept.")]
    Stopped,
}

fn not_written(path: &str, error: &std::io::Error) -> String {
    if is_disk_full(error) {
        return format!(
            "Not enough space on the disk for {path} ({error}). Nothing was kept. Free some space and start again."
        );
    }
    format!("{path} cannot be written: {error}. Nothing was kept. Check the permissions of the folder.")
}

impl ConvertError {
    pub(crate) fn content(file: &str, rule: impl Into<String>) -> Self {
        Self::Content { file: file.to_owned(), rule: rule.into() }
    }

    pub(crate) fn read(path: &std::path::Path, error: std::io::Error) -> Self {
        Self::Read { path: path.display().to_string(), error }
    }
}
