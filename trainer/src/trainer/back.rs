//! Going back to the last good checkpoint after an update that came to nothing (`stability.on_nan = "rollback"`).

use sekisho_domain::run::EventKind;
use sekisho_domain::{Step, Tokens};
use sekisho_model::backend::Array;

use super::{Run, setup};
use crate::checkpoint::{self, Restored, State};
use crate::digests::Digests;
use crate::log::Log;
use crate::parent::Found;
use crate::rollback::{self, Rollback};
use crate::spec::OnNan;
use crate::{Progress, TrainError, TrainOptions};

impl Run {
    /// Restores the last good checkpoint and goes on behind the batch of the update that `error` tells of. The batches since that
    /// checkpoint are drawn over and not trained on, so the run stays a function of its specification and its data.
    ///
    /// # Errors
    /// `error` itself where the specification says to stop, where there is no checkpoint, or where it is of another kind.
    pub(super) fn roll_back(
        &mut self,
        error: TrainError,
        options: &TrainOptions,
        progress: &mut dyn Progress,
    ) -> Result<(), TrainError> {
        let Some(mut failed) = self.may_go_back(&error) else { return Err(error) };
        // A checkpoint that could not be written is no reason to go back further.
        if let Some(unwritten) = self.unwritten.take() {
            return Err(unwritten);
        }
        // Values that were no numbers when they were to be saved are the older fault.
        match self.settle(progress) {
            Err(TrainError::ValueNotFinite { step, .. }) => self.unsaved = Some(step),
            other => other?,
        }
        failed = self.unsaved.take().map_or(failed, |step| step.min(failed));
        let most = self.spec.stability.max_rollbacks;
        if self.state.rollbacks.len() as u64 >= most {
            return Err(TrainError::RolledBackTooOften { cause: Box::new(error), most });
        }
        let Some(restored) = self.last_good_values()? else { return Err(error) };
        let note = self.take_up(restored, failed, &error)?;
        progress.note(&note);
        // A kill from here on repeats all of this. The list comes last: whoever finds it longer finds the files cut already.
        self.event(EventKind::Rollback, self.state.step, note, options)?;
        self.cut_back(progress)?;
        self.report(progress);
        Ok(())
    }

    /// The update to be left behind; none where the run is to stop. When a checkpoint is asked for from outside, at an update that has
    /// none due, its values decide nothing: an interruption would otherwise change what is computed.
    fn may_go_back(&self, error: &TrainError) -> Option<Step> {
        let step = match error {
            TrainError::NotFinite { step, .. } => *step,
            TrainError::ValueNotFinite { step, .. } if self.spec.checkpoint.is_due(step.0) => *step,
            _ => return None,
        };
        (self.spec.stability.on_nan == OnNan::Rollback).then_some(step)
    }

    /// The newest checkpoint that was due, or the one that a child began at. One that was written because somebody stopped the run decides
    /// nothing either.
    fn last_good_values(&self) -> Result<Option<Restored>, TrainError> {
        let mut steps = self.folder.checkpoints()?;
        steps.retain(|step| self.spec.checkpoint.is_due(*step));
        if let Some(step) = steps.pop() {
            return checkpoint::restore(&self.folder.checkpoint(step), self.writer.layout()).map(Some);
        }
        let found = self.spec.parent.as_ref().and_then(|parent| Found::look(parent, self.folder.path()).ok());
        let Some(found) = found else { return Ok(None) };
        let own = self.start.state.clone();
        setup::begin_at(&found, &self.spec, &self.folder, self.writer.layout(), own).map(Some)
    }

    /// Takes up the values of a checkpoint, moves on in the data, and says so.
    fn take_up(
        &mut self,
        restored: Restored,
        failed: Step,
        error: &TrainError,
    ) -> Result<String, TrainError> {
        let Restored { state, parameters, exp_avg, exp_avg_sq } = restored;
        let after = state.step;
        let mut rollbacks = std::mem::take(&mut self.state.rollbacks);
        let begin = rollback::position_after(&rollbacks, after).unwrap_or(&state.position).clone();
        self.data.seek(begin.clone());
        self.data.skip((failed.0 - after.0) * self.spec.batch.sequences as u64);
        let position = self.data.position().clone();
        let left_out = position.taken.iter().zip(&begin.taken).map(|(to, from)| to - from).collect();
        rollbacks.push(Rollback { failed, after, position: position.clone(), left_out });
        let of_parent = after == self.start.before;
        let place = if of_parent { "the beginning".to_owned() } else { format!("checkpoint {after}") };
        let note = format!(
            "{}: back to {place}; the {} samples that followed it, up to update {failed}, are left out",
            fault(error),
            Tokens(position.samples() - begin.samples()),
        );
        (self.began, self.saved) = (after, (!of_parent).then_some(after.0));
        self.state = State { rollbacks, ..state };
        self.optimizer.updates = self.state.updates;
        self.program.upload(Array::Parameters, parameters)?;
        self.program.upload(Array::FirstMoments, exp_avg)?;
        self.program.upload(Array::SecondMoments, exp_avg_sq)?;
        Ok(note)
    }

    /// Takes back what the folder says of the updates that are left behind.
    fn cut_back(&mut self, progress: &mut dyn Progress) -> Result<(), TrainError> {
        let after = self.state.step;
        // They were written because somebody stopped the run, perhaps to be used.
        for step in self.folder.checkpoints()?.into_iter().filter(|step| *step > after.0) {
            let aside = self.folder.set_aside_checkpoint(step)?;
            progress.note(&format!("checkpoint {step} is no part of the run any more: {}", aside.display()));
        }
        self.log = Log::open_at(&self.folder.log(), after.0)?;
        self.digests = Digests::open_at(&self.folder.digests(), self.start.before, after)?;
        Ok(rollback::write(&self.folder.rollbacks(), &self.state.rollbacks)?)
    }
}

fn fault(error: &TrainError) -> String {
    match error {
        TrainError::NotFinite { what, step, value, .. } => format!("the {what} of update {step} is {value}"),
        TrainError::ValueNotFinite { tensor, step, .. } => {
            format!("{tensor} holds NaN or an infinity after update {step}")
        }
        other => other.to_string(),
    }
}
