use std::path::PathBuf;

use sekisho_domain::lineage::Level;
pub use sekisho_domain::schedule::{DecayShape, LrIndex, Schedule, ScheduleKind, WarmupInit};
pub use sekisho_model::train::Recompute;
use sekisho_model::train::{Format, Settings};
use serde::{Deserialize, Serialize};

use super::Keep;

pub(super) const fn seed() -> u64 {
    42
}

/// `[parent]`: the checkpoint a child run begins at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parent {
    /// Folder of the run, or its name where that folder lies beside the child's.
    pub run: String,
    /// The update.
    pub step: u64,
    /// What is taken over.
    #[serde(default)]
    pub state: ParentState,
    /// Where in the data the child begins.
    #[serde(default)]
    pub data: ParentData,
    /// Count updates from 1 again.
    #[serde(default)]
    pub reset_steps: bool,
}

/// What a child takes over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParentState {
    /// Parameters, moments, the number of updates behind them, and what spikes are told by.
    #[default]
    Full,
    /// Parameters alone.
    Weights,
}

/// Where in the data a child begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParentData {
    /// After the last sample of the parent, in the parent's order.
    #[default]
    Continue,
    /// At the beginning of its own.
    Restart,
}

/// `[init]`: weights of a checkpoint, or normally distributed ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Init {
    /// A Hugging Face checkpoint folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<PathBuf>,
    /// Standard deviation of the matrices; norm weights are 1, biases 0. 0.02 when neither is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub std: Option<f64>,
    /// The matrices that write into the residual stream, `o_proj` and `down_proj`, begin at std/√(2 · layers), as Megatron-LM's do.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub scaled_residual: bool,
    /// What `from` is: a Hub repository, for the lineage of what is trained. The folder's own lineage file where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Licence of `from`: SPDX expression, `LicenseRef-…`, or a Hub licence id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license: Option<String>,
}

impl Default for Init {
    fn default() -> Self {
        Self { from: None, std: Some(0.02), scaled_residual: false, id: None, license: None }
    }
}

/// `[tokenizer]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenizerSection {
    /// `tokenizer.json`, or the folder it lies in.
    pub path: PathBuf,
}

/// `[data]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// Targets of a sequence, T.
    pub sequence_length: usize,
    /// In which order samples come.
    #[serde(default)]
    pub order: Order,
    /// Sizes the index of [`Order::Megatron`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_samples: Option<u64>,
    /// How documents become sequences.
    #[serde(default)]
    pub packing: Packing,
    /// Attention stays within a document.
    #[serde(default)]
    pub document_mask: bool,
    /// The corpora.
    #[serde(default)]
    pub mix: Vec<Mix>,
}

/// The order of samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Megatron-LM's `GPTDataset`: documents, then samples shuffled by NumPy's `RandomState`.
    #[default]
    Megatron,
    /// A keyed permutation of the samples of each epoch, computed and not stored.
    Permutation,
    /// As they are in the files.
    Sequential,
}

/// How documents become sequences.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Packing {
    /// One stream of all documents, cut into T+1 tokens of which one overlaps.
    #[default]
    Contiguous,
    /// One document a sequence, cut to T+1 tokens or padded; padding is not learned from.
    PerDocument,
}

/// `[[data.mix]]`: one corpus.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mix {
    /// Name of the subset.
    pub name: String,
    /// `.jsonl`, `.jsonl.zst`, or the prefix of a Megatron `.bin` and `.idx`.
    pub path: PathBuf,
    /// Epochs the run may see; its share of the samples is in proportion to epochs times tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat: Option<f64>,
    /// Share of the samples, in proportion to the other weights; as many epochs as it takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<f64>,
    /// Release level claimed for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<Level>,
    /// Licence claimed for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license: Option<String>,
}

/// What decides a corpus' share of the samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Share {
    /// So many epochs, no more.
    Repeat(f64),
    /// A weight beside the others'.
    Weight(f64),
}

impl Mix {
    /// `repeat` or `weight`; a lone corpus without either has all the weight.
    #[must_use]
    pub fn share(&self) -> Share {
        self.repeat.map_or_else(|| Share::Weight(self.weight.unwrap_or(1.0)), Share::Repeat)
    }
}

/// `[batch]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Batch {
    /// Sequences of an update.
    pub sequences: usize,
    /// Sequences worked on at a time; all of them when absent. Must divide `sequences`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub micro: Option<usize>,
}

