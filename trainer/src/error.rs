use std::path::PathBuf;

use sekisho_domain::{Sha256, Step};
use sekisho_model::TokenizerError;
use sekisho_model::cuda::CudaError;
use sekisho_model::device::DeviceError;
use sekisho_weights::{ConfigError, LockError, Refusal};

use crate::SpecError;
use crate::data::DataError;
use crate::report::ReportError;

/// Why a run did not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The specification.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The model's dimensions.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The corpora.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The tokenizer.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The device.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// A GPU that has too little memory, or that failed. The checkpoints written until then are complete.
    #[error(transparent)]
    Gpu(#[from] CudaError),
    /// The first weights, or a checkpoint to resume from.
    #[error(transparent)]
    Weights(#[from] Refusal),
    /// The server said no at the start.
    #[error(transparent)]
    Server(#[from] ReportError),
    /// The system's, naming the file; a full disk with the way on.
    #[error("{}", sekisho_domain::disk_sentence(.0))]
    Io(#[from] std::io::Error),
    /// Another process trains in the folder.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The folder has another run, or this one, already.
    #[error("{folder} holds a run already; give --resume to go on with it, or another folder", folder = .0.display())]
    Occupied(PathBuf),
    /// A folder that holds something else.
    #[error("{folder} is not a run's folder: it has no {missing}", folder = folder.display())]
    NotARun {
        /// The folder.
        folder: PathBuf,
        /// What should be there.
        missing: &'static str,
    },
    /// The specification says something else than when the run began.
    #[error(
        "{key} was {recorded} when the run began and is {given} now; a run's specification never changes (except [stop], [checkpoint] and [evaluate]): start another run in another folder"
    )]
    Changed {
        /// The key, dotted.
        key: String,
        /// The value in `spec.toml`.
        recorded: String,
        /// The value now.
        given: String,
    },
    /// No run under the name that `[parent]` has.
    #[error("{}", parent_missing(.run, .places))]
    ParentMissing {
        /// `parent.run`.
        run: String,
        /// Folders that were looked at.
        places: Vec<PathBuf>,
    },
    /// The parent has no such checkpoint.
    #[error("{}", parent_step(.run, *.step, .have))]
    ParentStep {
        /// The parent's folder.
        run: PathBuf,
        /// `parent.step`.
        step: Step,
        /// Updates whose checkpoints are there.
        have: Vec<u64>,
    },
    /// A child that cannot go on from its parent.
    #[error("{key} is {child}, and {parent} in the parent; {way}")]
    ParentDiffers {
        /// The key, dotted.
        key: String,
        /// The parent's value.
        parent: String,
        /// The child's value.
        child: String,
        /// The way on.
        way: &'static str,
    },
    /// The checkpoint that a child began at is another one now, and the child has none of its own yet.
    #[error(
        "checkpoint {step} of {run} is not the one that this run began at; put that one back, or start another run in another folder"
    )]
    ParentChanged {
        /// The parent.
        run: String,
        /// The update.
        step: Step,
    },
    /// The data is not what the run began with.
    #[error("{file} has changed since the run began: it was {recorded} and is {found}. Put the old file back to resume.", file = file.display())]
    DataChanged {
        /// The file.
        file: PathBuf,
        /// SHA-256 in the checkpoint.
        recorded: Sha256,
        /// SHA-256 now.
        found: Sha256,
    },
    /// The tokenizer is not what the run began with.
    #[error(
        "the tokenizer has changed since the run began: it was {recorded} and is {found}. Put the old file back to resume."
    )]
    TokenizerChanged {
        /// SHA-256 in the checkpoint.
        recorded: String,
        /// SHA-256 now.
        found: String,
    },
    /// A checkpoint whose files are not those of its manifest.
    #[error("{file} is not what the manifest of its checkpoint says; remove the folder {folder} to resume from the one before", file = file.display(), folder = folder.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// The checkpoint.
        folder: PathBuf,
    },
    /// A checkpoint of another version's format.
    #[error("{file} has format {format}, written by version {version}; resume with that version", file = file.display())]
    Format {
        /// The file.
        file: PathBuf,
        /// Its format.
        format: u32,
        /// The version that wrote it.
        version: String,
    },
    /// No room for a checkpoint.
    #[error(
        "Not enough space (needs {need:.1} MB, free {free:.1} MB) for checkpoint {step} in {folder}. The partial files were removed. Free some space and resume.",
        folder = folder.display()
    )]
    DiskFull {
        /// The update.
        step: Step,
        /// The run's folder.
        folder: PathBuf,
        /// Size of a checkpoint, 10⁶ bytes.
        need: f64,
        /// Room there was, 10⁶ bytes.
        free: f64,
    },
    /// The loss or the gradient is not a number.
    #[error(
        "the {what} of update {step} is {value}; the run was stopped. {last_good} Look at the data and the learning rate before resuming."
    )]
    NotFinite {
        /// `loss` or `gradient norm`.
        what: &'static str,
        /// The update.
        step: Step,
        /// NaN or an infinity.
        value: f64,
        /// The last checkpoint, in a sentence.
        last_good: String,
    },
    /// A parameter or a moment is not a number.
    #[error(
        "{tensor} holds NaN or an infinity after update {step}; the run was stopped and this checkpoint not saved. {last_good} Look at the data and the learning rate before resuming."
    )]
    ValueNotFinite {
        /// The tensor.
        tensor: String,
        /// The update.
        step: Step,
        /// The last checkpoint, in a sentence.
        last_good: String,
    },
    /// It went back and met the next fault, over and over.
    #[error("{cause} It has gone back {most} times already, as often as stability.max_rollbacks allows.")]
    RolledBackTooOften {
        /// Why it would go back once more.
        cause: Box<Self>,
        /// `stability.max_rollbacks`.
        most: u64,
    },
    /// Nothing to learn from.
    #[error("update {step} has no target to learn from: all its documents are shorter than two tokens")]
    NoTargets {
        /// The update.
        step: Step,
    },
    /// Steps that were not trained.
    #[error("updates {from} to {to} were asked for; the run in {folder} can tell of {first} to {last}", folder = folder.display())]
    Range {
        /// The folder.
        folder: PathBuf,
        /// First update asked for.
        from: Step,
        /// Last update asked for.
        to: Step,
        /// First update of the run.
        first: Step,
        /// Last update of the specification.
        last: Step,
    },
    /// The data order computed now is not the one that was trained on.
    #[error(
        "replay does not agree with update {step}: the tokens up to it have the digest {found}, the run recorded {recorded}. Use the version of Sekisho that trained it."
    )]
    Replay {
        /// The update.
        step: Step,
        /// Digest recorded in training.
        recorded: Sha256,
        /// Digest computed now.
        found: Sha256,
    },
    /// No threads.
    #[error("the threads could not be started: {0}; ask for fewer with --threads")]
    Threads(String),
}

fn parent_missing(run: &str, places: &[PathBuf]) -> String {
    let places: Vec<String> = places.iter().map(|place| place.display().to_string()).collect();
    format!(
        "there is no run {run}: neither {} has a spec.toml. Give the parent's folder as parent.run",
        places.join(" nor ")
    )
}

fn parent_step(run: &std::path::Path, step: Step, have: &[u64]) -> String {
    let there = match have {
        [] => "it has none".to_owned(),
        have => format!("it has those of {}", have.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")),
    };
    format!("{} has no checkpoint of update {step}; {there}. Correct parent.step", run.display())
}
