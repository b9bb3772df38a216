use std::collections::BTreeMap;
use std::io;

use sekisho_domain::{CheckpointId, RunId};
use sekisho_weights::write_atomic;
use serde::{Deserialize, Serialize};

use crate::folder::RunFolder;
use crate::log::end_of;
use crate::rollback;

/// How far the server has been told.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Told {
    /// The run's id on the server.
    pub(super) run: Option<RunId>,
    /// The process that wrote last, as it named itself: the one that goes on from here follows it.
    #[serde(default)]
    pub(super) writer: String,
    /// Bytes of `log.jsonl` it has.
    pub(super) log: u64,
    /// Bytes of `events.jsonl` it has.
    pub(super) events: u64,
    /// Returns to a checkpoint that the length of the log takes account of.
    #[serde(default)]
    pub(super) rollbacks: usize,
    /// Updates whose checkpoints were announced.
    pub(super) checkpoints: Vec<u64>,
    /// Those of them that were neither verified nor refused when last asked for.
    #[serde(default)]
    pub(super) unsettled: BTreeMap<u64, CheckpointId>,
}

impl Told {
    /// What `report.json` says; nothing where it is not there or cannot be read.
    pub(super) fn read(folder: &RunFolder) -> Self {
        let mut told: Self = fs_err::read(folder.report())
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default();
        // A resumed run has cut its log back and repeats updates; the server takes the repetition.
        told.log = told.log.min(fs_err::metadata(folder.log()).map_or(0, |file| file.len()));
        told.rollbacks = told.rollbacks.min(rollback::read(folder).map_or(0, |rollbacks| rollbacks.len()));
        told
    }

    pub(super) fn write(&self, folder: &RunFolder) -> io::Result<()> {
        let text = serde_json::to_vec(self)?;
        write_atomic(&folder.report(), |file| file.write_all(&text))
    }

    /// Takes account of the run's returns since the last time: what follows the checkpoint is another one from now on.
    pub(super) fn follow_back(&mut self, folder: &RunFolder) -> io::Result<()> {
        let rollbacks = rollback::read(folder)?;
        let since = rollbacks.iter().skip(self.rollbacks).map(|rollback| rollback.after).min();
        if let Some(after) = since {
            self.log = self.log.min(end_of(&folder.log(), after.0)?);
            self.checkpoints.retain(|step| *step <= after.0);
            self.unsettled.retain(|step, _| *step <= after.0);
        }
        self.rollbacks = rollbacks.len();
        Ok(())
    }
}