/// `[optimizer]`: AdamW (arXiv 1711.05101), clipping, and the weight of the z-loss.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Optimizer {
    /// Highest learning rate.
    pub lr: f64,
    /// Learning rate at the end of the schedule.
    #[serde(default)]
    pub min_lr: f64,
    /// Decay of the two moments.
    #[serde(default = "betas")]
    pub betas: [f64; 2],
    /// Added to the root of the second moment.
    #[serde(default = "eps")]
    pub eps: f64,
    /// Decoupled weight decay.
    #[serde(default = "weight_decay")]
    pub weight_decay: f64,
    /// Globs over the names of parameters that are not decayed; those with one dimension when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_decay_exclude: Option<Vec<String>>,
    /// Largest global L2 norm of the gradient.
    #[serde(default = "clip")]
    pub clip: f64,
    /// Weight of the squared logarithm of the softmax denominator.
    #[serde(default)]
    pub z_loss: f64,
    /// Every so many updates the log says what the moments look like; never when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub telemetry_every: Option<u64>,
    /// What the moments are kept in.
    #[serde(default, skip_serializing_if = "Moments::is_f32")]
    pub moments: Moments,
}

/// What AdamW's moments are kept in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Moments {
    /// f32.
    #[default]
    F32,
    /// bf16, rounded at random by seed, update and place. A GPU takes four bytes a parameter less.
    Bf16,
}

impl Moments {
    const fn is_f32(&self) -> bool {
        matches!(self, Self::F32)
    }
}

const fn betas() -> [f64; 2] {
    [0.9, 0.95]
}

const fn eps() -> f64 {
    1e-8
}

const fn weight_decay() -> f64 {
    0.1
}

const fn clip() -> f64 {
    1.0
}

/// `[stability]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Stability {
    /// What a NaN or infinite loss or gradient does.
    pub on_nan: OnNan,
    /// How often [`OnNan::Rollback`] goes back before the run ends with an error.
    pub max_rollbacks: u64,
    /// An update whose loss or gradient norm is so many standard deviations above the window's mean is skipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skip_sigma: Option<f64>,
    /// Updates in the window.
    pub window: usize,
}

impl Default for Stability {
    fn default() -> Self {
        Self { on_nan: OnNan::Stop, max_rollbacks: 3, skip_sigma: None, window: 128 }
    }
}

/// What a NaN does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnNan {
    /// Ends the run with an error.
    Stop,
    /// Goes back to the last checkpoint and leaves out the batches since.
    Rollback,
}

/// `[precision]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Precision {
    /// Number format of the linear layers, forward and backward.
    pub forward: Forward,
    /// What the backward pass computes again instead of keeping it.
    pub recompute: Recompute,
}

impl Default for Precision {
    fn default() -> Self {
        Self { forward: Forward::F32, recompute: Recompute::default() }
    }
}

impl Precision {
    /// What the program is made with, moments apart; fp8 has been refused.
    pub(super) fn settings(&self) -> Settings {
        let format = if self.forward == Forward::F32 { Format::F32 } else { Format::Bf16 };
        Settings { format, recompute: self.recompute, ..Settings::default() }
    }
}

/// Number format of the forward pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Forward {
    /// 32 bits.
    F32,
    /// 16 bits, brain float.
    Bf16,
    /// 8 bits.
    Fp8,
}

/// `[evaluate]`: read by the server, which examines the checkpoints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evaluate {
    /// The suite.
    pub suite: String,
    /// Only checkpoints whose update is a multiple of this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<u64>,
}

/// `[stop]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stop {
    /// After this update.
    pub steps: u64,
}

/// `[checkpoint]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Checkpoint {
    /// Every so many updates, and at the end.
    pub every: u64,
    /// Which are kept; all when empty.
    pub keep: Vec<Keep>,
    /// Number format of the exported weights.
    pub dtype: Dtype,
}

impl Default for Checkpoint {
    fn default() -> Self {
        Self { every: 1000, keep: Vec::new(), dtype: Dtype::Bf16 }
    }
}

/// Number format of the exported weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dtype {
    /// 16 bits, brain float.
    Bf16,
    /// 32 bits.
    F32,
}

impl Dtype {
    /// The name in `config.json`.
    #[must_use]
    pub const fn torch_name(self) -> &'static str {
        match self {
            Self::Bf16 => "bfloat16",
            Self::F32 => "float32",
        }
    }

    /// Bytes of a value.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        match self {
            Self::Bf16 => 2,
            Self::F32 => 4,
        }
    }
}
