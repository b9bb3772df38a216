//! Where a run went back: after an update that came to nothing it restores a checkpoint and leaves out the batches between. The list
//! (`rollbacks.json`) is on the disk before training goes on, so that a kill, a replay and the reporter know of it.

use std::io;
use std::path::Path;

use sekisho_domain::Step;
use sekisho_weights::write_atomic;
use serde::{Deserialize, Serialize};

use crate::data::Position;
use crate::folder::RunFolder;

/// One return.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rollback {
    /// The update that came to nothing.
    pub(crate) failed: Step,
    /// The update whose checkpoint was restored: the next one is the first on other data.
    pub(crate) after: Step,
    /// Where in the data the run went on, past the batch of the failed update.
    pub(crate) position: Position,
    /// Samples of each corpus that nothing was learned from because of it.
    pub(crate) left_out: Vec<u64>,
}

/// The list in a run's folder; empty where the run never went back.
pub(crate) fn read(folder: &RunFolder) -> io::Result<Vec<Rollback>> {
    let path = folder.rollbacks();
    if !path.is_file() {
        return Ok(Vec::new());
    }
    let damaged = |reason: String| {
        let way = "remove it and go on with --resume: the checkpoints say the same";
        io::Error::new(io::ErrorKind::InvalidData, format!("{} is damaged ({reason}); {way}", path.display()))
    };
    let list: Vec<Rollback> =
        serde_json::from_str(&fs_err::read_to_string(&path)?).map_err(|error| damaged(error.to_string()))?;
    let whole = |rollback: &Rollback| {
        let taken = &rollback.position.taken;
        taken.len() == rollback.left_out.len()
            && taken.iter().try_fold(0_u64, |sum, taken| sum.checked_add(*taken)).is_some()
    };
    if !list.iter().all(whole) {
        return Err(damaged("places in the data that cannot be".to_owned()));
    }
    Ok(list)
}

pub(crate) fn write(path: &Path, rollbacks: &[Rollback]) -> io::Result<()> {
    write_atomic(path, |file| {
        serde_json::to_writer_pretty(&mut *file, rollbacks)?;
        file.write_all(b"\n")
    })
}

/// Where the data of the update after `step` begins, where that is not where the update's own ended: the last return to it counts.
pub(crate) fn position_after(rollbacks: &[Rollback], step: Step) -> Option<&Position> {
    standing(rollbacks).find(|rollback| rollback.after == step).map(|rollback| &rollback.position)
}

/// The returns that no later one has undone, the last one first: a return behind another's checkpoint makes the updates again that led to it.
pub(crate) fn standing(rollbacks: &[Rollback]) -> impl Iterator<Item = &Rollback> {
    let mut least = Step(u64::MAX);
    rollbacks.iter().rev().filter(move |rollback| {
        let stands = rollback.after <= least;
        least = least.min(rollback.after);
        stands
    })
}

/// The list of a run that is at `step`: what its checkpoint says, and the returns to that checkpoint since. Those to a later one belong to
/// updates that are made again.
pub(crate) fn at(step: Step, of_checkpoint: &[Rollback], of_folder: &[Rollback]) -> Vec<Rollback> {
    let since = of_folder.iter().filter(|rollback| rollback.after == step);
    of_checkpoint.iter().chain(since).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rollback(failed: u64, after: u64, taken: u64) -> Rollback {
        Rollback {
            failed: Step(failed),
            after: Step(after),
            position: Position { taken: vec![taken] },
            left_out: vec![4],
        }
    }

    #[test]
    fn the_last_return_to_a_checkpoint_counts_and_later_ones_are_forgotten() {
        let all = [rollback(6, 4, 24), rollback(10, 8, 48), rollback(9, 8, 52), rollback(14, 12, 70)];
        assert_eq!(position_after(&all, Step(8)), Some(&Position { taken: vec![52] }));
        assert_eq!(position_after(&all, Step(9)), None);
        let further = [&all[..], &[rollback(15, 6, 80)]].concat();
        assert_eq!(
            position_after(&further, Step(8)),
            None,
            "the updates up to 8 are made again, on other data"
        );
        assert_eq!(standing(&further).map(|rollback| rollback.after.0).collect::<Vec<_>>(), [6, 4]);
        assert_eq!(at(Step(8), &all[..1], &all), all[..3]);
        assert_eq!(at(Step(12), &all[..3], &[]), all[..3], "the checkpoint is enough");
    }
}
