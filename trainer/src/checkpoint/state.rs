use std::path::Path;

use sekisho_domain::{Sha256, Step, Tokens};
use serde::{Deserialize, Serialize};

use super::{STATE, TRAINING_STATE};
use crate::TrainError;
use crate::data::{DataFile, Position};
use crate::rollback::Rollback;
use crate::stability::{MeanLoss, Spikes, Window};

/// `state.json`: all of a run's state but parameters and moments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    /// Version of this file's meaning.
    pub(crate) format: u32,
    /// The trainer that wrote it.
    pub(crate) version: String,
    /// The device the update was made on. Bits are only promised on the same kind.
    pub(crate) device: String,
    /// The last update.
    pub(crate) step: Step,
    /// Targets learned from.
    pub(crate) tokens: Tokens,
    /// Updates of the optimiser: skipped ones are not among them.
    pub(crate) updates: u64,
    /// Learning rate of the last update.
    pub(crate) lr: f64,
    /// Parameters that are decayed, and those that are not.
    pub(crate) weight_decay: DecayGroups,
    /// Place in the data.
    pub(crate) position: Position,
    /// Chain of digests over the tokens of all updates.
    pub(crate) data_digest: Sha256,
    /// The files of the corpora.
    pub(crate) files: Vec<DataFile>,
    /// SHA-256 of `tokenizer.json`.
    pub(crate) tokenizer: Option<Sha256>,
    /// What spikes are told by.
    pub(crate) window: Window,
    /// Updates that were skipped.
    pub(crate) skipped: Vec<Step>,
    /// How often losses and gradient norms stood out.
    #[serde(default)]
    pub(crate) spikes: Spikes,
    /// What the checkpoint is ranked by.
    #[serde(default)]
    pub(crate) loss: MeanLoss,
    /// Where the run went back, in the order in which it did.
    #[serde(default)]
    pub(crate) rollbacks: Vec<Rollback>,
}

/// Weight decay as it was resolved.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DecayGroups {
    pub(crate) decayed: Vec<String>,
    pub(crate) excluded: Vec<String>,
}

impl State {
    /// The meaning of the fields above.
    pub(crate) const FORMAT: u32 = 1;
    /// [`State::data_digest`] before the first update.
    pub(crate) const NO_DATA: Sha256 = Sha256::from_bytes([0; 32]);

    /// Reads the state of a checkpoint.
    pub(crate) fn read(folder: &Path) -> Result<Self, TrainError> {
        let path = folder.join(TRAINING_STATE).join(STATE);
        let text = fs_err::read_to_string(&path)?;
        let state: Self = serde_json::from_str(&text)
            .map_err(|_| TrainError::Damaged { file: path.clone(), folder: folder.to_owned() })?;
        if state.format != Self::FORMAT {
            return Err(TrainError::Format { file: path, format: state.format, version: state.version });
        }
        Ok(state)
    }
}
